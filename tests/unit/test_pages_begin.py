"""Each page of the site begins with what its reader can do or knows after it."""

from __future__ import annotations

import re

import pytest

from tocsin_local.paths import ROOT

SITE = ROOT / "infra/site"
MADE = {"events-in.md", "events-out.md", "alarms.md", "reference.md"}
"""By `infra/site/collect.py`, which has their words."""
ELSEWHERE = {"index.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md"}
"""The first page says what this is; the others are what their names say."""


def pages() -> list[str]:
    menu = (SITE / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    return [name for name in re.findall(r": (\S+\.md)$", menu, re.M) if name not in MADE | ELSEWHERE]


def words_of(page: str) -> str:
    own = SITE / "pages" / page
    return (own if own.exists() else ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", pages())
def test_a_page_begins_with_what_it_is_good_for(page: str) -> None:
    assert re.match(r"# .+\n\nAfter this page ", words_of(page))


@pytest.mark.parametrize("page", sorted(MADE))
def test_a_page_that_is_made_does_so_too(page: str) -> None:
    made = (SITE / "collect.py").read_text(encoding="utf-8")
    assert made.count('"After this page ') == len(MADE)
    assert page in made
