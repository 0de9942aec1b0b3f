"""The phone is lost, or WhatsApp on it was installed anew; and two operators who link at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.passkey_world import OWNER, World, passkey_world
from tocsin.accounts.state import AccountState
from tocsin.connector.login import device_keys
from tocsin.connector.socket import open_line
from tocsin.whatsapp.events import LoggedIn, StreamEnded


def in_world(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def body() -> None:
            async with asyncio.timeout(60), passkey_world(gated=False) as world:
                await test(world)

        asyncio.run(body())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def links(world: World) -> None:
    async with world.pairing() as pairing:
        await world.scans()
        assert await pairing


async def logs_in(world: World) -> Any:
    """How a login with the stored keys ends: `LoggedIn`, or the reaction to its end."""
    connection = world.context.connection(device_keys(world.keys().account.credentials()))
    line = await open_line(world.server.url, connection, time.time)
    carrying = asyncio.ensure_future(line.run(lambda: True))
    try:
        while True:
            event = await line.next_event()
            if isinstance(event, LoggedIn):
                return event
            if isinstance(event, StreamEnded):
                return event.reaction
    finally:
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        await line.close()


@in_world
async def test_a_phone_that_is_away_keeps_nobody_from_sending(world: World) -> None:
    """Lost, switched off, or without a network: WhatsApp needs it for the linking alone."""
    await links(world)
    world.server.phone(OWNER).go_offline()
    assert isinstance(await logs_in(world), LoggedIn)


@in_world
async def test_a_phone_installed_anew_logs_the_account_out_and_it_is_linked_again(world: World) -> None:
    await links(world)
    before = world.keys().account.credentials()
    world.server.phone(OWNER).reinstall()

    ended = await logs_in(world)
    assert (ended.state, ended.wipe) == ("logged_out", True)

    # As the connector does then: void keys must not log in again.
    world.keys().account.renew()
    await links(world)
    after = world.keys().account.credentials()
    assert after.jid is not None
    assert after.jid.startswith(OWNER)
    assert after.incarnation > before.incarnation
    assert after.identity != before.identity
    linked = world.control().linked
    assert linked is not None
    assert linked.before == linked.number == OWNER  # no new number: nobody needs to be told of one
    assert isinstance(await logs_in(world), LoggedIn)


# -- two operators: what they see is in tests/unit/console/test_two_operators.py -------------------------


@in_world
async def test_a_newer_request_ends_the_older_code_and_one_phone_is_linked_once(world: World) -> None:
    async with world.pairing():
        old = (await world.sees(lambda seen: seen.qr)).qr
    async with world.pairing() as pairing:
        await world.sees(lambda seen: seen.qr and seen.qr != old)
        await world.scans()
        assert await pairing
    assert world.control().state == AccountState.CONNECTING
    assert len(world.server.phone(OWNER).account.devices) == 2
