"""A look into a queue takes nothing away and shows each message once."""

from __future__ import annotations

import json

import pytest

from tests.support.fake_deployment import Rig
from tocsin_console.look import Look, depth


@pytest.fixture
def look(rig: Rig) -> Look:
    return Look(rig.deployment.sqs, rig.deployment["DeadLettersQueueUrl"])


def bodies(look: Look) -> list[int]:
    return [json.loads(message["Body"]) for message in look.messages()]


def test_an_empty_queue_shows_nothing(look: Look) -> None:
    with look:
        assert bodies(look) == []


def test_of_one_recipient_only_ten_can_be_seen(rig: Rig, look: Look) -> None:
    for number in range(12):
        rig.put("DeadLetters", str(number))
    with look:
        assert bodies(look) == list(range(10))


def test_what_stood_behind_comes_when_those_before_are_removed(rig: Rig, look: Look) -> None:
    for number in range(12):
        rig.put("DeadLetters", str(number))
    seen = []
    with look:
        for message in look.messages():
            seen.append(json.loads(message["Body"]))
            look.remove(message["MessageId"])
    assert seen == list(range(12))
    assert depth(rig.deployment.sqs, rig.deployment["DeadLettersQueueUrl"]) == {"messages": 0, "in_flight": 0}


def test_after_the_look_everything_is_back_in_its_order(rig: Rig, look: Look) -> None:
    for number in range(3):
        rig.put("DeadLetters", str(number))
    with look:
        bodies(look)
        assert depth(rig.deployment.sqs, rig.deployment["DeadLettersQueueUrl"])["in_flight"] == 3
    assert rig.taken("DeadLetters") == [0, 1, 2]


def test_a_look_that_fails_gives_back_too(rig: Rig, look: Look) -> None:
    rig.put("DeadLetters", "1")

    def interrupted() -> None:
        with look:
            next(iter(look.messages()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert rig.taken("DeadLetters") == [1]


def test_a_look_that_comes_round_ends(rig: Rig, look: Look) -> None:
    """Hidden messages become visible again after a while: a long look would go round for ever."""
    rig.put("TicketEventsDead", "1")
    round_look = Look(rig.deployment.sqs, rig.deployment["TicketEventsDeadQueueUrl"])
    seen = []
    with round_look:
        for message in round_look.messages():
            seen.append(message["Body"])
            rig.deployment.sqs.change_message_visibility(
                QueueUrl=rig.deployment["TicketEventsDeadQueueUrl"],
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )
    assert seen == ["1"]
