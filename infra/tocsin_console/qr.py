"""A QR code in a terminal, for any colour scheme: dark modules on light ground, as scanners want it.

A character cell is twice as high as wide, so one cell shows two modules, one above the other: "▀", "▄", "█".
"""

from __future__ import annotations

from collections.abc import Sequence

import segno

QUIET = 2
"""Light modules around the code. The standard asks for four; phones are content with two, and every line
counts in a terminal."""

# Black on white by number (256 colours): the names follow the colour scheme, and schemes turn them round.
_DARK_ON_LIGHT = "\x1b[38;5;16;48;5;231m"
_RESET = "\x1b[0m"

# (upper is dark, lower is dark) → the cell in dark ink on light ground.
_INK = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
# The same in light ink, for a stream without colours, whose ground is most likely dark.
_LIGHT_INK = {cell: _INK[not cell[0], not cell[1]] for cell in _INK}


def matrix(text: str) -> list[list[bool]]:
    """The code's modules with their quiet zone, dark ones true. Square."""
    code = segno.make(text, error="l", micro=False, boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET)]


def lines(text: str, *, colours: bool = True) -> list[str]:
    """The code, line by line. Each line resets what colours it set."""
    ink = _INK if colours else _LIGHT_INK
    drawn = ["".join(ink[cell] for cell in row) for row in _cells(matrix(text))]
    return [f"{_DARK_ON_LIGHT}{line}{_RESET}" for line in drawn] if colours else drawn


def _cells(modules: Sequence[Sequence[bool]]) -> list[list[tuple[bool, bool]]]:
    """Rows two by two; an odd last one gets a light one below."""
    light = [False] * len(modules[0])
    lower = [*modules[1::2], light][: (len(modules) + 1) // 2]
    return [list(zip(above, below, strict=True)) for above, below in zip(modules[::2], lower, strict=True)]
