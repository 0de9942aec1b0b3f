"""A client that waits to be linked, and the phone that links it: by scanning its QR code or typing its code.

Typed codes replace the QR: the eight characters wrap two ephemeral keys, from which both sides derive the
secret that a QR code would have shown. From there on both ways are one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import KeyPair, agree, key_pair
from tocsin.signal.errors import InvalidKey
from tocsin.signal.kdf import hkdf
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import SERVER
from tocsin.whatsapp.link_code import unwrap_ephemeral, wrap_ephemeral
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import pairing, stanzas
from tocsin_whatsapp_server.directory import Device
from tocsin_whatsapp_server.links import Link
from tocsin_whatsapp_server.pairing import InvalidQr, QrCode, Registration, ReplyRefused, Voucher
from tocsin_whatsapp_server.passkey_gate import TYPED, PasskeyGate
from tocsin_whatsapp_server.phone import Phone
from tocsin_whatsapp_server.switchboard import Switchboard

log = logging.getLogger(__name__)

REPLY_SECONDS = 20
CODE = "link_code_companion_reg"


class LinkFailed(Exception):
    """The companion wasn't linked; the text says why. It needs a fresh code."""


@dataclass(frozen=True)
class CodeRequest:
    """A companion asked to be linked to `number` by typing; `wrapped` is its ephemeral key under the code."""

    number: str
    ref: bytes
    wrapped: bytes = field(repr=False)


class WaitingCompanion:
    """One unpaired connection. `link` and `link_by_code` end it with a restart when they succeed."""

    def __init__(self, registration: Registration, socket: Link, switchboard: Switchboard) -> None:
        self._registration = registration
        self._socket = socket
        self._board = switchboard
        self._replies: dict[str, asyncio.Future[Node]] = {}
        self._finish: asyncio.Future[Node] | None = None
        self._used = False
        self._gate: PasskeyGate | None = None
        self._vouching: asyncio.Task[None] | None = None
        self.refs = pairing.new_refs(switchboard.random)
        self.code_request: CodeRequest | None = None

    def offer(self) -> None:
        self._socket.send(pairing.offer(self.refs, self._board.new_id()))

    @property
    def at_the_gate(self) -> bool:
        """Its codes are used, and it is asked for the passkey: refs that run out end nothing."""
        return self._gate is not None

    def hung_up(self) -> None:
        for waiting in (*self._replies.values(), self._finish):
            if waiting is not None and not waiting.done():
                waiting.set_exception(LinkFailed("the companion hung up before it was linked"))

    def take(self, stanza: Node) -> None:
        """A stanza of the companion while it isn't linked. Raises InvalidStanza."""
        if stanza.tag == "ack" and self._gate is not None:
            self._gate.acknowledged(stanza)
        if stanza.tag != "iq":
            return
        kind, identity = stanza.attr_str("type"), stanza.attr_str("id")
        if kind in ("result", "error"):
            reply = self._replies.get(identity)
            if reply is not None and not reply.done():
                reply.set_result(stanza)
            return
        if self._gate is not None and self._gate.take(stanza):
            return
        asked = stanza.child(CODE)
        answer = None if asked is None else self._asked_for_code(stanza, asked)
        self._socket.send(answer or stanzas.result(stanza))

    # -- both ways ---------------------------------------------------------------------------------------

    async def link(self, phone: Phone, code: QrCode) -> Device | None:
        """The phone knows the secret: vouch, check the answer, register the device, restart. None: the
        account's passkey is wanted first, and what becomes of it is told in events.

        Raises InvalidQr if the code isn't this client's, LinkFailed if the client refuses or fails a check.
        """
        registration = self._registration
        if self._used:
            raise InvalidQr("this code was used already; show a fresh one")
        if (code.noise_key, code.identity) != (registration.noise_key, registration.identity):
            raise InvalidQr("the code's keys aren't those of the client that shows it")
        self._used = True
        if self._is_gated(phone):
            self._stand_at_gate(phone, code.adv_secret)
            return None
        return await self._registered(phone, code)

    async def _registered(self, phone: Phone, code: QrCode) -> Device:
        registration = self._registration
        number, key_index = phone.account.next_device()
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
        voucher = phone.scan(code, key_index)
        if forgery := self._board.faults.take("forge-pairing", phone.account.number, 0):
            voucher = pairing.forged(voucher, forgery.params["what"], code.adv_secret)
        try:
            device.device_identity = await self._countersigned(device, voucher)
        except LinkFailed:
            self._socket.end(None)
            raise
        phone.account.devices[number] = device
        self._board.linked(device)
        self._socket.end(stanzas.stream_error(515))
        return device

    # -- with the account's passkey ----------------------------------------------------------------------

    def _is_gated(self, phone: Phone) -> bool:
        fault = self._board.faults.take("passkey", phone.account.number, 0)
        return fault is not None or phone.account.gated

    def _stand_at_gate(self, phone: Phone, scanned: bytes | None, fault: str | None = None) -> None:
        if fault is None:
            waiting = self._board.faults.take("passkey-fault", phone.account.number, 0)
            fault = waiting.params["what"] if waiting is not None else ""
        board = self._board

        def vouch(secret: bytes) -> None:
            self._vouching = asyncio.get_running_loop().create_task(self._vouch(phone, secret))

        gate = self._gate = PasskeyGate(
            phone.account.number,
            self._socket,
            self._registration,
            phone.passkey,
            scanned,
            vouch,
            board.events,
            board.new_id,
            board.random,
            board.clock,
            fault,
        )
        phone.at_gate = gate
        gate.begin()

    async def _vouch(self, phone: Phone, secret: bytes) -> None:
        """What the phone does at the end. Nobody waits for it: events tell."""
        registration = self._registration
        try:
            await self._registered(phone, QrCode("", registration.noise_key, registration.identity, secret))
        except LinkFailed as error:
            log.info("a companion with a passkey wasn't linked: %s", error)
            if self._gate is not None:
                self._gate.refused(str(error))

    async def _countersigned(self, device: Device, voucher: Voucher) -> bytes:
        identity = self._board.new_id()
        reply = self._replies[identity] = asyncio.get_running_loop().create_future()
        self._socket.send(pairing.pair_success(device, voucher, identity, self._board.now))
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                answer = await reply
            return pairing.verified_identity(answer, voucher, device.identity)
        except TimeoutError:
            raise LinkFailed("the companion didn't answer pair-success in 20 seconds") from None
        except (ReplyRefused, ProtobufError) as error:
            raise LinkFailed(str(error)) from error

    # -- by typed code -----------------------------------------------------------------------------------

    def _asked_for_code(self, iq: Node, asked: Node) -> Node | None:
        """None: an empty result will do."""
        stage = asked.optional_str("stage")
        if stage == "companion_hello":
            return self._on_hello(iq, asked)
        if stage == "companion_finish" and self._finish is not None and not self._finish.done():
            self._finish.set_result(asked)
        return None

    def _on_hello(self, iq: Node, asked: Node) -> Node:
        account = self._board.directory.account(asked.attr_jid("jid"))
        if account is None:
            return stanzas.iq_error(iq, 400, "bad-request")
        wrapped = asked.require_child("link_code_pairing_wrapped_companion_ephemeral_pub").bytes(80)
        ref = self._board.new_id().encode()
        self.code_request = CodeRequest(account.number, ref, wrapped)
        self._board.events.add("code-asked", account=account.number)
        return stanzas.result(iq, Node(CODE, {}, (Node("link_code_pairing_ref", {}, ref),)))

    async def link_by_code(self, phone: Phone, code: str) -> Device | None:
        """The owner typed the code that the companion shows. Raises LinkFailed, above all for a wrong one.
        None: as with `link`."""
        request, account_key = self.code_request, phone.identity
        if request is None or self._used:
            raise InvalidQr("this companion shows no code any more")
        if (bare := self._stops_typing(phone)) is not None:
            self._used = True
            self._stand_at_gate(phone, None, bare)
            return None
        companion_ephemeral = unwrap_ephemeral(code, request.wrapped)
        ephemeral = key_pair(self._board.random(32))
        wrapped = wrap_ephemeral(code, ephemeral.public, self._board.random(32), self._board.random(16))
        self._finish = asyncio.get_running_loop().create_future()
        self._socket.send(self._primary_hello(wrapped, account_key.public, request.ref))
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                finish = await self._finish
        except TimeoutError:
            raise LinkFailed("the companion didn't answer the typed code in 20 seconds") from None
        adv_secret = self._opened(finish, ephemeral, companion_ephemeral, account_key)
        registration = self._registration
        return await self.link(
            phone, QrCode(request.ref.decode(), registration.noise_key, registration.identity, adv_secret)
        )

    def _stops_typing(self, phone: Phone) -> str | None:
        """The fault by which the gate comes before the phone's key, if it lies in wait."""
        waiting = [fault for fault in self._board.faults.waiting() if fault.kind == "passkey-fault"]
        if not any(fault.params["what"] in TYPED for fault in waiting) or not self._is_gated(phone):
            return None
        taken = self._board.faults.take("passkey-fault", phone.account.number, 0)
        return taken.params["what"] if taken is not None else None

    def _primary_hello(self, wrapped: bytes, identity: bytes, ref: bytes) -> Node:
        parts = (
            Node("link_code_pairing_wrapped_primary_ephemeral_pub", {}, wrapped),
            Node("primary_identity_pub", {}, identity),
            Node("link_code_pairing_ref", {}, ref),
        )
        return Node(
            "notification",
            {
                "from": SERVER,
                "type": CODE,
                "id": self._board.new_id(),
                "t": str(self._board.now),
            },
            (Node(CODE, {"stage": "primary_hello"}, parts),),
        )

    def _opened(
        self, finish: Node, ephemeral: KeyPair, companion_ephemeral: bytes, account_key: KeyPair
    ) -> bytes:
        """The secret in the companion's bundle: salt (32), nonce (12), sealed identities and randomness."""
        identity = self._registration.identity
        try:
            sealed = finish.require_child("link_code_pairing_wrapped_key_bundle").bytes(156)
            shared = agree(ephemeral.private, companion_ephemeral)
            key = hkdf(shared, 32, salt=sealed[:32], info=b"link_code_pairing_key_bundle_encryption_key")
            opened = AESGCM(key).decrypt(sealed[32:44], sealed[44:], None)
            if opened[:64] != identity + account_key.public:
                raise LinkFailed("the companion's key bundle names other identities")
            return hkdf(
                shared + agree(account_key.private, identity) + opened[64:],
                32,
                salt=bytes(32),
                info=b"adv_secret",
            )
        except (InvalidTag, InvalidKey):
            raise LinkFailed("the code was mistyped: the companion's key bundle can't be opened") from None
        except InvalidStanza as error:
            raise LinkFailed(f"the companion's answer to the code is malformed: {error.reason}") from error


def typed(code: str) -> str:
    """A code as the owner typed it: without the dash, in capitals. Raises InvalidQr."""
    plain = code.replace("-", "").replace(" ", "").upper()
    if len(plain) != 8 or not plain.isalnum() or not plain.isascii():
        raise InvalidQr("a pairing code has eight letters and digits, such as ABCD-EFGH")
    return plain


class WaitingCompanions:
    """All companions that show a code now."""

    def __init__(self) -> None:
        self._waiting: list[WaitingCompanion] = []

    def add(self, companion: WaitingCompanion) -> None:
        self._waiting.append(companion)

    def remove(self, companion: WaitingCompanion) -> None:
        if companion in self._waiting:
            self._waiting.remove(companion)

    def showing(self, ref: str) -> WaitingCompanion:
        """Raises InvalidQr if none shows a QR code with this ref."""
        for companion in self._waiting:
            if ref in companion.refs:
                return companion
        raise InvalidQr("no client shows this code now; it may have expired: show a fresh one")

    def asking(self, number: str) -> WaitingCompanion:
        """The one that asked last to be linked to this number by typing. Raises InvalidQr."""
        for companion in reversed(self._waiting):
            if companion.code_request is not None and companion.code_request.number == number:
                return companion
        raise InvalidQr(f"no client has asked for a pairing code for {number}")
