"""Tables: columns where they fit, else a block for each row, by cells of a terminal."""

from __future__ import annotations

import pytest
import wcwidth

from tocsin_console.layout import WRAPPED_LINES, broken, cells, cut, lines

HEADS = ("GROUP", "JID FOR EVENTS", "MEMBERS")
ROWS = [("Pelanggan", "120363000000000001@g.us", "12"), ("技術者", "120363000000000002@g.us", "3")]


def test_what_fits_is_one_row_a_line() -> None:
    assert lines(("A", "LONG HEAD"), [("wide cell", "1"), ("b", "22")], 20) == [
        "A          LONG HEAD",
        "wide cell  1",
        "b          22",
    ]


def test_what_does_not_fit_is_a_block_a_row() -> None:
    assert lines(HEADS, ROWS, 40) == [
        "GROUP           Pelanggan",
        "JID FOR EVENTS  120363000000000001@g.us",
        "MEMBERS         12",
        "",
        "GROUP           技術者",
        "JID FOR EVENTS  120363000000000002@g.us",
        "MEMBERS         3",
    ]


def test_a_pipe_has_no_width() -> None:
    assert len(lines(HEADS, [("a" * 500, "b", "c")], None)) == 2


def test_a_value_that_is_wider_than_the_window_is_folded_and_nothing_is_lost() -> None:
    long = "its session broke too often in this hour " * 3
    told = lines(("ID", "WHY"), [("b9d8b0e0" * 10, long.strip())], 40)
    assert all(cells(line) <= 40 for line in told)
    assert "".join(line[5:] for line in told[:3]) == "b9d8b0e0" * 10
    assert " ".join(line[5:] for line in told[3:]) == long.strip()


def test_a_huge_word_is_folded_in_parts_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, a value of 64 KB would take ten seconds, and one of a megabyte an hour."""
    longest = 0

    def measured(text: str, width: int) -> list[str]:
        nonlocal longest
        longest = max(longest, *map(len, text.split()))
        return wrap(text, width)

    wrap = wcwidth.wrap
    monkeypatch.setattr(wcwidth, "wrap", measured)
    word = "".join(chr(97 + number % 26) for number in range(20_000))
    told = lines(("ID", "WHY"), [("x", f"first {word} last")], 40)[1:]
    assert longest <= 36 * WRAPPED_LINES
    assert all(cells(line) <= 40 for line in told)
    assert "".join(line[5:] for line in told) == f"first {word} last"


@pytest.mark.parametrize(
    ("text", "width"),
    [("señor", 5), ("e\u0301", 1), ("技術者", 6), ("👩\u200d🔧", 2), ("תמיכה", 5), ("한국어", 6), ("", 0)],
)
def test_characters_count_by_the_cells_that_they_take(text: str, width: int) -> None:
    assert cells(text) == width


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    told = lines(HEADS, ROWS, None)
    starts = {cells(line[: line.index("120363")]) for line in told[1:]}
    assert starts == {len("Pelanggan  ")}


@pytest.mark.parametrize(("most", "shown"), [(7, "技術者!"), (6, "技術…"), (2, "…"), (1, "…")])
def test_what_is_cut_says_so_and_fits(most: int, shown: str) -> None:
    assert cut("技術者!", most) == shown


FINDING = (
    "WARNING  alarms         19 of 19 alarms tell nobody, and nobody would notice at night that it broke"
)


def test_a_line_that_does_not_fit_hangs_below_its_last_column() -> None:
    assert broken(FINDING, 60) == [
        "WARNING  alarms         19 of 19 alarms tell nobody, and",
        "                        nobody would notice at night that it",
        "                        broke",
    ]


def test_where_the_last_column_leaves_no_room_it_hangs_below_one_before() -> None:
    entry = "2026-11-18 11:06:40.123 UTC  recovered  could not read it, so it was sent again"
    assert broken(entry, 60) == [
        "2026-11-18 11:06:40.123 UTC  recovered  could not read it,",
        "                             so it was sent again",
    ]


def test_a_sentence_hangs_by_four_from_where_it_begins() -> None:
    assert broken("  the account is paused and nothing leaves it", 30) == [
        "  the account is paused and",
        "      nothing leaves it",
    ]


def test_what_fits_stays_as_it_is() -> None:
    assert broken(FINDING, len(FINDING)) == [FINDING]


@pytest.mark.parametrize("columns", [20, 60, 80])
def test_no_word_is_lost_or_broken(columns: int) -> None:
    url = "https://example.com/" + "a" * 90
    line = f"  mend:  open {url} and say 技術者 技術者 to whom it concerns, --yes"
    told = broken(line, columns)
    assert " ".join(told).split() == line.split()
    assert all(cells(one) <= columns or url in one for one in told)


def test_in_next_to_no_room_the_terminal_breaks_it() -> None:
    assert broken(FINDING, 10) == [FINDING]
