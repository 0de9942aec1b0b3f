"""Audit: who changed what, newest first, by a filter that stands in the address."""

from __future__ import annotations

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import NOW, FakeDeployment
from tocsin.notify.store.audit import AuditLine


@pytest.fixture
def lines(fake: FakeDeployment) -> None:
    for line in (
        AuditLine((NOW - 90_000) * 1000, "assumed-role/Operator/dewi", "paused the source zammad"),
        AuditLine(NOW * 1000, "user/budi", "dead letters: 3 redriven", 3, "the router is back"),
    ):
        fake.deployment.stores.audit.add(line)


@pytest.mark.parametrize(
    ("query", "seen", "unseen"),
    [
        ("", ["budi", "dewi", "“the router is back”"], []),
        ("?who=dewi", ["zammad"], ["redriven"]),
        ("?what=Router", ["redriven"], ["zammad"]),
        ("?what=nothing", ["Nothing matches"], ["redriven"]),
        (f"?before={NOW * 1000}", ["zammad"], ["redriven"]),
    ],
)
def test_lines_are_shown_as_far_as_they_are_wanted(
    browser: Browser, lines: None, query: str, seen: list[str], unseen: list[str]
) -> None:
    text = browser.get(f"/audit{query}").text
    assert all(one in text for one in seen)
    assert not any(one in text for one in unseen)


def test_a_page_has_an_end_and_leads_on(fake: FakeDeployment, browser: Browser) -> None:
    for number in range(201):
        fake.deployment.stores.audit.add(AuditLine(NOW * 1000 + number, "", f"change {number}."))
    answer = browser.get("/audit")
    assert "change 1." in answer.text
    assert "change 0." not in answer.text
    assert f"before={NOW * 1000 + 2}" in answer.raw
    assert "change 0." in browser.get(f"/audit?before={NOW * 1000 + 2}").text


def test_where_nobody_did_anything_that_is_said(browser: Browser) -> None:
    assert "Nobody changed anything yet" in browser.get("/audit").text


def test_a_change_on_the_page_stands_here(browser: Browser) -> None:
    browser.submit("/settings/put", name="retries", value="2", do="set")
    assert "settings: retries 2" in browser.get("/audit").text
