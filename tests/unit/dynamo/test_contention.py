"""What is contended is asked for again, in pauses that grow, for a second."""

from __future__ import annotations

import itertools

import pytest

from tocsin.dynamo.contention import pauses, repeated
from tocsin.dynamo.errors import Contention, OutcomeUnknown, TableError
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.patient_table import PatientTable
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Delete, Item, Put, Update

KEY = ("notification#1", "state")


def most(count: int) -> bytes:
    return b"\xff" * count


class Busy:
    """Fails as it is told, then answers."""

    def __init__(self, *failures: TableError) -> None:
        self.failures = list(failures)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def test_pauses_double_up_to_80_ms_and_end_after_a_second() -> None:
    waits = list(pauses(most))
    assert [round(wait * 1000) for wait in waits[:6]] == [5, 10, 20, 40, 80, 80]
    assert 1 <= sum(waits) < 1.1


def test_a_pause_is_never_nothing() -> None:
    assert min(itertools.islice(pauses(bytes), 5)) > 0


def test_contention_is_waited_out() -> None:
    busy, slept = Busy(Contention(), Contention()), list[float]()
    assert repeated(busy, random=most, sleep=slept.append) == "done"
    assert (busy.asked, len(slept)) == (3, 2)


def test_after_a_second_the_last_refusal_is_raised() -> None:
    with pytest.raises(Contention, match="number 99"):
        repeated(Endless(), random=most, sleep=lambda _: None)


class Endless:
    def __call__(self) -> None:
        raise Contention("number 99")


def test_a_lost_answer_is_no_contention() -> None:
    busy = Busy(OutcomeUnknown())
    with pytest.raises(OutcomeUnknown):
        repeated(busy, random=most, sleep=lambda _: None)
    assert busy.asked == 1


@pytest.mark.parametrize("operation", ["put", "update", "delete", "transact"])
def test_every_write_of_a_patient_table_is_repeated(operation: str) -> None:
    table = Contended(times=3)
    patient = PatientTable(table, random=most, sleep=lambda _: None)
    requests = {
        "put": lambda: patient.put(Put(KEY, {"n": 1})),
        "update": lambda: patient.update(Update(KEY, set={"n": 1})),
        "delete": lambda: patient.delete(Delete(KEY)),
        "transact": lambda: patient.transact([Put(KEY, {"n": 1})], "token"),
    }
    requests[operation]()
    assert table.asked == 4
    assert (table.get(KEY) is None) is (operation == "delete")


class Contended(MemoryTable):
    """In use by others for some requests."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times
        self.asked = 0

    def _busy(self) -> None:
        self.asked += 1
        if self.asked <= self._times:
            raise Contention

    def _single(self, write: Put | Update | Delete) -> Item:
        self._busy()
        return super()._single(write)

    def transact(self, writes, token):  # type: ignore[no-untyped-def]
        self._busy()
        super().transact(writes, token)


class Throttled:
    """A client that leaves all keys of a batch unread some times."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals
        self.asked = 0

    def batch_get_item(self, RequestItems):  # type: ignore[no-untyped-def]
        self.asked += 1
        if self.asked <= self._refusals:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        return {"Responses": {"keys": [{"pk": {"S": KEY[0]}, "sk": {"S": KEY[1]}}]}}


def test_unread_keys_are_read_again() -> None:
    client = Throttled(3)
    table = DynamoTable(client, "keys", random=most, sleep=lambda _: None)
    assert set(table.get_many([KEY])) == {KEY}
    assert client.asked == 4


def test_a_table_that_never_answers_is_an_error_and_no_empty_answer() -> None:
    table = DynamoTable(Throttled(99), "keys", random=most, sleep=lambda _: None)
    with pytest.raises(Contention, match="1 keys stayed unread"):
        table.get_many([KEY])
