"""What an endpoint gets: an outcome in the form of Standard Webhooks, or as a CloudEvent. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any

from tocsin.notify.cloud_events import TYPES, about, cloud_event
from tocsin.timestamps import iso

TEST = "tocsin.test"
"""Type of the webhook that `tocsin hooks test` sends."""

STANDARD, CLOUDEVENTS = "standard", "cloudevents"
FORMS = (STANDARD, CLOUDEVENTS)


@dataclass(frozen=True)
class Told:
    """One outcome. `id`: of the event, the same if it is told again; `at`: ms; `about`: its ticket."""

    type: str
    id: str
    at: int
    account: str
    about: str
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, detail_type: str, detail: Mapping[str, Any], at: int) -> Told:
        account = str(detail.get("account", ""))
        return cls(TYPES[detail_type], str(detail["id"]), at, account, about(detail), detail)

    @property
    def name(self) -> str:
        """What stands for it in keys and ids: it holds no full stop, and nothing of what it tells."""
        return sha256(self.id.encode()).hexdigest()[:24]

    @property
    def turn(self) -> str:
        """Text that sorts as the outcomes came about."""
        return f"{self.at:013d}-{self.name}"

    @property
    def lane(self) -> str:
        """What is told in its order: all that is about one ticket."""
        return sha256(f"{self.account}\0{self.about}".encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Told:
        """Raises KeyError, TypeError for what `to_json` doesn't return."""
        return cls(**{one.name: value[one.name] for one in fields(cls)})


def is_wanted(told: Told, events: Collection[str], accounts: Collection[str]) -> bool:
    """Whether an endpoint that asked for these hears of it; nothing asked for is everything."""
    if told.type == TEST:
        return True
    return (not events or told.type in events) and (not accounts or told.account in accounts)


def body_of(told: Told, form: str, stack: str) -> bytes:
    """The bytes that are signed and sent, at each attempt the same."""
    said = (
        cloud_event(told.type, told.data, told.at, stack)
        if form == CLOUDEVENTS
        else {"type": told.type, "timestamp": iso(told.at), "data": told.data}
    )
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def content_type(form: str) -> str:
    return "application/cloudevents+json" if form == CLOUDEVENTS else "application/json"
