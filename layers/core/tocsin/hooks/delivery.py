"""One outcome for one endpoint, and every attempt to tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"

USED_UP, ENDPOINT_GONE, DAMAGED = "used-up", "endpoint-gone", "damaged"
"""Why a delivery is dead. `damaged`: its record can't be what was written there, so what it told is lost."""

CRASHED = "crashed"
"""Why an attempt has no answer that the function itself failed at."""


@dataclass(frozen=True)
class Attempt:
    """`at`: ms; `status`: of the answer, or None with `why`: `timeout`, `dns`, `tls`, `connection`,
    `protocol`, `refused` (the URL leads where nothing is sent), `crashed`; `took`: ms."""

    at: int
    status: int | None = None
    why: str = ""
    took: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def said(self) -> str:
        return str(self.status) if self.status is not None else self.why

    def to_json(self) -> dict[str, Any]:
        told = {"at": self.at, "status": self.status, "why": self.why or None, "took": self.took}
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Attempt:
        return cls(value["at"], value.get("status"), value.get("why", ""), value.get("took", 0))


@dataclass(frozen=True)
class Delivery:
    """`turn`: its name in the endpoint's partition, which sorts by time; `message_id`: the header webhook-id,
    the same at every attempt; `begun_at`, `due_at`: ms; `body`: what is sent. `parkings`: how often it was
    put aside; `earlier`: attempts before somebody asked to send it again."""

    endpoint: str
    turn: str
    type: str
    account: str
    lane: str
    begun_at: int
    state: str = WAITING
    attempts: tuple[Attempt, ...] = ()
    due_at: int | None = None
    reason: str = ""
    parkings: int = 0
    earlier: int = 0
    body: bytes = field(default=b"", repr=False)

    @property
    def message_id(self) -> str:
        return f"msg_{self.turn.rpartition('-')[2]}"

    @property
    def tried(self) -> int:
        """Attempts that count."""
        return len(self.attempts) - self.earlier

    @property
    def is_asked_for(self) -> bool:
        """Whether somebody asked to send it again, and it wasn't tried since."""
        return bool(self.earlier) and not self.tried

    @property
    def is_damaged(self) -> bool:
        return self.reason == DAMAGED

    def again(self, now: int) -> Delivery:
        """The same to be sent once more, as if it were new; its history stays. `now`: ms."""
        return replace(
            self,
            state=WAITING,
            reason="",
            begun_at=now,
            due_at=now + 60_000,
            earlier=len(self.attempts),
            parkings=self.parkings + 1,
        )

    @property
    def is_done(self) -> bool:
        return self.state in (DELIVERED, DEAD)
