"""One `Inbound`, several threads: what an invocation with several senders does, and two invocations with the
same stanza."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any

import pytest

from tests.support.fake_whatsapp import Person, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import replies
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.question_budget import QUESTIONS_PER_HOUR
from tocsin.whatsapp.node import Node

LANES = 6


class Meeting:
    """The network, but nothing goes out by one of its ways before all lanes have something there. What the
    peers do with it they do one after the other."""

    def __init__(self, wired: WiredFunctions, way: str, lanes: int = LANES) -> None:
        self.barrier = Barrier(lanes)
        self.is_over = False
        self._lock = Lock()
        for name in ("send", "send_message", "request"):
            setattr(wired.network, name, self._met(getattr(wired.network, name), name == way))

    def _met(self, call: Callable[..., Any], meets: bool) -> Callable[..., Any]:
        def met(*args: Any, **how: Any) -> Any:
            if meets and not self.is_over:
                self.barrier.wait(60)
            with self._lock:
                return call(*args, **how)

        return met


@pytest.fixture
def wired() -> WiredFunctions:
    return WiredFunctions(MemoryAws())


def crowd(wired: WiredFunctions) -> list[Person]:
    """So many people, each of whom was told one thing."""
    people = [wired.network.person(f"62812345{n:05}", f"77{n}", devices=2) for n in range(LANES)]
    for number, person in enumerate(people):
        tell(wired, person, number)
    return people


def tell(wired: WiredFunctions, person: Person, number: int) -> str:
    siti, wired.siti = wired.siti, person
    try:
        return wired.tell(number + 1).message_id
    finally:
        wired.siti = siti


def at_once(wired: WiredFunctions, stanzas: list[Node]) -> list[Report]:
    bodies = [wired.envelope(stanza) for stanza in stanzas]
    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(wired.inbound.handle, bodies))


def written(people: list[Person]) -> list[Node]:
    """Each writes to us, from their phone."""
    return [
        message_from(person.devices[0], person, f"R{person.phone}", f"balasan {person.phone}")
        for person in people
    ]


def told(wired: WiredFunctions) -> list[tuple[str, str]]:
    """The replies that go on the bus: the message's id and its text."""
    return sorted((reply["message_id"], reply["text"]) for reply in replies(wired))


def expected(people: list[Person]) -> list[tuple[str, str]]:
    return sorted((f"R{person.phone}", f"balasan {person.phone}") for person in people)


def confirmed(wired: WiredFunctions) -> list[str]:
    return sorted(str(node.attrs["id"]) for node in wired.network.written if node.tag == "receipt")


def test_replies_of_several_people_at_once_are_each_told_and_confirmed_once(wired: WiredFunctions) -> None:
    people = crowd(wired)
    Meeting(wired, "send")
    reports = at_once(wired, written(people))
    assert {report.outcome for report in reports} == {"reply"}
    assert told(wired) == expected(people)
    assert confirmed(wired) == [f"R{person.phone}" for person in people]


def test_several_people_s_phones_get_at_once_what_they_could_not_read(wired: WiredFunctions) -> None:
    people = crowd(wired)
    for number, person in enumerate(people):
        person.devices[0].corrupt()
        tell(wired, person, 10 + number)
    retries, wired.network.retries = wired.network.retries, []
    Meeting(wired, "send_message")
    reports = at_once(wired, retries)
    assert {report.outcome for report in reports} == {"resent"}
    assert wired.network.keys_used_twice() == []
    for number, person in enumerate(people):
        assert texts(person.devices[0]) == [f"Tiket {number + 1}", f"Tiket {11 + number}"]


def test_several_people_are_asked_at_once_for_what_we_can_t_read(wired: WiredFunctions) -> None:
    people = crowd(wired)
    stanzas = [garble(stanza) for stanza in written(people)]
    Meeting(wired, "send")
    reports = at_once(wired, stanzas)
    assert {report.outcome for report in reports} == {"asked-again"}
    asked = [node for node in wired.network.written if node.attrs.get("type") == "retry"]
    assert len(asked) == LANES


def garble(stanza: Node) -> Node:
    """With one bit of its ciphertext turned."""
    assert isinstance(stanza.content, tuple)
    enc = stanza.require_child("enc")
    body = bytearray(enc.content)  # type: ignore[arg-type]
    body[len(body) // 2] ^= 1
    return Node(stanza.tag, stanza.attrs, (Node(enc.tag, enc.attrs, bytes(body)),))


def test_a_budget_of_questions_is_one_for_all_threads(wired: WiredFunctions) -> None:
    """So many unreadable messages of one sender as fill the hour's budget, and some more."""
    [person, *_] = crowd(wired)
    device = person.devices[0]
    stanzas = [
        garble(message_from(device, person, f"M{number}", "?")) for number in range(QUESTIONS_PER_HOUR + 10)
    ]
    reports = at_once(wired, stanzas)
    assert [report.outcome for report in reports].count("asked-again") <= QUESTIONS_PER_HOUR
    assert "over-budget" in {report.outcome for report in reports}


def test_a_stanza_that_two_runs_have_at_the_same_time_is_told_once(wired: WiredFunctions) -> None:
    """A message that came back from the queue while it was still being handled."""
    [person, *_] = people = crowd(wired)
    meeting = Meeting(wired, "send", lanes=2)
    [stanza] = written([person])
    at_once(wired, [stanza, stanza])
    assert told(wired) == expected(people[:1])
    after = message_from(person.devices[0], person, "R2", "lagi")
    meeting.is_over = True
    assert wired.receive(after).outcome == "reply", "the session is well"


def test_a_retry_receipt_that_two_runs_have_at_the_same_time_heals_once(wired: WiredFunctions) -> None:
    [person, *_] = crowd(wired)
    person.devices[0].corrupt()
    tell(wired, person, 10)
    [retry] = wired.network.retries
    wired.network.retries = []
    at_once(wired, [retry, retry])
    assert wired.network.keys_used_twice() == []
    assert set(texts(person.devices[0])) == {"Tiket 1", "Tiket 11"}
    tell(wired, person, 11)
    assert texts(person.devices[0])[-1] == "Tiket 12", "the session is well"
