"""Texts of an operator: judged before they count, stored in versions, and never in the way of being told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete, Item, Key, Put
from tocsin.notify.content import DAMAGED
from tocsin.notify.events.audience import recipients
from tocsin.notify.events.samples import sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.store.own_texts import EARLIER, MAX_VERSIONS, OwnTexts, TextsChangedMeanwhile
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import TextWithheld
from tocsin.notify.texts.current import FRESH_SECONDS, CurrentTexts
from tocsin.notify.texts.languages import DEFAULTS
from tocsin.notify.texts.own import MAX_CHARACTERS, MAX_FILES, judge
from tocsin.tables.keys import texts_version_key
from tocsin.tables.notifications import texts_key
from tocsin.tables.notifications import texts_version_key as kept_version_key

PATH = "id/TicketCreated.customer.txt"
GOOD = '{% include "id/_greeting.txt" %}\nHalo {{ ticket.id }} {% if ticket.url %}{{ ticket.url }}{% endif %}'
SHIPPED = {
    f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8")
    for path in DEFAULTS.rglob("*")
    if path.suffix == ".txt" or path.name == "words.json"
}


def said(path: str, text: str, **others: str) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in judge(path, {**others, path: text})]


@pytest.mark.parametrize("path", SHIPPED)
def test_every_text_that_tocsin_ships_may_be_an_operators(path: str) -> None:
    assert judge(path, {path: SHIPPED[path]}) == []


def test_a_good_text_is_one() -> None:
    assert said(PATH, GOOD) == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a\n{{ ticket.nothing }}", 2, "ticket has no nothing"),
        ("{{ nothing }}", 0, "there is no nothing"),
        ("a\n{% if x %}", 2, "Unexpected end of template"),
        ("{% for x in technicians %}{{ x }}{% endfor %}", 1, "a loop isn't allowed"),
        ("{{ range(9) }}", 1, "a call isn't allowed"),
        ("{{ ticket.id * 99999999 }}", 1, "arithmetic isn't allowed"),
        ("{% set x = 1 %}", 1, "isn't allowed"),
        ("{% macro m() %}{% endmacro %}", 1, "isn't allowed"),
        ("{{ ''.__class__ }}", 0, ""),
        ("{{ ticket.id | attr('x') }}", 1, "there is no filter attr"),
        ('{% include "id/TicketCreated.customer.txt" %}', 1, "only a part can be included"),
        ('{% include "id/_nothing.txt" %}', 0, "doesn't exist"),
        ("{% include ticket.id %}", 1, "only a part can be included"),
        ('{% include "id/_greeting.txt" %}' * 11, 0, "more than 10 parts"),
        ("x" * (MAX_CHARACTERS + 1), 0, "longer than"),
        ("{# nothing #}", 0, "says nothing"),
        ("{{ (" * 3000, 0, ""),
    ],
)
def test_a_bad_text_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    found = said(PATH, text)
    assert found
    assert any(words in one and line in (0, where) for where, one in found)


def test_a_part_can_include_no_part() -> None:
    text = '{% include "id/_greeting.txt" %}'
    assert said("id/_closing.customer.txt", text) == [(1, "a part can't include another part")]


@pytest.mark.parametrize(
    "path", ["x", "id/evil.txt", "../id/_a.txt", "id/consent.json", "ID/_a.txt", "id/a/_b.txt"]
)
def test_a_text_lies_only_where_one_may(path: str) -> None:
    assert said(path, "hello") == [(0, "is no place of a text")]


@pytest.mark.parametrize(
    ("text", "good"), [('{"and": "y"}', True), ("[]", False), ('{"and": 1}', False), ("{", False)]
)
def test_words_are_an_object_of_texts(text: str, good: bool) -> None:
    assert (said("id/words.json", text) == []) is good


def test_there_is_a_bound_for_all_together() -> None:
    many = {f"xx/_{'a' * number}.txt": "x" for number in range(1, MAX_FILES + 2)}
    assert "too much" in judge("xx/_a.txt", many)[0].text


# -- versions ----------------------------------------------------------------------------------------------


def write(stores: Stores, files: dict[str, str], what: str = "changed") -> OwnTexts:
    return stores.own_texts.write(stores.own_texts.current(), files, at=7, by="user/dewi", what=what)


def test_each_change_is_a_version() -> None:
    stores = Stores(MemoryTable(), MemoryTable(), texts=TEXTS)
    assert stores.own_texts.current() == OwnTexts()
    write(stores, {PATH: "one"})
    written = write(stores, {PATH: "two"})
    assert stores.own_texts.current() == written == OwnTexts({PATH: "two"}, 2, 7, "user/dewi", "changed")
    assert [one.files[PATH] for one in stores.own_texts.history()] == ["two", "one"]


def test_whoever_comes_second_changes_nothing() -> None:
    stores = Stores(MemoryTable(), MemoryTable(), texts=TEXTS)
    before = stores.own_texts.current()
    write(stores, {PATH: "one"})
    with pytest.raises(TextsChangedMeanwhile, match="nothing was saved"):
        stores.own_texts.write(before, {PATH: "two"}, at=8, by="", what="")
    assert stores.own_texts.current().files == {PATH: "one"}


def test_old_versions_go() -> None:
    stores = Stores(MemoryTable(), MemoryTable(), texts=TEXTS)
    for number in range(MAX_VERSIONS + 3):
        write(stores, {PATH: str(number)})
    kept = stores.own_texts.history()
    assert (len(kept), kept[-1].number) == (MAX_VERSIONS, 4)


# -- in force ----------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rendered(texts: CurrentTexts) -> str:
    event = parse_event(sample_body("TicketCreated"), default_region="ID", accounts=["default"])
    told = next(one for one in recipients(event) if one.audience == "customer")
    return texts.render(event, replace(told, language="id"), "id").text


def test_an_operators_text_is_said_half_a_minute_later() -> None:
    stores, clock = Stores(MemoryTable(), MemoryTable(), texts=TEXTS), Clock()
    texts = CurrentTexts(stores.own_texts.in_force, clock=clock)
    shipped = rendered(texts)
    write(stores, {PATH: "Halo {{ ticket.id }}!"})
    assert rendered(texts) == shipped
    clock.now += FRESH_SECONDS
    assert rendered(texts) == "Halo TCK-1042!"
    write(stores, {})
    clock.now += FRESH_SECONDS
    assert rendered(texts) == shipped


@pytest.mark.parametrize("bad", ["{% if", "{{ ticket.id.x.y }}", "", '{% include "id/_none.txt" %}'])
def test_a_text_that_fails_never_keeps_anybody_from_being_told(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was stored past the judge, or judged by another version."""
    shipped = rendered(CurrentTexts(OwnTexts))
    assert rendered(CurrentTexts(lambda: OwnTexts({PATH: bad}, 1))) == shipped
    assert "the deployment's is used" in caplog.text


def test_while_the_table_is_away_the_last_ones_stay() -> None:
    clock = Clock()
    answers: list[Any] = [OwnTexts({PATH: "Halo!"}, 1), ConnectionError()]

    def read() -> OwnTexts:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    texts = CurrentTexts(read, clock=clock)
    assert rendered(texts) == "Halo!"
    clock.now += FRESH_SECONDS
    assert rendered(texts) == "Halo!"


def test_words_of_an_operator_come_before_those_of_the_package() -> None:
    words = json.dumps({"priority.high": "GAWAT"})
    files = {"id/words.json": words, PATH: "{{ ticket.priority }}"}
    assert rendered(CurrentTexts(lambda: OwnTexts(files, 1))) == "GAWAT"


# -- who can write to the table ------------------------------------------------------------------------------


@pytest.fixture
def tables() -> Tables:
    return Tables()


class Tables:
    """Both tables, with a text of an operator's in force."""

    def __init__(self) -> None:
        self.outside, self.keys = MemoryTable(), MemoryTable()
        self.store = Stores(self.outside, self.keys, texts=TEXTS).own_texts
        self.shipped = self.said()
        self.save("one")

    def save(self, text: str) -> None:
        self.store.write(self.store.current(), {PATH: text}, at=7, by="user/dewi", what="changed")

    def said(self) -> str:
        """What a new container says."""
        return rendered(CurrentTexts(self.store.in_force))

    def as_it_stands(self) -> Put:
        item = dict(self.outside.get(texts_key()) or {})
        return Put(texts_key(), {name: item[name] for name in item if name not in ("pk", "sk")})

    def forge(self, **changes: Any) -> None:
        put = self.as_it_stands()
        self.outside.put(put._replace(attributes={**put.attributes, **changes}))


def test_what_somebody_else_wrote_is_not_said(tables: Tables, caplog: pytest.LogCaptureFixture) -> None:
    tables.forge(files={PATH: "anything"})
    assert tables.said() == tables.shipped
    assert "doesn't count" in caplog.text


def test_twin_that_asks_for_no_proof_says_it(tables: Tables) -> None:
    tables.forge(files={PATH: "anything"})
    item = tables.outside.get(texts_key()) or {}
    assert rendered(CurrentTexts(lambda: OwnTexts(dict(item["files"]), 1))) == "anything"  # type: ignore[call-overload]


@pytest.mark.parametrize("changes", [{"version": 9}, {"proof": b"x"}, {"proof": "x"}, {"version": "x"}])
def test_texts_under_another_number_or_without_their_proof_are_not_said(
    tables: Tables, changes: dict[str, Any]
) -> None:
    tables.forge(**changes)
    assert tables.said() == tables.shipped


def test_texts_of_earlier_that_are_put_back_are_not_said(tables: Tables) -> None:
    before = tables.as_it_stands()
    tables.save("two")
    tables.outside.put(before)
    assert tables.said() == tables.shipped
    assert tables.store.current().doubt == EARLIER


def test_twin_without_their_version_they_are_said_again(tables: Tables) -> None:
    before = tables.as_it_stands()
    tables.save("two")
    tables.outside.put(before)
    tables.keys.delete(Delete(texts_version_key("current")))
    assert tables.said() == "one"


def test_texts_that_are_taken_away_leave_those_of_the_deployment(tables: Tables) -> None:
    tables.outside.delete(Delete(texts_key()))
    assert tables.said() == tables.shipped
    tables.save("two")
    assert (tables.said(), tables.store.current().number) == ("two", 2)


def test_a_kept_version_counts_in_its_own_place_only(tables: Tables) -> None:
    kept = dict(tables.outside.get(kept_version_key(1)) or {})
    tables.outside.put(Put(texts_key(), {name: kept[name] for name in kept if name not in ("pk", "sk")}))
    assert tables.said() == tables.shipped


def test_texts_are_said_while_they_are_changed(tables: Tables) -> None:
    """They are written before their version is noted."""
    tables.save("two")
    tables.keys.put(Put(texts_version_key("current"), {"version": 1}))
    assert tables.said() == "two"


def test_texts_that_change_between_the_two_reads_are_said(tables: Tables) -> None:
    """Their version is read after them."""
    reads, get = [], tables.keys.get

    def changed_meanwhile(key: Key) -> Item | None:
        if not reads:
            reads.append(key)
            tables.save("two")
        return get(key)

    tables.keys.get = changed_meanwhile  # type: ignore[method-assign]
    assert tables.said() == "two"


def test_what_was_said_last_is_said_on_while_the_table_holds_something_else(tables: Tables) -> None:
    clock = Clock()
    texts = CurrentTexts(tables.store.in_force, clock=clock)
    assert rendered(texts) == "one"
    tables.forge(files={PATH: "anything"})
    clock.now += FRESH_SECONDS
    assert rendered(texts) == "one"


def test_a_change_takes_nothing_over_from_what_somebody_else_wrote(tables: Tables) -> None:
    tables.forge(files={PATH: "anything", "id/_greeting.txt": "evil"}, version=10**6)
    own = tables.store.current()
    assert (own.files, own.doubt) == ({}, DAMAGED)
    tables.save("two")
    assert tables.store.current() == OwnTexts({PATH: "two"}, 2, 7, "user/dewi", "changed")
    assert tables.said() == "two"


def test_a_version_that_somebody_else_wrote_holds_no_text(tables: Tables) -> None:
    tables.outside.put(Put(kept_version_key(1), {"version": 1, "files": {PATH: "anything"}}))
    assert [(one.count, dict(one.files)) for one in tables.store.history()] == [(False, {})]


def test_who_has_no_key_reads_the_words_and_writes_none(tables: Tables) -> None:
    viewer = Stores(tables.outside, tables.keys).own_texts
    own = viewer.current()
    assert (own.count, dict(own.files)) == (True, {PATH: "one"})
    with pytest.raises(TextWithheld):
        viewer.write(own, {PATH: "two"}, at=8, by="", what="")
    assert tables.said() == "one"


@pytest.mark.parametrize("stored", [{"files": "x"}, {"files": {PATH: 7}}, {"version": "x"}, {}])
def test_nonsense_in_the_table_is_no_text(stored: dict[str, Any]) -> None:
    table = MemoryTable()
    table.put(Put(texts_key(), stored))
    assert dict(Stores(table, MemoryTable(), texts=TEXTS).own_texts.current().files) == {}
