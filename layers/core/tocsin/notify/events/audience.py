"""Who must know about a ticket event: customer, technicians, groups.

All four routes of a ticket pass here: made by an admin or by a technician, to the customer and to the
technicians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tocsin.notify.events.event import Person, TicketEvent, Unreachable
from tocsin.notify.notification import Audience
from tocsin.people.numbers import same_person_key


@dataclass(frozen=True)
class Recipient:
    """Somebody to be told. `address`: E.164 digits or a group JID, empty where they can't be told and
    `unreachable` says why; `language` empty: the account's default. `person`: the ticketing system's id."""

    audience: Audience
    address: str
    name: str = ""
    language: str = ""
    unreachable: Unreachable | None = None
    person: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells them apart within their audience, however their number is spelled."""
        if self.unreachable is None:
            return (self.address if self.audience == "group" else same_person_key(self.address),)
        return ("", self.person or self.unreachable.path, self.unreachable.written)


def customer(event: TicketEvent) -> Iterator[Recipient]:
    """But for an update that they made themselves."""
    if event.customer is not None and not _is_own_update(event, event.customer):
        yield _recipient("customer", event.customer)


def technicians(event: TicketEvent) -> Iterator[Recipient]:
    """All of them but those who made the ticket or this change: they know."""
    for person in event.technicians:
        if not _made(event, person) and not _changed(event, person):
            yield _recipient("technician", person)


def groups(event: TicketEvent) -> Iterator[Recipient]:
    for group in event.groups:
        yield Recipient("group", group)
    for lost in event.lost_groups:
        yield Recipient("group", "", unreachable=lost)


ROUTES: Mapping[str, tuple[Callable[[TicketEvent], Iterator[Recipient]], ...]] = {
    "TicketCreated": (customer, technicians, groups),
    "TicketAssigned": (customer, technicians, groups),
    "TicketUpdated": (customer, technicians, groups),
    "TicketReplied": (customer,),
    "TicketResolved": (customer, technicians, groups),
}
"""Event type → who is told, in the order they are told. The event types are those of this table."""


def recipients(event: TicketEvent) -> tuple[Recipient, ...]:
    """Everybody to be told, each person and group once per audience. May be empty: then nobody is told."""
    return tuple(one for one in _concerned(event) if one.unreachable is None)


def unreachable(event: TicketEvent) -> tuple[Recipient, ...]:
    """Everybody whom the event concerns and who can't be told, each once per audience."""
    return tuple(one for one in _concerned(event) if one.unreachable is not None)


def _concerned(event: TicketEvent) -> Iterable[Recipient]:
    known: dict[tuple[str, ...], Recipient] = {}
    for route in ROUTES[event.event_type]:
        for recipient in route(event):
            known.setdefault((recipient.audience, *recipient.identity), recipient)
    return known.values()


def _made(event: TicketEvent, person: Person) -> bool:
    maker = event.created_by
    return maker is not None and maker.role == "technician" and maker.id != "" and maker.id == person.id


def _changed(event: TicketEvent, person: Person) -> bool:
    """By their id, whatever role the help desk gives them."""
    changer = event.changed_by
    return changer is not None and changer.id != "" and changer.id == person.id


def _is_own_update(event: TicketEvent, person: Person) -> bool:
    return event.event_type == "TicketUpdated" and _changed(event, person)


def _recipient(audience: Audience, person: Person) -> Recipient:
    return Recipient(
        audience, person.phone or "", person.name, person.language, person.unreachable, person.id
    )
