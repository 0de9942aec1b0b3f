"""Now: one sentence that says how things stand, what needs a person, and the rest even if a part can't be
had."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.console_page import Browser, served
from tests.support.fake_cloud import ACCOUNT, MemoryCloud
from tests.support.fake_deployment import NOW, FakeDeployment
from tocsin.accounts.limits import Limit, note_limit

HOUR = 3_600_000


def denied(*_: Any, **__: Any) -> Any:
    told = {
        "Code": "AccessDeniedException",
        "Message": "User dewi is not authorized to perform: dynamodb:Query",
    }
    raise ClientError({"Error": told}, "Query")


def expired(*_: Any, **__: Any) -> Any:
    raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "Query")


def test_where_all_is_well_nothing_needs_anybody(fake: FakeDeployment, browser: Browser) -> None:
    fake.connector().says("connected")
    fake.deployment.stores.hours.add(ACCOUNT, NOW * 1000, {"Sent": 3, "Delivered": 2})
    text = browser.get("/").text
    assert "Everything is running. The account is connected, and nothing needs you." in text
    assert "2 messages arrived in the last 24 hours" in text


def test_an_account_that_is_not_linked_is_said_with_the_way_to_link_it(browser: Browser) -> None:
    answer = browser.get("/")
    assert "The account is not linked to a phone, so nothing can be sent. 1 thing needs you." in answer.text
    assert f'href="/link?account={ACCOUNT}"' in answer.raw


def test_dead_letters_and_refused_events_need_a_person(fake: FakeDeployment, browser: Browser) -> None:
    fake.connector().says("connected")
    fake.failed()
    fake.refuse({"detail": {}})
    text = browser.get("/").text
    assert "Messages go out. 2 things need you." in text
    assert "1 message was given up and can be sent again or dropped." in text
    assert "1 ticket event could not be understood" in text


def test_a_limit_of_whatsapp_is_said(fake: FakeDeployment, browser: Browser) -> None:
    fake.connector().says("connected")
    note_limit(fake.deployment.keys_table, ACCOUNT, Limit("messages", "463", NOW + 600, NOW))
    assert "WhatsApp accepts no messages from it" in browser.get("/").text


def test_what_cannot_be_sent_again_is_told_apart(fake: FakeDeployment, browser: Browser) -> None:
    fake.unreachable()
    fake.failed()
    assert "2 messages were given up: 1 can be sent again, 1 can't." in browser.get("/").text


def test_where_nothing_can_be_sent_again_that_is_said(fake: FakeDeployment, browser: Browser) -> None:
    fake.unreachable()
    assert "1 message was given up and can't be sent again" in browser.get("/").text


@pytest.mark.parametrize(("span", "sent"), [("day", "2"), ("week", "7"), ("month", "12"), ("../x", "2")])
def test_the_totals_are_those_of_the_span(
    fake: FakeDeployment, browser: Browser, span: str, sent: str
) -> None:
    for back, count in ((1, 2), (100, 5), (600, 5), (800, 9)):
        fake.deployment.stores.hours.add(ACCOUNT, NOW * 1000 - back * HOUR, {"Sent": count})
    assert f"Sent {sent} " in browser.get(f"/?range={span}").text


def test_without_a_right_to_one_table_the_rest_stands(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.failed()
    monkeypatch.setattr(fake.deployment.keys_table, "get", denied)
    answer = browser.get("/")
    assert answer.status == 200
    assert "AWS refused it" in answer.text
    assert "Your AWS permissions must allow" in answer.text
    assert "1 message was given up" in answer.text


def test_an_expired_credential_says_to_log_in(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for table in (fake.deployment.keys_table, fake.deployment.outside_table):
        monkeypatch.setattr(table, "query", expired)
        monkeypatch.setattr(table, "get", expired)
    answer = browser.get("/")
    assert answer.status == 200
    assert "log in (aws sso login" in answer.text


def test_what_is_unexpected_is_named_without_its_text(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("+6281234567890")

    monkeypatch.setattr(fake.deployment.keys_table, "get", broken)
    answer = browser.get("/")
    assert "unexpected KeyError" in answer.raw.replace("U", "u")
    assert "6281234567890" not in answer.raw


def test_a_page_left_open_over_a_redeployment_finds_the_new_stack(
    fake: FakeDeployment, aws: MemoryCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        told = {"Code": "ResourceNotFoundException", "Message": "Requested resource not found"}
        raise ClientError({"Error": told}, "GetItem")

    anew = FakeDeployment.on(aws)
    anew.connector().says("connected")
    monkeypatch.setattr(fake.deployment.keys_table, "get", gone)
    with served(fake.deployment, clock=lambda: NOW, reread=lambda: anew.deployment) as stranger:
        browser = stranger.comes_in()
        assert browser.get("/").status == 200
        assert "Everything is running." in browser.get("/").text
