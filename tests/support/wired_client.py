"""Tocsin's own sans-I/O client on a real socket, driven by a test."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tocsin.signal.curve import encode_point, key_pair, sign
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.device_keys import DeviceKeys, Login
from tocsin.whatsapp.events import Event, LoggedIn, PairingSucceeded, QrOffered, StanzaReceived, StreamEnded
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.control import Control
from tocsin_whatsapp_server.control_client import ControlClient
from tocsin_whatsapp_server.server import WhatsAppServer

E = TypeVar("E")


def new_keys() -> DeviceKeys:
    identity, signed_prekey = key_pair(os.urandom(32)), key_pair(os.urandom(32))
    signature = sign(identity.private, encode_point(signed_prekey.public), os.urandom(64))
    return DeviceKeys(
        noise=key_pair(os.urandom(32)),
        identity=identity,
        registration_id=4711,
        signed_prekey=SignedPreKey(1, signed_prekey, signature),
        adv_secret=os.urandom(32),
    )


class WiredClient:
    """One connection. Events are kept; `until` waits for the first of a type that was not taken yet."""

    def __init__(self, keys: DeviceKeys, root_key: bytes) -> None:
        self.keys = keys
        self.connection = Connection(keys, Config(root_key=root_key), random=os.urandom)
        self.socket: ClientConnection | None = None
        self._events: list[Event] = []
        self._arrived = asyncio.Event()

    async def run(self, url: str) -> None:
        async with connect(url, compression=None, max_size=None) as self.socket:
            self.connection.start(time.time())
            await self.flush()
            try:
                async for data in self.socket:
                    self.connection.receive_data(data, time.time())
                    await self.flush()
            except ConnectionClosed:
                pass
            self.connection.connection_lost()
            await self.flush()

    async def flush(self) -> None:
        if self._fresh():
            self._arrived.set()
        for data in self.connection.data_to_send():
            await self.socket.send(data)

    def _fresh(self) -> bool:
        events = self.connection.events()
        self._events += events
        return bool(events)

    async def until(
        self, kind: type[E], found: Callable[[E], bool] = lambda _: True, seconds: float = 60
    ) -> E:
        async with asyncio.timeout(seconds):
            while True:
                for event in self._events:
                    if isinstance(event, kind) and found(event):
                        self._events.remove(event)
                        return event
                self._arrived.clear()
                await self._arrived.wait()

    async def stanza(self, tag: str) -> Node:
        return (await self.until(StanzaReceived, lambda event: event.node.tag == tag)).node

    async def send(self, node: Node) -> None:
        self.connection.send_node(node)
        await self.flush()


class Running:
    """A server with its control API, and clients on real sockets; `ask` calls a ControlClient's method."""

    def __init__(self, server: WhatsAppServer, control: Control) -> None:
        self.server = server
        self.control = ControlClient(control.url)
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, method: str, *arguments: object, **named: object) -> object:
        return await asyncio.to_thread(getattr(self.control, method), *arguments, **named)

    def client(self, keys: DeviceKeys | None = None, root_key: bytes | None = None) -> WiredClient:
        client = WiredClient(keys or new_keys(), root_key or self.server.root_public_key)
        self._tasks.append(asyncio.create_task(client.run(self.server.url)))
        return client

    async def linked(self, number: str) -> WiredClient:
        """A client that was linked by QR and has logged in."""
        waiting = self.client()
        offer = await waiting.until(QrOffered)
        linking = asyncio.create_task(self.ask("link", number, offer.text))
        return await self.log_in(waiting, await self.confirmed(waiting, linking))

    async def confirmed(self, waiting: WiredClient, linking: "asyncio.Task[object]") -> Login:
        pairing = (await waiting.until(PairingSucceeded)).pairing
        waiting.connection.confirm_pairing()
        await waiting.flush()
        await linking
        await waiting.until(StreamEnded)
        return Login(pairing.jid, pairing.lid)

    async def log_in(self, before: WiredClient, login: Login | None = None) -> WiredClient:
        client = self.client(replace(before.keys, login=login or before.keys.login))
        await client.until(LoggedIn)
        return client

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def running(**phones: str) -> AsyncIterator[Running]:
    """A server with a phone for each `name=number`."""
    server = WhatsAppServer(key_pair(os.urandom(32)))
    control = Control(server)
    await server.start()
    await control.start()
    local = Running(server, control)
    for name, number in phones.items():
        server.add_phone(number, name)
    try:
        yield local
    finally:
        local.stop()
        await server.stop()
        await control.stop()
