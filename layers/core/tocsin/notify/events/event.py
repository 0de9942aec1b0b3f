"""A ticket event: what a ticketing system tells of a ticket, and of the people to be told.

`schema.parse_event` makes one of what stands on the bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.content import Attachment

INVALID_PHONE = "invalid-phone"
NO_PHONE = "no-phone"
INVALID_GROUP = "invalid-group"


@dataclass(frozen=True)
class Ticket:
    """What the event says of the ticket. Empty text where it says nothing."""

    id: str
    revision: int
    subject: str
    description: str = ""
    priority: str = ""
    status: str = ""
    location: str = ""
    url: str = ""
    created_at: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unreachable:
    """Why one recipient can't be told. `code`: `invalid-phone`, `no-phone` or `invalid-group`; `path`: of the
    field that an address should stand in; `reason`: what is wrong with it, without what it says.

    `written`: what it says, its beginning; empty if there is nothing. Only an operator sees it.
    """

    code: str
    path: str
    reason: str
    written: str = field(default="", repr=False)

    @property
    def detail(self) -> str:
        return f"{self.path} {self.reason}"


@dataclass(frozen=True)
class Person:
    """A customer or technician. `phone`: E.164 digits; None: they can't be told, `unreachable` says why."""

    id: str
    name: str
    phone: str | None
    language: str
    unreachable: Unreachable | None = None


@dataclass(frozen=True)
class Creator:
    """Who made the ticket, or a change of it: role (admin, technician, customer, system) and id, empty if
    unknown."""

    role: str
    id: str


@dataclass(frozen=True)
class Reply:
    """What was answered to the customer, and by whom (a name). Empty text where the event says nothing."""

    text: str
    by: str


@dataclass(frozen=True)
class Enclosure:
    """A file that goes along. `audiences`: who gets it, empty for everybody who is told."""

    attachment: Attachment
    caption: str
    audiences: tuple[str, ...] = ()

    def is_for(self, audience: str) -> bool:
        return not self.audiences or audience in self.audiences


@dataclass(frozen=True)
class TicketEvent:
    """One event, checked. `ignored`: fields of the detail that the schema doesn't know (a typo, perhaps);
    `cut`: those that were too long; `left_out`: what of a person was malformed, as violations that quote
    nothing; `lost_groups`: entries of `groups` that are no group. `event_at`: when it was put on the bus
    (ms), as far as EventBridge said so; `source`: whose it is, if that is known."""

    event_id: str
    event_type: str
    account: str
    ticket: Ticket
    customer: Person | None
    technicians: tuple[Person, ...]
    groups: tuple[str, ...]
    created_by: Creator | None
    ignored: tuple[str, ...] = ()
    event_at: int | None = None
    enclosures: tuple[Enclosure, ...] = ()
    cut: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    lost_groups: tuple[Unreachable, ...] = ()
    changed_by: Creator | None = None
    reply: Reply | None = None
    source: str | None = None
