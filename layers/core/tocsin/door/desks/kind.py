"""A kind of help desk: what its file says, read and checked.

`lint.py` says what is wrong with a file; nothing here takes one with findings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tocsin.door.signatures import HmacScheme, Scheme, TokenScheme

BUILT_IN: Final = Path(__file__).parent / "kinds"

CHANGES: Final[Mapping[str, str]] = {
    "created": "TicketCreated",
    "assigned": "TicketAssigned",
    "updated": "TicketUpdated",
    "replied": "TicketReplied",
    "resolved": "TicketResolved",
}
"""What a change is called in a kind's file and in `?event=` of its URL, and the event that it becomes."""

REPLIES: Final = "replies"
"""The parameter that every kind has: an agent's public answer is told with its words (`text`), without them
(`notice`), or as an update of the ticket (`off`)."""

REPLY_CHOICES: Final = ("off", "notice", "text")

PARAMETER: Final = re.compile(r"\$\{([a-z_]{1,32})\}")
PARAMETER_VALUE: Final = re.compile(r"[\w .:@/#-]{0,128}")


_NONE: Mapping[str, Any] = MappingProxyType({})


class InvalidKind(ValueError):
    """The file can't be used. `findings`: each with its path in the file."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__(*findings)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "; ".join(self.findings)


class UnknownKind(KeyError):
    """No file of this name is built in."""


class Rule(NamedTuple):
    """One way to a value. `at`: JMESPath; `when`: a condition, empty for always; `form`: how it is read
    (`fields.py`); `words`: what becomes of a value, by its text in lower case; `drop`: values (lower case)
    that mean nothing is there; `default`: what stands for nothing, None for nothing."""

    at: str = ""
    when: str = ""
    form: str = ""
    words: Mapping[str, str] = _NONE
    drop: tuple[str, ...] = ()
    default: Any = None


Rules = tuple[Rule, ...]


class Section(NamedTuple):
    """A part of the event. `each`: JMESPath of the object or the list of objects that the rules look into;
    empty for the whole document. `fields`: name → rules, of which the first one that finds something
    counts."""

    fields: Mapping[str, Rules] = _NONE
    each: str = ""


class Change(NamedTuple):
    """If `when` holds, the request tells of `what`: a word of `CHANGES`, or the reason why nobody is told of
    it."""

    when: str
    what: str


class Challenge(NamedTuple):
    """GLPI's: the sender proves that it knows the secret by a hash of `text` in the parameter `query`, and
    wants a hash of that value."""

    query: str
    text: str
    algorithm: str = "sha256"


class Lookup(NamedTuple):
    """A second request to the help desk for a person's phone. `path`: with `{id}`; `phone`: JMESPath
    expressions in its answer, the first one that finds something counts; `token_path`: where OAuth's token is
    fetched, empty where `key_header` takes a key of the API."""

    path: str
    phone: tuple[str, ...]
    token_path: str = ""
    scope: str = ""
    key_header: str = ""


class Kind(NamedTuple):
    """A kind of help desk, or an operator's own mapping. `parameters`: name → value, as the source sets
    them."""

    name: str
    about: str
    schemes: tuple[Scheme, ...]
    ignored: tuple[Change, ...]
    changes: tuple[Change, ...]
    revisions: tuple[tuple[str, str], ...]
    ticket: Section
    extra: Section = Section()
    customer: Section = Section()
    technicians: Section = Section()
    created_by: Section = Section()
    changed_by: Section = Section()
    reply: Section = Section()
    groups: Rules = ()
    challenge: Challenge | None = None
    ping: str = ""
    lookup: Lookup | None = None
    parameters: Mapping[str, str] = _NONE

    @property
    def replies(self) -> str:
        """One of `REPLY_CHOICES`."""
        return self.parameters.get(REPLIES, REPLY_CHOICES[0])


def names() -> tuple[str, ...]:
    """The kinds that are built in."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.json")))


def file_of(name: str) -> str:
    """The text of a built-in kind's file, to begin one of your own with. Raises UnknownKind."""
    if name not in names():
        raise UnknownKind(name)
    return (BUILT_IN / f"{name}.json").read_text(encoding="utf-8")


@cache
def built_in(name: str, parameters: tuple[tuple[str, str], ...] = ()) -> Kind:
    """A built-in kind, with what a source sets, which the linter passed. Raises UnknownKind."""
    return _read(file_of(name), dict(parameters))


def kind_of(text: str, parameters: Mapping[str, str]) -> Kind:
    """A file that the linter passed (`lint.checked`) when its source was added. Raises InvalidKind for one
    that it can't have passed."""
    try:
        return _read(text, dict(parameters))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise InvalidKind([f"file: {error}"]) from error


def merged(text: str) -> dict[str, Any]:
    """A file as one object, with what it `extends` below it. Raises ValueError, also for an unknown base."""
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError("is not a JSON object")
    base = told.pop("extends", None)
    if base is None:
        return told
    if not isinstance(base, str) or base not in names():
        raise ValueError(f"extends: there is no such kind; there are {', '.join(names())}")
    return _over(merged(file_of(base)), told)


def _over(base: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in told.items():
        below = result.get(name)
        # A field's rule replaces the base's whole: half of one rule and half of another is neither.
        deeper = isinstance(below, dict) and isinstance(value, dict) and not {"at", "when"} & {*below, *value}
        result[name] = _over(below, value) if deeper else value  # type: ignore[arg-type]
    return result


def values_of(told: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Each parameter's value: as given, else its default."""
    declared = {REPLIES: {"default": "off"}, **told.get("parameters", {})}
    return {name: given.get(name, str(about.get("default", ""))) for name, about in declared.items()}


def filled(value: Any, parameters: Mapping[str, str]) -> Any:
    """With `${name}` replaced by the parameter's value, wherever it stands."""
    if isinstance(value, str):
        return PARAMETER.sub(lambda found: parameters.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [filled(one, parameters) for one in value]
    if isinstance(value, dict):
        return {name: filled(one, parameters) for name, one in value.items()}
    return value


# -- reading -----------------------------------------------------------------------------------------------


def _read(text: str, given: Mapping[str, str]) -> Kind:
    whole = merged(text)
    parameters = values_of(whole, given)
    told = filled(whole, parameters)
    ticket = dict(told["ticket"])
    extra = ticket.pop("extra", {})
    return Kind(
        name=str(told.get("kind", "own")),
        about=str(told.get("about", "")),
        schemes=tuple(scheme_of(one) for one in told.get("signature", [])),
        ignored=tuple(Change(str(one["when"]), str(one["because"])) for one in told.get("ignore", [])),
        changes=tuple(Change(str(one["when"]), str(one["is"])) for one in told["change"]),
        revisions=tuple((how, str(at)) for one in told.get("revision", []) for how, at in one.items()),
        ticket=_section(ticket),
        extra=_section(extra),
        customer=_section(told.get("customer", {})),
        technicians=_section(told.get("technicians", {})),
        created_by=_section(told.get("created_by", {})),
        changed_by=_section(told.get("changed_by", {})),
        reply=_section(told.get("reply", {})),
        groups=rules_of(told.get("groups", [])),
        challenge=Challenge(**told["challenge"]) if "challenge" in told else None,
        ping=str(told.get("ping", "")),
        lookup=_lookup(told["lookup"]) if "lookup" in told else None,
        parameters=parameters,
    )


def scheme_of(told: Mapping[str, Any]) -> Scheme:
    """Raises TypeError for what a scheme hasn't."""
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    name = facts.pop("scheme", "hmac")
    return TokenScheme(**facts) if name == "token" else HmacScheme(**facts)


def _section(told: Mapping[str, Any]) -> Section:
    fields = {name: rules_of(value) for name, value in told.items() if name != "each"}
    return Section(fields, str(told.get("each", "")))


def rules_of(told: Any) -> Rules:
    """The rules of one field: an expression, a rule, or a list of both."""
    if isinstance(told, list):
        return tuple(rule for one in told for rule in rules_of(one))
    if isinstance(told, str):
        return (Rule(told),)
    return (
        Rule(
            at=str(told.get("at", "")),
            when=str(told.get("when", "")),
            form=str(told.get("as", "")),
            words={str(word).lower(): str(value) for word, value in told.get("words", {}).items()},
            drop=tuple(str(one).lower() for one in told.get("drop", [])),
            default=told.get("default"),
        ),
    )


def _lookup(told: Mapping[str, Any]) -> Lookup:
    phone = told["phone"]
    return Lookup(**{**told, "phone": tuple(phone) if isinstance(phone, list) else (phone,)})
