"""People: what is known of somebody is asked for by a form, and what is done for them is written down."""

from __future__ import annotations

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import SITI, FakeDeployment
from tocsin.people.person import Name, Source

NUMBER = "0812-3456-7890"


def test_somebody_is_found_by_a_number_in_any_form(fake: FakeDeployment, browser: Browser) -> None:
    fake.planned()
    answer = browser.post("/people", wanted=NUMBER)
    assert answer.status == 200
    assert "consent no opt-out" in answer.text
    assert "1 notification," in answer.text


def test_the_recipient_of_a_notification_is_found_without_a_number(
    fake: FakeDeployment, browser: Browser
) -> None:
    one = fake.planned()
    assert "consent no opt-out" in browser.post("/people", like=one.id).text


def test_whoever_sees_the_number_of_a_recipient_that_way_is_written_down(
    fake: FakeDeployment, browser: Browser
) -> None:
    one = fake.planned()
    assert SITI in browser.post("/people", like=one.id).raw
    (line,) = fake.deployment.stores.audit.lines()
    assert line.what == f"saw whom the notification {one.id} is for"


def test_a_recipient_whose_lid_is_known_is_shown_without_the_number(
    fake: FakeDeployment, browser: Browser
) -> None:
    one = fake.planned()
    name = Name(f"{SITI}@s.whatsapp.net", Source.ANSWER, 10)
    fake.deployment.stores.people.join(one.account, name.jid, "1234@lid", [name])
    answer = browser.post("/people", like=one.id)
    assert "1234@lid" in answer.raw
    assert SITI not in answer.raw
    assert list(fake.deployment.stores.audit.lines()) == []


@pytest.mark.parametrize("wanted", ["nobody", "0812-9999-9999", "1234@lid", "<b>", "1@g.us"])
def test_whoever_is_not_known_is_said(browser: Browser, wanted: str) -> None:
    answer = browser.post("/people", wanted=wanted)
    assert answer.status == 200
    assert "What can be done" not in answer.text


def test_what_erasing_would_do_is_shown_first_and_done_when_sure(
    fake: FakeDeployment, browser: Browser
) -> None:
    one = fake.planned()
    assert "would erase" in browser.post("/people/forget", wanted=NUMBER).text
    assert fake.stored(one).recipient == SITI
    assert "erased" in browser.post("/people/forget", wanted=NUMBER, sure="yes").text
    assert fake.stored(one).recipient == ""
    assert [line.what for line in fake.deployment.stores.audit.lines()] == ["erased a person"]


@pytest.mark.parametrize("what", ["confirm", "clean"])
def test_where_there_is_nothing_to_do_it_says_so(fake: FakeDeployment, browser: Browser, what: str) -> None:
    fake.planned()
    answer = browser.post(f"/people/{what}", wanted=NUMBER)
    assert (answer.status, 'role="alert"' in answer.raw) == (200, True)
    assert list(fake.deployment.stores.audit.lines()) == []


def test_an_opt_out_that_was_said_elsewhere_is_noted_and_taken_back_when_sure(
    fake: FakeDeployment, browser: Browser
) -> None:
    fake.planned()
    assert "gets no more messages" in browser.post("/people/consent", wanted=NUMBER, verb="note").text
    refused = browser.post("/people/consent", wanted=NUMBER, verb="take-back")
    assert "tick the box first" in refused.text
    assert "consent opted out" in refused.text
    back = browser.post("/people/consent", wanted=NUMBER, verb="take-back", sure="yes")
    assert "gets messages again" in back.text
    assert "consent no opt-out" in back.text
