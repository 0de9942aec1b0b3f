"""What a ticket says may format nothing, steer nothing and take no more room than it is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.texts.formatting import line, link, paragraph, quote, shortened


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("No internet", "No internet"),
        ("*now*", "∗now∗"),
        ("~no~ `x` ```y```", "∼no∼ ˋxˋ ˋˋˋyˋˋˋ"),
        ("_soon_", "＿soon＿"),
        ("see my_file_name.txt", "see my_file_name.txt"),
        ("- item", "– item"),
        ("> quote", "› quote"),
        ("a - b > c", "a - b > c"),
        ("two\r\nlines\u2028three", "two lines three"),
        ("tab\tand   blanks ", "tab and blanks"),
        ("\u202egnp.exe", "gnp.exe"),
        ("bell\x07 null\x00", "bell null"),
        ("👩\u200d🔧 ok", "👩\u200d🔧 ok"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_one_line_of_foreign_text(foreign: str, shown: str) -> None:
    assert line(foreign, 100) == shown


def test_a_long_line_is_cut_and_says_so() -> None:
    assert line("x" * 50, 10) == "xxxxxxxxx…"


@pytest.mark.parametrize(
    ("whole", "kept"),
    [
        ("abe\u0301f", "ab…"),  # e and its accent
        ("ab👩\u200d🔧c", "ab…"),  # a woman and her tool, one emoji
        ("ab👍\U0001f3fdc", "ab…"),  # a thumb and its colour
        ("ab🇮🇩c", "ab…"),  # two letters, one flag
        ("a🇮🇩🇪🇸", "a🇮🇩…"),
        ("ab❤\ufe0fc", "ab…"),
    ],
)
def test_what_is_shown_as_one_character_is_kept_or_cut_whole(whole: str, kept: str) -> None:
    assert shortened(whole, 4) == kept


def test_marks_piled_up_without_end_are_cut() -> None:
    assert len(shortened("a" + "\u0301" * 500, 100)) == 100


def test_a_paragraph_keeps_its_lines_and_loses_empty_ones() -> None:
    assert paragraph("one\n\n\n- two \n> three", 100, 8) == "one\n– two\n› three"


def test_a_paragraph_ends_after_its_lines() -> None:
    assert paragraph("a\nb\nc\nd", 100, 2) == "a\nb…"


def test_a_quote_quotes_every_line() -> None:
    assert quote("a\nb") == "> a\n> b"
    assert quote("") == ""


def test_a_link_means_the_same_and_formats_nothing() -> None:
    assert link("https://x.example/*a*?b=~c`") == "https://x.example/%2Aa%2A?b=%7Ec%60"


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_no_text_whatever_holds_a_formatting_character_or_grows(foreign: str, most: int) -> None:
    for shown in (line(foreign, most), paragraph(foreign, most, 3)):
        assert len(shown) <= most
        assert not set(shown) & set("*~`\r\t\u202e")
        assert not any(start.startswith(("- ", "> ")) for start in shown.split("\n"))
