"""What is fuzzed: every reader of bytes that come from a server, a peer or a stranger at the endpoint.

Each target refuses with the errors its module promises; anything else is a finding.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fuzz import account_targets, desk_targets, request_targets
from tests.fuzz.engine import Target
from tests.support import stanzas
from tests.support.noise_peer import NOW, ROOT, Peer, Talk, certificate, logged_in, pair
from tests.support.pairing_stanzas import KEYS, offer, offered, pair_success, refresh
from tests.support.passkey_ceremony import CHALLENGE, PASSKEY
from tests.support.running_endpoint import TOKEN, ScriptedAccounts
from tocsin.connector.gateway.endpoint import Endpoint
from tocsin.connector.gateway.httpd import Limits, _Stream
from tocsin.connector.version import VersionUnknown
from tocsin.connector.version import parse as parse_version
from tocsin.connector_client import protocol
from tocsin.multidevice.inbound.envelope import Envelope, MalformedEnvelope
from tocsin.notify.events import samples
from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.people.numbers import InvalidPhone, normalise_phone, same_person_key
from tocsin.signal import sender_key, session, state
from tocsin.signal.errors import SignalError
from tocsin.signal.padding import unpad
from tocsin.signal.wire import (
    LAST_INDEX,
    parse_distribution,
    parse_sender_key_message,
)
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp import call, content, group, media, outgoing, passkey, receipts
from tocsin.whatsapp.adv import KeyIndexes, Voucher
from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
from tocsin.whatsapp.bounds import MAX_LABEL, MAX_NUMBER
from tocsin.whatsapp.certificate import verify_chain
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import (
    DecodeError,
    EncodeError,
    HandshakeFailed,
    InvalidCertificate,
    InvalidStanza,
    PairingRefused,
)
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame
from tocsin.whatsapp.history import history_of
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.jid import GROUP, JID, SERVER, InvalidJid
from tocsin.whatsapp.message_secret import open_edit
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import ClientHandshake
from tocsin.whatsapp.pairing import accept_device_identity
from tocsin.whatsapp.passkey import CHALLENGE_SECONDS, parse_options
from tocsin.whatsapp.proto.message_pb2 import Message, Wrapped
from tocsin.whatsapp.proto.pairing_pb2 import SignedDeviceIdentityHmac
from tocsin.whatsapp.proto.passkey_pb2 import PrimaryEphemeralIdentity
from tocsin.whatsapp.timer import Timer
from tocsin_whatsapp_server.endpoint import Address
from tocsin_whatsapp_server.endpoint import Endpoint as Phone
from tocsin_whatsapp_server.passkey import CeremonyRefused, PhoneHalf, options

REFRESHED = 500
"""Executions on one connection, then a fresh one: what piles up is seen, and a failure can be repeated."""


def _name(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return f"{type(error).__name__} {reason}"[:60] if isinstance(reason, str) else type(error).__name__


# Nodes


def node(data: bytes) -> str:
    """What can be read can be written, or is refused by name; and what was written stays as it is. (What is
    read may hold an agent in a JID, which nobody writes.)"""
    try:
        read = decode(data)
    except DecodeError as error:
        return _name(error)
    try:
        written = encode(read)
    except EncodeError as error:
        return f"EncodeError {str(error)[:12]}"
    if encode(decode(written)) != written:
        raise AssertionError(f"{read!r} is written in two ways")
    return "ok"


def frames(data: bytes) -> str:
    """However the stream is cut, the same frames come out, and no more than what came in is held."""
    middle = len(data) // 2
    whole, halves = FrameSplitter(), FrameSplitter()
    found = whole.feed(data)
    if halves.feed(data[:middle]) + halves.feed(data[middle:]) != found:
        raise AssertionError("the cut shows")
    return f"{min(len(found), 3)} frames"


PARSERS: tuple[Callable[[Node], object], ...] = (
    *stanzas.PARSERS,
    call.parse_call,
    media.parse_hosts,
    lambda answer: group.parse_group(answer, JID("1203", GROUP)),
)


def demand_bounds(value: object) -> None:
    """Of what a parser has let through: no number, address or id is larger than a table or a clock holds."""
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise AssertionError(f"a number of {value.bit_length()} bits")
    if isinstance(value, JID) and value.is_too_long:
        raise AssertionError(f"an address of {len(value.user)} characters")
    if isinstance(value, (tuple, list)):
        for each in value:
            demand_bounds(each)
    elif isinstance(value, dict):
        demand_bounds([*value.keys(), *value.values()])
    elif is_dataclass(value) and not isinstance(value, (JID, Node)):
        for name in (each.name for each in fields(value)):
            part = getattr(value, name)
            if name in _LABELS and len(part or "") > MAX_LABEL:
                raise AssertionError(f"{name} of {len(part)} characters")
            demand_bounds(part)


_LABELS = frozenset({"id", "type", "edit", "addressing_mode", "unavailable", "phash"})


def stanza(data: bytes) -> str:
    """A stanza through every parser, then through everything that answers one."""
    try:
        read = decode(data)
    except DecodeError:
        return "no node"
    passed = 0
    for place, parse in enumerate(PARSERS):
        try:
            demand_bounds(parse(read))
            passed |= 1 << place
        except (InvalidStanza, IqRefused):
            pass
    try:
        encode(receipts.ack(read))
        encode(receipts.delivery_receipt(read))
        encode(receipts.retry_receipt(read, count=1, registration_id=1))
        refusal = receipts.decline(read)
        if refusal is not None:
            encode(refusal)
    except EncodeError:
        return f"unanswerable {passed}"
    return f"{passed}"


# Connections


class _Connected:
    """A connection that gets one plaintext after the other, from a server whose Noise keys are right."""

    def __init__(self, begin: Callable[[], Talk]) -> None:
        self._begin = begin
        self._talk = begin()
        self._fed = 0

    def __call__(self, data: bytes) -> str:
        if self._fed >= REFRESHED or self._talk.client.is_ended:
            self._talk, self._fed = self._begin(), 0
        talk = self._talk
        self._fed += 1
        talk.now += 0.01
        talk.client.receive_data(talk.peer.seal(data), talk.now)
        events = talk.client.events()
        said = talk.says()
        if len(said) > 64:
            raise AssertionError(f"one frame, {len(said)} answers")
        told = "+".join(sorted({type(event).__name__ for event in events}))
        return f"{told or 'nothing'} {'+'.join(sorted({answer.tag for answer in said}))}"


def _pairing_talk() -> Talk:
    talk, _ = offered()
    return talk


def hello(data: bytes) -> str:
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=ROOT.public)
    client.hello()
    try:
        client.finish(data, NOW)
    except HandshakeFailed as error:
        return f"{type(error).__name__} {error}"[:60]
    raise AssertionError("a forged handshake was taken")


_STATIC = pair("server static").public
_GENUINE = certificate(_STATIC)


def chain(data: bytes) -> str:
    """The certificate, which is read before anything vouches for it. Only the signed parts are the same."""
    try:
        verify_chain(data, _STATIC, ROOT.public, NOW)
    except InvalidCertificate as error:
        return error.reason
    return "ok"


def identity(data: bytes) -> str:
    try:
        accept_device_identity(data, KEYS.identity, KEYS.adv_secret, bytes(64))
    except PairingRefused as error:
        return f"{error.code} {error.text}"
    return "ok"


ACCOUNT_KEY = pair("account").public


def peer_identity(data: bytes) -> str:
    counting = KeyIndexes(data).hold(1, ACCOUNT_KEY)
    vouched = Voucher(data).vouches(KEYS.identity.public, ACCOUNT_KEY)
    return f"vouched for: {vouched}, listed: {counting}"


# Linking with a passkey


def passkey_options(data: bytes) -> str:
    """What becomes code: whatever comes, it is pure ASCII, and read again it is the same."""
    try:
        read = parse_options(data)
    except InvalidStanza as error:
        return error.reason[:40]
    text = read.ascii_json()
    if not (text.isascii() and text.isprintable()) or "<" in text:
        raise AssertionError("options that could be more than data")
    if parse_options(text.encode()).ascii_json() != text:
        raise AssertionError("options that are written in two ways")
    if not 0 < read.seconds <= CHALLENGE_SECONDS:
        raise AssertionError(f"a challenge for {read.seconds} s")
    return "ok"


def paste(data: bytes) -> str:
    """What an operator might paste. What is taken is what goes on the wire, and is taken again."""
    try:
        made = check_assertion(data.decode("utf-8", "surrogateescape"), CHALLENGE)
    except AssertionRefused as error:
        return error.reason
    if check_assertion(made.text.decode(), CHALLENGE) != made:
        raise AssertionError("an assertion that is written in two ways")
    return "ok"


def continuation(data: bytes) -> str:
    try:
        passkey.agreement(_PROLOGUE, passkey.parse_primary(data))
    except InvalidStanza as error:
        return error.reason[:40]
    return "ok"


_PROLOGUE = passkey.prologue(pair("companion ephemeral"), bytes(32), "2@ref")


class _Phone:
    """What a companion sends to the local server's phone, byte by byte: prologue, nonce, pairing request."""

    def __init__(self) -> None:
        agreed = PhoneHalf(KEYS.noise.public, KEYS.identity.public, None, lambda size: bytes(range(size)))
        theirs = passkey.parse_primary(agreed.begin(_PROLOGUE.payload, None, "2@ref"))
        key = passkey.agreement(_PROLOGUE, theirs).key
        request = passkey.encrypted_pairing_request(
            key, KEYS.noise.public, KEYS.identity.public, bytes(32), bytes(12)
        )
        self.seeds = (b"\x00" + _PROLOGUE.payload, b"\x01" + bytes(32), b"\x02" + request)
        self._agreed = agreed

    def __call__(self, data: bytes) -> str:
        if not data:
            return "nothing"
        phone = PhoneHalf(KEYS.noise.public, KEYS.identity.public, None, lambda size: bytes(range(size)))
        try:
            if data[0] % 3 == 0:
                phone.begin(data[1:], None, "2@ref")
                return "half"
            phone.begin(_PROLOGUE.payload, None, "2@ref")
            phone.open_nonce(data[1:] if data[0] % 3 == 1 else _PROLOGUE.nonce)
            if data[0] % 3 == 2:
                phone.open_request(data[1:])
        except CeremonyRefused as error:
            return str(error)[:40]
        return "ok"


# What peers encrypt, and what is read before it decrypts


def plaintext(data: bytes) -> str:
    """As a customer's, as our own phone's, and as it is kept where it is too long."""
    try:
        message = content.parse_plaintext(data)
        said = content.content_of(message)
        content.content_of(message, from_me=True)
        content.content_of(content.shortened(message, 64))
    except InvalidStanza as error:
        return error.reason[:40]
    if said.sealed is not None:
        open_edit(said.sealed, bytes(32), ("1@lid",))
    return said.kind


def history(data: bytes) -> str:
    """As it comes, and as what would be inside."""
    outcomes = []
    for compressed in (data, zlib.compress(data, 1)):
        try:
            history_of(compressed)
            outcomes.append("ok")
        except InvalidStanza as error:
            outcomes.append(error.reason[:20])
    return "/".join(outcomes)


def signal_message(data: bytes) -> str:
    outcomes = []
    readers: tuple[Callable[[bytes], object], ...] = (
        lambda body: session.parse("msg", body),
        lambda body: session.parse("pkmsg", body),
        parse_sender_key_message,
        parse_distribution,
        state.decode_record,
        sender_key.decode_record,
    )
    for read in readers:
        try:
            read(data)
            outcomes.append("ok")
        except SignalError as error:
            outcomes.append(type(error).__name__)
    return "/".join(outcomes)


class _Conversation:
    """What arrives under a session that is there: mostly a bad MAC, which changes nothing. The first byte
    says which type it came as."""

    KINDS = ("msg", "pkmsg")

    def __init__(self) -> None:
        chance = random.Random(1).randbytes
        self._here, there = (Phone(chance, lambda: NOW) for _ in range(2))
        keys = self._here.keys
        [(prekey_id, public)] = keys.new_prekeys(1, chance).items()
        self._prekey = keys.prekeys[prekey_id]
        bundle = PreKeyBundle(
            registration_id=keys.registration_id,
            identity=keys.identity.public,
            signed_prekey_id=keys.signed_prekey.id,
            signed_prekey=keys.signed_prekey.public,
            signed_prekey_signature=keys.signed_prekey.signature,
            prekey_id=prekey_id,
            prekey=public,
        )
        here, peer = Address("1", 0), Address("2", 0)
        there.start_session(here, bundle)
        first = there.encrypt(here, TEXT)
        self._here.decrypt(peer, first.type, first.body)
        answer = self._here.encrypt(peer, TEXT)
        there.decrypt(here, answer.type, answer.body)
        self._record = self._here._records[peer]
        sent = [first, *(there.encrypt(here, TEXT) for _ in range(3))]
        self.seeds = tuple(bytes((self.KINDS.index(each.type),)) + each.body for each in sent)

    def __call__(self, data: bytes) -> str:
        if not data:
            return "nothing"
        try:
            arrived = session.parse(self.KINDS[data[0] & 1], data[1:])
            opened = session.decrypt(
                self._record,
                arrived,
                self._here.keys.local,
                prekey=self._prekey,
                ratchet=bytes(range(32)),
                now=NOW,
            )
            unpad(opened.plaintext)
        except SignalError as error:
            return f"{type(error).__name__} {error}"[:40]
        return f"ok {opened.turned} {opened.new_session}"


_SENDER_KEY = sender_key.create(1, bytes(range(32)), pair("signing"))
_SENDER = sender_key.process(None, sender_key.distribution(_SENDER_KEY))
_LAST_KEY = replace(_SENDER_KEY, iteration=LAST_INDEX)
_AT_ITS_END = sender_key.process(None, sender_key.distribution(_LAST_KEY))


def _at_the_end(iteration: int) -> tuple[bytes, bytes]:
    """The key told at that place of its chain, and a message there, well signed."""
    key = replace(_SENDER_KEY, iteration=iteration)
    message = sender_key.encrypt(key, iteration, plaintext=TEXT, entropy=bytes(64))
    return sender_key.distribution(key), message


def group_message(data: bytes) -> str:
    """A sender key that we hold, or one that is told again."""
    outcomes = []
    readers: tuple[Callable[[bytes], sender_key.SenderKeyRecord], ...] = (
        lambda body: sender_key.decrypt(_SENDER, body)[1],
        lambda body: sender_key.decrypt(_AT_ITS_END, body)[1],
        lambda body: sender_key.process(_SENDER, body),
    )
    for read in readers:
        try:
            after = read(data)
            if sender_key.decode_record(sender_key.encode_record(after)) != after:
                raise AssertionError("what was read is stored as something else")
            outcomes.append("ok")
        except SignalError as error:
            outcomes.append(type(error).__name__)
    return "/".join(outcomes)


_MEDIA_KEY = bytes(range(32))
_MEDIA = media.encrypt(b"%PDF-1.7", media.DOCUMENT, _MEDIA_KEY)


def attachment(data: bytes) -> str:
    """A media host's answer, a file from there, a picture from a ticket."""
    outcomes = []
    try:
        media.parse_uploaded(data)
        outcomes.append("ok")
    except InvalidStanza:
        outcomes.append("no answer")
    try:
        # That it is what was uploaded is vouched for, so that what is behind that is met too.
        media.decrypt(data, media.DOCUMENT, _MEDIA_KEY, _MEDIA.file_sha256, sha256(data).digest())
        outcomes.append("ok")
    except media.DamagedMedia as error:
        outcomes.append(error.what)
    outcomes.append("no picture" if media.dimensions(data) == (0, 0) else "a picture")
    return "/".join(outcomes)


def ticket(data: bytes) -> str:
    try:
        parse_event(data.decode("utf-8", "surrogateescape"), default_region="ID", accounts=("default",))
    except InvalidEvent as error:
        return f"{len(error.violations)} violations {error.violations[0][:30]}"
    return "ok"


def phone(data: bytes) -> str:
    """Whatever is written is refused with a reason that quotes no number, or is one: its normal form is its
    own, and it names the person whom the key names."""
    text = data.decode("utf-8", "replace")
    outcomes = []
    for region, area in (("ID", "21"), ("AR", ""), ("DE", "30")):
        try:
            digits = normalise_phone(text, region, area)
        except InvalidPhone as refusal:
            if re.search("[0-9]{3}", refusal.reason):
                raise AssertionError(f"quotes a number: {refusal.reason}") from refusal
            outcomes.append(refusal.reason[:12])
            continue
        key = same_person_key(digits)
        if normalise_phone("+" + digits, region) != digits or same_person_key(key) != key:
            raise AssertionError(f"{digits} is no normal form")
        outcomes.append("ok")
    return "/".join(outcomes)


def address(data: bytes) -> str:
    try:
        JID.parse(data.decode("utf-8", "replace"))
    except InvalidJid:
        return "InvalidJid"
    return "ok"


def page(data: bytes) -> str:
    try:
        parse_version(data)
    except VersionUnknown:
        return "VersionUnknown"
    return "ok"


def envelope(data: bytes) -> str:
    """Only the connector writes there; what it can't have written is refused all the same."""
    try:
        Envelope.parse(data.decode("utf-8", "replace"))
    except MalformedEnvelope as error:
        return error.reason[:40]
    return "ok"


# The endpoint


class _Writer:
    """Takes what the endpoint answers."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        pass


class _Doors:
    """The connector's endpoint without sockets: bytes of a connection in, bytes of its answers out."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._accounts = ScriptedAccounts()
        self._endpoint = Endpoint(self._accounts, Limits(max_body=64 * 1024))
        logging.getLogger("tocsin.connector.gateway.endpoint").propagate = True

    def __call__(self, data: bytes) -> str:
        self._accounts.seen.clear()
        return self._loop.run_until_complete(self._serve(data))

    async def _serve(self, data: bytes) -> str:
        reader = asyncio.StreamReader(limit=64 * 1024)
        reader.feed_data(data)
        reader.feed_eof()
        writer: Any = _Writer()
        server = self._endpoint._server
        visitor, _ = server._visitors.enter("127.0.0.1", self._loop.time())
        task = asyncio.current_task()
        if visitor is None or task is None:
            raise AssertionError("no place")
        server._connections[visitor] = task
        try:
            await server._serve(_Stream(reader, writer, server._limits), visitor)
        except ConnectionResetError:
            return "closed in mid-request"
        finally:
            server._visitors.leave(visitor)
            del server._connections[visitor]
        statuses = [part[:3] for part in writer.data.split(b"HTTP/1.1 ")[1:]]
        if b"500" in statuses:
            raise AssertionError("a request broke the connector's own code")
        return b" ".join(statuses[:3]).decode()


def _request(path: str, body: bytes, *more: str, method: str = "POST", token: str = TOKEN) -> bytes:
    lines = [
        f"{method} /v1/{path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        f"{protocol.INCARNATION}: 3",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _seeds(nodes: Iterable[Node]) -> tuple[bytes, ...]:
    plain = [encode(each) for each in nodes]
    return (*plain, b"\x02" + zlib.compress(plain[0][1:]))


def _handshake_seeds() -> tuple[bytes, ...]:
    """A genuine hello without its last byte: with it, it would rightly be taken."""
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=ROOT.public)
    [answer] = FrameSplitter().feed(Peer().answer_hello(INTRO + frame(client.hello())))
    return answer[:-1], b"", b"\x1a\x02\x0a\x00"


def _vouched() -> bytes:
    """What the phone signed for our device, as another one might show it."""
    return SignedDeviceIdentityHmac.FromString(_container(pair_success(KEYS.adv_secret))).details


def _container(node: Node) -> bytes:
    return node.require_child("pair-success").require_child("device-identity").bytes()


def _signal_seeds() -> tuple[bytes, ...]:
    key = bytes(range(32))
    chain_key = sender_key.create(1, key, pair("signing"))
    return (sender_key.distribution(chain_key), b"\x33" + bytes(60), sender_key.encode_key(chain_key))


LIVE = [
    *stanzas.VALID,
    Node("ib", {"from": SERVER}, (Node("offline_preview", {"count": "9"}),)),
    Node("ib", {"from": SERVER}, (Node("edge_routing", {}, (Node("routing_info", {}, b"abc"),)),)),
    Node("ib", {"from": SERVER}, (Node("dirty", {"type": "groups", "timestamp": "5"}),)),
    Node("iq", {"from": SERVER, "type": "get", "xmlns": "urn:xmpp:ping", "id": "1"}),
    Node("stream:error", {"code": "401"}, (Node("conflict", {"type": "replaced"}),)),
    Node("failure", {"reason": "402", "code": "101", "expire": "60"}),
    Node("call", {"from": stanzas.ALICE, "id": "C"}, (Node("offer", {"call-id": "1"}),)),
]

EXTREMES = [
    stanzas.inbound(id="A" * 3000),
    stanzas.inbound(t="9" * 18),
    stanzas.inbound(t="4294967296"),
    stanzas.inbound(**{"from": JID("1" * 3000, GROUP), "participant": stanzas.TABLET}),
    Node("receipt", {"from": stanzas.TABLET, "id": "M1", "t": "9" * 18}),
    Node("receipt", {"from": JID("1" * 3000, "lid"), "id": "A" * 129}),
    Node("call", {"from": stanzas.ALICE, "id": "C"}, (Node("offer" * 600),)),
]
"""Well but for one value, which no table, clock or queue could hold."""

OPTIONS = options(CHALLENGE)
PASTE = json.dumps(PASSKEY.answer(json.loads(OPTIONS))).encode()
HALF = PrimaryEphemeralIdentity(public_key=pair("phone").public, nonce=bytes(32)).SerializeToString()

PAIRING = [
    offer(),
    pair_success(KEYS.adv_secret),
    refresh("companion_reg_refresh"),
    Node("notification", {"from": SERVER, "type": "passkey_prologue_request", "id": "9"}),
    Node(
        "notification",
        {"from": SERVER, "type": "passkey_prologue_request", "id": "9"},
        (Node("passkey_request_options", {}, OPTIONS),),
    ),
    Node(
        "notification",
        {"from": SERVER, "type": "crsc_continuation", "id": "9"},
        (Node("primary_ephemeral_identity", {}, HALF),),
    ),
    Node("stream:error", {"code": "515"}),
]

TEXT = outgoing.text_message("Halo *Siti*", carries=outgoing.carried(Timer(86400, 1_800_000_000)))

ENVELOPE = json.dumps(
    {
        "account": "default",
        "incarnation": 1,
        "epoch": 1,
        "received_at": 1,
        "stanza": base64.b64encode(zlib.compress(encode(stanzas.VALID[0]))).decode(),
    }
).encode()

REQUESTS = (
    _request("accounts/default/iq", encode(Node("iq", {"type": "get"}))),
    _request("accounts/default/message", encode(Node("message", {"id": "1"})), f"{protocol.RESUMED}: 1"),
    _request(
        "accounts/default/message",
        encode(Node("message", {"id": "1"})),
        f"{protocol.PACE}: {protocol.pace_words('customer', urgent=True, known_at=1_795_000_000_000)}",
    ),
    _request("accounts/default/stanza", encode(Node("receipt", {"id": "1"}))),
    _request(
        "accounts/default/download",
        json.dumps({"direct_path": "/v/1", "file_enc_sha256": "00" * 32}).encode(),
    ),
    _request("accounts/default/media", b"ciphertext", f"{protocol.MEDIA}: image"),
    _request("accounts/default/resumed", b""),
    _request("accounts/default/iq", b"", token="wrong"),
    _request("health", b"", method="GET"),
    _request("health", b"", method="GET") * 2,
    b"POST /v1/health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
)


CORPUS = Path(__file__).parent / "corpus"
"""What earlier runs found new, a file for each target, an input in hex a line (`--keep`)."""


def corpus_file(target: str) -> Path:
    return CORPUS / f"{target.replace(' ', '-')}.hex"


_PHONES = tuple(
    written.encode()
    for written in (
        "0812-3456-7890",
        "+44 (0)7911 123456",
        "+54 9 11 15 2345 6789",
        "+52 1 55 1234 5678",
        "+55 11 8123-4567",
        "00 81 90 1234 5678",
        "tel:0812-3456;phone-context=+62;ext=5",
        "https://wa.me/6281234567890?text=%20",
        "https://api.whatsapp.com/send?phone=%2B6281234567890",
        "\u0660\u0668\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",
        "\uff0b\uff16\uff12 812 3456 7890 ext. 5",
    )
)


def targets() -> tuple[Target, ...]:
    """All of them, fresh, with what earlier runs kept."""
    return tuple(replace(target, seeds=(*target.seeds, *_kept(target.name))) for target in _targets())


def _kept(target: str) -> tuple[bytes, ...]:
    file = corpus_file(target)
    return tuple(map(bytes.fromhex, file.read_text().split())) if file.exists() else ()


def _ticket_seeds() -> tuple[bytes, ...]:
    details = (samples.FULL, samples.MINIMAL, samples.HOSTILE)
    events = (
        {"id": "E", "detail-type": "TicketCreated", "source": "desk", "detail": detail} for detail in details
    )
    return tuple(json.dumps(event).encode() for event in events)


_ATTACHMENTS = (
    _MEDIA.blob,
    json.dumps({"url": "https://media.test/1", "direct_path": "/v/1?x=1"}).encode(),
    b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + bytes((0, 0, 1, 0)) * 2,
    b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(10) + b"\xff\xff\xc2\x00\x11\x08\x01\x00\x02\x00",
)

ANSWERS = [
    Node(
        "iq",
        {"type": "result", "id": "1"},
        (Node("media_conn", {"auth": "a", "ttl": "300"}, (Node("host", {"hostname": "mmg.test:443"}),)),),
    ),
    Node(
        "iq",
        {"type": "result", "id": "1"},
        (
            Node(
                "group",
                {"id": "1203", "addressing_mode": "lid"},
                (
                    Node(
                        "participant",
                        {"jid": stanzas.ALICE, "phone_number": stanzas.ALICE_PN, "type": "admin"},
                    ),
                    Node("announcement"),
                ),
            ),
        ),
    ),
    Node(
        "call",
        {"from": stanzas.ALICE, "id": "C"},
        (Node("offer", {"call-id": "1", "call-creator": stanzas.ALICE}),),
    ),
]


def _written() -> Iterator[bytes]:
    """A message for each field that there is, in a wrapper; and an edit that is sealed."""
    for described in Message.DESCRIPTOR.fields:
        message = Message()
        if described.message_type is None:
            message.conversation = "Hi"
        else:
            getattr(message, described.name).SetInParent()
        yield Message(ephemeral=Wrapped(message=message)).SerializeToString()
    sealed = Message()
    sealed.secret_encrypted.type, sealed.secret_encrypted.key.id = 2, "3EB0AA"
    sealed.secret_encrypted.payload, sealed.secret_encrypted.iv = bytes(40), bytes(12)
    yield sealed.SerializeToString()


def _targets() -> tuple[Target, ...]:
    valid = _seeds([*stanzas.VALID, *ANSWERS])
    extreme = tuple(encode(beyond) for beyond in EXTREMES)
    ends = (*_at_the_end(LAST_INDEX), *_at_the_end(LAST_INDEX + 1))
    conversation = _Conversation()
    told = sender_key.distribution(_SENDER_KEY)
    to_group = sender_key.encrypt(_SENDER_KEY, 2, plaintext=TEXT, entropy=bytes(64))
    return (
        Target("node decoder", node, _seeds(LIVE)),
        Target("frames", frames, (frame(b"abc") * 3, b"\xff\xff\xff", b"")),
        Target("noise hello", hello, _handshake_seeds()),
        Target("certificate", chain, (_GENUINE,)),
        Target("pairing identity", identity, (_container(pair_success(KEYS.adv_secret)),)),
        Target("passkey options", passkey_options, (OPTIONS,)),
        Target("passkey paste", paste, (PASTE, json.dumps(PASTE.decode()).encode(), OPTIONS)),
        Target("passkey continuation", continuation, (HALF,)),
        Target("passkey phone", phone := _Phone(), phone.seeds),
        Target("peer identity", peer_identity, (_vouched(),)),
        Target("stanzas and receipts", stanza, (*valid, *extreme)),
        Target("open connection", _Connected(logged_in), (*_seeds(LIVE), *extreme)),
        Target("pairing connection", _Connected(_pairing_talk), _seeds(PAIRING)),
        Target("message protobuf", plaintext, (TEXT + b"\x01", TEXT * 3 + b"\x03\x03\x03", *_written())),
        Target("history protobuf", history, (TEXT, zlib.compress(TEXT))),
        Target("signal messages", signal_message, _signal_seeds()),
        Target("open session", conversation, conversation.seeds),
        Target("group messages", group_message, (to_group, told, *ends)),
        Target("attachments", attachment, _ATTACHMENTS),
        Target("ticket event", ticket, _ticket_seeds()),
        Target("phone numbers", phone, _PHONES),
        Target("addresses", address, (b"628:1@s.whatsapp.net", b"1.2:3@hosted.lid", b"@g.us")),
        Target("version page", page, (b'{"client_revision":1045649367}',)),
        Target("queue envelope", envelope, (ENVELOPE, ENVELOPE.replace(b": 1,", b": 99999999999999999999,"))),
        Target("endpoint", _Doors(), REQUESTS),
        *account_targets.targets(),
        *desk_targets.targets(),
        *request_targets.targets(),
    )
