"""The event as it stands on the bus, checked against the schema, every violation named.

The schema lies beside this file (`ticket-event.schema.json`); it describes the `detail` of the EventBridge
event.

Texts that are too long are cut, not refused (`x-cut-after` in the schema). An address that nobody can be told
by loses that recipient, not the event: see `Unreachable`. What else is malformed of a person is left out, and
they are told all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from tocsin.notify.attachments import TYPES, media_type_of
from tocsin.notify.content import Attachment
from tocsin.notify.events.audience import ROUTES
from tocsin.notify.events.event import (
    INVALID_GROUP,
    INVALID_PHONE,
    NO_PHONE,
    Creator,
    Enclosure,
    Person,
    Ticket,
    TicketEvent,
    Unreachable,
)
from tocsin.notify.texts.formatting import name, shortened
from tocsin.people.numbers import InvalidPhone, normalise_phone

MAX_BYTES = 256 * 1024
"""What EventBridge and SQS carry."""

MAX_VIOLATIONS = 200
MAX_ID_CHARACTERS = 128

MAX_NESTED = 100
"""Lists and objects within each other. The schema needs five; a few hundred exhaust the stack of whatever
walks through them."""

MAX_NAME_CHARACTERS = 200
"""Of a file. What is longer is cut before its ending."""

MAX_REFUSED_CHARACTERS = 80
"""Of a refused phone or group, as an operator sees it."""

DEFAULT_ACCOUNT = "default"


class InvalidEvent(ValueError):
    """The event doesn't hold what the schema asks for; nobody is told anything. `violations`: each with its
    path.

    They name fields and rules, and quote nothing of what the fields hold, so they may be logged.
    """

    def __init__(self, violations: Collection[str]) -> None:
        super().__init__(*violations)
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return "; ".join(self.violations)


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
    envelope = _load(body)
    violations = list(_envelope_violations(envelope))
    fitted = _Fitted()
    normalise = partial(normalise_phone, default_region=default_region, default_area=default_area)
    detail = envelope.get("detail")
    if isinstance(detail, dict):
        detail = fitted.fit(detail, schema(), "detail")
        violations += _schema_violations(detail)
        violations += _account_violations(detail, accounts)
        violations += _attachment_violations(detail, attachments)
        if violations:
            violations += fitted.left_out[:MAX_VIOLATIONS]
            violations += _address_violations(detail, normalise)
    if violations:
        raise InvalidEvent(_listed(violations))
    return replace(
        _event({**envelope, "detail": detail}, normalise),
        cut=tuple(fitted.cut),
        left_out=tuple(fitted.left_out),
    )


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the detail."""
    text = (Path(__file__).parent / "ticket-event.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def nested_too_deep(value: Any) -> bool:
    """True if lists and objects lie more than MAX_NESTED deep in a JSON value. Needs no stack itself."""
    level = [value]
    for _ in range(MAX_NESTED + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


# -- reading -----------------------------------------------------------------------------------------------


def _load(body: str) -> dict[str, Any]:
    """The JSON object in `body`. Raises InvalidEvent for anything that isn't one, however hostile."""
    if len(body) > MAX_BYTES:
        raise InvalidEvent([f"event: is larger than {MAX_BYTES} bytes"])
    try:
        body.encode()
        envelope = json.loads(body, parse_constant=_no_constant)
        if nested_too_deep(envelope):
            raise RecursionError
        json.dumps(envelope, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidEvent(["event: holds half a surrogate pair, which is no text"]) from None
    except RecursionError:
        raise InvalidEvent([f"event: is nested too deep: {MAX_NESTED} levels are the limit"]) from None
    except ValueError:
        raise InvalidEvent(["event: is not JSON"]) from None
    if not isinstance(envelope, dict):
        raise InvalidEvent(["event: is not a JSON object"])
    return envelope


def _inside(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_constant(name: str) -> None:
    raise ValueError(name)


@dataclass(frozen=True)
class _Fitted:
    """Brings an event to the lengths and the form that the schema wants, as far as it says how. What the
    schema doesn't know, stays.

    `cut`: paths of texts that were too long; `left_out`: what of a person was malformed, as violations.
    """

    cut: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def fit(self, value: Any, rule: Mapping[str, Any], path: str) -> Any:
        """Return `value` as it fits the schema's `rule`."""
        if "$ref" in rule:
            rule = {**rule, **schema()["$defs"][rule["$ref"].rpartition("/")[2]]}
        if isinstance(value, str):
            return self._text(value, rule, path)
        if isinstance(value, dict) and ("properties" in rule or "additionalProperties" in rule):
            known, others = rule.get("properties", {}), rule.get("additionalProperties", {})
            places = {key: (known.get(key, others), f"{path}.{key[:64]}") for key in value}
            return {
                key: self.fit(inner, *places[key])
                for key, inner in value.items()
                if self._stays(inner, *places[key])
            }
        if isinstance(value, list) and "items" in rule:
            return [self.fit(inner, rule["items"], f"{path}[{n}]") for n, inner in enumerate(value)]
        return value

    def _text(self, text: str, rule: Mapping[str, Any], path: str) -> str | None:
        most = rule.get("x-cut-after") or rule.get("x-left-out-after")
        if most is None or len(text) <= most:
            return text
        self.cut.append(path)
        return shortened(text, most) if "x-cut-after" in rule else None

    def _stays(self, value: Any, rule: Mapping[str, Any], path: str) -> bool:
        error = next(_validator().descend(value, rule), None) if rule.get("x-left-out-if-malformed") else None
        if error is not None:
            self.left_out.append(f"{path}: {_sentence(error)}")
        return error is None


_Normalise = Callable[[str], str]


def _event(envelope: Mapping[str, Any], normalise: _Normalise) -> TicketEvent:
    detail = envelope["detail"]
    ticket = detail["ticket"]
    creator = detail.get("created_by")
    customer = detail.get("customer")
    groups = [_group(value, f"detail.groups[{n}]") for n, value in enumerate(detail.get("groups") or ())]
    return TicketEvent(
        event_id=str(envelope.get("id") or "")[:MAX_ID_CHARACTERS],
        event_type=envelope["detail-type"],
        account=detail.get("account", DEFAULT_ACCOUNT),
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
        created_by=None if creator is None else Creator(creator["role"], creator.get("id") or ""),
        ignored=tuple(sorted(set(detail) - set(schema()["properties"]))),
        event_at=_moment(envelope.get("time")),
        enclosures=tuple(_enclosure(value) for value in detail.get("attachments") or ()),
    )


def _moment(text: object) -> int | None:
    """EventBridge's time stamp in ms; None for anything else. Operators see it, nothing depends on it."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        told = int(at.timestamp() * 1000) if at is not None and at.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return None
    return told if told > 0 else None


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


def _person(value: Any, path: str, normalise: _Normalise) -> Person:
    told = value if isinstance(value, dict) else {}
    phone = _phone_of(value, path, normalise)
    return Person(
        id=told.get("id") or "",
        name=told.get("name") or "",
        phone=phone if isinstance(phone, str) else None,
        language=told.get("language") or "",
        unreachable=None if isinstance(phone, str) else phone,
    )


def _phone_of(person: Any, path: str, normalise: _Normalise) -> str | Unreachable:
    """The digits of somebody's phone, or why nobody can be told by it."""
    if person is not None and not isinstance(person, dict):
        return Unreachable(INVALID_PHONE, path, "is not an object with a phone", _as_written(person))
    value, path = (person or {}).get("phone"), f"{path}.phone"
    if value is None or (isinstance(value, str) and not value.strip()):
        return Unreachable(NO_PHONE, path, "names no number")
    try:
        if not isinstance(value, str):
            raise InvalidPhone("is not text")
        return normalise(value.strip())
    except InvalidPhone as refusal:
        return Unreachable(INVALID_PHONE, path, str(refusal), _as_written(value))


_GROUP = re.compile(r"[0-9]{1,20}(-[0-9]{10})?@g[.]us")


def _group(value: Any, path: str) -> str | Unreachable:
    """The JID of a group, or why there is none."""
    if isinstance(value, str) and _GROUP.fullmatch(value):
        return value
    return Unreachable(
        INVALID_GROUP, path, "is no group, such as 120363000000000000@g.us", _as_written(value)
    )


def _as_written(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, MAX_REFUSED_CHARACTERS)


def _enclosure(value: Mapping[str, Any]) -> Enclosure:
    file_name = _file_name(value)
    attachment = Attachment(value["key"], file_name, media_type_of(file_name) or "")
    return Enclosure(attachment, value.get("caption") or "", tuple(value.get("audiences") or ()))


def _file_name(value: Mapping[str, Any]) -> str:
    """As told, else the last part of the key; without what could make one ending look like another."""
    told = value.get("file_name") or value["key"].rpartition("/")[2]
    stem, dot, ending = name(told, len(told)).rpartition(".")
    return shortened(stem, MAX_NAME_CHARACTERS - len(dot + ending)) + dot + ending


# -- checking ----------------------------------------------------------------------------------------------


def _envelope_violations(envelope: Mapping[str, Any]) -> Iterator[str]:
    kind = envelope.get("detail-type")
    if kind not in ROUTES:
        shown = f"{kind[:80]!r} is unknown" if isinstance(kind, str) else "is missing"
        yield f"detail-type: {shown}; known are {', '.join(ROUTES)}"
    if "detail" not in envelope:
        yield "detail: is missing"
    elif not isinstance(envelope["detail"], dict):
        yield "detail: is not an object"
    identity = envelope.get("id")
    if isinstance(identity, str) and _controls().search(identity):
        yield f"id: {_HOLDS_CONTROLS}"


@cache
def _controls() -> re.Pattern[str]:
    """What no id may hold."""
    return re.compile(schema()["$defs"]["id"]["not"]["pattern"])


def _schema_violations(detail: Mapping[str, Any]) -> list[str]:
    errors = islice(_validator().iter_errors(detail), MAX_VIOLATIONS + 1)
    return sorted({f"{_path(error.absolute_path)}: {_sentence(error)}" for error in errors})


def _listed(violations: Sequence[str]) -> Sequence[str]:
    """No more of them than anybody reads."""
    if len(violations) <= MAX_VIOLATIONS:
        return violations
    return [*violations[:MAX_VIOLATIONS], "detail: holds more violations than are listed"]


def _address_violations(detail: Mapping[str, Any], normalise: _Normalise) -> Iterator[str]:
    """Of an event that is refused for something else: an operator wants to see it all at once."""
    technicians, groups = detail.get("technicians"), detail.get("groups")
    found = [_phone_of(detail.get("customer"), "detail.customer", normalise)]
    if isinstance(technicians, list):
        found += [
            _phone_of(one, f"detail.technicians[{n}]", normalise)
            for n, one in enumerate(technicians[:MAX_VIOLATIONS])
        ]
    if isinstance(groups, list):
        found += [_group(one, f"detail.groups[{n}]") for n, one in enumerate(groups[:MAX_VIOLATIONS])]
    for one in found:
        if isinstance(one, Unreachable) and one.code != NO_PHONE:
            yield f"{one.path}: {one.reason}"


def _account_violations(detail: Mapping[str, Any], accounts: Collection[str]) -> Iterator[str]:
    account = detail.get("account", DEFAULT_ACCOUNT)
    if isinstance(account, str) and account not in accounts:
        yield f"detail.account: is none of this deployment's accounts ({', '.join(sorted(accounts))})"


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


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, ValidationError, validators

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[Any]:
        """In JSON Schema "$" is the end of the text; in Python it also stands before a last line break."""
        if isinstance(instance, str) and not re.search(re.sub(r"\$\Z", r"\\Z", wanted), instance):
            yield ValidationError("pattern")

    return validators.extend(Draft202012Validator, {"pattern": pattern})(schema())


def _path(steps: Any) -> str:
    path = "detail"
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:64]}"
    return path


_TYPE_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


def _types(wanted: str | list[str]) -> str:
    names = [wanted] if isinstance(wanted, str) else wanted
    return " or ".join(_TYPE_NAMES.get(name, name) for name in names)


def _missing(error: Any) -> str:
    absent = [name for name in error.validator_value if name not in error.instance]
    return f"lacks {', '.join(absent)}"


_HOLDS_CONTROLS = "holds control characters, line breaks or marks that turn the direction of writing"

# What a violated keyword of the schema means, in words that quote nothing of the event.
_SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "required": _missing,
    "type": lambda error: f"is not {_types(error.validator_value)}",
    "enum": lambda error: f"is none of {', '.join(error.validator_value)}",
    "pattern": lambda error: f"doesn't match {error.validator_value}",
    "not": lambda error: _HOLDS_CONTROLS,
    "minLength": lambda error: "is empty",
    "maxLength": lambda error: f"is longer than {error.validator_value} characters",
    "minimum": lambda error: f"is less than {error.validator_value}",
    "maximum": lambda error: f"is more than {error.validator_value}",
    "maxItems": lambda error: f"holds more than {error.validator_value} entries",
    "maxProperties": lambda error: f"holds more than {error.validator_value} fields",
}


def _sentence(error: Any) -> str:
    sentence = _SENTENCES.get(error.validator)
    return sentence(error) if sentence else f"violates {error.validator}"
