"""From a kind's rules and a document to the values of an event's fields."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from tocsin.door.desks import html
from tocsin.door.desks.body import cleaned
from tocsin.door.desks.expressions import found, holds
from tocsin.door.desks.kind import Rule, Rules, Section
from tocsin.door.desks.languages import language_tag
from tocsin.door.desks.times import moment

MAX_PEOPLE: Final = 50

_BLANKS = re.compile(r"\s+")
_SCHEME = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+(:[0-9]+)?(/|$)")


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
    return cleaned(value).strip() if isinstance(value, str) else None


def _line(value: Any) -> str | None:
    text = _text(value)
    return None if text is None else _BLANKS.sub(" ", text)


def _html(value: Any) -> str | None:
    return cleaned(html.text_of(value)) if isinstance(value, str) else _text(value)


def _either(value: Any) -> str | None:
    return _html(value) if isinstance(value, str) and html.is_html(value) else _text(value)


def _time(value: Any) -> str | None:
    at = moment(value)
    return at.rfc3339 if at is not None and at.zoned else None


def _language(value: Any) -> str | None:
    text = _line(value)
    return language_tag(text) if text else None


def _url(value: Any) -> str | None:
    """With exactly one scheme, and in ASCII: templates put one before what has one already."""
    text = _line(value)
    if not text:
        return None
    schemes = list(_SCHEME.finditer(text, 0, 32))
    inner = [one for one in schemes if text[: one.start()].lower() in ("", "http://", "https://")]
    if inner:
        last = inner[-1]
        scheme = last[0] if ":" in last[0] else "https://"
        text = scheme + text[last.end() :]
    elif _HOST.match(text):
        text = f"https://{text}"
    return quote(text, safe="%:/?#[]@!$&'()*+,;=-._~")


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())


FORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text": _text,
    "line": _line,
    "html": _html,
    "text-or-html": _either,
    "time": _time,
    "language": _language,
    "url": _url,
    "flag": _flag,
    "any": lambda value: value,
}
"""How a value is read. Each gives None for what it can't use."""

_FORM_OF_FIELD: Final = {
    "description": "text-or-html",
    "created_at": "time",
    "url": "url",
    "language": "language",
    "text": "text-or-html",
}
"""Of fields that are read otherwise than as a line, unless a rule says more."""


def value_of(rules: Rules, document: Any, form: str = "line") -> Any:
    """What the first of `rules` finds that finds something; None if none does."""
    for rule in rules:
        value = _by(rule, document, form)
        if value is not None and value != "":
            return value
    return None


def section_of(section: Section, document: Any) -> dict[str, Any]:
    """The fields of a section that stands in the event once. Empty if nothing of it is there."""
    return next(iter(all_of(section, document, at_most=1)), {})


def all_of(section: Section, document: Any, at_most: int = MAX_PEOPLE) -> list[dict[str, Any]]:
    """The fields of a section for each object that it looks into; objects of which nothing is found are left
    out."""
    if not section.fields:
        return []
    places = found(section.each, document) if section.each else document
    told: list[dict[str, Any]] = []
    for place in places if isinstance(places, list) else [places]:
        if not isinstance(place, dict) or len(told) >= at_most:
            continue
        values = {name: _field(name, rules, place) for name, rules in section.fields.items()}
        filled = {name: value for name, value in values.items() if value is not None and value != ""}
        if filled:
            told.append(filled)
    return told


def _field(name: str, rules: Rules, document: Any) -> Any:
    return value_of(rules, document, _FORM_OF_FIELD.get(name, "line"))


def _by(rule: Rule, document: Any, form: str) -> Any:
    if rule.when and not holds(rule.when, document):
        return None
    value = FORMS[rule.form or form](found(rule.at, document)) if rule.at else None
    if isinstance(value, str):
        word = value.lower()
        value = None if word in rule.drop else rule.words.get(word, value)
    return rule.default if value is None or value == "" else value
