"""Secrets of received messages: sealed, found again by author and message only, and kept for three days."""

from __future__ import annotations

import pytest

from tests.support.key_peers import Clock, End, once, raising
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown
from tocsin.dynamo.writes import Update

SECRET = bytes(range(32))


@pytest.fixture
def ann(clock: Clock) -> End:
    return End("100@lid", device=3, table=MemoryTable(), clock=clock)


def test_it_is_found_by_its_author_and_message_alone(ann: End) -> None:
    ann.keys.receiving.keep_secret("200@lid", "M#1", SECRET)
    assert ann.keys.receiving.secret_of("200@lid", "M#1") == SECRET
    assert ann.keys.receiving.secret_of("200@lid", "M") is None
    assert ann.keys.receiving.secret_of("300@lid", "M#1") is None


def test_it_lies_sealed_and_dies_by_itself(ann: End) -> None:
    ann.keys.receiving.keep_secret("200@lid", "M1", SECRET)
    item = ann.table.get(("secret#main#200@lid", "M1"))
    assert item is not None
    assert SECRET not in item["secret"]  # type: ignore[operator]
    assert item["expire_at"] == int(ann.clock()) + 3 * 86400


def test_another_message_s_record_in_its_place_is_refused(ann: End) -> None:
    ann.keys.receiving.keep_secret("200@lid", "M1", SECRET)
    ann.keys.receiving.keep_secret("200@lid", "M2", bytes(32))
    pk = "secret#main#200@lid"
    other = ann.table.get((pk, "M1"))
    assert other is not None
    ann.table.update(Update((pk, "M2"), set={"secret": other["secret"]}))
    assert ann.keys.receiving.secret_of("200@lid", "M2") is None
    assert [damage.attribute for damage in ann.damages] == ["secret"]


@pytest.mark.parametrize("error", [Contention(), OutcomeUnknown()])
def test_a_disturbed_write_is_repeated(ann: End, error: Exception) -> None:
    ann.table.before = once("put", raising(error))  # type: ignore[attr-defined]
    ann.keys.receiving.keep_secret("200@lid", "M1", SECRET)
    assert ann.keys.receiving.secret_of("200@lid", "M1") == SECRET
