"""The QR code in the terminal holds the very modules of the code, whatever the colour scheme."""

from __future__ import annotations

import re

import pytest
import segno

from tocsin_console import qr

# As long as WhatsApp's: a reference, three keys, a platform.
TEXT = "https://wa.me/settings/linked_devices#2@" + ",".join(("x" * 90, "N" * 44, "I" * 44, "A" * 44, "1"))

DARK_INK = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def modules(lines: list[str], *, dark_ink: bool) -> list[list[bool]]:
    """What a scanner sees: true where it is dark."""
    rows: list[list[bool]] = []
    for line in lines:
        cells = [DARK_INK[character] for character in STYLE.sub("", line)]
        rows.append([upper == dark_ink for upper, _ in cells])
        rows.append([lower == dark_ink for _, lower in cells])
    return rows


@pytest.mark.parametrize("text", [TEXT, "short", "a little longer than short"])
@pytest.mark.parametrize("colours", [True, False])
def test_a_scanner_sees_the_code_in_its_quiet_zone(text: str, colours: bool) -> None:
    seen = modules(qr.lines(text, colours=colours), dark_ink=colours)
    code = segno.make(text, error="l", micro=False, boost_error=False)
    expected = [[bool(module) for module in row] for row in code.matrix_iter(border=2)]
    assert seen[: len(expected)] == expected
    assert not any(any(row) for row in seen[len(expected) :]), "what is filled up is light"


def test_a_code_of_whatsapps_length_fits_eighty_columns() -> None:
    lines = qr.lines(TEXT)
    assert len(STYLE.sub("", lines[0])) <= 65
    assert len(lines) <= 33


def test_each_line_sets_its_colours_and_takes_them_back() -> None:
    for line in qr.lines(TEXT):
        assert line.startswith("\x1b[38;5;16;48;5;231m"), "black on white, by number"
        assert line.endswith("\x1b[0m")


def test_without_colours_there_is_no_escape_sequence() -> None:
    assert not any("\x1b" in line for line in qr.lines(TEXT, colours=False))
