"""A file's name on the phone: on one line, short enough, and with the ending that says what it is."""

from __future__ import annotations

import pytest

from tocsin.notify.events.file_names import MAX_NAME_CHARACTERS, fitted_file_name
from tocsin.notify.events.message_request import file_name_of
from tocsin.notify.events.schema import _file_name

LONG = "a" * 300


@pytest.mark.parametrize(
    ("told", "fitted"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("two\nlines.pdf", "two lines.pdf"),
        (f"{LONG}.pdf", "a" * 195 + "….pdf"),
        (LONG, "a" * 199 + "…"),
        (f"b.{LONG}", "b." + "a" * 197 + "…"),
        (".pdf", ".pdf"),
    ],
)
def test_what_is_too_long_is_cut_before_its_ending(told: str, fitted: str) -> None:
    assert fitted_file_name(told) == fitted
    assert len(fitted) <= MAX_NAME_CHARACTERS


def test_a_ticket_s_file_and_a_request_s_are_called_alike() -> None:
    told = f"{LONG}.pdf"
    assert (
        _file_name({"key": "k", "file_name": told}) == file_name_of({"name": told}) == fitted_file_name(told)
    )


def test_an_ending_that_is_added_counts_as_well() -> None:
    named = file_name_of({"name": LONG, "mime": "application/pdf"})
    assert (len(named), named[-5:]) == (MAX_NAME_CHARACTERS, "….pdf")
