"""What a caller gets: an answer, or a refusal that its dialect turns into one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

JSON = "application/json"
PROBLEM = "application/problem+json"
TEXT = "text/plain; charset=utf-8"

MAX_REASON_CHARACTERS = 2000
MAX_VIOLATIONS = 200
"""Of a refusal. Nobody reads more."""


class Answer(NamedTuple):
    """`status`: never a redirect, for callers follow it as a GET and take the message for sent."""

    status: int
    body: str
    content_type: str = JSON
    headers: Mapping[str, str] = {}

    def for_lambda(self) -> dict[str, Any]:
        """As a function URL wants it."""
        headers = {"content-type": self.content_type, "cache-control": "no-store", **self.headers}
        return {"statusCode": self.status, "headers": headers, "body": self.body}


def json_answer(status: int, value: Any, content_type: str = JSON, **headers: str) -> Answer:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Answer(
        status, text, content_type, {name.replace("_", "-"): value for name, value in headers.items()}
    )


class Refused(Exception):
    """A request that isn't done. Each dialect says it in its own form (`Dialect.refuse`).

    `status`: of HTTP; `code`: for programs, such as `rate-limited`; `reason`: a sentence for people. Neither
    holds anything that the caller sent but names of fields. `violations`: what is wrong, each with its path.
    `retry_after`: seconds, if it is worth a try later.
    """

    def __init__(
        self,
        status: int,
        code: str,
        reason: str,
        *,
        violations: Sequence[str] = (),
        retry_after: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        # An answer larger than Lambda takes would be none.
        self.reason = reason[:MAX_REASON_CHARACTERS]
        self.violations = tuple(violations[:MAX_VIOLATIONS])
        self.retry_after = retry_after
        self.facts = facts or {}

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}

    def __str__(self) -> str:
        return f"{self.status} {self.code}"


UNAUTHORISED = "unauthorised"


def unauthorised() -> Refused:
    """One and the same for a missing, a wrong and an outdated key, known names and unknown ones."""
    return Refused(401, UNAUTHORISED, "the key is missing, wrong or no longer valid")


def invalid(*violations: str) -> Refused:
    """What the caller sent can't be meant. Each violation begins with the path of its field."""
    return Refused(400, "invalid", "; ".join(violations), violations=violations)


def not_allowed(reason: str) -> Refused:
    return Refused(403, "not-allowed", reason)


def not_found(reason: str) -> Refused:
    return Refused(404, "not-found", reason)


def unavailable(reason: str) -> Refused:
    """On our side, for a moment."""
    return Refused(503, "unavailable", reason, retry_after=5)


class Entry(NamedTuple):
    """An event for the bus. `detail_type`: such as `TicketCreated`; `detail`: as its schema says."""

    detail_type: str
    detail: Mapping[str, Any]

    @property
    def json(self) -> str:
        return json.dumps(self.detail, ensure_ascii=False, separators=(",", ":"))
