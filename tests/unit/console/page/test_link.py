"""Link: a code and its end, what WhatsApp says, a test that is followed, and unlinking only on purpose."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from tests.support.console_page import Answer, Browser
from tests.support.fake_cloud import ACCOUNT, MemoryCloud
from tests.support.fake_deployment import NOW, Connector, FakeDeployment
from tocsin.accounts.operator_requests import Asked, RequestRefused
from tocsin.accounts.passkey import LinkedPhone, PasskeyStep
from tocsin_console import pair
from tocsin_console.page.linking import Attempt
from tocsin_console.page.views.link import square
from tocsin_console.pair import Code, Hint, TypedCode, Void, Wishes


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair, "POLL_SECONDS", 0.01)
    monkeypatch.setattr("tocsin_console.unpair.POLL_SECONDS", 0.01)


def until(browser: Browser, words: str) -> Answer:
    """The page, once it says this."""
    end = time.monotonic() + 60
    while words not in (answer := browser.get("/link")).text and time.monotonic() < end:
        time.sleep(0.02)
    assert words in answer.text
    return answer


def requested(connector: Connector) -> Asked:
    """What the connector is asked for, once it is."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(RequestRefused):
            return connector.asked()
        time.sleep(0.01)
    raise AssertionError("nothing was asked for")


def test_an_account_that_is_not_linked_offers_both_ways(browser: Browser) -> None:
    text = browser.get("/link").text
    assert f"Link the account {ACCOUNT} to a phone." in text
    assert "Show a QR code" in text
    assert "Show a code" in text


def test_a_code_is_shown_with_its_end_until_the_account_is_linked(
    fake: FakeDeployment, browser: Browser
) -> None:
    connector = fake.connector()
    connector.says("unpaired")
    browser.submit("/link/begin", account=ACCOUNT)
    requested(connector)
    connector.answers(qr="2@secret-words", qr_expires_at=NOW + 20)
    answer = until(browser, "Scan this with the phone")
    assert "secret-words" not in answer.raw
    assert f'data-until="{NOW + 20}"' in answer.raw
    mark = browser.get("/link", X_Part="1").raw
    connector.says("connected")
    until(browser, "is linked.")
    assert browser.get("/link", X_Part="1").raw != mark


def test_a_code_to_type_is_asked_for_by_a_number(fake: FakeDeployment, browser: Browser) -> None:
    connector = fake.connector()
    connector.says("unpaired")
    browser.submit("/link/begin", account=ACCOUNT, phone="0812-3456-7890")
    assert requested(connector).phone == "6281234567890"
    connector.answers(pairing_code="ABCD1234", qr_expires_at=NOW + 90)
    assert "ABCD-1234" in until(browser, "Type this on the phone").text


def test_a_number_that_is_none_is_refused_in_words(browser: Browser) -> None:
    assert "The number" in browser.submit("/link/begin", account=ACCOUNT, phone="ask Budi").text


def test_what_whatsapp_refuses_is_said(fake: FakeDeployment, browser: Browser) -> None:
    connector = fake.connector()
    connector.says("unpaired")
    browser.submit("/link/begin", account=ACCOUNT)
    requested(connector)
    connector.answers("unpaired", "WhatsApp refused the link")
    assert "WhatsApp refused the link" in until(browser, "wasn't linked").text


def test_whoever_stops_links_nothing(fake: FakeDeployment, browser: Browser) -> None:
    fake.connector()
    browser.submit("/link/begin", account=ACCOUNT)
    browser.submit("/link/stop", account=ACCOUNT)
    until(browser, "If no code was used, nothing is linked.")


def test_an_account_that_is_not_served_is_said(browser: Browser) -> None:
    answer = browser.post("/link/begin", account="<b>evil</b>")
    assert (answer.status, "doesn't serve" in answer.text) == (404, True)


def attempt(fake: FakeDeployment, offer: Any) -> Attempt:
    made = Attempt(fake.deployment, ACCOUNT, Wishes(), str)
    made._take(offer)
    return made


def step(name: str, **more: Any) -> PasskeyStep:
    return PasskeyStep("ceremony", name, NOW + 60, **more)


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (step("compare", code="1234"), "Does the phone show the same code?"),
        (step("continue"), "On the phone, press Continue"),
        (step("sent"), "The answer is on its way"),
        (step("pairing"), "The answer is on its way"),
        (step("challenged", options="alert(1)"), "What is to be signed isn’t shown"),
    ],
)
def test_each_step_of_the_passkeys_way_is_shown(
    fake: FakeDeployment, browser: Browser, offer: PasskeyStep, words: str
) -> None:
    browser.site.offered["link"] = {ACCOUNT: attempt(fake, offer)}
    answer = browser.get("/link")
    assert words in answer.text
    assert "alert(1)" not in answer.raw


def test_an_answer_that_is_none_is_refused_and_not_shown(fake: FakeDeployment, browser: Browser) -> None:
    browser.site.offered["link"] = {ACCOUNT: attempt(fake, step("challenged", options="{}"))}
    browser.site.offered["link"][ACCOUNT].offer = None
    answer = browser.submit("/link/answer", account=ACCOUNT, assertion="a-secret-paste")
    assert "That is not the answer: no answer is wanted now" in answer.text
    assert "a-secret-paste" not in answer.raw


def test_something_else_to_show_has_another_mark_that_tells_nothing(fake: FakeDeployment) -> None:
    made = attempt(fake, Code("2@one", NOW))
    first = made.mark
    made._take(Code("2@two", NOW))
    second = made.mark
    made._take(Hint("patience"))
    third = made.mark
    made._take(Void())
    assert len({first, second, third, made.mark}) == 4
    assert made.offer is None
    assert "2@two" not in repr(attempt(fake, Code("2@two", NOW)))
    assert "ABCD" not in repr(attempt(fake, TypedCode("ABCD", NOW)))


def test_a_code_becomes_a_square() -> None:
    found = square("2@words")
    assert found.path.startswith("M2 2h1v1h-1z")
    assert found.size >= 25


# -- once it is linked -------------------------------------------------------------------------------------


def test_a_test_goes_the_way_of_every_event_and_is_followed(
    fake: FakeDeployment, aws: MemoryCloud, browser: Browser
) -> None:
    fake.connector().says("connected")
    answer = browser.submit("/link/test", account=ACCOUNT, phone="0812-3456-7890")
    assert "its message is being planned" in answer.text
    assert "This is a test of Tocsin" in aws.events[-1]["Detail"]
    assert next(fake.deployment.stores.audit.lines()).what == "sent a test to 6281…90 from default"


def test_a_test_to_no_number_is_refused_in_words(fake: FakeDeployment, browser: Browser) -> None:
    fake.connector().says("connected")
    assert "number" in browser.submit("/link/test", account=ACCOUNT, phone="me").text


def test_unlinking_wants_the_box_to_be_ticked(fake: FakeDeployment, browser: Browser) -> None:
    connector = fake.connector()
    connector.says("connected")
    assert "Nothing was done" in browser.submit("/link/unlink", account=ACCOUNT).text
    assert list(fake.deployment.stores.audit.lines()) == []


def test_unlinking_is_done_by_the_connector(fake: FakeDeployment, browser: Browser) -> None:
    import threading

    connector = fake.connector()
    connector.says("connected")

    def act() -> None:
        requested(connector)
        connector.answers("unpaired", "")
        connector.says("unpaired")

    threading.Thread(target=act, daemon=True).start()
    assert "is unlinked" in browser.submit("/link/unlink", account=ACCOUNT, sure="yes").text
    done = {line.what for line in fake.deployment.stores.audit.lines()}
    assert done == {"asked to unlink the account default", "unlinked the account default"}


def test_whose_phone_it_is_is_told(fake: FakeDeployment, browser: Browser) -> None:
    connector = fake.connector()
    connector.says("unpaired")
    browser.submit("/link/begin", account=ACCOUNT)
    requested(connector)
    connector.answers("connected", linked=LinkedPhone("6281234567890"))
    made = browser.site.offered["link"][ACCOUNT]
    end = time.monotonic() + 60
    while not made.over and time.monotonic() < end:
        time.sleep(0.02)
    assert made.linked == "6281234567890"
