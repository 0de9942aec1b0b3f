"""On each page an account is called by its id, its number and its name."""

from __future__ import annotations

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import NOW, FakeDeployment
from tocsin.dynamo.writes import Put
from tocsin.tables.keys import credentials_key
from tocsin.tables.notifications import roster_key

LABEL = "default (+6281111111111, Warung <Net>)"


@pytest.fixture
def linked(fake: FakeDeployment) -> FakeDeployment:
    told = {"jid": "6281111111111:12@s.whatsapp.net", "push_name": "Warung <Net>"}
    fake.deployment.keys_table.put(Put(credentials_key("default"), told))
    fake.deployment.outside_table.put(Put(roster_key("second"), {"added_at": NOW}))
    return fake


@pytest.mark.parametrize("page", ["/feed", "/link", "/people", "/doctor"])
def test_a_page_names_it_whole(linked: FakeDeployment, browser: Browser, page: str) -> None:
    assert LABEL in browser.get(page).text


def test_one_that_is_not_linked_says_so(linked: FakeDeployment, browser: Browser) -> None:
    assert "second (not linked)" in browser.get("/people").text


def test_the_card_has_number_name_and_last_receipt(linked: FakeDeployment, browser: Browser) -> None:
    linked.deployment.stores.hours.add("default", NOW * 1000, {"Read": 1})
    text = browser.get("/").text
    assert "+6281111111111 Warung <Net>" in text
    assert "Last receipt 2026-11-18 11:00:00 UTC" in text


def test_a_notification_names_it_whole(linked: FakeDeployment, browser: Browser) -> None:
    one = linked.planned()
    assert LABEL in browser.get(f"/notification/{one.id}").text
