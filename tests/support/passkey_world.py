"""One account to be linked: the connector's pairing on a real socket, the local WhatsApp server with phones,
and an operator who sees only what the table shows."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, cast

from tests.support.connector_fakes import Around, HeldLease
from tests.support.leading_keys import GrantedTable
from tocsin.accounts.operator_requests import (
    Asked,
    Control,
    give_passkey_answer,
    read_control,
)
from tocsin.accounts.passkey import CHALLENGED, PasskeyAnswer, PasskeyStep
from tocsin.connector.operator import OperatorRequests, RequestPoller
from tocsin.connector.pairing import Pairer
from tocsin.dynamo.writes import Item, Update
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.signal.curve import key_pair
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.device_keys import DeviceKeys
from tocsin_whatsapp_server.server import WhatsAppServer

OWNER = "6281100000001"


class NoticedTable(GrantedTable):
    """Tells whoever waits that something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def update(self, update: Update) -> Item:
        found = super().update(update)
        self.written.set()
        return found


@dataclass
class Context(Around):
    """As much of the connector as pairing needs."""

    server: Any = None
    accounts: tuple[str, ...] = ("default", "second")

    def __post_init__(self) -> None:
        self.config.whatsapp_url = self.server.url

    def connection(self, keys: DeviceKeys) -> Connection:
        return Connection(keys, Config(root_key=self.server.root_public_key), random=os.urandom)

    def clock(self) -> float:
        return time.time()

    def uniform(self, low: float, high: float) -> float:
        return 0.0

    async def served(self) -> tuple[str, ...]:
        return self.accounts


@dataclass
class World:
    """`shown`: every step that the operator saw, in order."""

    server: WhatsAppServer
    context: Context
    account: str = "default"
    table: NoticedTable = field(default_factory=NoticedTable)
    sealer: Sealer = field(default_factory=lambda: Sealer({"k": bytes(32)}, "k"))
    shown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.table, self.context.sealer = self.table, self.sealer

    def fault(self, what: str) -> None:
        self.server.switchboard.faults.make({"kind": "passkey-fault", "what": what})

    def keys(self, account: str | None = None) -> KeyStore:
        return KeyStore(self.table, self.sealer, account or self.account)

    @asynccontextmanager
    async def pairing(self, account: str | None = None, **asked: Any) -> AsyncIterator[asyncio.Task[bool]]:
        """The connector carries out the operator's request."""
        self.account = account or self.account
        self.keys().account.create()
        context = cast("Any", self.context)
        requests = OperatorRequests(
            context.aws, self.table, self.sealer, self.account, RequestPoller(context.aws, self.table)
        )
        pairer = Pairer(
            context,
            self.keys(),
            cast("Any", HeldLease(account=self.account)),
            requests,
            Asked("pair", int(time.time()), **asked),
        )
        task = asyncio.create_task(pairer.run(self.keys().account.credentials()))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # The operator

    def control(self) -> Control:
        return read_control(self.table, self.account, self.sealer)

    async def sees(self, found: Callable[[Control], Any], what: str = "") -> Control:
        """What the table shows, as soon as it is what is waited for."""
        async with asyncio.timeout(60):
            self.table.written.set()
            while True:
                await self.table.written.wait()
                self.table.written.clear()
                if found(control := self.control()):
                    return control

    async def sees_step(self, name: str) -> PasskeyStep:
        control = await self.sees(lambda seen: seen.passkey is not None and seen.passkey.step == name, name)
        assert control.passkey is not None
        self.shown.append(name)
        return control.passkey

    async def scans(self, number: str = OWNER) -> str:
        """The phone scans what is shown; the code."""
        qr = (await self.sees(lambda seen: seen.qr)).qr
        assert qr is not None
        await self.server.link(number, qr)
        return qr

    def answer(self, step: PasskeyStep, number: str = OWNER, **wrong: Any) -> str:
        """What the operator's browser makes of the options."""
        assert step.options is not None
        return json.dumps(self.server.phone(number).passkey.answer(json.loads(step.options), **wrong))

    def brings(self, step: PasskeyStep, assertion: str | None = None, *, same: bool | None = None) -> None:
        given = PasskeyAnswer(step.ceremony, assertion, same)
        give_passkey_answer(self.table, self.sealer, self.account, given, os.urandom(12))

    async def uses_the_passkey(self, number: str = OWNER) -> None:
        step = await self.sees_step(CHALLENGED)
        self.brings(step, self.answer(step, number))


@asynccontextmanager
async def passkey_world(*, gated: bool = True) -> AsyncIterator[World]:
    server = WhatsAppServer(key_pair(bytes(range(32))))
    await server.start()
    server.add_phone(OWNER, "Budi").account.gated = gated
    try:
        yield World(server, Context(server=server))
    finally:
        await server.stop()


def at_the_gate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test, whose first argument is the world, in a loop of its own."""
    shape = signature(test)

    def run(**given: Any) -> None:
        async def body() -> None:
            async with asyncio.timeout(60), passkey_world() as world:
                await test(world, **given)

        asyncio.run(body())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__dict__.update(test.__dict__)
    parameters = [shape.parameters[name] for name in shape.parameters if name != "world"]
    run.__signature__ = shape.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run
