"""One transport, several threads: what an invocation with several lanes does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any

import pytest

from tests.support.fake_whatsapp import Person
from tests.support.paired_account import ACCOUNT, OWN_LID, PairedAccount
from tocsin import aws
from tocsin.bootstrap.later import Later
from tocsin.keys.chain import CHECKPOINT_DISTANCE
from tocsin.notify.content import Text
from tocsin.notify.transport import Outgoing, Sent
from tocsin.tables.keys import outbound_key
from tocsin.whatsapp.node import Node

LANES = 6


class Meeting:
    """The network, but no message goes on before all lanes have one on its way."""

    def __init__(self, paired: PairedAccount, lanes: int = LANES) -> None:
        self.barrier = Barrier(lanes)
        self._network, self._lock = paired.network, Lock()
        self._send = paired.network.send_message
        paired.network.send_message = self.send_message  # type: ignore[method-assign]

    def send_message(self, *args: Any, **how: Any) -> Node:
        self.barrier.wait(60)
        with self._lock:
            return self._send(*args, **how)


@pytest.fixture
def paired() -> PairedAccount:
    return PairedAccount()


def people(paired: PairedAccount) -> list[Person]:
    return [paired.network.person(f"62812345{n:05}", f"77{n}", devices=2) for n in range(LANES)]


def tell(paired: PairedAccount, person: Person, number: int) -> Sent:
    known = paired.keys.contacts.address_item(str(person.pn))
    address = paired.transport.address_of(ACCOUNT, person.phone, known)
    notification = f"{number:04x}{person.phone:0>14}"
    return paired.transport.send(
        Outgoing(ACCOUNT, person.phone, notification, Text(f"Tiket {number} of {person.phone}"), address)
    )


def at_once(work: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(work)) as threads:
        return [one.result() for one in [threads.submit(each) for each in work]]


def test_messages_at_once_take_a_number_each_and_reach_whom_they_are_for(paired: PairedAccount) -> None:
    crowd = people(paired)
    for person in crowd:
        tell(paired, person, 0)
    Meeting(paired)
    sent = at_once([lambda person=person: tell(paired, person, 1) for person in crowd])  # type: ignore[misc]
    assert len({one.numbers[f"{OWN_LID}@lid"] for one in sent}) == LANES
    assert paired.network.keys_used_twice() == []
    for person in crowd:
        told = [text for device in person.devices.values() for _, text in device.shown if "Tiket 1" in text]
        assert told == [f"Tiket 1 of {person.phone}"] * 2


def test_an_order_that_two_runs_have_at_the_same_time_is_one_message(paired: PairedAccount) -> None:
    """It came back from the queue while it was still being sent."""
    [person, *_] = people(paired)
    tell(paired, person, 0)
    Meeting(paired, lanes=2)
    first, second = at_once([lambda: tell(paired, person, 1)] * 2)
    assert first.message_id == second.message_id
    assert first.numbers != second.numbers
    assert paired.network.keys_used_twice() == []
    told = [text for device in person.devices.values() for _, text in device.shown if "Tiket 1" in text]
    assert told == [f"Tiket 1 of {person.phone}"] * 2


def test_each_message_settles_what_is_its_own(paired: PairedAccount) -> None:
    """A list on the transport, cleared by whoever sends next, would lose the checkpoints of others."""
    crowd = people(paired)
    for number in range(CHECKPOINT_DISTANCE):
        for person in crowd:
            tell(paired, person, number)
    before = [outbound(paired, person) for person in crowd]
    Meeting(paired)
    sent = at_once([lambda person=person: tell(paired, person, 99) for person in crowd])  # type: ignore[misc]
    for one in reversed(sent):
        one.settle()
    moved = [outbound(paired, person) != chains for person, chains in zip(crowd, before, strict=True)]
    assert moved == [True] * LANES


def outbound(paired: PairedAccount, person: Person) -> dict[str, Any]:
    """The chains of a person, without the counter."""
    item = paired.table.get(outbound_key(ACCOUNT, paired.profile.incarnation, str(person.user)))
    assert item is not None
    return {name: value for name, value in item.items() if name.startswith("chain#")}


def test_a_client_that_is_made_when_it_is_first_used_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    meeting = Barrier(LANES)

    def client(service: str) -> Any:
        made.append(service)
        return type("Client", (), {"send_message": staticmethod(lambda: None)})

    monkeypatch.setattr(aws, "client", client)
    later = Later("sqs")

    def use() -> None:
        meeting.wait(60)
        later.send_message()

    at_once([use] * LANES)
    assert made == ["sqs"]
