"""What a setting may hold: typed, checked, stored and shown."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.settings.declared import DECLARED
from tocsin.settings.kinds import Choice, InvalidValue, Kind, Number, Sign, Subset, Switch
from tocsin.settings.lists import Moment

NUMBER = Number(2, 9, "seconds")
CHOICE = Choice("message", "edit")
SUBSET = Subset("sent", "read")

TYPED: list[tuple[Kind[Any], str, Any]] = [
    (NUMBER, " 3 ", 3),
    (Switch(), "TRUE", True),
    (Switch(), "false", False),
    (CHOICE, "edit", "edit"),
    (SUBSET, "read, sent", ("sent", "read")),
    (SUBSET, "none", ()),
    (Sign(), "👍🏽", "👍🏽"),
    (Sign(), "❤️", "❤️"),
    (Sign(), "none", ""),
    (Moment(), "2026-11-30T13:05Z", 1_796_043_900),
    (Moment(), " none ", 0),
]
WRONG: list[tuple[Kind[Any], str]] = [
    (NUMBER, "1"),
    (NUMBER, "10"),
    (NUMBER, "three"),
    (NUMBER, "3.5"),
    (NUMBER, "-3"),
    (NUMBER, "٣"),
    (NUMBER, "9" * 5000),
    (Switch(), "yes"),
    (CHOICE, "Edit"),
    (SUBSET, "sent,gone"),
    (SUBSET, ""),
    (Moment(), "yesterday"),
    (Moment(), "2026-13-30T13:05Z"),
    (Moment(), "1969-12-31T23:59Z"),
    (Moment(), "9999-12-31T23:59Z"),
    (Sign(), "ok"),
    (Sign(), "1️⃣"),
    (Sign(), "你好"),
    (Sign(), "👍 👍"),
    (Sign(), "👍\x85👍"),
    (Sign(), "👍\u2028👍"),
    (Sign(), "👍" * 13),
]
STORED_WRONG: list[tuple[Kind[Any], object]] = [
    (NUMBER, True),
    (NUMBER, "3"),
    (NUMBER, None),
    (Switch(), 1),
    (Switch(), "true"),
    (CHOICE, ["edit"]),
    (SUBSET, "sent"),
    (SUBSET, [["sent"]]),
    (Sign(), 7),
    (Moment(), "2026-11-30T13:05Z"),
    (Moment(), True),
    (Moment(), -1),
    (Moment(), 2**33),
    (Sign(), "\ud800"),
]


@pytest.mark.parametrize(("kind", "typed", "value"), TYPED)
def test_what_is_typed_becomes_a_value_and_is_stored_and_shown_as_one(
    kind: Kind[Any], typed: str, value: Any
) -> None:
    assert kind.parse(typed) == value
    assert kind.check(kind.store(value)) == value
    assert kind.parse(kind.show(value)) == value


@pytest.mark.parametrize(("kind", "typed"), WRONG)
def test_what_cannot_be_meant_is_refused_with_what_it_must_be(kind: Kind[Any], typed: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        kind.parse(typed)
    assert kind.wanted in str(refused.value)


@pytest.mark.parametrize(("kind", "stored"), STORED_WRONG)
def test_a_stored_value_of_another_type_is_refused(kind: Kind[Any], stored: object) -> None:
    with pytest.raises(InvalidValue):
        kind.check(stored)


@pytest.mark.parametrize("name", DECLARED)
def test_every_default_is_a_value_that_could_be_set(name: str) -> None:
    setting = DECLARED[name]
    for value in (setting.default, *setting.defaults.values()):
        assert setting.kind.check(setting.kind.store(value)) == value


@pytest.mark.parametrize("name", DECLARED)
def test_every_name_says_its_unit_and_every_sentence_ends(name: str) -> None:
    kind = DECLARED[name].kind
    if isinstance(kind, Number) and kind.unit:
        assert name.endswith(kind.unit)
    assert DECLARED[name].says.endswith(".")
    assert name == name.lower()
