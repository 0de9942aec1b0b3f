"""What was uploaded for a message: kept once, whatever becomes of the answer."""

from __future__ import annotations

import pytest

from tests.support.key_peers import Clock, End, once, raising
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import Contention, OutcomeUnknown


@pytest.fixture
def ann(clock: Clock) -> End:
    return End("100@lid", device=3, table=MemoryTable(), clock=clock)


@pytest.mark.parametrize(
    ("hook", "error"),
    [("before", Contention()), ("before", OutcomeUnknown()), ("after", OutcomeUnknown())],
    ids=["contended", "request lost", "answer lost"],
)
def test_a_disturbed_write_is_repeated_and_the_first_decision_stands(
    ann: End, hook: str, error: Exception
) -> None:
    setattr(ann.table, hook, once("put", raising(error)))
    ann.keys.sending.keep_upload("message#1", b"first")
    assert not ann.keys.sending.keep_upload("message#1", b"second")
    assert ann.keys.sending.read_upload("message#1") == b"first"
