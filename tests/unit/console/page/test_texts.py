"""Texts: seen as the phone shows them, changed if they are good, and taken back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import FakeDeployment
from tocsin.dynamo.writes import Key, Put
from tocsin.notify.events.samples import FULL
from tocsin.tables.notifications import texts_key, texts_version_key
from tocsin_console.page.views.texts import SAMPLES, preview, shipped

PATH = "/texts/en/TicketCreated.customer.txt"
NAME = "en/TicketCreated.customer.txt"


def number(browser: Browser) -> str:
    found = re.search(r'name="number" value="(\d+)"', browser.get(PATH).raw)
    assert found is not None
    return found[1]


def save(browser: Browser, text: str, do: str = "save"):
    return browser.post(PATH, text=text, do=do, number=number(browser), sample="full")


def test_every_text_of_a_language_is_there(browser: Browser) -> None:
    raw = browser.get("/texts?language=es").raw
    assert [path for path in shipped("es") if f'href="/texts/{path}"' not in raw] == []
    assert browser.get("/texts?language=nonsense").status == 200


def test_a_text_is_shown_as_the_phone_shows_it(browser: Browser) -> None:
    answer = browser.get(PATH)
    assert "<strong>" in answer.raw
    assert "TCK-1042" in answer.text
    assert "Tocsin’s own" in answer.text


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_text_has_a_preview_with_every_sample(sample: str) -> None:
    files: dict[str, str] = {}
    empty = [
        path
        for path in shipped("id")
        if not (seen := preview(path, files, sample)).runs and "tells nobody" not in seen.failure
    ]
    assert empty == []


def test_a_good_text_is_in_force_and_written_down(fake: FakeDeployment, browser: Browser) -> None:
    assert save(browser, "Hello {{ ticket.id }}\r\n").status == 303
    own = fake.deployment.stores.own_texts.current()
    assert own.files == {NAME: "Hello {{ ticket.id }}\n"}
    assert (own.by, own.what) == ("assumed-role/Operator/dewi", f"{NAME} changed")
    assert "yours" in browser.get(PATH).text
    assert next(fake.deployment.stores.audit.lines()).what == f"texts: {NAME} changed"


def test_a_bad_text_is_not_saved_and_what_was_typed_stays(fake: FakeDeployment, browser: Browser) -> None:
    save(browser, "Hello {{ ticket.id }}")
    answer = save(browser, "one\n{{ ticket.nothing }} and more")
    assert (answer.status, "Line 2: ticket has no nothing" in answer.text) == (400, True)
    assert "and more" in answer.text
    assert fake.deployment.stores.own_texts.current().files == {NAME: "Hello {{ ticket.id }}"}


def test_whoever_was_overtaken_overwrites_nothing(fake: FakeDeployment, browser: Browser) -> None:
    before = number(browser)
    save(browser, "first")
    answer = browser.post(PATH, text="second", do="save", number=before)
    assert (answer.status, "somebody else changed the texts" in answer.text.lower()) == (400, True)
    assert fake.deployment.stores.own_texts.current().files == {NAME: "first"}


def test_tocsins_own_comes_back(fake: FakeDeployment, browser: Browser) -> None:
    save(browser, "Hello")
    assert save(browser, "", "back").status == 303
    assert fake.deployment.stores.own_texts.current().files == {}


def test_an_earlier_version_comes_back(fake: FakeDeployment, browser: Browser) -> None:
    save(browser, "one")
    save(browser, "two")
    assert "All texts are as in version 1" in browser.submit("/texts/restore", number="1").text
    assert fake.deployment.stores.own_texts.current().files == {NAME: "one"}
    assert "no longer kept" in browser.submit("/texts/restore", number="99").text


def forge(fake: FakeDeployment, key: Key) -> None:
    """Somebody writes past the console."""
    table = fake.deployment.outside_table
    item = {name: value for name, value in (table.get(key) or {}).items() if name not in ("pk", "sk")}
    table.put(Put(key, {**item, "files": {NAME: "anything"}}))


def test_what_somebody_else_wrote_is_told_and_shown_nowhere(fake: FakeDeployment, browser: Browser) -> None:
    save(browser, "one")
    forge(fake, texts_key())
    assert "none of it is said" in browser.get("/texts").text
    answer = browser.get(PATH)
    assert ("none of it is said" in answer.text, "anything" in answer.text) == (True, False)
    assert "All texts are as in version 1" in browser.submit("/texts/restore", number="1").text
    assert "none of it is said" not in browser.get("/texts").text
    assert fake.deployment.stores.own_texts.in_force().files == {NAME: "one"}


def test_a_version_that_no_operator_wrote_comes_back_for_nobody(
    fake: FakeDeployment, browser: Browser
) -> None:
    save(browser, "one")
    save(browser, "two")
    forge(fake, texts_version_key(1))
    assert "which no operator wrote so" in browser.get("/texts").text
    assert "No operator wrote that version so" in browser.submit("/texts/restore", number="1").text
    assert fake.deployment.stores.own_texts.in_force().files == {NAME: "two"}


def test_looking_saves_nothing(fake: FakeDeployment, browser: Browser) -> None:
    assert "Just looking" in save(browser, "Just looking", "look").text
    assert fake.deployment.stores.own_texts.current().files == {}


def test_what_is_typed_is_judged_and_drawn_at_once(browser: Browser) -> None:
    good = json.loads(browser.post(f"{PATH}/try", text="*Hi* {{ ticket.id }}", sample="full").raw)
    assert good["findings"] == []
    assert good["runs"][0] == {"text": "Hi", "marks": ["bold"]}
    bad = json.loads(browser.post(f"{PATH}/try", text="{{ nothing }}").raw)
    assert "there is no nothing" in bad["findings"][0]["text"]


@pytest.mark.slow
def test_a_language_is_added_as_a_copy_and_can_be_changed(fake: FakeDeployment, browser: Browser) -> None:
    answer = browser.submit("/texts/add", new="ms", old="id")
    assert "The language ms is there" in answer.text
    files = fake.deployment.stores.own_texts.current().files
    assert set(files) == {path.replace("id/", "ms/", 1) for path in shipped("id")}
    assert [text for text in files.values() if 'include "id/' in text] == []
    assert browser.get("/texts/ms/TicketCreated.customer.txt").status == 200


@pytest.mark.parametrize("new", ["id", "", "../x", "Nonsense!", "ms ../../x"])
def test_what_is_no_new_language_is_refused(fake: FakeDeployment, browser: Browser, new: str) -> None:
    assert 'class="news trouble"' in browser.submit("/texts/add", new=new, old="id").raw
    assert fake.deployment.stores.own_texts.current().files == {}


@pytest.mark.parametrize(
    "path",
    ["/texts/en/nothing.txt", "/texts/en/consent.json", "/texts/xx/_greeting.txt", "/texts/en/..%2f_a.txt"],
)
def test_a_text_that_is_not_there_is_said(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404


def test_hostile_words_of_a_sample_do_nothing_on_the_page(browser: Browser) -> None:
    assert "49" not in browser.get(f"{PATH}?sample=hostile").text


EVENT = {"detail-type": "TicketResolved", "detail": {**FULL, "account": "elsewhere"}}


@pytest.mark.parametrize("real", [EVENT, EVENT["detail"], {"Detail": json.dumps(EVENT["detail"])}])
def test_a_text_is_tried_with_an_event_of_ones_own(browser: Browser, real: Any) -> None:
    answer = browser.post(PATH, text="About {{ ticket.id }}", do="look", number="0", event=json.dumps(real))
    assert f"About {FULL['ticket']['id']}" in answer.text
    tried = browser.post(f"{PATH}/try", text="{{ ticket.id }}", event=json.dumps(real))
    assert json.loads(tried.raw)["runs"][0]["text"] == FULL["ticket"]["id"]


@pytest.mark.parametrize("real", ["{", "[]", "7", '{"detail": 7}', '{"ticket": {}}', '{"Detail": "{"}'])
def test_an_event_that_is_none_says_what_is_wrong_and_breaks_nothing(browser: Browser, real: str) -> None:
    tried = json.loads(browser.post(f"{PATH}/try", text="{{ ticket.id }}", event=real).raw)
    assert tried["failure"].startswith("of your event: ")
    assert browser.post(PATH, text="x", do="look", number="0", event=real).status == 200
