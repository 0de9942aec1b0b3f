"""One notification: how it stands, every step, the message as the phone shows it, and what can be done."""

from __future__ import annotations

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import NOW, SITI, FakeDeployment
from tocsin.notify.notification import State
from tocsin_console.page.phone import Run, runs

BOLD = frozenset({"bold"})


def test_its_life_is_told_with_its_message(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.planned(text="Halo *Siti*\n- satu")
    fake.arrives(one)
    answer = browser.get(f"/notification/{one.id}")
    assert "Arrived 5.0 s after it was planned" in answer.text
    assert "<strong>Siti</strong>" in answer.raw
    assert "• satu" in answer.text
    assert SITI not in answer.raw


def test_the_whole_number_is_told_once_and_written_down(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.planned()
    assert SITI in browser.submit(f"/notification/{one.id}/reveal").text
    assert SITI not in browser.get(f"/notification/{one.id}").text
    (line,) = fake.deployment.stores.audit.lines()
    assert (line.what, line.by) == (
        f"saw whom the notification {one.id} is for",
        "assumed-role/Operator/dewi",
    )


@pytest.mark.parametrize("page", ["/notification/{id}", "/letters?reason=invalid-phone"])
def test_a_number_that_was_refused_is_masked_until_somebody_asks(
    fake: FakeDeployment, browser: Browser, page: str
) -> None:
    one = fake.unreachable("0812-3456 o 789012")
    seen = browser.get(page.format(id=one.id)).text
    assert "0812-•••• o ••••12" in seen
    assert "3456" not in seen
    assert "0812-3456 o 789012" in browser.submit(f"/notification/{one.id}/reveal").text


@pytest.mark.parametrize("identity", ["0" * 18, "f" * 18])
def test_one_that_is_not_there_is_said(browser: Browser, identity: str) -> None:
    answer = browser.get(f"/notification/{identity}")
    assert (answer.status, "there is no notification" in answer.text.lower()) == (404, True)


def test_one_whose_record_cannot_be_read_is_said(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.planned()
    fake.spoil(one)
    answer = browser.get(f"/notification/{one.id}")
    assert (answer.status, "can't be read" in answer.text) == (404, True)


def test_a_ticket_instead_of_a_notification_leads_to_its_messages(browser: Browser) -> None:
    answer = browser.get("/notification/TCK-1")
    assert (answer.status, answer.headers["location"]) == (303, "/feed?ticket=TCK-1")


def test_one_that_waits_may_go_or_be_ended(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.planned()
    fake.deployment.stores.parking.park(one, "account-unavailable", NOW * 1000, due_at=NOW * 1000 + 10**7)
    assert "It is released" in browser.submit(f"/notification/{one.id}/release").text
    assert "It is cancelled" in browser.submit(f"/notification/{one.id}/cancel").text
    assert fake.stored(one).state is State.SUPPRESSED
    assert len(list(fake.deployment.stores.audit.lines())) == 2


def test_one_that_does_not_wait_is_left_alone(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.planned()
    assert "Nothing was done" in browser.submit(f"/notification/{one.id}/cancel").text
    assert list(fake.deployment.stores.audit.lines()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a *b* c", [Run("a "), Run("b", BOLD), Run(" c")]),
        ("2*3*4", [Run("2*3*4")]),
        ("* b*", [Run("• b*")]),
        ("_*x*_", [Run("x", frozenset({"bold", "italic"}))]),
        ("`*x*`", [Run("*x*", frozenset({"code"}))]),
        ("~x~", [Run("x", frozenset({"struck"}))]),
        ("> x", [Run("x", frozenset({"quote"}))]),
        ("see https://x.example/a", [Run("see "), Run("https://x.example/a", frozenset({"link"}))]),
        ("\u202ex", [Run("\\u202ex")]),
    ],
)
def test_a_message_is_formatted_as_phones_do(text: str, shown: list[Run]) -> None:
    assert [run for run in runs(text) if run.text] == shown


def test_a_text_of_any_length_is_cut() -> None:
    assert sum(len(run.text) for run in runs("*" * 65536)) <= 4096


def test_one_that_was_given_up_says_what_that_means_and_what_to_do(
    fake: FakeDeployment, browser: Browser
) -> None:
    answer = browser.get(f"/notification/{fake.failed(code='not-on-whatsapp').id}")
    assert "This number isn't on WhatsApp. Correct it, or send it again once it has WhatsApp." in answer.text
    assert "Send it again" in answer.text
    assert "tocsin dead-letters" not in answer.text
