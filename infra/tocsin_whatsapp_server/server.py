"""The whole server: sockets on one port, the control API on another, one asyncio loop for both."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable

from websockets.asyncio.server import Server, ServerConnection, serve

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.whatsapp.jid import HOSTED_DEVICE
from tocsin_whatsapp_server.certificates import certificate_chain
from tocsin_whatsapp_server.companion import Companion
from tocsin_whatsapp_server.directory import Device
from tocsin_whatsapp_server.inbox import InvalidRequest
from tocsin_whatsapp_server.linking import WaitingCompanions, typed
from tocsin_whatsapp_server.media import MediaServer
from tocsin_whatsapp_server.pairing import QrCode
from tocsin_whatsapp_server.phone import Phone
from tocsin_whatsapp_server.session import Identity, Session
from tocsin_whatsapp_server.switchboard import Random, Switchboard

log = logging.getLogger(__name__)

MAX_FRAME = 2**24 + 3
NUMBER = re.compile(r"(?!10)[1-9][0-9]{6,14}", re.ASCII)


class NumberTaken(ValueError):
    """A phone with this number exists already."""


class WhatsAppServer:
    """`start`, then `url`; `stop` closes every connection. Phones live as long as the server."""

    def __init__(
        self,
        root: KeyPair,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
        random: Random = os.urandom,
    ) -> None:
        self.root_public_key = root.public
        self.switchboard = Switchboard(clock=clock, random=random)
        self.phones: dict[str, Phone] = {}
        self.companions: dict[tuple[str, int], Companion] = {}
        self.started_at = clock()
        static = key_pair(random(32))
        self._identity = Identity(static, certificate_chain(root, static.public, int(clock()), random))
        self._host, self._port = host, port
        self._companions = WaitingCompanions()
        self._server: Server | None = None
        self._media = MediaServer(self.switchboard.media, host)

    async def start(self) -> None:
        # Pings of the WebSocket layer would hide a client whose own keepalive is broken.
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            compression=None,
            max_size=MAX_FRAME,
            ping_interval=None,
            close_timeout=2,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        await self._media.start()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        await self._media.stop()

    @property
    def media_certificate(self) -> str:
        """What a client must trust to up- and download files, PEM."""
        return self._media.certificate

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self._port}/ws/chat"

    async def _serve(self, socket: ServerConnection) -> None:
        await Session(socket, self._identity, self.switchboard, self._companions).run()

    # -- phones ------------------------------------------------------------------------------------------

    def add_phone(self, number: str, name: str, *, reads: bool = False) -> Phone:
        """Raises InvalidRequest for a number that can't be one, NumberTaken."""
        digits = normalised(number)
        if NUMBER.fullmatch(digits) is None:
            raise InvalidRequest(f"{number!r} is not a number in international form, such as +6281200000001")
        if digits in self.phones:
            raise NumberTaken(f"a phone with the number {digits} exists already")
        account = self.switchboard.directory.register(digits, name)
        phone = self.phones[digits] = Phone(account, self.switchboard, reads=reads)
        self.switchboard.events.add("phone", account=digits, name=name, lid=account.lid_user)
        return phone

    def phone(self, number: str) -> Phone:
        """Raises UnknownNumber."""
        return self.phones[self.switchboard.directory.by_number(normalised(number)).number]

    def add_companion(self, number: str, *, hosted: bool = False) -> Companion:
        """One more device of the phone's account, in this process. Raises UnknownNumber, InvalidRequest."""
        phone = self.phone(number)
        if hosted and HOSTED_DEVICE in phone.account.devices:
            raise InvalidRequest("the account has its hosted device already")
        companion = Companion(
            phone.account, self.switchboard, reads=phone.reads, hosted=hosted, phone=phone.identity
        )
        self.companions[phone.account.number, companion.device.number] = companion
        return companion

    def companion(self, number: str, device: int) -> Companion:
        """Raises UnknownNumber, InvalidRequest."""
        account = self.phone(number).account
        try:
            return self.companions[account.number, device]
        except KeyError:
            known = ", ".join(str(theirs) for owner, theirs in self.companions if owner == account.number)
            raise InvalidRequest(f"no companion {device} in this process; there: {known or 'none'}") from None

    async def link(self, number: str, qr: str) -> Device | None:
        """The phone scans a code. None: the passkey is wanted first. Raises UnknownNumber, InvalidQr,
        LinkFailed, InvalidRequest."""
        phone = self._phone_in_hand(number)
        code = QrCode.parse(qr)
        return await self._companions.showing(code.ref).link(phone, code)

    async def link_by_code(self, number: str, code: str) -> Device | None:
        """The owner types the eight characters that a companion shows. Raises as `link`."""
        phone, plain = self._phone_in_hand(number), typed(code)
        return await self._companions.asking(phone.account.number).link_by_code(phone, plain)

    def _phone_in_hand(self, number: str) -> Phone:
        phone = self.phone(number)
        if not phone.online:
            raise InvalidRequest("the phone is offline; POST a fault of kind online first")
        return phone


def normalised(number: str) -> str:
    """Digits only: a leading plus and separators are taken off."""
    return re.sub(r"[\s+().-]", "", number)
