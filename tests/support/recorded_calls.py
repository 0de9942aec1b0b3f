"""The AWS calls that functions, connector and console made, held against the rights of who made them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.client import BaseClient

from tests.support.iam import Statement, actions_matching, matches
from tests.support.recording.calls import calls, logical
from tests.support.templates import as_list
from tocsin_local import emulator

RECORDER = Path(__file__).with_name("recording")


NEEDS_NONE = {"sts:GetCallerIdentity"}
"""Who one is, everybody may ask."""


class Call(NamedTuple):
    """`limited`: the leading key or the event source, where one was given."""

    caller: str
    action: str
    resource: str
    limited: str


@contextlib.contextmanager
def recording(file: Path) -> Iterator[None]:
    """Whatever is started for the emulator notes its calls in `file`, while the block lasts."""
    plain = emulator.clean_environment

    def noting(**more: str) -> dict[str, str]:
        return plain(**more, PYTHONPATH=str(RECORDER), RECORD_AWS_CALLS=str(file))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator, "clean_environment", noting)
        yield


def noted(caller: str, names: Mapping[str, str], patch: pytest.MonkeyPatch) -> set[Call]:
    """The calls that this process makes of AWS from here on, as IAM sees them. `names`: what a resource is
    called in the template."""
    found: set[Call] = set()
    ask = BaseClient._make_api_call

    def noting(client: BaseClient, operation: str, asked: dict[str, Any]) -> Any:
        for action, resource, limited in calls(client.meta.service_model.service_name, operation, asked):
            found.add(Call(caller, action, names.get(resource, resource), limited))
        return ask(client, operation, asked)

    patch.setattr(BaseClient, "_make_api_call", noting)
    return found


def read(file: Path) -> set[Call]:
    return {Call(*json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()}


# Ids of nested stacks, messages, tickets and people: other ones in each run.
_OF_ONE_RUN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{3,12})+|[0-9a-f]{20,}|[0-9]{2,}")


def write(file: Path, calls: Iterable[Call]) -> None:
    """Write calls to be read again, without what is of one run alone."""
    lasting = {
        it._replace(**{name: _OF_ONE_RUN.sub("0", getattr(it, name)) for name in ("resource", "limited")})
        for it in calls
    }
    file.write_text("".join(f"{json.dumps(it)}\n" for it in sorted(lasting)), encoding="utf-8")


def short(arn: str) -> str:
    """Return the resource of a policy as `recording.calls` names it."""
    service = arn.split(":")[2] if arn.startswith("arn:") else ""
    name = arn.split(":", 5)[-1]
    if service == "dynamodb":
        table, *index = name.removeprefix("table/").split("/", 1)
        return "/".join([f"table/{logical(table)}", *index])
    if service == "sqs":
        return f"sqs:{logical(name)}"
    if service == "secretsmanager":
        return f"secret:{logical(re.sub('-[A-Za-z0-9]{6}$', '', name.removeprefix('secret:')))}"
    if service == "lambda":
        return f"function:{logical(name.removeprefix('function:'))}"
    return {"events": "event-bus", "s3": "bucket"}.get(service, "*" if arn == "*" else name)


def allows(statement: Statement, call: Call) -> bool:
    """Whether an Allow covers a call, with the limits on leading keys and event sources."""
    if statement.effect != "Allow" or not any(matches(it, call.action) for it in statement.actions):
        return False
    if not any(matches(it, call.resource) for it in map(short, statement.resources)):
        return False
    limits = [
        patterns
        for test in statement.condition.values()
        for key, patterns in test.items()
        if key in ("dynamodb:LeadingKeys", "events:source")
    ]
    return all(any(fnmatchcase(call.limited, it) for it in as_list(patterns)) for patterns in limits)


def without_right(calls: Iterable[Call], rights: Iterable[Statement]) -> list[Call]:
    statements = list(rights)
    asked = [call for call in calls if call.action not in NEEDS_NONE]
    return sorted(call for call in asked if not any(allows(it, call) for it in statements))


def without_call(rights: Iterable[Statement], calls: Iterable[Call]) -> set[tuple[str, str]]:
    """Return what is allowed and was never used: action and resource."""
    made = [(call.action, call.resource) for call in calls]
    return {
        (action, resource)
        for it in rights
        if it.effect == "Allow"
        for written in it.actions
        for action in actions_matching(written)
        for resource in map(short, it.resources)
        if not any(action == asked and matches(resource, of) for asked, of in made)
    }
