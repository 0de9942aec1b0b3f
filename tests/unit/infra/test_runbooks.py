"""Runbooks: a page for each alarm, and an alarm for each page."""

from __future__ import annotations

import re

import pytest

from tests.support.alarms import alarms
from tocsin_local.paths import ROOT

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "infra/runbooks").glob("*.md")}
SECTIONS = ["**What it means.**", "**How urgent.**", "## Look", "## Do", "## When it clears"]
LINK = re.compile(r"infra/runbooks/([\w-]+)\.md")


def page_of(alarm: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alarm).lower()


def test_each_alarm_has_its_page_and_each_page_its_alarm() -> None:
    assert {page_of(name) for name in alarms()} == set(PAGES)


@pytest.mark.parametrize("name", sorted(alarms()))
def test_an_alarm_names_its_page(name: str) -> None:
    assert LINK.findall(alarms()[name].properties["AlarmDescription"]) == [page_of(name)]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_says_what_whoever_is_woken_must_know(name: str) -> None:
    places = [PAGES[name].find(section) for section in SECTIONS]
    assert places == sorted(places)
    assert -1 not in places
