"""A code to scan or to type lives as long as its connection. What died is not shown, whatever ended it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.support.passkey_world import OWNER, World, passkey_world
from tocsin.accounts.operator_requests import Control
from tocsin.accounts.state import AccountState
from tocsin.connector import pairing
from tocsin_whatsapp_server.stanzas import stream_error


def cut(world: World) -> None:
    """The network fails."""
    board = world.server.switchboard
    board.inject(board.faults.make({"kind": "drop-linking"}))


def withdrawn(world: World) -> None:
    """WhatsApp closes the stream, as it does for a restart."""
    for link in tuple(world.server.switchboard.unlinked):
        link.end(stream_error(503))


ENDS: dict[str, Callable[[World], None]] = {"cut": cut, "ended by the server": withdrawn}


@pytest.mark.parametrize("phone", [None, OWNER], ids=["qr", "typed"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_code_goes_with_its_connection_and_a_living_one_follows(
    phone: str | None, end: Callable[[World], None]
) -> None:
    async def body() -> None:
        async with (
            asyncio.timeout(60),
            passkey_world(gated=False) as world,
            world.pairing(phone=phone) as linking,
        ):
            dead = code(await world.sees(code))
            end(world)
            gone = await world.sees(lambda seen: code(seen) != dead)
            assert code(gone) is None
            assert gone.state == AccountState.PAIRING
            assert "lost" in gone.message
            living = code(await world.sees(code))
            assert living not in (None, dead)
            if phone is None:
                await world.server.link(OWNER, str(living))
            else:
                await world.server.link_by_code(OWNER, str(living))
            assert await linking

    asyncio.run(body())


def test_no_server_can_keep_an_operator_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for one passkey after another; the attempt ends all the same."""
    monkeypatch.setattr(pairing, "LONGEST_SECONDS", 0.5)

    async def body() -> None:
        async with asyncio.timeout(60), passkey_world() as world, world.pairing() as linking:
            await world.scans()
            await world.sees(lambda seen: seen.passkey)
            assert not await linking
            assert world.control().state == AccountState.UNPAIRED

    asyncio.run(body())


def code(control: Control) -> str | None:
    return control.pairing_code or control.qr
