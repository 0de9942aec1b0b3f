"""An endpoint: a URL that somebody's system listens at, what it hears of, and the secrets it knows us by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.hooks.outcome import STANDARD, Told, is_wanted

ACTIVE, PAUSED, GONE = "active", "paused", "gone"
"""`gone`: it answered 410, so it hears of nothing any more until somebody resumes it."""

ROTATION_MS = 24 * 3_600_000
"""For so long after a rotation everything is signed with the former secret as well."""


@dataclass(frozen=True)
class Health:
    """How it went last. `failures`: in a row; `closed_until`: before that (ms) it isn't tried."""

    failures: int = 0
    closed_until: int = 0
    last_at: int = 0
    last_said: str = ""


@dataclass(frozen=True)
class Endpoint:
    """`events`, `accounts`: what it asked for, empty for all. `former_secret`: signed with until
    `former_until` (ms). `version`: grows with each change of the operator's (`tocsin.versions`); 0 of a
    record of before there were versions. `stands`: the sealed bytes that it was read from, by which a change
    notices one in between."""

    id: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    events: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    form: str = STANDARD
    state: str = ACTIVE
    added_at: int = 0
    former_secret: str = field(default="", repr=False)
    former_until: int = 0
    version: int = 0
    stands: bytes = field(default=b"", repr=False, compare=False)
    health: Health = Health()

    def secrets(self, now: int) -> tuple[str, ...]:
        """What is signed with at `now` (ms)."""
        former = (self.former_secret,) if self.former_secret and now < self.former_until else ()
        return (self.secret, *former)

    def wants(self, told: Told) -> bool:
        return self.state != GONE and is_wanted(told, self.events, self.accounts)

    def rotated(self, secret: str, now: int) -> Endpoint:
        return replace(self, secret=secret, former_secret=self.secret, former_until=now + ROTATION_MS)

    @property
    def sealed(self) -> dict[str, Any]:
        """What decides where something goes and who believes it: sealed, so that nobody who can only write to
        the table changes it."""
        return {
            "url": self.url,
            "secret": self.secret,
            "former_secret": self.former_secret,
            "former_until": self.former_until,
            "events": list(self.events),
            "accounts": list(self.accounts),
            "form": self.form,
            "version": self.version,
        }

    @classmethod
    def of(cls, identity: str, item: Mapping[str, Any], words: Mapping[str, Any], stands: bytes) -> Endpoint:
        """From its record, what was sealed in it, and how that stands there."""
        return cls(
            id=identity,
            url=words["url"],
            secret=words["secret"],
            events=tuple(words.get("events", ())),
            accounts=tuple(words.get("accounts", ())),
            form=words.get("form", STANDARD),
            state=str(item.get("state", ACTIVE)),
            added_at=_number(item.get("added_at")),
            former_secret=words.get("former_secret", ""),
            former_until=words.get("former_until", 0),
            version=words.get("version", 0),
            stands=stands,
            health=health_of(item),
        )


def health_of(item: Mapping[str, Any]) -> Health:
    """What isn't as it is written there counts as not there: it says how it went, and decides nothing."""
    return Health(
        _number(item.get("failures")),
        _number(item.get("closed_until")),
        _number(item.get("last_at")),
        str(item.get("last_said", "")),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
