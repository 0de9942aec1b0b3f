"""One socket: handshake, then pairing or login, then stanzas until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from google.protobuf.message import DecodeError as ProtobufError
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import DecodeError, HandshakeFailed, InvalidStanza, TransportFailed
from tocsin.whatsapp.frames import FrameSplitter, frame
from tocsin.whatsapp.jid import mask
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import Transport
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload
from tocsin_whatsapp_server import stanzas
from tocsin_whatsapp_server.certificates import forged_chain
from tocsin_whatsapp_server.directory import Device
from tocsin_whatsapp_server.linking import WaitingCompanion, WaitingCompanions
from tocsin_whatsapp_server.noise import ClientFinish, Intro, ServerHandshake
from tocsin_whatsapp_server.pairing import VALID_SECONDS, InvalidRegistration, Registration
from tocsin_whatsapp_server.switchboard import Switchboard

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 20

TOO_MANY_STRANGERS = "101"
"""Why an account is banned for a while, in WhatsApp's numbers."""

LINGER_SECONDS = 1.0
"""How long a client may take to hang up by itself after the last stanza. whatsmeow, closed too soon, has seen
the end of the socket before the `<stream:error>` that explains it, and stays down."""

SAID = {"violation_reason": "violation", "appeal_token": "appeal", "message": "message", "url": "url"}
"""What a refused login says more: attribute → parameter of the fault."""


@dataclass(frozen=True)
class Identity:
    """The server's Noise key and the certificates that vouch for it."""

    static: KeyPair
    certificates: bytes


class Session:
    """`run` returns when the connection is over, whoever ended it."""

    def __init__(
        self,
        socket: ServerConnection,
        identity: Identity,
        switchboard: Switchboard,
        companions: WaitingCompanions,
    ) -> None:
        self._socket = socket
        self._identity = identity
        self._board = switchboard
        self._companions = companions
        self._intro = Intro()
        self._splitter = FrameSplitter()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._outbox: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()
        self._hung_up = asyncio.Event()
        self._ended = False
        self._unsent = 0
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._companion: WaitingCompanion | None = None
        self._expiry: asyncio.TimerHandle | None = None

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
        """Write it at once where nothing is before it: an ack leaves before the phones begin to read."""
        self.send_plain(encode(stanza))

    def send_plain(self, plain: bytes, *, sealed: bool = True) -> None:
        if not sealed:
            broadcast((self._socket,), frame(plain))
            return
        now = asyncio.get_running_loop().time()
        due = self._due(now)
        if due > now or self._unsent or self._transport is None or self._is_slow():
            self._put(due, plain)
        else:
            broadcast((self._socket,), frame(self._transport.encrypt(plain)))

    def end(self, last: Node | None) -> None:
        if last is not None:
            self.send(last)
        self._ended = True
        self._put(0, None)

    def _put(self, due: float, plain: bytes | None) -> None:
        self._unsent += 1
        self._outbox.put_nowait((due, plain))

    def _is_slow(self) -> bool:
        """Whether the client leaves unread what was written before."""
        return self._socket.transport.get_write_buffer_size() > 0

    def drop(self) -> None:
        self._socket.transport.abort()

    def _due(self, now: float) -> float:
        """When to send it, on the loop's clock: now, unless a delay is injected."""
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
            self._hung_up.set()
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
            due, plain = await self._outbox.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if plain is None or self._transport is None:
                break
            try:
                await self._socket.send(frame(self._transport.encrypt(plain)))
            except ConnectionClosed:
                break
            self._unsent -= 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._hung_up.wait()
        await self._socket.close()

    # -- coming in ---------------------------------------------------------------------------------------

    async def _handshake(self) -> ClientFinish:
        certificates = self._identity.certificates
        if self._board.faults.take("forge-certificate", "", 0):
            certificates = forged_chain(certificates)
        handshake = ServerHandshake(self._identity.static, key_pair(self._board.random(32)), certificates)
        answer = handshake.answer(await self._frame())
        self._board.events.add("hello", routing=self._intro.routing.hex())
        if self._board.faults.take("spoil-handshake", "", 0):
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        await self._socket.send(frame(answer))
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
            # whatsmeow's build for Python ends its process over a ban that doesn't say what it is for.
            more = {"code": TOO_MANY_STRANGERS, "expire": str(expire)} if expire else {}
            said = {name: fault.params[param] for name, param in SAID.items() if fault.params[param]}
            more |= said
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
            registration = Registration.parse(payload, noise_key)
        except (InvalidRegistration, ProtobufError) as error:
            log.warning("refused a registration: %s", error)
            self.send(stanzas.failure(400))
            return False
        fault = self._board.faults.take("login-failure", "", 0)  # one that is aimed at nobody in particular
        if fault is not None:
            self.send(stanzas.failure(fault.params["reason"]))
            return False
        self._companion = WaitingCompanion(registration, self, self._board)
        self._companions.add(self._companion)
        self._board.unlinked.add(self)
        self._companion.offer()
        self._expiry = asyncio.get_running_loop().call_later(VALID_SECONDS, self._refs_ran_out)
        return True

    def _refs_ran_out(self) -> None:
        """The service closes then, but not a companion that is asked for a passkey."""
        if self._companion is None or not self._companion.at_the_gate:
            self.end(None)

    def _leave(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._board.unlinked.discard(self)
        if self._companion is not None:
            self._companions.remove(self._companion)
            self._companion.hung_up()
        if self._device is not None:
            self._board.disconnect(self._device, self)

    # -- stanzas -----------------------------------------------------------------------------------------

    async def _take_stanzas(self) -> None:
        assert self._transport is not None  # noqa: S101
        while (payload := await self._frames.get()) is not None:
            stanza = decode(self._transport.decrypt(payload))
            log.debug("< %r", stanza)
            if self._ended:
                continue  # it crossed the end of the connection
            if self._device is not None:
                self._board.submit(self._device, stanza)
            elif self._companion is not None:
                self._companion_says(self._companion, stanza)
        self.end(None)

    def _companion_says(self, companion: WaitingCompanion, stanza: Node) -> None:
        try:
            companion.take(stanza)
        except InvalidStanza as error:
            log.warning("bad stanza while pairing: %s", error.reason)
