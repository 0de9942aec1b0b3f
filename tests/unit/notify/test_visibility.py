"""What a run has in hand: hidden for seconds at a time, for as long as the run lasts."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Semaphore
from typing import Any

import pytest

from tests.support.templates import template
from tocsin import aws
from tocsin.notify import visibility
from tocsin.notify.lanes import Record
from tocsin.notify.visibility import BEAT_SECONDS, HIDDEN_SECONDS, JOIN_SECONDS, SUSPECT_RECEIVES, hidden

QUEUE = "https://sqs.example/stanzas.fifo"
NEVER = 3600.0


def record(name: str, receives: int = 1) -> Record:
    return Record(name, f"handle-{name}", "{}", name, receives)


@dataclass
class Sqs:
    """Notes each request. `refused`: handles that aren't in flight any more; `faulty`: those of which SQS
    says that it failed itself; `fails`: how many requests get no answer; `takes`: seconds that each one
    takes; `blocked`: requests are answered once this is set."""

    refused: set[str] = field(default_factory=set)
    faulty: set[str] = field(default_factory=set)
    fails: int = 0
    takes: float = 0.0
    now: float = 0.0
    blocked: Event | None = None
    requests: list[dict[str, int]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    begun: Semaphore = field(default_factory=lambda: Semaphore(0))

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:
        assert QueueUrl == QUEUE
        self.requests.append({one["ReceiptHandle"]: one["VisibilityTimeout"] for one in Entries})
        self.happened.append("asked")
        self.now += self.takes
        self.begun.release()
        if self.blocked is not None:
            assert self.blocked.wait(30)
        if self.fails:
            self.fails -= 1
            raise ConnectionError("no answer")
        self.happened.append("answered")
        gone = [one["Id"] for one in Entries if one["ReceiptHandle"] in self.refused]
        own = [one["Id"] for one in Entries if one["ReceiptHandle"] in self.faulty]
        return {
            "Failed": [{"Id": name, "Code": "MessageNotInflight", "SenderFault": True} for name in gone]
            + [{"Id": name, "Code": "InternalError", "SenderFault": False} for name in own]
        }

    def beats(self, number: int) -> None:
        """Return after so many more requests."""
        for _ in range(number):
            assert self.begun.acquire(timeout=30)


def test_what_a_run_has_in_hand_is_hidden_for_seconds_from_its_beginning() -> None:
    sqs = Sqs()
    with hidden(sqs, QUEUE, [record("a"), record("b")], beat=NEVER):
        sqs.beats(1)
    assert sqs.requests == [{"handle-a": HIDDEN_SECONDS, "handle-b": HIDDEN_SECONDS}]


def test_it_stays_hidden_while_the_run_lasts() -> None:
    sqs = Sqs()
    with hidden(sqs, QUEUE, [record("a")], beat=0.001):
        sqs.beats(4)
    assert set(map(str, sqs.requests)) == {str({"handle-a": HIDDEN_SECONDS})}


def test_one_beat_may_be_lost_and_the_next_one_take_as_long_as_its_client_waits() -> None:
    assert aws.HEARTBEAT.tries == 1
    lost, late = BEAT_SECONDS, BEAT_SECONDS + aws.HEARTBEAT.read_seconds
    assert lost + late <= HIDDEN_SECONDS


def test_a_beat_that_gets_no_answer_doesn_t_put_off_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin of the one that waits from beat to beat: this one would wait for an hour."""
    sqs = Sqs(takes=NEVER)
    monkeypatch.setattr(visibility, "monotonic", lambda: sqs.now)
    with hidden(sqs, QUEUE, [record("a")], beat=NEVER):
        sqs.beats(3)


def test_a_client_that_never_gives_up_holds_up_no_run_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(visibility, "JOIN_SECONDS", 0.01)
    sqs = Sqs(blocked=Event())
    with caplog.at_level(logging.WARNING), hidden(sqs, QUEUE, [record("a")], beat=NEVER):
        sqs.beats(1)
    assert "a beat is still under way" in caplog.text
    assert sqs.blocked is not None
    sqs.blocked.set()


def test_a_run_waits_for_a_beat_for_as_long_as_its_client_does() -> None:
    assert aws.HEARTBEAT.connect_seconds + aws.HEARTBEAT.read_seconds < JOIN_SECONDS


def test_a_short_run_costs_no_request_where_that_is_asked() -> None:
    sqs = Sqs()
    with hidden(sqs, QUEUE, [record("a")], after=NEVER):
        pass
    assert sqs.requests == []


def test_when_the_run_is_over_no_request_is_under_way_that_could_hide_what_is_given_back() -> None:
    sqs = Sqs(blocked=Event())
    with hidden(sqs, QUEUE, [record("a")], beat=NEVER):
        sqs.beats(1)
        assert sqs.blocked is not None
        sqs.blocked.set()
    sqs.happened.append("given back")
    assert sqs.happened == ["asked", "answered", "given back"]


def test_a_run_that_raises_beats_no_longer() -> None:
    with suppress(ZeroDivisionError), hidden(Sqs(), QUEUE, [record("a")], beat=0.001):
        raise ZeroDivisionError
    assert "visibility" not in [thread.name for thread in threading.enumerate()]


def test_what_the_queue_brought_often_stays_hidden_for_the_queue_s_own_time() -> None:
    """Else what kills would kill every few seconds."""
    sqs = Sqs()
    with hidden(sqs, QUEUE, [record("a", SUSPECT_RECEIVES), record("b", SUSPECT_RECEIVES - 1)], beat=NEVER):
        sqs.beats(1)
    assert sqs.requests == [{"handle-b": HIDDEN_SECONDS}]


def test_a_run_of_suspects_alone_asks_nothing() -> None:
    sqs = Sqs()
    with hidden(sqs, QUEUE, [record("a", SUSPECT_RECEIVES)], beat=0.0):
        pass
    assert sqs.requests == []


def test_what_is_not_ours_any_more_is_left_alone() -> None:
    sqs = Sqs(refused={"handle-a"})
    with hidden(sqs, QUEUE, [record("a"), record("b")], beat=0.001):
        sqs.beats(3)
    assert sqs.requests[1:3] == [{"handle-b": HIDDEN_SECONDS}] * 2


def test_what_sqs_itself_failed_at_is_asked_for_again() -> None:
    sqs = Sqs(faulty={"handle-a"})
    with hidden(sqs, QUEUE, [record("a")], beat=0.001):
        sqs.beats(3)
    assert set(map(str, sqs.requests)) == {str({"handle-a": HIDDEN_SECONDS})}


def test_a_beat_that_gets_no_answer_is_told_and_the_next_one_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sqs = Sqs(fails=1)
    with caplog.at_level(logging.WARNING), hidden(sqs, QUEUE, [record("a")], beat=0.001):
        sqs.beats(2)
    assert "visibility not renewed" in caplog.text
    assert len(sqs.requests) >= 2


@pytest.mark.parametrize("timing", template()["Mappings"]["Seconds"])
def test_it_is_shorter_than_any_queue_s_own_time(timing: str) -> None:
    seconds = template()["Mappings"]["Seconds"][timing]
    assert all(seconds[f"{stage}Visibility"] > HIDDEN_SECONDS for stage in ("Send", "Receive"))
