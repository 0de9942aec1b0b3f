"""PASSKEY.md has every end of the ceremony in the words that the operator reads."""

from __future__ import annotations

from pathlib import Path

from tocsin.connector.passkey import ENDS

PAGE = (Path(__file__).parents[3] / "layers/core/tocsin/connector/PASSKEY.md").read_text()


def test_every_end_stands_on_the_page_in_its_words() -> None:
    assert [words for words in ENDS.values() if f"| {words} |" not in PAGE] == []
