"""A look into a queue, in memory and over the wire, takes nothing away and shows each message once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_cloud import memory_cloud, moto_cloud
from tests.support.fake_deployment import FakeDeployment
from tocsin_console.look import Look, depth


@pytest.fixture(params=[memory_cloud, moto_cloud], ids=["memory", "moto"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeDeployment]:
    with request.param() as cloud:
        yield FakeDeployment.on(cloud)


@pytest.fixture
def look(fake: FakeDeployment) -> Look:
    return Look(fake.deployment.sqs, fake.deployment["DeadLettersQueueUrl"])


def bodies(look: Look) -> list[int]:
    return [json.loads(message["Body"]) for message in look.messages()]


def test_an_empty_queue_shows_nothing(look: Look) -> None:
    with look:
        assert bodies(look) == []


def test_of_one_recipient_only_ten_can_be_seen(fake: FakeDeployment, look: Look) -> None:
    for number in range(12):
        fake.put("DeadLetters", str(number))
    with look:
        assert bodies(look) == list(range(10))


def test_what_stood_behind_comes_when_those_before_are_removed(fake: FakeDeployment, look: Look) -> None:
    for number in range(12):
        fake.put("DeadLetters", str(number))
    seen = []
    with look:
        for message in look.messages():
            seen.append(json.loads(message["Body"]))
            look.remove(message["MessageId"])
    assert seen == list(range(12))
    assert depth(fake.deployment.sqs, fake.deployment["DeadLettersQueueUrl"]) == {
        "messages": 0,
        "in_flight": 0,
    }


def test_after_the_look_everything_is_back_in_its_order(fake: FakeDeployment, look: Look) -> None:
    for number in range(3):
        fake.put("DeadLetters", str(number))
    with look:
        bodies(look)
        assert depth(fake.deployment.sqs, fake.deployment["DeadLettersQueueUrl"])["in_flight"] == 3
    assert fake.taken("DeadLetters") == [0, 1, 2]


def test_a_look_that_fails_gives_back_too(fake: FakeDeployment, look: Look) -> None:
    fake.put("DeadLetters", "1")

    def interrupted() -> None:
        with look:
            next(iter(look.messages()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert fake.taken("DeadLetters") == [1]


def test_a_look_that_comes_round_ends(fake: FakeDeployment, look: Look) -> None:
    """Hidden messages become visible again after a while: a long look would go round for ever."""
    fake.put("TicketEventsDead", "1")
    round_look = Look(fake.deployment.sqs, fake.deployment["TicketEventsDeadQueueUrl"])
    seen = []
    with round_look:
        for message in round_look.messages():
            seen.append(message["Body"])
            fake.deployment.sqs.change_message_visibility(
                QueueUrl=fake.deployment["TicketEventsDeadQueueUrl"],
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )
    assert seen == ["1"]


@pytest.mark.parametrize(("code", "asked"), [("AccessDenied", 1), ("InvalidParameterValue", 3)])
def test_who_may_only_look_is_refused_once_and_keeps_all_of_it(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, code: str, asked: int
) -> None:
    """Twin: a message that came back to others meanwhile says nothing of the next one."""
    for number in range(3):
        fake.put("DeadLetters", str(number))
    requests: list[str] = []

    def refused(**request: str) -> None:
        requests.append(request["ReceiptHandle"])
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "DeleteMessage")

    sqs = fake.deployment.sqs
    monkeypatch.setattr(sqs, "delete_message", refused)
    with Look(sqs, fake.deployment["DeadLettersQueueUrl"]) as look:
        assert [look.discard(message["MessageId"]) for message in look.messages()] == [False] * 3
    assert len(requests) == asked
    monkeypatch.undo()
    assert fake.taken("DeadLetters") == [0, 1, 2]
