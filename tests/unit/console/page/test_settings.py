"""Settings and doctor: what is in force, changed and taken back; what a check found, and the way to what
mends it."""

from __future__ import annotations

import io

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import FakeDeployment
from tocsin.settings.declared import DECLARED
from tocsin.settings.values import STACK
from tocsin_console.doctor import checks
from tocsin_console.output import Output
from tocsin_console.page.views import settings
from tocsin_console.pause import pause


def test_every_setting_is_there_with_what_it_takes(browser: Browser) -> None:
    text = browser.get("/settings").text
    assert [name for name in DECLARED if name not in text] == []
    assert "All defaults are in force" in text


def test_a_change_is_in_force_and_can_be_taken_back(fake: FakeDeployment, browser: Browser) -> None:
    assert "Version 1: retries 4" in browser.submit("/settings/put", name="retries", value="4", do="set").text
    browser.submit("/settings/put", name="retries", value="5", audience="technician", do="set")
    assert "Back to this" in browser.get("/settings").text
    assert "back to version 1" in browser.submit("/settings/restore", version="1").text
    value = settings.changes.read_current(fake.deployment.outside_table).values["retries"]
    assert dict(value) == {"*": 4}


def test_a_value_goes_back_to_its_default(fake: FakeDeployment, browser: Browser) -> None:
    browser.submit("/settings/put", name="retries", value="4", do="set")
    browser.submit("/settings/put", name="retries", do="reset")
    assert settings.changes.read_current(fake.deployment.outside_table).values == {}


@pytest.mark.parametrize(
    "form",
    [
        {"name": "retries", "value": "many"},
        {"name": "nonsense", "value": "1"},
        {"name": "retries", "value": "3", "account": "nobody"},
        {"name": "retries", "value": "3", "audience": "everybody"},
    ],
)
def test_what_makes_no_sense_changes_nothing(
    fake: FakeDeployment, browser: Browser, form: dict[str, str]
) -> None:
    assert 'class="news trouble"' in browser.submit("/settings/put", do="set", **form).raw
    assert settings.changes.read_current(fake.deployment.outside_table).stored is None


@pytest.mark.parametrize("version", ["", "x", "99", "-1"])
def test_a_version_that_is_none_changes_nothing(browser: Browser, version: str) -> None:
    assert 'class="news trouble"' in browser.submit("/settings/restore", version=version).raw


def test_a_finding_comes_with_the_way_to_what_mends_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        ("queues", checks.ok("all empty")),
        ("accounts", checks.fault("default is unpaired", "nothing is sent", "link it: tocsin pair")),
    ]
    monkeypatch.setattr(settings, "examine", lambda _: found)
    assert "not examined yet" in browser.get("/doctor").text
    answer = browser.submit("/doctor")
    assert "1 fault, and 0 warnings." in answer.text
    assert '<a href="/link">Link it</a>' in answer.raw
    assert answer.raw.index("default is unpaired") < answer.raw.index("all empty")


def test_a_remedy_that_can_do_no_harm_is_a_button(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(fake.deployment, STACK, Output(stream=io.StringIO()))
    found = [("sending", checks.warning("sending is paused", "all waits", "tocsin resume"))]
    monkeypatch.setattr(settings, "examine", lambda _: found)
    assert '<button class="second">Resume sending</button>' in browser.submit("/doctor").raw
    assert "Examine again" in browser.submit("/doctor/mend", verb="resume").text
    assert settings.changes.read_current(fake.deployment.outside_table).values == {}


def test_logging_in_again_is_a_button_for_the_account_that_is_named(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(settings, "reconnect", lambda _, account, **__: asked.append(account))
    mend = "remove the cause, then: tocsin reconnect --account default"
    told = settings.Told.of("accounts", checks.fault("default is stopped", "nothing is sent", mend))
    assert (told.verb, told.account) == ("reconnect", "default")
    browser.post("/doctor/mend", verb=told.verb, account=told.account)
    assert asked == ["default"]


@pytest.mark.parametrize("verb", ["", "sam deploy", "forget"])
def test_nothing_else_is_done_by_a_button(browser: Browser, verb: str) -> None:
    assert "Nothing was done" in browser.submit("/doctor/mend", verb=verb).text


def test_a_stack_that_is_gone_is_said(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from tocsin_console.errors import NotFound

    def gone(_: object) -> None:
        raise NotFound("there is no stack 'tocsin'")

    monkeypatch.setattr(settings, "examine", gone)
    assert "There is no stack" in browser.post("/doctor").text
