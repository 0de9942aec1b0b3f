"""Rows under heads, as lines of a terminal: in columns where these fit, else one block of lines a row. And
lines that are no table, broken at words.

Widths are counted in cells: most characters take one, those of Chinese and most emoji two, marks that combine
with the one before none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

GAP = "  "
LEAST_CELLS = 20
"""Narrower than this no value is folded: the terminal does it."""
HANG = 4
"""How far the further lines of one are set in, beyond where it begins itself."""
LEAST_PROSE_CELLS = 30
"""In less, sentences are hard to read."""
WRAPPED_LINES = 5
"""Of one word that is folded at a time: `wcwidth.wrap` takes as long as the square of its length."""


def lines(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """The lines of a table. `columns`: how many cells there are; None: as many as it takes."""
    whole = list(_whole(heads, rows))
    if columns is None or max(map(cells, whole)) <= columns:
        return whole
    return list(_blocks(heads, rows, columns))


def broken(line: str, columns: int) -> list[str]:
    """A line as those that fit into so many cells, broken at its spaces alone, so that an id or a URL can be
    copied. The further ones hang below its last column, if there is room: columns are two spaces apart."""
    if cells(line) <= columns or columns < LEAST_CELLS:
        return [line]
    import wcwidth

    begin = cells(line) - cells(line.lstrip())
    hang = min(begin + HANG, columns - LEAST_CELLS)
    for column in re.finditer(rf"(?<=\S){GAP}+(?=\S)", line):
        at = cells(line[: column.end()])
        if columns - at < LEAST_PROSE_CELLS:
            break
        hang = at
    return list(
        wcwidth.wrap(
            line,
            columns,
            subsequent_indent=" " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def cells(text: str) -> int:
    """How many cells `text` takes, which holds no control characters."""
    if text.isascii():
        return len(text)
    import wcwidth

    return wcwidth.width(text)


def cut(text: str, most: int) -> str:
    """What of `text` fits into so many cells, with an ellipsis if that isn't all."""
    if cells(text) <= most:
        return text
    kept = ""
    for character in text[:most]:
        if cells(kept + character) >= most:
            break
        kept += character
    return f"{kept}…"


def _whole(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    table = [heads, *rows]
    widths = [max(cells(line[column]) for line in table) for column in range(len(heads))]
    for line in table:
        yield GAP.join(_filled(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _blocks(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """Values are folded, never cut: an id that is cut is of no use for the next command."""
    indent = max(map(cells, heads)) + len(GAP)
    for number, row in enumerate(rows):
        if number:
            yield ""
        for head, cell in zip(heads, row, strict=True):
            first, *others = _folded(cell, max(columns - indent, LEAST_CELLS))
            yield f"{_filled(head, indent)}{first}".rstrip()
            yield from (f"{' ' * indent}{other}" for other in others)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _folded(text: str, width: int) -> list[str]:
    if cells(text) <= width:
        return [text]
    import wcwidth

    some = width * WRAPPED_LINES
    parts = re.sub(rf"(\S{{{some}}})(?=\S)", r"\1\n", text).split("\n")
    return [line for part in parts for line in wcwidth.wrap(part, width)] or [""]
