"""Tocsin's protocol, keys and transport as a client in one process: what Baileys is, for a fair comparison.

The connector's line, the real key store and the real transport, over a table in memory. What is missing of a
deployed Tocsin are DynamoDB and the HTTPS hop to the connector. As in Node, one thread does it all: the
transport blocks while it waits, so each sender is a greenlet, and the event loop goes on beneath.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from greenlet import getcurrent, greenlet

from tests.interop.own_line import OwnLine
from tests.support.silent_numbers import silent_numbers
from tocsin.accounts.state import AccountState
from tocsin.accounts.whereabouts import Whereabouts
from tocsin.connector.gateway.media import Uploader
from tocsin.connector.pairing import store_pairing
from tocsin.connector.socket import Line
from tocsin.connector_client import protocol
from tocsin.dynamo.memory import MemoryTable
from tocsin.keys.account import AccountProfile
from tocsin.keys.store import KeyStore
from tocsin.multidevice.socket import RememberedLeases
from tocsin.multidevice.transport import MultiDevice
from tocsin.multidevice.uploads import Uploads
from tocsin.sealing import Sealer
from tocsin.signal.padding import unpad
from tocsin.whatsapp import iq
from tocsin.whatsapp.adv import Voucher
from tocsin.whatsapp.content import content_of, parse_plaintext
from tocsin.whatsapp.events import Event, PairingSucceeded, QrOffered, StanzaReceived, StreamEnded
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.message import parse_message
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin.whatsapp.receipts import ack, delivery_receipt
from tocsin_whatsapp_server.control_client import ControlClient

T = TypeVar("T")

ACCOUNT = "default"


class Inline(Executor):
    """Does at once what it is given: a table in memory has no round trips that could overlap."""

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        _settle(partial(call, *args, **kwargs), done)
        return done


def _settle(call: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(call())
    except Exception as error:  # noqa: BLE001  raised again where the result is asked for
        done.set_exception(error)


class Client(OwnLine):
    """A linked companion, which reads and confirms whatever comes.

    `media_certificate`: the file with the certificate of the media hosts. `on_message` hears what was read.
    """

    def __init__(
        self,
        url: str,
        root_key: bytes,
        *,
        media_certificate: str | None = None,
        on_message: Callable[[str, Message], None] = lambda message_id, message: None,
    ) -> None:
        self._uploader = Uploader(trust=lambda: ssl.create_default_context(cafile=media_certificate))
        self._on_message = on_message
        super().__init__(url, root_key)
        self.table, self.sealer = MemoryTable(), Sealer({"k": os.urandom(32)}, "k")
        self.keys = self.open_keys(ACCOUNT)
        self._loop = asyncio.new_event_loop()

    def open_keys(self, account: str) -> KeyStore:
        return KeyStore(self.table, self.sealer, account)

    def transport(self, uploads: Callable[[], Uploads] | None = None) -> MultiDevice:
        """What one Lambda sends with, this client in the place of the connector's."""
        lease = Whereabouts(ACCOUNT, AccountState.CONNECTED, "here", protocol=protocol.VERSION)
        leases = RememberedLeases(lambda account: lease)
        return MultiDevice(self.open_keys, self, leases, silent_numbers(), uploads=uploads, beside=Inline())

    def together(self, calls: Sequence[Callable[[], object]]) -> None:
        """Make all calls at once; while one waits for an answer, the others go on."""
        self._wait(self._together(calls))

    def meanwhile(self, call: Callable[[], T]) -> T:
        """What a call returns that waits elsewhere, while this client receives."""
        return self._wait(asyncio.to_thread(call))

    def link(self, control: ControlClient, number: str) -> None:
        self.keys.account.create()
        self._wait(self._link(partial(control.link, number)))
        self.log_in()

    def log_in(self) -> None:
        """Returns when live delivery begins."""
        self.credentials = self.keys.account.credentials()
        self.own = [JID.parse(self.credentials.jid or "").bare, JID.parse(self.credentials.lid or "").bare]
        self._wait(self._log_in())

    def log_out(self) -> None:
        """Close the connection; the server keeps what comes."""
        self._wait(self._leave())

    # What the transport asks of the connector

    def request(self, profile: AccountProfile, node: Node, timeout: int = 30) -> Node:
        return iq.checked(self._wait(self._open_line.request(node, timeout)))

    def send_message(
        self,
        profile: AccountProfile,
        node: Node,
        *,
        resumed: bool = False,
        first_contact: bool = False,
        pace: str = "",
        timeout: int = 80,
    ) -> Node:
        return self._wait(self._open_line.message(node, timeout))

    def upload(self, profile: AccountProfile, kind: str, blob: bytes) -> tuple[str, str]:
        return self._wait(self._uploader.upload(self._open_line.request, kind, blob))

    def download(self, profile: AccountProfile, direct_path: str, file_enc_sha256: bytes) -> bytes:
        return self._wait(self._uploader.download(self._open_line.request, direct_path, file_enc_sha256))

    def send(self, profile: AccountProfile, node: Node) -> None:
        self._open_line.write(node)

    # The connection

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        here = getcurrent()
        if here.parent is None:
            return self._loop.run_until_complete(work)
        task = self._loop.create_task(work)
        task.add_done_callback(here.switch)
        while not task.done():
            here.parent.switch()  # to the event loop
        return task.result()

    async def _together(self, calls: Sequence[Callable[[], object]]) -> None:
        done = [Future[object]() for _ in calls]
        for call, future in zip(calls, done, strict=True):
            greenlet(_settle).switch(call, future)
        await asyncio.gather(*map(asyncio.wrap_future, done))

    async def _link(self, scan: Any) -> None:
        line = await self._open()
        scanning = None
        while not isinstance(event := await line.next_event(), StreamEnded):
            match event:
                case QrOffered(text=text) if scanning is None:
                    scanning = asyncio.create_task(asyncio.to_thread(scan, text))
                case PairingSucceeded(pairing=pairing):
                    await store_pairing(self._aws, self.keys, pairing)
                    line.confirm_pairing()
        assert scanning is not None
        await scanning
        await self._leave()

    async def _follow(self, line: Line) -> None:
        while not isinstance(event := await line.next_event(), StreamEnded):
            self._take(line, event)

    def _take(self, line: Line, event: Event) -> None:
        if not isinstance(event, StanzaReceived):
            return
        if event.node.tag == "message":
            self._read(line, event.node)
        else:
            line.write(ack(event.node))

    def _read(self, line: Line, node: Node) -> None:
        """Decrypt and store, then confirm: what the receiving function does."""
        message = parse_message(node, self.own)
        for enc in message.encs:
            user, device = str(message.sender.bare), message.sender.device
            received = self.keys.receiving.receive(
                self.credentials.incarnation,
                self.credentials,
                user,
                device,
                message.id,
                enc.type,
                enc.body,
                voucher=Voucher(message.device_identity) if message.device_identity else None,
            )
            assert received.plaintext is not None
            said = parse_plaintext(unpad(received.plaintext))
            content_of(said, from_me=message.from_me)
            self._on_message(message.id, said)
            self.keys.receiving.mark_handled(received)
        line.write(delivery_receipt(node, "sender" if message.from_me else "inactive"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._line is not None:
            self._wait(self._leave())
        self._aws.close()
        self._loop.close()
