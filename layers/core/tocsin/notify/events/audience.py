"""Who must know about a ticket event: customer, technicians, groups.

All four routes of a ticket pass here: made by an admin or by a technician, to the customer and to the
technicians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tocsin.notify.events.event import Person, TicketEvent
from tocsin.notify.notification import Audience


@dataclass(frozen=True)
class Recipient:
    """Somebody to be told. `address`: E.164 digits or a group JID; `language` empty: the account's
    default."""

    audience: Audience
    address: str
    name: str = ""
    language: str = ""


def customer(event: TicketEvent) -> Iterator[Recipient]:
    if event.customer is not None and event.customer.phone:
        yield _recipient("customer", event.customer)


def technicians(event: TicketEvent) -> Iterator[Recipient]:
    """All of them but the one who made the ticket: that one knows."""
    for person in event.technicians:
        if person.phone and not _made(event, person):
            yield _recipient("technician", person)


def groups(event: TicketEvent) -> Iterator[Recipient]:
    for group in event.groups:
        yield Recipient("group", group)


ROUTES: Mapping[str, tuple[Callable[[TicketEvent], Iterator[Recipient]], ...]] = {
    "TicketCreated": (customer, technicians, groups),
    "TicketAssigned": (customer, technicians, groups),
    "TicketUpdated": (customer, technicians, groups),
    "TicketResolved": (customer, technicians, groups),
}
"""Event type → who is told, in the order they are told."""


def recipients(event: TicketEvent) -> tuple[Recipient, ...]:
    """Everybody the event concerns, each address once per audience. May be empty: then nobody is told."""
    told: dict[tuple[str, str], Recipient] = {}
    for route in ROUTES[event.event_type]:
        for recipient in route(event):
            told.setdefault((recipient.audience, recipient.address), recipient)
    return tuple(told.values())


def _made(event: TicketEvent, person: Person) -> bool:
    maker = event.created_by
    return maker is not None and maker.role == "technician" and maker.id != "" and maker.id == person.id


def _recipient(audience: Audience, person: Person) -> Recipient:
    return Recipient(audience, person.phone or "", person.name, person.language)
