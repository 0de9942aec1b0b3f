"""A source's record: as it is written today it is read for ever, and what is none gives nobody a right."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.door.sources import (
    SECRET_BYTES,
    DamagedSource,
    Source,
    hash_of,
    name_in,
    new_token,
    problems_of,
    source_of,
)

TODAY: dict[str, Any] = {
    "pk": "sources",
    "sk": "billing",
    "kind": "evolution",
    "accounts": ["default", "billing"],
    "language": "id",
    "audiences": ["customer"],
    "recipients": ["+62812", "120363000000000000@g.us"],
    "per_minute": 60,
    "paused": True,
    "created_at": 1_796_000_000_000,
    "hash": "ab" * 32,
    "former_hash": "cd" * 32,
    "former_until": 1_796_000_000_001,
    "options": {"sensitive": "on"},
}


def test_a_record_as_it_is_written_today_is_read() -> None:
    source = source_of("billing", TODAY)
    assert source == Source(
        "billing",
        "evolution",
        ("default", "billing"),
        "id",
        ("customer",),
        ("+62812", "120363000000000000@g.us"),
        60,
        True,
        1_796_000_000_000,
        "ab" * 32,
        "cd" * 32,
        1_796_000_000_001,
        options={"sensitive": "on"},
    )
    assert source.item().items() <= TODAY.items()


def test_what_a_later_release_adds_is_left_alone() -> None:
    assert source_of("billing", {**TODAY, "later": {"deep": [1]}}) == source_of("billing", TODAY)


def test_what_is_missing_has_its_default() -> None:
    source = source_of("billing", {"kind": "api", "accounts": ["default"]})
    assert (source.per_minute, source.paused, source.audiences, source.recipients) == (600, False, (), ())
    assert not source.is_called_with("billing.", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""},
        {"kind": 1},
        {"accounts": []},
        {"accounts": "default"},
        {"accounts": [1]},
        {"recipients": "+62"},
        {"audiences": {"customer": True}},
        {"per_minute": "60"},
        {"per_minute": True},
        {"paused": 0},
        {"hash": b"x"},
        {"options": []},
    ],
)
def test_a_record_that_nobody_can_have_written_is_no_source(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedSource):
        source_of("billing", {**TODAY, **changes})


def test_a_record_without_its_keys_does_not_show_its_secrets() -> None:
    shown = repr(source_of("billing", {**TODAY, "secret": b"sealed"}))
    assert "abab" not in shown
    assert "sealed" not in shown


def test_a_token_leads_to_its_source_and_is_made_for_urls_and_headers() -> None:
    token = new_token("billing-2", bytes(range(256 - SECRET_BYTES, 256)))
    assert name_in(token) == "billing-2"
    assert len(token) == len("billing-2.") + 43
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "A.b", "a b.c", "a/b.c", "a" * 33 + ".b", "é.b"])
def test_what_is_no_token_leads_nowhere(text: str) -> None:
    assert name_in(text) is None


def test_half_a_surrogate_in_a_key_is_a_wrong_key_and_no_error() -> None:
    source = Source("billing", "api", ("default",), hash=hash_of("billing.x"))
    assert not source.is_called_with("billing.\ud800", 0)


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "a" * 33, "a.b"])
def test_a_name_that_a_token_could_not_hold_is_refused(name: str) -> None:
    assert list(problems_of(Source(name, "api", ("default",))))
