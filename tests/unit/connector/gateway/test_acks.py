"""Handing a message over once, however often a Lambda asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tocsin.connector.gateway.acks import REMEMBERED, Acks
from tocsin.whatsapp.node import Node


class Socket:
    """Counts what goes out; acks when a test says so."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.acks: dict[str, asyncio.Future[Node]] = {}

    def hand_over(self, name: str) -> Callable[[], Awaitable[Node]]:
        async def send() -> Node:
            self.sent.append(name)
            self.acks[name] = asyncio.get_running_loop().create_future()
            return await self.acks[name]

        return send


def ack(name: str) -> Node:
    return Node("ack", {"id": name})


async def test_a_repeat_in_flight_waits_for_the_first_ones_ack() -> None:
    socket, acks = Socket(), Acks()
    first = asyncio.create_task(acks.handed_over(b"same", socket.hand_over("a")))
    second = asyncio.create_task(acks.handed_over(b"same", socket.hand_over("b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    socket.acks["a"].set_result(ack("M"))
    assert await first == await second == ack("M")
    assert socket.sent == ["a"]


async def test_a_repeat_after_the_ack_is_given_it_again() -> None:
    socket, acks = Socket(), Acks()
    first = asyncio.create_task(acks.handed_over(b"same", socket.hand_over("a")))
    await asyncio.sleep(0.001)
    socket.acks["a"].set_result(ack("M"))
    await first
    assert await acks.handed_over(b"same", socket.hand_over("b")) == ack("M")
    assert socket.sent == ["a"]


async def test_another_ciphertext_under_the_same_id_goes_out_without_waiting_for_the_first_ones_ack() -> None:
    """Its sender was killed, and the ack may be lost."""
    socket, acks = Socket(), Acks()
    first = asyncio.create_task(acks.handed_over(b"one", socket.hand_over("a")))
    second = asyncio.create_task(acks.handed_over(b"two", socket.hand_over("b")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert socket.sent == ["a", "b"]
    socket.acks["b"].set_result(ack("second"))
    assert await second == ack("second")
    socket.acks["a"].set_result(ack("first"))
    assert await first == ack("first")


async def test_a_message_goes_on_when_its_caller_is_gone() -> None:
    socket, acks = Socket(), Acks()
    first = asyncio.create_task(acks.handed_over(b"same", socket.hand_over("a")))
    await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.sleep(0.001)
    socket.acks["a"].set_result(ack("M"))
    assert await acks.handed_over(b"same", socket.hand_over("b")) == ack("M")
    assert socket.sent == ["a"]


async def test_what_failed_is_sent_again_when_asked_again() -> None:
    socket, acks = Socket(), Acks()

    async def lost() -> Node:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await acks.handed_over(b"same", lost)
    again = asyncio.create_task(acks.handed_over(b"same", socket.hand_over("b")))
    await asyncio.sleep(0.001)
    socket.acks["b"].set_result(ack("M"))
    assert await again == ack("M")


async def test_only_so_many_acks_are_remembered() -> None:
    acks = Acks()
    sent = 0

    async def send() -> Node:
        nonlocal sent
        sent += 1
        return ack("x")

    for number in range(REMEMBERED + 1):
        await acks.handed_over(b"%d" % number, send)
    await acks.handed_over(b"0", send)
    assert sent == REMEMBERED + 2
