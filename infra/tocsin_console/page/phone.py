"""A message as a phone shows it: WhatsApp's formatting, as runs of text with their marks. Pure.

A template escapes each run; nothing here is HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tocsin_console.output import plain

MOST: Final = 4096
_MARKS: Final = {"*": "bold", "_": "italic", "~": "struck"}
_CODE: Final = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_MARK: Final = re.compile(r"(?<![^\W_])([*_~])(?=\S)([^\n]*?\S)\1(?![^\W_])")
_LINK: Final = re.compile(r"https?://[^\s<>\"]+")
_DEPTH = 3


class Run(NamedTuple):
    """Text with its marks: bold, italic, struck, code, link, quote."""

    text: str
    marks: frozenset[str] = frozenset()


def runs(text: str) -> list[Run]:
    """A text in runs. What would steer the direction is shown as its escape."""
    cut = text if len(text) <= MOST else text[: MOST - 1] + "…"
    clean = "\n".join(plain(line) for line in cut.split("\n"))
    found: list[Run] = []
    at = 0
    for code in _CODE.finditer(clean):
        found += _lines(clean[at : code.start()])
        found.append(Run(code[1] or code[2], frozenset({"code"})))
        at = code.end()
    return [*found, *_lines(clean[at:])]


def _lines(text: str) -> Iterator[Run]:
    for number, line in enumerate(text.split("\n")):
        if number:
            yield Run("\n")
        marks: frozenset[str] = frozenset()
        if line.startswith("> "):
            line, marks = line[2:], frozenset({"quote"})
        elif line.startswith(("- ", "* ")):
            line = f"• {line[2:]}"
        yield from _marked(line, marks, _DEPTH)


def _marked(text: str, marks: frozenset[str], depth: int) -> Iterator[Run]:
    """Marks within marks, as deep as phones show them."""
    at = 0
    for found in _MARK.finditer(text) if depth else ():
        yield from _linked(text[at : found.start()], marks)
        yield from _marked(found[2], marks | {_MARKS[found[1]]}, depth - 1)
        at = found.end()
    yield from _linked(text[at:], marks)


def _linked(text: str, marks: frozenset[str]) -> Iterator[Run]:
    at = 0
    for found in _LINK.finditer(text):
        if found.start() > at:
            yield Run(text[at : found.start()], marks)
        yield Run(found[0], marks | {"link"})
        at = found.end()
    if at < len(text):
        yield Run(text[at:], marks)
