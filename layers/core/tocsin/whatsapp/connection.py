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

from tocsin.signal.curve import key_pair
from tocsin.whatsapp import iq, reaction
from tocsin.whatsapp.assertion import Assertion
from tocsin.whatsapp.ceremony import Ceremony, PasskeyBusy
from tocsin.whatsapp.certificate import ROOT_KEY
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.device_keys import DeviceKeys, is_for, own_lid
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import (
    DecodeError,
    EncodeError,
    HandshakeFailed,
    InvalidStanza,
    TransportFailed,
)
from tocsin.whatsapp.events import (
    Event,
    FrameDropped,
    LoggedIn,
    PasskeyEnded,
    PreKeysLow,
    StanzaReceived,
    StreamEnded,
)
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame, routing_prefix
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.keepalive import SILENCE_SECONDS, Keepalive
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import ClientHandshake, Transport
from tocsin.whatsapp.offline_queue import OFFLINE_BATCH, OfflineQueue
from tocsin.whatsapp.outstanding import Outstanding
from tocsin.whatsapp.payload import ClientInfo, first_payload
from tocsin.whatsapp.reaction import Reaction
from tocsin.whatsapp.receipts import UNKNOWN_STANZA, ack
from tocsin.whatsapp.server_info import told
from tocsin.whatsapp.steps import Then
from tocsin.whatsapp.unpaired import Unpaired

GREETING_SECONDS: Final = 30.0
"""From our last handshake message to `<success>` or the offer to pair."""
RESTART_SECONDS: Final = 20.0
"""From our confirmation of a pairing to the restart that the server owes; then we restart by ourselves."""
LAST_SENT: Final = 5
"""Stanzas that are named when the server ends the stream because of one of them."""

REQUEST_SECONDS: Final = 60.0
ACK_SECONDS: Final = 75.0


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
        self._unpaired = Unpaired(identity, random=random)
        self._confirmed = False
        self._now = 0.0
        self._deadline: float | None = None
        self._late = reaction.HANDSHAKE_TIMEOUT
        self._offline = OfflineQueue()
        self._outstanding = Outstanding()
        self._out: list[bytes] = []
        self._events: list[Event] = []
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
        times = [self._deadline, self._offline.deadline, self._unpaired.next_tick]
        times += self._outstanding.deadlines
        if self._keepalive is not None:
            times.append(self._keepalive.next_tick)
        return min((time for time in times if time is not None), default=None)

    def start(self, now: float) -> None:
        """Begin, once the socket is open."""
        if self._phase is not _Phase.NEW:
            raise NotOpen("a connection starts once")
        payload = first_payload(self._config.client, self._identity)
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
        self._events += self._outstanding.expire(now)
        self._events += self._offline.tick(now)
        self._follow(self._unpaired.tick(now), now)

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
        self._outstanding.asked(request_id, now + timeout)
        return request_id

    def send_message(self, node: Node, now: float, timeout: float = ACK_SECONDS) -> str:
        """Send a message and return its id; `AckReceived` or `AckTimeout` follows."""
        if not self.is_open:
            raise NotOpen(self._phase.value)
        message_id = node.attr_str("id")
        self.send_node(node)
        self._outstanding.await_ack(message_id, now + timeout)
        return message_id

    def await_ack(self, message_id: str, now: float, timeout: float = ACK_SECONDS) -> None:
        """Wait for one more ack of a message: one that came may have been a copy's."""
        self._outstanding.await_ack(message_id, now + timeout)

    def settle_acks(self, message_id: str) -> None:
        """Wait for no ack of this message any more."""
        self._outstanding.settle_acks(message_id)

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
        then = self._unpaired.ask_code(phone, now)
        if then is None:
            raise NotOpen(self._phase.value)
        self._follow(then, now)

    def hand_over_assertion(self, assertion: Assertion, now: float, *, always_ask: bool = False) -> None:
        """Answer `PasskeyRequested`. `always_ask`: have the codes compared in any case. Raises
        `PasskeyBusy`."""
        self._follow(self._ceremony.hand_over(assertion, now, always_ask=always_ask), now)

    def compare_codes(self, same: bool, now: float) -> None:
        """Answer `PasskeyCode`: the phone shows the same code, or another. Raises `PasskeyBusy`."""
        self._follow(self._ceremony.compared(same, now), now)

    @property
    def _ceremony(self) -> Ceremony:
        ceremony = self._unpaired.ceremony
        if self._phase is not _Phase.PAIRING or ceremony is None:
            raise PasskeyBusy(self._phase.value)
        return ceremony

    def _follow(self, then: Then, now: float) -> None:
        """Do what a step of the pairing led to."""
        if then.send is not None:
            self.send_node(then.send)
        self._events += then.events
        if then.ask is not None:
            request_id, on_answer = self._send_iq(then.ask.node), then.ask.on_answer
            self._outstanding.asked(
                request_id,
                now + REQUEST_SECONDS,
                lambda answer: self._follow(on_answer(answer, self._now), self._now),
            )
        for event in then.events:
            if isinstance(event, PasskeyEnded):
                self._end(replace(reaction.PASSKEY_ENDED, detail=f"{event.reason} {event.detail}".rstrip()))
        if then.end is not None:
            self._end(then.end)

    def confirm_pairing(self) -> None:
        """The pairing is stored: tell the server, which then restarts the stream."""
        confirmation = self._unpaired.confirmation
        if confirmation is None:
            raise NotOpen("no pairing to confirm")
        self.send_node(confirmation)
        self._confirmed = True
        self._deadline, self._late = self._now + RESTART_SECONDS, reaction.RESTART

    def close(self) -> None:
        """We leave. No event follows; close the socket with code 1000."""
        self._phase = _Phase.ENDED

    # Handshake

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
        except HandshakeFailed as exc:
            self._end(reaction.on_handshake_failed(exc))
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
            lid = own_lid(node)
        with contextlib.suppress(InvalidStanza):
            time = node.optional_int("t")
        self._phase = _Phase.OPEN
        self._deadline = None
        self._offline.logged_in(now)
        self._events.append(LoggedIn(lid, time, time - now if time is not None else None))

    def _on_failure(self, node: Node, now: float) -> None:
        self._end(reaction.on_failure(node))

    def _on_stream_error(self, node: Node, now: float) -> None:
        self._end(reaction.on_stream_error(node, self._last_sent))

    def _on_stream_end(self, node: Node, now: float) -> None:
        self._end(reaction.RESTART if self._confirmed else reaction.STREAM_END)

    def _on_stanza(self, node: Node, now: float) -> None:
        """A message, receipt, notification or call: to be stored by the shell before it is acknowledged."""
        if not self.is_open:
            self._events.append(FrameDropped(f"<{node.tag}> before login"))
            return
        if not is_for(self._identity.login, node):
            # Acknowledged as refused. Unanswered, it would come again at every login.
            self.send_node(ack(node, UNKNOWN_STANZA))
            self._events.append(FrameDropped(f"<{node.tag}> for another account"))
            return
        if "offline" in node.attrs and self._offline.took(now):
            self.send_node(iq.offline_batch(OFFLINE_BATCH))
        self._events.append(StanzaReceived(node))

    def _on_notification(self, node: Node, now: float) -> None:
        if self._unpaired.is_offered:
            # While unpaired, notifications are about the pairing, and nothing of them needs storing.
            self.send_node(ack(node))
            self._follow(self._unpaired.on_notification(node, now), now)
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
        self._events += self._outstanding.acknowledged(node)

    def _on_iq(self, node: Node, now: float) -> None:
        kind = node.attrs.get("type")
        if kind in ("result", "error"):
            self._events += self._outstanding.answered(node)
        elif node.attrs.get("xmlns") == "urn:xmpp:ping" or node.child("ping") is not None:
            self.send_node(iq.pong(node))
        elif node.child("pair-device") is not None:
            self._on_pair_device(node, now)
        elif node.child("pair-success") is not None:
            self._follow(self._unpaired.on_pair_success(node), now)
        elif kind in ("get", "set"):
            self.send_node(iq.not_understood(node))

    def _on_ib(self, node: Node, now: float) -> None:
        for child in node.children():
            handler = _INFO_HANDLERS.get(child.tag)
            if handler is not None:
                handler(self, child)
            self._events += told(child)

    def _on_offline_preview(self, child: Node) -> None:
        if child.optional_int("count"):
            self.send_node(iq.offline_batch(OFFLINE_BATCH))

    def _on_offline(self, child: Node) -> None:
        self._events += self._offline.over()

    def _on_dirty(self, child: Node) -> None:
        """Account state changed that a notifier doesn't keep: confirm it as clean."""
        kind = child.optional_str("type")
        if kind is not None and self.is_open:
            self._send_iq(iq.clean_dirty(kind, child.optional_str("timestamp")))

    # Pairing

    def _on_pair_device(self, node: Node, now: float) -> None:
        if not self._unpaired.is_wanted:
            self.send_node(iq.not_understood(node))
            return
        linking = self._unpaired.offered(node, now)
        self.send_node(iq.pong(node))
        self._phase = _Phase.PAIRING
        self._deadline = None
        self._events += self._unpaired.begin(linking, now)

    # Ids, the end

    def _send_iq(self, node: Node) -> str:
        self._ids += 1
        request_id = f"{self._id_prefix}{self._ids}"
        self.send_node(iq.with_id(node, request_id))
        return request_id

    def _end(self, cause: Reaction) -> None:
        if self._phase is not _Phase.ENDED:
            self._phase = _Phase.ENDED
            self._events.append(StreamEnded(cause))


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
}
