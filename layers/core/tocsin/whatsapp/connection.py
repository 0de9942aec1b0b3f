"""The client's side of one connection, from the first byte to the last, as a state machine without I/O.

    NEW ─ start ─▶ HANDSHAKE ─ server proves itself ─▶ GREETING ─┬─ pair-device ─▶ PAIRING ─ 515 ─▶ ENDED
                                                                 └─ success ─────▶ OPEN ──────────▶ ENDED

Bytes and the time go in. Bytes to send and events come out. The shell owns the socket, the clock and the
store: it hands in what it read, sends what `data_to_send` gives, and calls `tick` at `next_tick`. `now` is
Unix seconds that don't jump (a monotonic clock with an offset taken at start).

What the peer sends never raises: malformed input becomes `FrameDropped`, the end of the stream `StreamEnded`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp import iq, pairing, reaction
from tocsin.whatsapp.assertion import Assertion
from tocsin.whatsapp.ceremony import Ceremony, PasskeyBusy
from tocsin.whatsapp.certificate import ROOT_KEY
from tocsin.whatsapp.errors import (
    DecodeError,
    EncodeError,
    HandshakeFailed,
    InvalidCertificate,
    InvalidStanza,
    PairingRefused,
    TransportFailed,
)
from tocsin.whatsapp.events import (
    AckReceived,
    AckTimeout,
    Event,
    FrameDropped,
    LoggedIn,
    OfflineDone,
    PairingFailed,
    PairingHint,
    PairingSucceeded,
    PasskeyEnded,
    PreKeysLow,
    RequestTimeout,
    Response,
    RoutingInfo,
    StanzaReceived,
    StreamEnded,
    VersionExpiring,
)
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame, routing_prefix
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.keepalive import SILENCE_SECONDS, Keepalive
from tocsin.whatsapp.linking import Linking
from tocsin.whatsapp.node import Node, decode, encode
from tocsin.whatsapp.noise import ClientHandshake, Transport
from tocsin.whatsapp.payload import ClientInfo, login_payload, registration_payload
from tocsin.whatsapp.reaction import Reaction
from tocsin.whatsapp.receipts import UNKNOWN_STANZA, ack
from tocsin.whatsapp.steps import Then

GREETING_SECONDS: Final = 30.0
"""From our last handshake message to `<success>` or the offer to pair."""
RESTART_SECONDS: Final = 20.0
"""From our confirmation of a pairing to the restart that the server owes; then we restart by ourselves."""
OFFLINE_SECONDS: Final = 20.0
"""After login, or after the last queued stanza, before the end of the queue is taken as said."""
OFFLINE_MOST_SECONDS: Final = 300.0
"""After login, before the end of the queue is taken as said, whatever still comes out of it: else a server
that goes on delivering, a stanza now and then, would keep the account from sending for ever."""
LAST_SENT: Final = 5
"""Stanzas that are named when the server ends the stream because of one of them."""

OFFLINE_BATCH: Final = 100
MAX_ROUTING_BYTES: Final = 1024
"""It is stored, and sent before every handshake; some ten bytes are usual."""
REQUEST_SECONDS: Final = 60.0
ACK_SECONDS: Final = 75.0


@dataclass(frozen=True, slots=True)
class Login:
    """A paired device. `login_counter`: successful logins so far. `push_name`: what recipients see."""

    jid: JID
    lid: JID | None = None
    login_counter: int = 0
    push_name: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """Who we are. `login` None: not paired yet. `routing_info`: from an earlier connection."""

    noise: KeyPair
    identity: KeyPair
    registration_id: int
    signed_prekey: SignedPreKey
    adv_secret: bytes = field(repr=False)
    login: Login | None = None
    routing_info: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """`root_key`: whose certificates we trust. `client`: how we present ourselves, the version included.
    `silence`: seconds that a handshake may take, and see `keepalive`."""

    root_key: bytes = ROOT_KEY
    client: ClientInfo = field(default_factory=ClientInfo)
    silence: float = SILENCE_SECONDS


class NotOpen(RuntimeError):
    """Nothing can be sent in this state of the connection."""


class _Phase(Enum):
    NEW = "new"
    HANDSHAKE = "handshake"
    GREETING = "greeting"
    PAIRING = "pairing"
    OPEN = "open"
    ENDED = "ended"


@dataclass(slots=True)
class _Pending:
    """A request without answer yet. `on_answer`: ours; without it the answer is an event for the shell."""

    deadline: float
    on_answer: Callable[[Node], None] | None = None


class Connection:
    """See the module. `random(n)` gives n random bytes."""

    def __init__(self, identity: DeviceKeys, config: Config, *, random: Callable[[int], bytes]) -> None:
        self._identity = identity
        self._config = config
        self._random = random
        self._phase = _Phase.NEW
        self._splitter = FrameSplitter()
        self._handshake: ClientHandshake | None = None
        self._transport: Transport | None = None
        self._keepalive: Keepalive | None = None
        self._linking: Linking | None = None
        self._pairing: pairing.Pairing | None = None
        self._confirmed = False
        self._now = 0.0
        self._deadline: float | None = None
        self._late = reaction.HANDSHAKE_TIMEOUT
        self._offline_deadline: float | None = None
        self._offline_bound = 0.0
        self._offline_over = False
        self._offline_seen = 0
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._requests: dict[str, _Pending] = {}
        self._acks: dict[str, deque[float]] = {}
        first, second = random(2)
        self._id_prefix = f"{first}.{second}-"
        self._ids = 0
        self._last_sent: deque[Node] = deque(maxlen=LAST_SENT)

    def __repr__(self) -> str:
        return f"Connection({self._phase.value})"

    # What the shell calls

    @property
    def is_open(self) -> bool:
        """Logged in: stanzas may be sent."""
        return self._phase is _Phase.OPEN

    @property
    def is_pairing(self) -> bool:
        return self._phase is _Phase.PAIRING

    @property
    def is_ended(self) -> bool:
        return self._phase is _Phase.ENDED

    @property
    def next_tick(self) -> float | None:
        """When to call `tick` next; it may be asked anew after every call."""
        if self._phase in (_Phase.NEW, _Phase.ENDED):
            return None
        times = [self._deadline, self._offline_deadline]
        times += [pending.deadline for pending in self._requests.values()]
        times += [deadlines[0] for deadlines in self._acks.values()]
        if self._keepalive is not None:
            times.append(self._keepalive.next_tick)
        if self._linking is not None:
            times.append(self._linking.next_tick)
        return min((time for time in times if time is not None), default=None)

    def start(self, now: float) -> None:
        """Begin, once the socket is open."""
        if self._phase is not _Phase.NEW:
            raise NotOpen("a connection starts once")
        payload = self._payload()
        ephemeral = key_pair(self._random(32))
        self._handshake = ClientHandshake(
            self._identity.noise, ephemeral, payload, root_key=self._config.root_key
        )
        routing = self._identity.routing_info
        prefix = routing_prefix(routing) if routing else b""
        self._out.append(prefix + INTRO + frame(self._handshake.hello()))
        self._phase = _Phase.HANDSHAKE
        self._deadline = now + self._config.silence

    def receive_data(self, data: bytes, now: float) -> None:
        """Take in what the socket gave: one WebSocket message, or any part of the stream."""
        self._now = now
        if self._phase is _Phase.ENDED:
            return
        for payload in self._splitter.feed(data):
            self._receive_frame(payload, now)
            if self.is_ended:
                return

    def connection_lost(self) -> None:
        """The socket is closed, by the other side or by the network.

        Before the handshake is done it may be refused for the route that it came by, and counts as failed.
        """
        if self._phase is _Phase.HANDSHAKE:
            self._end(replace(reaction.HANDSHAKE_FAILED, detail="closed before the hello"))
            return
        self._end(reaction.RESTART if self._confirmed else reaction.LOST)

    def tick(self, now: float) -> None:
        """Let time pass: timeouts, keepalive, the next QR code."""
        self._now = now
        if self._phase in (_Phase.NEW, _Phase.ENDED):
            return
        if self._deadline is not None and now >= self._deadline:
            self._end(self._late)
            return
        if self._keepalive is not None:
            if self._keepalive.is_deaf(now):
                self._end(reaction.DEAF)
                return
            if self._keepalive.wants_ping(now):
                self._send_iq(iq.keepalive())
        self._expire(now)
        if self._offline_deadline is not None and now >= self._offline_deadline:
            self._end_offline(complete=False)
        if self._linking is not None:
            self._follow(Then(self._linking.tick(now)), now)
            if self._linking.exhausted:
                self._end(reaction.QR_EXPIRED)

    def data_to_send(self) -> list[bytes]:
        """One WebSocket message each, in order; each is given once."""
        out, self._out = self._out, []
        return out

    def events(self) -> list[Event]:
        """What happened since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def send_node(self, node: Node) -> None:
        """Send a stanza that needs no answer. Raises `NotOpen`, `EncodeError`."""
        if self._transport is None or self._phase is _Phase.ENDED:
            raise NotOpen(self._phase.value)
        self._out.append(frame(self._transport.encrypt(encode(node))))
        self._last_sent.append(node)

    def request(self, node: Node, now: float, timeout: float = REQUEST_SECONDS) -> str:
        """Send an iq under a fresh id, which is returned; `Response` or `RequestTimeout` follows."""
        request_id = self._send_iq(node)
        self._requests[request_id] = _Pending(now + timeout)
        return request_id

    def send_message(self, node: Node, now: float, timeout: float = ACK_SECONDS) -> str:
        """Send a message and return its id; `AckReceived` or `AckTimeout` follows."""
        if not self.is_open:
            raise NotOpen(self._phase.value)
        message_id = node.attr_str("id")
        self.send_node(node)
        self._acks.setdefault(message_id, deque()).append(now + timeout)
        return message_id

    def await_ack(self, message_id: str, now: float, timeout: float = ACK_SECONDS) -> None:
        """Wait for one more ack of a message: one that came may have been a copy's."""
        self._acks.setdefault(message_id, deque()).append(now + timeout)

    def settle_acks(self, message_id: str) -> None:
        """Wait for no ack of this message any more."""
        self._acks.pop(message_id, None)

    def go_active(self, now: float) -> str:
        """Ask for live delivery, after the prekeys are in order, and tell our name. Answered as a request."""
        login = self._identity.login
        request_id = self.request(iq.active(), now)
        if login is not None and login.push_name:
            self.send_node(iq.presence("unavailable", login.push_name))
        return request_id

    def request_pairing_code(self, phone: JID, now: float) -> None:
        """Ask for a code to be typed in on the phone `phone`; `PairingCodeOffered` or `…Refused` follows.

        Takes some 50 ms. Raises `NotOpen` before the server offered to pair.
        """
        if self._linking is None:
            raise NotOpen(self._phase.value)
        self._follow(Then(ask=self._linking.ask_code(phone, now)), now)

    def hand_over_assertion(self, assertion: Assertion, now: float, *, always_ask: bool = False) -> None:
        """Answer `PasskeyRequested`. `always_ask`: have the codes compared in any case. Raises
        `PasskeyBusy`."""
        self._follow(self._ceremony.hand_over(assertion, now, always_ask=always_ask), now)

    def compare_codes(self, same: bool, now: float) -> None:
        """Answer `PasskeyCode`: the phone shows the same code, or another. Raises `PasskeyBusy`."""
        self._follow(self._ceremony.compared(same, now), now)

    @property
    def _ceremony(self) -> Ceremony:
        if self._phase is not _Phase.PAIRING or self._linking is None or self._linking.ceremony is None:
            raise PasskeyBusy(self._phase.value)
        return self._linking.ceremony

    def _follow(self, then: Then, now: float) -> None:
        """Tell and send what a step of the linking led to."""
        self._events += then.events
        if then.ask is not None:
            request_id, on_answer = self._send_iq(then.ask.node), then.ask.on_answer
            self._requests[request_id] = _Pending(
                now + REQUEST_SECONDS, lambda answer: self._follow(on_answer(answer, self._now), self._now)
            )
        for event in then.events:
            if isinstance(event, PasskeyEnded):
                self._end(replace(reaction.PASSKEY_ENDED, detail=f"{event.reason} {event.detail}".rstrip()))

    def confirm_pairing(self) -> None:
        """The pairing is stored: tell the server, which then restarts the stream."""
        if self._pairing is None:
            raise NotOpen("no pairing to confirm")
        self.send_node(self._pairing.reply)
        self._confirmed = True
        self._deadline, self._late = self._now + RESTART_SECONDS, reaction.RESTART

    def close(self) -> None:
        """We leave. No event follows; close the socket with code 1000."""
        self._phase = _Phase.ENDED

    # Handshake

    def _payload(self) -> bytes:
        identity, client = self._identity, self._config.client
        if identity.login is not None:
            return login_payload(client, identity.login.jid, identity.login.login_counter)
        return registration_payload(
            client,
            registration_id=identity.registration_id,
            identity=identity.identity.public,
            signed_prekey=identity.signed_prekey,
        )

    def _receive_frame(self, payload: bytes, now: float) -> None:
        if self._transport is None:
            self._finish_handshake(payload, now)
            return
        try:
            plaintext = self._transport.decrypt(payload)
        except TransportFailed:
            self._end(reaction.UNDECRYPTABLE)
            return
        if self._keepalive is not None:
            self._keepalive.heard(now)
        try:
            self._receive_node(decode(plaintext), now)
        except DecodeError as exc:
            self._events.append(FrameDropped(exc.reason))
        except InvalidStanza as exc:
            self._events.append(FrameDropped(f"stanza: {exc.reason}"))
        except EncodeError as exc:
            # An answer repeats ids and addresses of the question, which may be fit to read but not to write.
            self._events.append(FrameDropped(f"unanswerable: {exc}"))

    def _finish_handshake(self, payload: bytes, now: float) -> None:
        if self._handshake is None:
            return
        try:
            finish, transport = self._handshake.finish(payload, now)
        except InvalidCertificate as exc:
            self._end(replace(reaction.BAD_CERTIFICATE, detail=exc.reason))
            return
        except HandshakeFailed as exc:
            self._end(replace(reaction.HANDSHAKE_FAILED, detail=str(exc)))
            return
        self._out.append(frame(finish))
        self._handshake = None
        self._transport = transport
        self._keepalive = Keepalive(now, self._uniform, self._config.silence)
        self._phase = _Phase.GREETING
        self._deadline = now + GREETING_SECONDS

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * int.from_bytes(self._random(2), "big") / 65535

    # Stanzas

    def _receive_node(self, node: Node, now: float) -> None:
        handler = _HANDLERS.get(node.tag)
        if handler is not None:
            handler(self, node, now)
        elif node.tag not in UNACKED and self.is_open and node.optional_str("id") and "from" in node.attrs:
            # Unanswered, it would come again at every login, until the server ends the stream because of it.
            self.send_node(ack(node))
            self._events.append(FrameDropped(f"unknown stanza <{node.tag[:40]}>"))

    def _on_success(self, node: Node, now: float) -> None:
        if self._phase is not _Phase.GREETING or self._identity.login is None:
            return  # a second one, or one that comes while we pair
        lid = time = None
        with contextlib.suppress(InvalidStanza):
            lid = _own_lid(node)
        with contextlib.suppress(InvalidStanza):
            time = node.optional_int("t")
        self._phase = _Phase.OPEN
        self._deadline = None
        self._offline_deadline = now + OFFLINE_SECONDS
        self._offline_bound = now + OFFLINE_MOST_SECONDS
        self._events.append(LoggedIn(lid, time, time - now if time is not None else None))

    def _on_failure(self, node: Node, now: float) -> None:
        self._end(reaction.on_failure(node))

    def _on_stream_error(self, node: Node, now: float) -> None:
        cause = reaction.on_stream_error(node)
        if cause.reason == "malformed-stanza":
            # One of these is wrong, and only we know them.
            cause = replace(cause, detail="last sent: " + ", ".join(map(_named, self._last_sent)))
        self._end(cause)

    def _on_stream_end(self, node: Node, now: float) -> None:
        self._end(reaction.RESTART if self._confirmed else reaction.STREAM_END)

    def _on_stanza(self, node: Node, now: float) -> None:
        """A message, receipt, notification or call: to be stored by the shell before it is acknowledged."""
        if not self.is_open:
            self._events.append(FrameDropped(f"<{node.tag}> before login"))
            return
        if not self._is_ours(node):
            # Acknowledged as refused. Unanswered, it would come again at every login.
            self.send_node(ack(node, UNKNOWN_STANZA))
            self._events.append(FrameDropped(f"<{node.tag}> for another account"))
            return
        if "offline" in node.attrs and not self._offline_over:
            if self._offline_deadline is not None:
                self._offline_deadline = min(now + OFFLINE_SECONDS, self._offline_bound)
            self._offline_seen += 1
            if self._offline_seen % OFFLINE_BATCH == 0:
                self.send_node(iq.offline_batch(OFFLINE_BATCH))
        self._events.append(StanzaReceived(node))

    def _is_ours(self, node: Node) -> bool:
        """True unless the stanza names an addressee other than us. Most name none."""
        login = self._identity.login
        try:
            to = node.optional_jid("to")
        except InvalidStanza:
            return False
        if login is None or to is None or not to.user:
            return True
        for own in (login.jid, login.lid):
            if own is not None and own.bare == to.bare:
                return to.device in (0, own.device)
        return login.lid is None and to.server == LID

    def _on_notification(self, node: Node, now: float) -> None:
        if self._linking is not None:
            self._on_pairing_notification(node, now)
            return
        count = node.child("count")
        if node.attrs.get("type") == "encrypt" and count is not None and self.is_open:
            # Nothing here needs storing: the sweep looks at the prekeys anyway.
            try:
                self._events.append(PreKeysLow(count.attr_int("value")))
            finally:
                self.send_node(ack(node))
            return
        self._on_stanza(node, now)

    def _on_ack(self, node: Node, now: float) -> None:
        """Receipts bear message ids too, so only acks of class message end the wait for one."""
        if node.attrs.get("class") != "message":
            return
        message_id = node.attr_str("id")
        deadlines = self._acks.get(message_id)
        if deadlines is None:
            return
        deadlines.popleft()
        if not deadlines:
            del self._acks[message_id]
        self._events.append(AckReceived(message_id, node))

    def _on_iq(self, node: Node, now: float) -> None:
        kind = node.attrs.get("type")
        if kind in ("result", "error"):
            self._on_answer(node)
        elif node.attrs.get("xmlns") == "urn:xmpp:ping" or node.child("ping") is not None:
            self.send_node(iq.pong(node))
        elif node.child("pair-device") is not None:
            self._on_pair_device(node, now)
        elif node.child("pair-success") is not None:
            self._on_pair_success(node)
        elif kind in ("get", "set"):
            self.send_node(iq.not_understood(node))

    def _on_answer(self, node: Node) -> None:
        request_id = node.optional_str("id") or ""
        pending = self._requests.pop(request_id, None)
        if pending is None:
            return  # a ping of ours, or an answer that came too late
        if pending.on_answer is not None:
            pending.on_answer(node)
        else:
            self._events.append(Response(request_id, node))

    def _on_ib(self, node: Node, now: float) -> None:
        for child in node.children():
            handler = _INFO_HANDLERS.get(child.tag)
            if handler is not None:
                handler(self, child)

    def _on_offline_preview(self, child: Node) -> None:
        if child.optional_int("count"):
            self.send_node(iq.offline_batch(OFFLINE_BATCH))

    def _on_offline(self, child: Node) -> None:
        self._offline_over = True
        self._end_offline(complete=True)

    def _end_offline(self, *, complete: bool) -> None:
        if self._offline_deadline is not None:
            self._offline_deadline = None
            self._events.append(OfflineDone(complete))

    def _on_dirty(self, child: Node) -> None:
        """Account state changed that a notifier doesn't keep: confirm it as clean."""
        kind = child.optional_str("type")
        if kind is not None and self.is_open:
            self._send_iq(iq.clean_dirty(kind, child.optional_str("timestamp")))

    def _on_edge_routing(self, child: Node) -> None:
        info = child.child("routing_info")
        if info is None:
            return
        if not 0 < len(info.bytes()) <= MAX_ROUTING_BYTES:
            raise InvalidStanza("routing information of an impossible length")
        self._events.append(RoutingInfo(info.bytes()))

    def _on_client_expiration(self, child: Node) -> None:
        self._events.append(VersionExpiring(child.optional_int("t")))

    def _on_downgrade(self, child: Node) -> None:
        self._events.append(PairingHint("multi-device-disabled"))

    # Pairing

    def _on_pair_device(self, node: Node, now: float) -> None:
        if self._identity.login is not None or self._pairing is not None:
            self.send_node(iq.not_understood(node))
            return
        refs = tuple(ref.bytes() for ref in node.require_child("pair-device").children("ref"))
        linking = Linking(self._identity, refs, now, random=self._random)
        self.send_node(iq.pong(node))
        self._linking = linking
        self._phase = _Phase.PAIRING
        self._deadline = None
        self._events += linking.tick(now)

    def _on_pairing_notification(self, node: Node, now: float) -> None:
        """While unpaired, notifications are about the pairing, and nothing of them needs storing."""
        self.send_node(ack(node))
        if self._linking is None or self._pairing is not None:
            return
        self._follow(self._linking.on_notification(node, now), now)

    def _on_pair_success(self, node: Node) -> None:
        if self._linking is None or self._pairing is not None:
            return
        secret = self._linking.adv_secret
        try:
            made = pairing.verify_pair_success(node, self._identity.identity, secret, self._random(64))
        except PairingRefused as exc:
            self.send_node(pairing.refusal(node, exc))
            self._events.append(PairingFailed(exc.code, exc.text))
            self._end(replace(reaction.PAIRING_REFUSED, detail=str(exc)))
            return
        self._pairing = made
        self._linking.finished = True
        self._events.append(PairingSucceeded(made))

    # Ids, timeouts, the end

    def _send_iq(self, node: Node) -> str:
        self._ids += 1
        request_id = f"{self._id_prefix}{self._ids}"
        self.send_node(
            replace(node, attrs={**node.attrs, "id": request_id}, content=_with_sid(node, request_id))
        )
        return request_id

    def _expire(self, now: float) -> None:
        for request_id in [name for name, pending in self._requests.items() if now >= pending.deadline]:
            pending = self._requests.pop(request_id)
            if pending.on_answer is None:
                self._events.append(RequestTimeout(request_id))
        for message_id, deadlines in list(self._acks.items()):
            while deadlines and now >= deadlines[0]:
                deadlines.popleft()
                self._events.append(AckTimeout(message_id))
            if not deadlines:
                del self._acks[message_id]

    def _end(self, cause: Reaction) -> None:
        if self._phase is not _Phase.ENDED:
            self._phase = _Phase.ENDED
            self._events.append(StreamEnded(cause))


def _own_lid(node: Node) -> JID | None:
    """Our device by its LID. It is stored and read back at each login, so nothing else may pass for it."""
    lid = node.optional_jid("lid")
    return lid if lid is not None and lid.server == LID and lid.user.isdecimal() and not lid.agent else None


def _named(node: Node) -> str:
    """A stanza as it may stand in a log: what it is, not what is in it."""
    parts = (node.tag, node.attrs.get("type"), node.attrs.get("xmlns"), node.attrs.get("id"))
    return " ".join(str(part) for part in parts if part)


def _with_sid(node: Node, request_id: str) -> bytes | tuple[Node, ...] | None:
    """A usync query has an id of its own, of the same shape."""
    if not isinstance(node.content, tuple) or node.child("usync") is None:
        return node.content
    return tuple(
        replace(child, attrs={**child.attrs, "sid": request_id}) if child.attrs.get("sid") == "" else child
        for child in node.content
    )


_HANDLERS: Final[dict[str, Callable[[Connection, Node, float], None]]] = {
    "iq": Connection._on_iq,
    "ack": Connection._on_ack,
    "ib": Connection._on_ib,
    "message": Connection._on_stanza,
    "receipt": Connection._on_stanza,
    "call": Connection._on_stanza,
    "notification": Connection._on_notification,
    "success": Connection._on_success,
    "failure": Connection._on_failure,
    "stream:error": Connection._on_stream_error,
    "xmlstreamend": Connection._on_stream_end,
}
"""Other tags are of no use to a notifier."""

UNACKED: Final = frozenset({"presence", "chatstate", "error", "stream:features"})
"""No handler, and no ack either. Whatever else has an id and a sender is acknowledged, known or not."""

_INFO_HANDLERS: Final[dict[str, Callable[[Connection, Node], None]]] = {
    "offline_preview": Connection._on_offline_preview,
    "offline": Connection._on_offline,
    "dirty": Connection._on_dirty,
    "edge_routing": Connection._on_edge_routing,
    "client_expiration": Connection._on_client_expiration,
    "downgrade_webclient": Connection._on_downgrade,
}
