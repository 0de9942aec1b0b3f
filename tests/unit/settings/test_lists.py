"""Settings that are lists, hours or a place: what is taken, and what isn't."""

from __future__ import annotations

import pytest

from tocsin.settings.kinds import InvalidValue
from tocsin.settings.lists import Addressees, Hours, TimeZone, Words


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        (Hours(), " 22:00-07:00 ", "22:00-07:00"),
        (Hours(), "none", ""),
        (TimeZone(), "Asia/Jakarta", "Asia/Jakarta"),
        (Words(), "Urgent, p1", ("urgent", "p1")),
        (Words(), "none", ()),
        (
            Addressees(),
            "+62 812-3456-7890, 120363000000000000@g.us",
            ("6281234567890", "120363000000000000@g.us"),
        ),
        (Addressees(), "none", ()),
    ],
)
def test_what_is_typed_is_read_and_stored(kind: object, typed: str, value: object) -> None:
    assert kind.parse(typed) == value
    assert kind.check(kind.store(value)) == value


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (Hours(), "22-7"),
        (Hours(), "24:00-07:00"),
        (Hours(), "07:00-07:00"),
        (TimeZone(), "Asia/Atlantis"),
        (TimeZone(), "../../etc/passwd"),
        (Words(), "very urgent"),
        (Addressees(), "Budi"),
        (Addressees(), "0812345678"),
        (Addressees(), "1234@lid"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: object, typed: str) -> None:
    with pytest.raises(InvalidValue):
        kind.parse(typed)


@pytest.mark.parametrize("kind", [Hours(), TimeZone(), Words(), Addressees()])
@pytest.mark.parametrize("stored", [None, 7, {"a": 1}, [1], True])
def test_another_form_in_the_table_is_refused(kind: object, stored: object) -> None:
    with pytest.raises(InvalidValue):
        kind.check(stored)


def test_a_number_is_shown_without_its_middle() -> None:
    assert Addressees().show(("6281234567890", "1@g.us")) == "62…7890,1@g.us"
