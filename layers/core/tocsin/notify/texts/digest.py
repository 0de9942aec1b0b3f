"""The text of a digest: how many messages it says, and of each the ticket and what there is to know."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tocsin.notify.texts.formatting import line, shortened
from tocsin.notify.texts.languages import DEFAULTS, LAST_LANGUAGE

WORD = "digest"
"""Its name in `words.json`."""

MAX_TEXT = 6000
"""Characters of all that is said of the messages together."""

MIN_ENTRY = 120
MAX_GREETING = 100


def digest_text(language: str, messages: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return the text and the language of its heading. `messages`: of each the ticket's id and its text."""
    heading, spoken = _heading(language)
    tickets = len({ticket for ticket, _ in messages})
    most = max(MAX_TEXT // len(messages), MIN_ENTRY)
    said = [f"*{line(ticket, 60)}*\n{shortened(_core(text), most)}" for ticket, text in messages]
    return "\n\n".join([f"*{heading.format(count=len(messages), tickets=tickets)}*", *said]), spoken


def _core(text: str) -> str:
    """A text without its greeting: a digest greets nobody twenty times."""
    first, _, rest = text.strip().partition("\n\n")
    return rest.strip() if rest.strip() and len(first) <= MAX_GREETING and "\n" not in first else text.strip()


def _heading(language: str) -> tuple[str, str]:
    for spoken in (language, language.partition("-")[0], LAST_LANGUAGE):
        path = DEFAULTS / spoken / "words.json"
        words = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if WORD in words:
            return words[WORD], spoken
    raise LookupError(WORD)
