"""From socket to queue: acknowledged only once stored, in order per sender, whatever the queue does."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tocsin.connector.forwarding.forwarder import Counters, Forwarder, QueueGone, delays
from tocsin.connector.forwarding.room import Room
from tocsin.connector.forwarding.stanza import Origin, Packed
from tocsin.connector.forwarding.stanza_queue import StanzaQueue
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

ORIGIN = Origin("default", incarnation=1, epoch=1)


def message(sender: str, name: str, size: int = 10) -> Node:
    body = Node("enc", {"type": "msg"}, os.urandom(size))
    return Node("message", {"from": JID.parse(f"{sender}@lid"), "id": name}, (body,))


@dataclass
class Queue:
    """A queue that a test makes fail: `failures` are used up one a request (an exception, or refusals)."""

    failures: list[Exception | Mapping[int, bool]] = field(default_factory=list)
    requests: list[list[Packed]] = field(default_factory=list)
    stored: list[Packed] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        await self.gate.wait()
        self.requests.append(list(messages))
        failure = self.failures.pop(0) if self.failures else {}
        if isinstance(failure, Exception):
            raise failure
        self.stored += [each for at, each in enumerate(messages) if at not in failure]
        return failure


class Acked(list[str]):
    def callback(self, name: str) -> Callable[[], None]:
        return lambda: self.append(name)


@asynccontextmanager
async def forwarding(
    send: Callable[[Sequence[Packed]], Awaitable[Mapping[int, bool]]], **limits: int
) -> AsyncIterator[Forwarder]:
    async def no_time(seconds: float) -> None:
        await asyncio.sleep(0)

    forwarder = Forwarder(send, Counters(), sleep=no_time, room=Room(**limits))
    running = asyncio.create_task(forwarder.run())
    try:
        async with asyncio.timeout(60):
            yield forwarder
    finally:
        running.cancel()


def offer(forwarder: Forwarder, node: Node, acked: Acked) -> bool:
    return forwarder.offer(node, ORIGIN, 0, acked.callback(str(node.attrs["id"])))


async def test_nothing_is_acknowledged_before_the_queue_has_it() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send) as forwarder:
        offer(forwarder, message("1", "A"), acked)
        await asyncio.sleep(0.01)
        assert acked == []
        queue.gate.set()
        await forwarder.drained()
        assert acked == ["A"]


async def test_while_the_queue_is_away_nothing_is_lost_and_nothing_acknowledged() -> None:
    queue, acked = Queue(failures=[OSError("no route")] * 12), Acked()
    queue.gate.set()
    async with forwarding(queue.send) as forwarder:
        for number in range(30):
            offer(forwarder, message(str(number % 5), str(number)), acked)
        await forwarder.drained()
    assert sorted(acked, key=int) == [str(number) for number in range(30)]
    assert len(queue.stored) == 30


async def test_each_senders_order_holds_through_every_refusal() -> None:
    failures: list[Exception | Mapping[int, bool]] = [{0: True}, OSError(), {1: True, 2: True}, {0: True}]
    queue, acked = Queue(failures), Acked()
    queue.gate.set()
    async with forwarding(queue.send) as forwarder:
        for number in range(40):
            offer(forwarder, message(f"{number % 4}", f"{number:02}"), acked)
        await forwarder.drained()
    for sender in range(4):
        of_sender = [name for name in acked if int(name) % 4 == sender]
        assert of_sender == sorted(of_sender)
    assert len(acked) == 40


async def test_one_request_never_carries_two_stanzas_of_one_sender() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send) as forwarder:
        for number in range(24):
            offer(forwarder, message(f"{number % 3}", str(number)), acked)
        queue.gate.set()
        await forwarder.drained()
    for request in queue.requests:
        groups = [each.group for each in request]
        assert len(set(groups)) == len(groups)


async def test_a_request_stays_within_the_queues_limits() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send) as forwarder:
        for number in range(30):
            offer(forwarder, message(str(number), str(number), size=60_000), acked)
        queue.gate.set()
        await forwarder.drained()
    assert max(sum(len(each.body) for each in request) for request in queue.requests) <= 256 * 1024
    assert max(len(request) for request in queue.requests) <= 10


async def test_a_stanza_too_large_for_the_queue_is_acknowledged_and_counted() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send) as forwarder:
        assert offer(forwarder, message("1", "huge", size=300_000), acked)
        assert acked == ["huge"]
        assert forwarder.waiting == 0


async def test_what_sqs_can_never_take_is_acknowledged_lest_it_blocks_its_sender() -> None:
    queue, acked = Queue(failures=[{0: False}]), Acked()
    queue.gate.set()
    async with forwarding(queue.send) as forwarder:
        offer(forwarder, message("1", "A"), acked)
        offer(forwarder, message("1", "B"), acked)
        await forwarder.drained()
    assert acked == ["A", "B"]
    assert len(queue.stored) == 1


async def test_a_full_forwarder_takes_no_more() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send, max_waiting=2) as forwarder:
        assert [offer(forwarder, message("1", name), acked) for name in "ABC"] == [True, True, False]
    async with forwarding(queue.send, max_bytes=1000) as forwarder:
        assert not offer(forwarder, message("1", "A", size=1000), acked)


async def test_a_lost_socket_forgets_what_waits_but_not_what_is_under_way() -> None:
    queue, acked = Queue(), Acked()
    async with forwarding(queue.send) as forwarder:
        for name in "ABC":
            offer(forwarder, message("1", name), acked)
        await asyncio.sleep(0.01)  # A is under way
        forwarder.forget()
        offer(forwarder, message("1", "D"), acked)
        queue.gate.set()
        await forwarder.drained()
    assert acked == ["A", "D"]


def test_waits_grow_to_twenty_seconds_with_jitter() -> None:
    longest = list(islice(delays(jitter=lambda: 1.0), 9))
    shortest = list(islice(delays(jitter=lambda: 0.0), 9))
    assert longest == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0]
    assert shortest == [each / 2 for each in longest]


# The queue itself


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("sqs", "eu-central-1")
        yield client, client.create_queue(QueueName="s.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]


def received(client: Any, url: str) -> list[dict[str, Any]]:
    messages = client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    )
    return [json.loads(each["Body"]) for each in messages.get("Messages", [])]


async def test_a_stanza_delivered_twice_lies_in_the_queue_once(sqs: tuple[Any, str]) -> None:
    client, url = sqs
    acked = Acked()
    with ThreadPoolExecutor(1) as threads:
        async with forwarding(StanzaQueue(client, url, threads).send) as forwarder:
            node = message("1", "A")
            offer(forwarder, node, acked)
            await forwarder.drained()
            offer(forwarder, Node(node.tag, {**node.attrs, "offline": "1"}, node.content), acked)
            await forwarder.drained()
    assert acked == ["A", "A"]
    assert len(received(client, url)) == 1


async def test_a_refusal_of_sqs_says_whether_trying_again_can_help() -> None:
    class Refusing:
        def send_message_batch(self, **request: Any) -> dict[str, Any]:
            return {
                "Failed": [
                    {"Id": "0", "SenderFault": True, "Code": "InvalidMessageContents"},
                    {"Id": "1", "SenderFault": True, "Code": "KmsAccessDenied"},
                    {"Id": "2", "SenderFault": False, "Code": "InternalError"},
                ]
            }

    messages = [Packed("{}", "g", str(number)) for number in range(4)]
    with ThreadPoolExecutor(1) as threads:
        refused = await StanzaQueue(Refusing(), "url", threads).send(messages)
    assert refused == {0: False, 1: True, 2: True}


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"])
async def test_a_queue_that_is_deleted_is_told_from_one_that_is_away(code: str) -> None:
    class Deleted:
        def send_message_batch(self, **request: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": code, "Message": "no such queue"}}, "SendMessageBatch")

    with ThreadPoolExecutor(1) as threads, pytest.raises(QueueGone, match="url"):
        await StanzaQueue(Deleted(), "url", threads).send([Packed("{}", "g", "1")])


async def test_a_lane_whose_request_was_cut_short_goes_on_with_what_comes_later() -> None:
    """The account left this process in the middle of a request, and came back."""
    queue, acked, room = Queue(), Acked(), Room()
    forwarder = Forwarder(queue.send, Counters(), room=room)
    running = asyncio.create_task(forwarder.run())
    offer(forwarder, message("1", "A"), acked)
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert room.waiting == 0
    queue.gate.set()
    again = asyncio.create_task(forwarder.run())
    offer(forwarder, message("1", "A"), acked)
    async with asyncio.timeout(60):
        await forwarder.drained()
    again.cancel()
    assert acked == ["A"]
