"""One socket: handshake, then pairing or login, then stanzas until it ends."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError as ProtobufError
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.whatsapp.errors import DecodeError, HandshakeFailed, TransportFailed
from tocsin.whatsapp.frames import FrameSplitter, frame
from tocsin.whatsapp.jid import mask
from tocsin.whatsapp.node import InvalidStanza, Node, decode, encode
from tocsin.whatsapp.noise import Transport
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from . import pairing, stanzas
from .directory import Device
from .noise import ClientFinish, Intro, ServerHandshake
from .pairing import InvalidRegistration, Registration, Voucher
from .phone import Phone
from .switchboard import Switchboard

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 20
REPLY_SECONDS = 20


class LinkFailed(Exception):
    """The companion wasn't linked; the text says why. It needs a fresh code."""


@dataclass(frozen=True)
class Identity:
    """The server's Noise key and the certificates that vouch for it."""

    static: KeyPair
    certificates: bytes


class Offers(Protocol):
    """Where a session that waits to be paired puts its refs, for phones to find it by."""

    def open(self, refs: tuple[str, ...], session: "Session") -> None: ...

    def close(self, session: "Session") -> None: ...


class Session:
    """`run` returns when the connection is over, whoever ended it."""

    def __init__(
        self, socket: ServerConnection, identity: Identity, switchboard: Switchboard, offers: Offers
    ) -> None:
        self._socket = socket
        self._identity = identity
        self._board = switchboard
        self._offers = offers
        self._intro = Intro()
        self._splitter = FrameSplitter()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._outbox: asyncio.Queue[tuple[float, Node | None]] = asyncio.Queue()
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._registration: Registration | None = None
        self._reply: asyncio.Future[Node] | None = None

    async def run(self) -> None:
        reader = asyncio.create_task(self._read())
        writer: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                finish = await self._handshake()
            self._transport = finish.transport
            writer = asyncio.create_task(self._write())
            if self._enter(finish):
                await self._take_stanzas()
            else:
                self.end(None)
            await writer
        except (HandshakeFailed, TransportFailed) as error:
            log.warning("connection given up: %s", error)
        except DecodeError as error:
            log.warning("malformed stanza: %s", error)
            self.end(stanzas.stream_error(text="xml-not-well-formed"))
            if writer is not None:
                await writer
        except (TimeoutError, ConnectionClosed) as error:
            log.info("connection over: %s", type(error).__name__)
        finally:
            self._leave()
            reader.cancel()
            if writer is not None:
                writer.cancel()
            await self._socket.close()

    # -- link to the switchboard -------------------------------------------------------------------------

    def send(self, stanza: Node) -> None:
        self._outbox.put_nowait((self._due(), stanza))

    def end(self, last: Node | None) -> None:
        if last is not None:
            self.send(last)
        self._outbox.put_nowait((0, None))

    def _due(self) -> float:
        """When to send it, on the loop's clock: now, unless a delay is injected."""
        now = asyncio.get_running_loop().time()
        if self._device is None:
            return now
        delay = self._board.faults.take("delay", self._device.account.number, self._device.number)
        return now + float(delay.params["seconds"]) if delay else now

    # -- bytes -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                if isinstance(data, bytes):
                    for payload in self._splitter.feed(self._intro.feed(data)):
                        self._frames.put_nowait(payload)
        except (HandshakeFailed, ConnectionClosed) as error:
            log.info("stopped reading: %s", error)
        finally:
            self._frames.put_nowait(None)

    async def _frame(self) -> bytes:
        payload = await self._frames.get()
        if payload is None:
            raise HandshakeFailed("the client went away")
        return payload

    async def _write(self) -> None:
        """Send in order; a delayed stanza holds back those behind it."""
        loop = asyncio.get_running_loop()
        while True:
            due, stanza = await self._outbox.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if stanza is None or self._transport is None:
                break
            try:
                await self._socket.send(frame(self._transport.encrypt(encode(stanza))))
            except ConnectionClosed:
                break
        await self._socket.close()

    # -- coming in ---------------------------------------------------------------------------------------

    async def _handshake(self) -> ClientFinish:
        handshake = ServerHandshake(
            self._identity.static, key_pair(self._board.random(32)), self._identity.certificates
        )
        await self._socket.send(frame(handshake.answer(await self._frame())))
        return handshake.finish(await self._frame())

    def _enter(self, finish: ClientFinish) -> bool:
        """Log in or offer to pair; False if the client was refused."""
        try:
            payload = ClientPayload.FromString(finish.payload)
        except ProtobufError:
            self.send(stanzas.failure(400))
            return False
        if payload.HasField("username"):
            return self._login(payload, finish.static)
        return self._offer_pairing(payload, finish.static)

    def _login(self, payload: ClientPayload, noise_key: bytes) -> bool:
        number = str(payload.username)
        fault = self._board.faults.take("login-failure", number, payload.device)
        if fault is not None:
            expire = fault.params["expire"]
            more = {"expire": str(expire)} if expire else {}
            self.send(stanzas.failure(fault.params["reason"], **more))
            return False
        device = self._known_device(number, payload.device)
        if device is None or device.noise_key != noise_key:
            log.info("refused the login of %s, device %s", mask(number), payload.device)
            self._board.events.add("login-refused", account=number, device=payload.device)
            self.send(stanzas.failure(401))
            return False
        self._device = device
        self._board.connect(device, self)
        return True

    def _known_device(self, number: str, device: int) -> Device | None:
        account = next((entry for entry in self._board.directory if entry.number == number), None)
        return account.devices.get(device) if account else None

    def _offer_pairing(self, payload: ClientPayload, noise_key: bytes) -> bool:
        try:
            self._registration = Registration.parse(payload, noise_key)
        except (InvalidRegistration, ProtobufError) as error:
            log.warning("refused a registration: %s", error)
            self.send(stanzas.failure(400))
            return False
        refs = pairing.new_refs(self._board.random)
        self._offers.open(refs, self)
        self.send(pairing.offer(refs, self._board.new_id()))
        asyncio.get_running_loop().call_later(pairing.VALID_SECONDS, self._offer_expired)
        return True

    def _offer_expired(self) -> None:
        if self._registration is not None:
            self.end(None)

    def _leave(self) -> None:
        self._offers.close(self)
        self._registration = None
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LinkFailed("the companion hung up before it was linked"))
        if self._device is not None:
            self._board.disconnect(self._device, self)

    # -- stanzas -----------------------------------------------------------------------------------------

    async def _take_stanzas(self) -> None:
        assert self._transport is not None  # noqa: S101
        while (payload := await self._frames.get()) is not None:
            stanza = decode(self._transport.decrypt(payload))
            log.debug("< %r", stanza)
            if self._device is not None:
                self._board.submit(self._device, stanza)
            else:
                self._while_pairing(stanza)
        self.end(None)

    def _while_pairing(self, stanza: Node) -> None:
        answers = stanza.tag == "iq" and stanza.optional_str("type") in ("result", "error")
        if answers and self._reply is not None and stanza.optional_str("id") == self._pairing_id:
            if not self._reply.done():
                self._reply.set_result(stanza)
        elif stanza.tag == "iq" and stanza.optional_str("type") in ("get", "set"):
            try:
                self.send(stanzas.result(stanza))
            except InvalidStanza as error:
                log.warning("bad <iq> while pairing: %s", error.reason)

    async def link(self, phone: Phone, code: pairing.QrCode) -> Device:
        """A phone scanned this session's code: vouch, check the answer, register the device, restart.

        Raises InvalidQr if the code isn't this client's, LinkFailed if the client refuses or fails a check.
        """
        registration = self._registration
        if registration is None or self._reply is not None:
            raise pairing.InvalidQr("this code was used already; show a fresh one")
        if (code.noise_key, code.identity) != (registration.noise_key, registration.identity):
            raise pairing.InvalidQr("the code's keys aren't those of the client that shows it")
        number, key_index = phone.account.next_device()
        voucher = phone.scan(code, key_index)
        device = Device(
            account=phone.account,
            number=number,
            identity=registration.identity,
            registration_id=registration.registration_id,
            signed_prekey=registration.signed_prekey,
            noise_key=registration.noise_key,
            key_index=key_index,
            platform=registration.platform,
            linked_at=self._board.now,
        )
        device.device_identity = await self._vouched(device, voucher)
        self._registration = None
        phone.account.devices[number] = device
        self._board.linked(device)
        self.end(stanzas.stream_error(515))
        return device

    async def _vouched(self, device: Device, voucher: Voucher) -> bytes:
        self._pairing_id = self._board.new_id()
        self._reply = asyncio.get_running_loop().create_future()
        self.send(pairing.pair_success(device, voucher, self._pairing_id, self._board.now))
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await self._reply
            return pairing.verified_identity(reply, voucher, device.identity)
        except TimeoutError:
            self.end(None)
            raise LinkFailed("the companion didn't answer pair-success in 20 seconds") from None
        except (pairing.ReplyRefused, ProtobufError) as error:
            self.end(None)
            raise LinkFailed(str(error)) from error
