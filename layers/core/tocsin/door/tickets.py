"""Ticket events that came in by HTTP: whom their source may reach, and what the schema says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from tocsin.door.answer import Entry

if TYPE_CHECKING:
    from tocsin.door.sources import Source

_AUDIENCE_OF = {"customer": "customer", "technicians": "technician", "groups": "group"}


def restricted(entry: Entry, source: Source, normal: Callable[[str], str]) -> tuple[Entry, tuple[str, ...]]:
    """Return the event without whom its source may not reach, and the paths of those. Others of the ticket
    are told all the same. `normal(phone)`: digits in E.164, or raises ValueError; who has no valid number
    stays, for nobody can be told by it, and an operator is to see it."""
    left_out: list[str] = []
    detail = dict(entry.detail)
    for field, audience in _AUDIENCE_OF.items():
        if field not in detail:
            continue
        if not source.speaks_to(audience):
            left_out.append(field)
            del detail[field]
        elif isinstance(detail[field], list):
            kept = [one for one in detail[field] if _reaches(source, one, normal)]
            left_out += [
                f"{field}[{number}]"
                for number, one in enumerate(detail[field])
                if not _reaches(source, one, normal)
            ]
            detail[field] = kept
        elif not _reaches(source, detail[field], normal):
            left_out.append(field)
            del detail[field]
    return Entry(entry.detail_type, detail), tuple(left_out)


def _reaches(source: Source, told: Any, normal: Callable[[str], str]) -> bool:
    """`told`: a person or a group, as the event has it."""
    if not source.recipients:
        return True
    address = told.get("phone") if isinstance(told, Mapping) else told
    if not isinstance(address, str) or not address.strip():
        return True
    if "@" in address:
        return source.reaches(address)
    try:
        return source.reaches(normal(address))
    except ValueError:
        return True


def violations_of(
    entry: Entry,
    *,
    accounts: Collection[str],
    default_region: str,
    default_area: str,
    attachments: bool,
) -> tuple[str, ...]:
    """What the schema of ticket events finds wrong. Empty: it can be planned."""
    import json

    from tocsin.notify.events.schema import InvalidEvent, parse_event

    body = json.dumps({"detail-type": entry.detail_type, "detail": entry.detail}, ensure_ascii=False)
    try:
        parse_event(
            body,
            default_region=default_region,
            default_area=default_area,
            accounts=accounts,
            attachments=attachments,
        )
    except InvalidEvent as refusal:
        return refusal.violations
    return ()
