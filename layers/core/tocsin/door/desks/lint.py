"""What is wrong with a kind's file: every finding, with its path in the file.

A typo in such a file would else be found by the first ticket that nobody is told of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tocsin.door.desks.expressions import InvalidExpression, compiled
from tocsin.door.desks.fields import FORMS
from tocsin.door.desks.fitting import SCHEMA
from tocsin.door.desks.kind import (
    CHANGES,
    PARAMETER,
    PARAMETER_VALUE,
    REPLIES,
    REPLY_CHOICES,
    InvalidKind,
    Kind,
    filled,
    kind_of,
    merged,
    scheme_of,
    values_of,
)
from tocsin.door.desks.revision import HOWS
from tocsin.nesting import nested_too_deep
from tocsin.notify.events.checks import MAX_NESTED

MAX_BYTES: Final = 64 * 1024
MAX_PARAMETERS: Final = 20

_TOP: Final = frozenset(
    [
        "about",
        "challenge",
        "change",
        "changed_by",
        "created_by",
        "customer",
        "groups",
        "ignore",
        "kind",
        "lookup",
        "parameters",
        "ping",
        "reply",
        "revision",
        "signature",
        "technicians",
        "ticket",
    ]
)
_SIGNATURE: Final = {
    "hmac": frozenset(
        [
            "scheme",
            "header",
            "algorithm",
            "encoding",
            "prefix",
            "signed",
            "timestamp_header",
            "id_header",
            "tolerance_seconds",
            "several",
            "secret",
        ]
    ),
    "token": frozenset(["scheme", "headers", "query"]),
}
_RULE: Final = frozenset(["at", "when", "as", "words", "drop", "default"])
_SECTIONS: Final = {
    "customer": frozenset(["each", "id", "name", "phone", "language", "lookup"]),
    "technicians": frozenset(["each", "id", "name", "phone", "language", "lookup"]),
    "created_by": frozenset(["each", "id", "role"]),
    "changed_by": frozenset(["each", "id", "role"]),
    "reply": frozenset(["each", "text", "by"]),
}


def lint(text: str, parameters: Mapping[str, str]) -> list[str]:
    """The findings; empty if the file can be used. `parameters`: what the source sets."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        return [f"file: is larger than {MAX_BYTES} bytes"]
    try:
        told = merged(text)
        if nested_too_deep(told, MAX_NESTED):
            return ["file: is nested too deep"]
    except RecursionError:
        return ["file: is nested too deep"]
    except json.JSONDecodeError as error:
        return [f"file: is not JSON: {error}"]
    except ValueError as error:
        return [f"file: {error}"]
    findings = list(_parameter_findings(told, parameters))
    if findings:
        return findings
    return list(dict.fromkeys(_findings(filled(told, values_of(told, parameters)))))


def checked(text: str, parameters: Mapping[str, str]) -> Kind:
    """The kind that a file describes. Raises InvalidKind with every finding."""
    findings = lint(text, parameters)
    if findings:
        raise InvalidKind(findings)
    return kind_of(text, parameters)


def _findings(told: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(told, _TOP, "file")
    yield from _signature_findings(told.get("signature", []))
    for name in ("kind", "about"):
        if not isinstance(told.get(name, ""), str):
            yield f"{name}: is not text"
    if "ping" in told:
        yield from _expression(told["ping"], "ping")
    yield from _change_findings(told)
    yield from _revision_findings(told.get("revision", []))
    yield from _ticket_findings(told.get("ticket"))
    for name, fields in _SECTIONS.items():
        if name in told:
            yield from _section_findings(told[name], fields, name)
    if "groups" in told:
        yield from _rule_findings(told["groups"], "groups")
    yield from _object(told, "challenge", {"query", "text"}, {"algorithm"})
    yield from _object(told, "lookup", {"path", "phone"}, {"token_path", "scope", "key_header"})
    lookup = told.get("lookup")
    if isinstance(lookup, dict):
        if "{id}" not in str(lookup.get("path", "")):
            yield "lookup.path: must hold {id}"
        phones = lookup.get("phone", [])
        for number, one in enumerate(phones if isinstance(phones, list) else [phones]):
            yield from _expression(one, f"lookup.phone[{number}]")


def _parameter_findings(told: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    declared = told.get("parameters", {})
    if not isinstance(declared, dict) or len(declared) > MAX_PARAMETERS:
        yield f"parameters: is not an object of at most {MAX_PARAMETERS} parameters"
        return
    for name, about in declared.items():
        place = f"parameters.{name[:40]}"
        if not PARAMETER.fullmatch(f"${{{name}}}"):
            yield f"{place}: a parameter's name is made of a-z and _"
        if not isinstance(about, dict):
            yield f"{place}: is not an object with default and about"
            return
        yield from _unknown(about, {"default", "about"}, place)
    known = {REPLIES, *declared}
    for name, value in given.items():
        if name not in known:
            yield f"{name[:40]}: is no parameter of this kind; there are {', '.join(sorted(known))}"
        elif not PARAMETER_VALUE.fullmatch(value):
            yield f"{name}: may hold letters, digits, blanks and _ . : @ / # -, at most 128"
    if given.get(REPLIES, REPLY_CHOICES[0]) not in REPLY_CHOICES:
        yield f"{REPLIES}: is none of {', '.join(REPLY_CHOICES)}"
    unknown = {name for name in PARAMETER.findall(json.dumps(told)) if name not in known}
    for name in sorted(unknown):
        yield f"${{{name}}}: is no parameter of this kind; declare it under parameters"


def _signature_findings(told: Any) -> Iterator[str]:
    if not isinstance(told, list):
        yield "signature: is not a list of schemes"
        return
    for number, one in enumerate(told):
        place = f"signature[{number}]"
        known = _SIGNATURE.get(one.get("scheme", "hmac")) if isinstance(one, dict) else None
        if known is None:
            yield f"{place}: its scheme is neither hmac nor token"
            continue
        yield from _unknown(one, known, place)
        if one.get("algorithm", "sha256") not in ("sha1", "sha256", "sha512"):
            yield f"{place}.algorithm: is none of sha1, sha256, sha512"
        if one.get("encoding", "hex") not in ("hex", "base64"):
            yield f"{place}.encoding: is neither hex nor base64"
        for name in ("header", "timestamp_header", "id_header"):
            if one.get(name, "") != str(one.get(name, "")).lower():
                yield f"{place}.{name}: headers are named in lower case"
        if known is _SIGNATURE["hmac"] and "body" not in one.get("signed", ["body"]):
            yield f"{place}.signed: a signature that doesn't cover the body protects nothing"
        if set(one) <= known:
            try:
                scheme_of(one)
            except TypeError:
                yield f"{place}: lacks header"


def _change_findings(told: Mapping[str, Any]) -> Iterator[str]:
    changes = told.get("change")
    if not isinstance(changes, list) or not changes:
        yield "change: is missing: a list of {when, is}, of which the first one whose condition holds counts"
        changes = []
    for number, one in enumerate(changes):
        yield from _condition(one, f"change[{number}]", "is")
        if isinstance(one, dict) and one.get("is") not in CHANGES:
            yield f"change[{number}].is: is none of {', '.join(CHANGES)}"
    ignored = told.get("ignore", [])
    if not isinstance(ignored, list):
        yield "ignore: is not a list of {when, because}"
        return
    for number, one in enumerate(ignored):
        yield from _condition(one, f"ignore[{number}]", "because")


def _condition(told: Any, place: str, other: str) -> Iterator[str]:
    if not isinstance(told, dict) or set(told) != {"when", other}:
        yield f"{place}: is not an object with when and {other}"
        return
    yield from _expression(told["when"], f"{place}.when")
    if not isinstance(told[other], str):
        yield f"{place}.{other}: is not text"


def _revision_findings(told: Any) -> Iterator[str]:
    if not isinstance(told, list):
        yield "revision: is not a list"
        return
    for number, one in enumerate(told):
        if not isinstance(one, dict) or len(one) != 1 or next(iter(one)) not in HOWS:
            yield f"revision[{number}]: is not one of {', '.join(HOWS)} with an expression"
        else:
            [(how, at)] = one.items()
            yield from _expression(at, f"revision[{number}].{how}")


def _ticket_findings(told: Any) -> Iterator[str]:
    if not isinstance(told, dict):
        yield "ticket: is missing"
        return
    known = frozenset(SCHEMA.json["properties"]["ticket"]["properties"]) - {"revision"} | {"each"}
    if "revision" in told:
        yield "ticket.revision: stands beside ticket, as revision"
    yield from _section_findings(
        {name: value for name, value in told.items() if name not in ("extra", "revision")}, known, "ticket"
    )
    if "id" not in told:
        yield "ticket.id: is missing"
    extra = told.get("extra", {})
    if not isinstance(extra, dict):
        yield "ticket.extra: is not an object"
        return
    yield from _section_findings(extra, frozenset(extra), "ticket.extra")


def _section_findings(told: Any, known: frozenset[str], place: str) -> Iterator[str]:
    if not isinstance(told, dict):
        yield f"{place}: is not an object"
        return
    yield from _unknown(told, known, place)
    for name, value in told.items():
        if name == "each":
            yield from _expression(value, f"{place}.each")
        else:
            yield from _rule_findings(value, f"{place}.{name}")


def _rule_findings(told: Any, place: str) -> Iterator[str]:
    if isinstance(told, str):
        yield from _expression(told, place)
    elif isinstance(told, list):
        for number, one in enumerate(told):
            yield from _rule_findings(one, f"{place}[{number}]")
    elif not isinstance(told, dict):
        yield f"{place}: is neither an expression nor a rule"
    else:
        yield from _unknown(told, _RULE, place)
        if not {"at", "default"} & set(told):
            yield f"{place}: has neither at nor default"
        for name in ("at", "when"):
            if name in told:
                yield from _expression(told[name], f"{place}.{name}")
        if told.get("as", "line") not in FORMS:
            yield f"{place}.as: is none of {', '.join(FORMS)}"
        if not isinstance(told.get("words", {}), dict):
            yield f"{place}.words: is not an object"
        if not isinstance(told.get("drop", []), list):
            yield f"{place}.drop: is not a list"


def _expression(told: Any, place: str) -> Iterator[str]:
    if not isinstance(told, str):
        yield f"{place}: is not text"
        return
    try:
        compiled(told)
    except InvalidExpression as error:
        yield f"{place}: {error}"


def _object(told: Mapping[str, Any], name: str, needed: set[str], allowed: set[str]) -> Iterator[str]:
    if name not in told:
        return
    value = told[name]
    if not isinstance(value, dict) or not needed <= set(value):
        yield f"{name}: is not an object with {', '.join(sorted(needed))}"
        return
    yield from _unknown(value, needed | allowed, name)


def _unknown(told: Mapping[str, Any], known: frozenset[str] | set[str], place: str) -> Iterator[str]:
    for name in told:
        if name not in known:
            yield f"{place}: has no {str(name)[:40]}; it has {', '.join(sorted(known))}"
