"""The event as it stands on the bus, checked against the schema, every violation named.

The schema lies beside this file (`ticket-event.schema.json`); it describes the `detail` of the EventBridge
event.

Texts that are too long are cut, not refused (`x-cut-after` in the schema). An address that nobody can be told
by loses that recipient, not the event: see `Unreachable`. What else is malformed of a person is left out, and
they are told all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tocsin.notify.attachments import TYPES, media_type_of
from tocsin.notify.content import Attachment
from tocsin.notify.events.addresses import Normalise, group_of, phone_of
from tocsin.notify.events.audience import ROUTES
from tocsin.notify.events.checks import MAX_BYTES, MAX_VIOLATIONS, Fitted, InvalidEvent, Schema, listed
from tocsin.notify.events.envelope import (
    account_of,
    account_violations,
    event_id_of,
    id_violations,
    load_envelope,
    moment_of,
    source_of,
)
from tocsin.notify.events.event import (
    NO_PHONE,
    Creator,
    Enclosure,
    Person,
    Reply,
    Ticket,
    TicketEvent,
    Unreachable,
)
from tocsin.notify.events.file_names import fitted_file_name
from tocsin.notify.notification import MESSAGE_REQUESTED
from tocsin.people.numbers import normalise_phone

__all__ = ["DETAIL_TYPES", "MAX_BYTES", "InvalidEvent", "parse_event", "schema"]

SCHEMA = Schema("ticket-event.schema.json")

DETAIL_TYPES = (*ROUTES, MESSAGE_REQUESTED)
"""Of all events that Tocsin plans: those of tickets, and of a message without one."""


def parse_event(
    body: str,
    *,
    default_region: str,
    default_area: str = "",
    accounts: Collection[str],
    attachments: bool = False,
) -> TicketEvent:
    """Read an EventBridge event. Raises InvalidEvent with every violation.

    `default_region`: the country of numbers written without a country code; `default_area`: the area code
    there of those written without one; `accounts`: those this deployment serves; `attachments`: whether it
    has a bucket of them.
    """
    envelope = load_envelope(body)
    violations = list(_envelope_violations(envelope))
    fitted = Fitted(SCHEMA)
    normalise = partial(normalise_phone, default_region=default_region, default_area=default_area)
    detail = envelope.get("detail")
    if isinstance(detail, dict):
        detail = fitted.fit(detail, SCHEMA.json, "detail")
        violations += SCHEMA.violations(detail)
        violations += account_violations(detail, accounts)
        violations += _attachment_violations(detail, attachments)
        if violations:
            violations += fitted.left_out[:MAX_VIOLATIONS]
            violations += _address_violations(detail, normalise)
    if violations:
        raise InvalidEvent(listed(violations))
    return replace(
        _event({**envelope, "detail": detail}, normalise),
        cut=tuple(fitted.cut),
        left_out=tuple(fitted.left_out),
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of the detail."""
    return SCHEMA.json


# -- reading -----------------------------------------------------------------------------------------------


def _event(envelope: Mapping[str, Any], normalise: Normalise) -> TicketEvent:
    detail = envelope["detail"]
    ticket = detail["ticket"]
    customer = detail.get("customer")
    groups = [group_of(value, f"detail.groups[{n}]") for n, value in enumerate(detail.get("groups") or ())]
    return TicketEvent(
        event_id=event_id_of(envelope),
        event_type=envelope["detail-type"],
        account=account_of(detail),
        ticket=Ticket(
            **{name: ticket.get(name) or "" for name in _TICKET_TEXTS},
            revision=int(ticket["revision"]),
            extra=ticket.get("extra", {}),
        ),
        customer=None if customer is None else _person(customer, "detail.customer", normalise),
        technicians=tuple(
            _person(person, f"detail.technicians[{n}]", normalise)
            for n, person in enumerate(detail.get("technicians") or ())
        ),
        groups=tuple(group for group in groups if isinstance(group, str)),
        lost_groups=tuple(group for group in groups if not isinstance(group, str)),
        created_by=_creator(detail.get("created_by")),
        changed_by=_creator(detail.get("changed_by")),
        reply=_reply(detail.get("reply")),
        ignored=SCHEMA.unknown_fields(detail),
        event_at=moment_of(envelope.get("time")),
        source=source_of(envelope),
        enclosures=tuple(_enclosure(value) for value in detail.get("attachments") or ()),
    )


def _creator(value: Mapping[str, Any] | None) -> Creator | None:
    return None if value is None else Creator(value["role"], value.get("id") or "")


def _reply(value: Mapping[str, Any] | None) -> Reply | None:
    return None if value is None else Reply(value.get("text") or "", value.get("by") or "")


_TICKET_TEXTS = (
    "id",
    "subject",
    "description",
    "priority",
    "status",
    "location",
    "url",
    "created_at",
)


def _person(value: Any, path: str, normalise: Normalise) -> Person:
    told = value if isinstance(value, dict) else {}
    phone = phone_of(value, path, normalise)
    return Person(
        id=told.get("id") or "",
        name=told.get("name") or "",
        phone=phone if isinstance(phone, str) else None,
        language=told.get("language") or "",
        unreachable=None if isinstance(phone, str) else phone,
    )


def _enclosure(value: Mapping[str, Any]) -> Enclosure:
    file_name = _file_name(value)
    attachment = Attachment(value["key"], file_name, media_type_of(file_name) or "")
    return Enclosure(attachment, value.get("caption") or "", tuple(value.get("audiences") or ()))


def _file_name(value: Mapping[str, Any]) -> str:
    """As told, else the last part of the key."""
    return fitted_file_name(value.get("file_name") or value["key"].rpartition("/")[2])


# -- checking ----------------------------------------------------------------------------------------------


def _envelope_violations(envelope: Mapping[str, Any]) -> Iterator[str]:
    kind = envelope.get("detail-type")
    if kind not in ROUTES:
        shown = f"{kind[:80]!r} is unknown" if isinstance(kind, str) else "is missing"
        yield f"detail-type: {shown}; known are {', '.join(DETAIL_TYPES)}"
    if "detail" not in envelope:
        yield "detail: is missing"
    elif not isinstance(envelope["detail"], dict):
        yield "detail: is not an object"
    yield from id_violations(envelope)


def _address_violations(detail: Mapping[str, Any], normalise: Normalise) -> Iterator[str]:
    """Of an event that is refused for something else: an operator wants to see it all at once."""
    technicians, groups = detail.get("technicians"), detail.get("groups")
    found = [phone_of(detail.get("customer"), "detail.customer", normalise)]
    if isinstance(technicians, list):
        found += [
            phone_of(one, f"detail.technicians[{n}]", normalise)
            for n, one in enumerate(technicians[:MAX_VIOLATIONS])
        ]
    if isinstance(groups, list):
        found += [group_of(one, f"detail.groups[{n}]") for n, one in enumerate(groups[:MAX_VIOLATIONS])]
    for one in found:
        if isinstance(one, Unreachable) and one.code != NO_PHONE:
            yield f"{one.path}: {one.reason}"


def _attachment_violations(detail: Mapping[str, Any], has_bucket: bool) -> Iterator[str]:
    attachments = detail.get("attachments")
    if not isinstance(attachments, list) or not attachments:
        return
    if not has_bucket:
        yield "detail.attachments: none are sent here; name a bucket in the parameter AttachmentsBucket"
    for number, one in enumerate(attachments[:MAX_VIOLATIONS]):
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            continue
        if not isinstance(one.get("file_name") or "", str):
            continue
        if media_type_of(_file_name(one)) is None:
            yield f"detail.attachments[{number}]: its file name must end in one of {', '.join(TYPES)}"
