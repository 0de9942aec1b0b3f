"""Where AWS refuses a part, each page shows the rest and says what is missing; with expired credentials, how
to log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.console_page import Browser
from tests.support.console_pages import pages
from tests.support.fake_deployment import FakeDeployment

READS = ("get", "get_many", "query", "walk", "keys", "count", "scan", "indexed", "newest", "numbered")
LEADS_ON = "/texts/en"
EVERYWHERE = [path for path in pages({"id": "0" * 18, "job": "gone"}) if path != LEADS_ON]


def failing(code: str, message: str) -> Callable[..., Any]:
    def fails(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Query")

    return fails


DENIED = failing("AccessDeniedException", "User: dewi is not authorized to perform: dynamodb:Query")
EXPIRED = failing("ExpiredTokenException", "The security token included in the request is expired")


def refuse(table: Any, why: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in READS:
        monkeypatch.setattr(table, name, why)


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("table", ["keys_table", "outside_table"])
def test_without_rights_for_one_table_a_page_says_which(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch, table: str, path: str
) -> None:
    whole = browser.get(path)
    refuse(getattr(fake.deployment, table), DENIED, monkeypatch)
    answer = browser.get(path)
    assert "unexpected" not in answer.text
    if answer.text != whole.text:
        assert "not authorized to perform: dynamodb:Query" in answer.text
        assert "Your AWS permissions must allow" in answer.text
    assert 'aria-label="Pages"' in answer.raw


@pytest.mark.parametrize("path", EVERYWHERE)
def test_with_expired_credentials_a_page_says_to_log_in(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    whole = browser.get(path)
    for table in (fake.deployment.keys_table, fake.deployment.outside_table):
        refuse(table, EXPIRED, monkeypatch)
    answer = browser.get(path)
    assert answer.text == whole.text or "log in (aws sso login" in answer.text
    assert "unexpected" not in answer.text


@pytest.mark.parametrize("path", ["/", "/feed", "/letters", "/people", "/texts", "/settings", "/doctor"])
def test_a_page_stands_without_any_table(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for table in (fake.deployment.keys_table, fake.deployment.outside_table):
        refuse(table, DENIED, monkeypatch)
    assert browser.get(path).status == 200
