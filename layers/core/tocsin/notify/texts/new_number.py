"""The sentence that tells of an account's new number, in the languages that Tocsin speaks by itself."""

from __future__ import annotations

import json

from tocsin.notify.texts.languages import DEFAULTS, LAST_LANGUAGE

WORD = "new-number"
"""Its name in `words.json`."""


def with_new_number(text: str, language: str) -> str:
    """Return the text with the sentence before it."""
    for spoken in (language, language.partition("-")[0], LAST_LANGUAGE):
        path = DEFAULTS / spoken / "words.json"
        words = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if WORD in words:
            return f"_{words[WORD]}_\n\n{text}"
    raise LookupError(WORD)
