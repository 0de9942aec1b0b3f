"""Consent: the replies that withdraw it or give it again, and the words that confirm this.

    templates/<language>/consent.json    {"stop": {"words": […], "confirmation": "…"}, "start": {…}}

A reply withdraws consent only if it is one of the words and nothing else: "stop" does, "please stop by at
noon" is an ordinary reply. Words that may mean the ticket ("cancel", "batal") are not among them.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

CONSENT_WITHDRAWN = "ConsentWithdrawn"
CONSENT_GIVEN = "ConsentGiven"
CONFIRMATIONS = frozenset({CONSENT_WITHDRAWN, CONSENT_GIVEN})
"""Event types of the confirmations. They are told to somebody who opted out, once."""

CONDUCT_TICKET = "conduct"
"""The ticket id of confirmations: they belong to no ticket."""

FILE = "consent.json"
MAX_WISH_CHARACTERS = 64


class Wish(StrEnum):
    """What a reply asks of us."""

    STOP = "stop"
    START = "start"


def normalised(text: str) -> str:
    """Return `text` without case, accents of width, outer punctuation and doubled blanks."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    joined = " ".join(words)
    start, end = 0, len(joined)
    while start < end and not joined[start].isalnum():
        start += 1
    while end > start and not joined[end - 1].isalnum():
        end -= 1
    return joined[start:end]


def wish_of(text: str, folder: Path | None = None) -> tuple[Wish, str] | None:
    """Return what a reply asks of us and in which language, or `None` for an ordinary reply.

    `folder`: where the languages lie, this package's by default.
    """
    if len(text) > MAX_WISH_CHARACTERS:
        return None
    return _wishes(folder).get(normalised(text))


def confirmation_text(wish: Wish, language: str, folder: Path | None = None) -> str:
    """Return the words that confirm `wish`. A language without words of its own is answered in English."""
    from tocsin.notify.texts.languages import LAST_LANGUAGE

    spoken = _spoken(folder)
    confirmation: str = spoken.get(language, spoken[LAST_LANGUAGE])[wish]["confirmation"]
    return confirmation


@cache
def _wishes(folder: Path | None) -> Mapping[str, tuple[Wish, str]]:
    """Word or phrase, as `normalised` leaves it → wish, and language of the confirmation."""
    found: dict[str, tuple[Wish, str]] = {}
    for language, wishes in _spoken(folder).items():
        for wish in Wish:
            for word in wishes[wish]["words"]:
                found.setdefault(normalised(word), (wish, language))
    return found


@cache
def _spoken(folder: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """The content of each language's file. English stands first: a word of several languages is English."""
    from tocsin.notify.texts.languages import DEFAULTS, LAST_LANGUAGE, languages

    root = folder or DEFAULTS
    having = [language for language in languages(root) if (root / language / FILE).is_file()]
    having.sort(key=lambda language: language != LAST_LANGUAGE)
    return {name: json.loads((root / name / FILE).read_text(encoding="utf-8")) for name in having}
