"""The sentence of a self-test, in the languages that Tocsin speaks by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tocsin.notify.texts.languages import DEFAULTS, LAST_LANGUAGE

WORD = "self-test"
"""Its name in `words.json`."""


def self_test_text(language: str, asked_at: int) -> tuple[str, str]:
    """Return the text and the language that it is in. `asked_at`: ms; told to the minute, in UTC."""
    at = f"{datetime.fromtimestamp(asked_at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    for spoken in (language, language.partition("-")[0], LAST_LANGUAGE):
        path = DEFAULTS / spoken / "words.json"
        words = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if WORD in words:
            return words[WORD].format(at=at), spoken
    raise LookupError(WORD)
