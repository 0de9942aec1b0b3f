"""Receiving: a ciphertext becomes a plaintext and a turned session, in one transaction, once.

Read in this order, so that no race looks like a fault of the peer: what this ciphertext yielded before, the
one-time prekey, the session. Somebody who handles the same message at the same time writes all three at once;
in this order we see at worst his session and no longer his prekey, and then the session is all we need.
A message without a prekey needs no order, so all of it is one request: what was stored in between shows as a
duplicate, and behind a duplicate we look for what it yielded once more.

The plaintext is stored, sealed, with the turn that yielded it. Whoever comes after a crash finds it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Item, Key, Put, Update, Write
from tocsin.keys.account import Credentials, open_credentials, read_credentials
from tocsin.keys.addresses import other_name
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import OtherPairing
from tocsin.keys.prekeys import PreKey, read_prekey, spend
from tocsin.keys.proof import PHONE, is_proven, name_of
from tocsin.keys.sessions import Sessions, read_sessions, read_sessions_beside
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.sealing import DamagedRecord
from tocsin.signal.errors import Duplicate, SignalError, TornRecord, UnprovenDevice
from tocsin.signal.session import Decryption, decrypt, parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, Voucher
from tocsin.tables.keys import credentials_key, outbound_key, retry_key, stanza_key

STANZA_LIFETIME = 14 * 86400
# With keys, tag and seal it stays well below the 400 KB of an item.
MAX_TEXT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """What a ciphertext yielded.

    `plaintext`: with its padding; None if it was handled before, and only the receipt may be missing.
    `repeated`: it was decrypted by an earlier call. `user`: where the session lies. `identity_change`: the
    old and the new identity, if the device has a new one since this message.
    """

    plaintext: bytes | None = field(repr=False)
    repeated: bool
    user: str
    key: Key = field(repr=False)
    new_session: bool = False
    used_prekey: bool = False
    identity_change: tuple[bytes, bytes] | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A ciphertext as it came: from which device, in which stanza.

    `voucher`: what the stanza shows for a companion. `account_key`: the identity of the phone that must vouch
    for it, where that is known beside the session with the phone: our own account's.
    """

    device: int
    stanza_id: str
    type: str
    body: bytes = field(repr=False)
    voucher: Voucher | None = field(repr=False, default=None)
    account_key: bytes | None = field(repr=False, default=None)

    @property
    def digest(self) -> str:
        """Tells a resend from a repetition, which both bear the stanza id of the first."""
        return sha256(self.type.encode() + b"\0" + self.body).hexdigest()[:32]


def receive(
    context: KeyContext,
    incarnation: int,
    local: Local | None,
    user: str,
    arrival: Arrival,
    *,
    abridge: Callable[[bytes], bytes] | None = None,
) -> Received:
    """See `ReceivingKeys.receive`. `local`: `None` has it read along."""
    reception = _Reception(context, incarnation, local, arrival, abridge)
    return turning(context, lambda current: reception.attempt(user, current))


class StanzaRecords:
    """What one arrival yields, stored with the turn that yielded it and found by whoever comes after."""

    def __init__(
        self,
        context: KeyContext,
        incarnation: int,
        arrival: Arrival,
        abridge: Callable[[bytes], bytes] | None,
    ) -> None:
        self._context = context
        self._incarnation = incarnation
        self._arrival = arrival
        self._abridge = abridge
        # By the tag of the stanza record: what we tried to commit, in case only the answer was lost.
        self._tried: dict[bytes, Received] = {}

    def known(self, user: str) -> Received | None:
        """What this ciphertext yielded before, if it did."""
        return self.opened(user, self._context.table.get(self.key(user)))

    def opened(self, user: str, item: Item | None) -> Received | None:
        """The same, from the item as it was read already: no request."""
        if item is None:
            return None
        key, tag = self.key(user), item.get("tag")
        ours = self._tried.get(tag) if isinstance(tag, bytes) else None
        return ours or Received(self._text(item), True, user, key)

    def known_elsewhere(self, user: str) -> Received | None:
        other = other_name(self._context, user)
        return self.known(other) if other is not None else None

    def record(self, received: Received) -> Write:
        """The record that a repetition of this ciphertext will find."""
        tag, text = self._context.new_tag(), received.plaintext or b""
        if len(text) > MAX_TEXT and self._abridge is not None:
            text = self._abridge(text)
        sealed = self._context.seal(text, received.key, "text", tag)
        expire_at = self._context.now() + STANZA_LIFETIME
        self._tried[tag] = received
        return Put(received.key, {"tag": tag, "text": sealed, "expire_at": expire_at}, when=(ITEM_ABSENT,))

    def key(self, user: str) -> Key:
        arrival = self._arrival
        return stanza_key(
            self._context.account, self._incarnation, user, arrival.device, arrival.stanza_id, arrival.digest
        )

    def _text(self, item: Item) -> bytes | None:
        """The plaintext, or None if it was handled, or is damaged (which is reported)."""
        if "text" not in item:
            return None
        try:
            return self._context.unseal(item, "text", "tag")
        except DamagedRecord as damaged:
            self._context.on_damage(damaged)
            return None


class _Reading(NamedTuple):
    """What it takes to read a ciphertext."""

    sessions: Sessions
    local: Local
    prekey: PreKey | None = None


class _Reception:
    """One arrival on its way, through as many tries as it takes."""

    def __init__(
        self,
        context: KeyContext,
        incarnation: int,
        local: Local | None,
        arrival: Arrival,
        abridge: Callable[[bytes], bytes] | None,
    ) -> None:
        self._context = context
        self._incarnation = incarnation
        self._given = local
        self._arrival = arrival
        self._message = parse(arrival.type, arrival.body)
        self._stanzas = StanzaRecords(context, incarnation, arrival, abridge)

    def attempt(self, user: str, current: Try) -> Received:
        """Read in order, decrypt, commit. Raises as `turning` expects it."""
        reading = self._read(user, current)
        if isinstance(reading, Received):
            return reading
        sessions, local, prekey = reading
        if sessions.moved is not None and sessions.moved != user:
            return self.attempt(sessions.moved, current)
        turn = Turn(sessions, current.leap)
        try:
            decryption = self._decrypt(turn, local, prekey)
            proven = self._prove(turn, decryption)
        except SignalError as failure:
            return self._second_look(user, sessions, failure)
        # Comparing chains wouldn't tell: the one that was read may come back from the archive.
        store = turn.replace if decryption.turned or proven else turn.receive
        store(self._arrival.device, decryption.record, heard_at=self._context.now())
        received = self._yield(user, decryption)
        record = self._stanzas.record(received)
        spent = [spend(prekey)] if prekey is not None and decryption.consumed_prekey is not None else []
        commit(self._context, [*turn.writes(), record, *spent], turn)
        return received

    def _read(self, user: str, current: Try) -> Received | _Reading:
        """What this ciphertext yielded before, or else what it takes to read it."""
        if isinstance(self._message, PreKeyMessage):
            return self._read_in_order(user, current, self._message.prekey_id)
        ours, stanza = credentials_key(self._context.account), self._stanzas.key(user)
        sessions, found = read_sessions_beside(
            self._context,
            self._incarnation,
            user,
            self._arrival.device,
            [stanza] if self._given is not None else [stanza, ours],
            torn_is_lost=current.torn_is_lost,
        )
        local = self._given or self._local(open_credentials(self._context, found.get(ours)))
        return self._stanzas.opened(user, found.get(stanza)) or _Reading(sessions, local)

    def _read_in_order(self, user: str, current: Try, prekey_id: int | None) -> Received | _Reading:
        local = self._given or self._local(read_credentials(self._context))
        known = self._stanzas.known(user)
        if known is not None:
            return known
        prekey = read_prekey(self._context, prekey_id) if prekey_id is not None else None
        sessions = read_sessions(
            self._context,
            self._incarnation,
            user,
            self._arrival.device,
            torn_is_lost=current.torn_is_lost,
            phone=self._wants_proof,
        )
        return _Reading(sessions, local, prekey)

    def _local(self, credentials: Credentials) -> Local:
        if self._incarnation != credentials.incarnation:
            raise OtherPairing(self._incarnation, credentials.incarnation)
        return credentials.local

    def _decrypt(self, turn: Turn, local: Local, prekey: PreKey | None) -> Decryption:
        return decrypt(
            turn.record(self._arrival.device),
            self._message,
            local,
            prekey=prekey.pair if prekey is not None else None,
            ratchet=self._context.random(32),
            now=self._context.now(),
        )

    @property
    def _wants_proof(self) -> bool:
        """Whether it may found a session with a companion."""
        return isinstance(self._message, PreKeyMessage) and self._arrival.device != PHONE

    def _prove(self, turn: Turn, decryption: Decryption) -> bool:
        """Note in the turn who vouches for a companion; whether that is news. Raises UnprovenDevice if nobody
        does and the message founds a session: nothing is stored of it then."""
        message, device = self._message, self._arrival.device
        if not isinstance(message, PreKeyMessage) or device == PHONE:
            return False
        phone = self._arrival.account_key or turn.phone_identity()
        known = turn.vouched_by(device, message.identity)
        if is_proven(device, phone, known, message.identity, self._arrival.voucher):
            # Of a late message from an installation that is gone, nothing is proved of the present one.
            if decryption.record.identity == message.identity:
                turn.prove(device, name_of(phone))
            return known != name_of(phone)
        if decryption.new_session:
            raise UnprovenDevice(phone_known=phone is not None)
        return False

    def _second_look(self, user: str, sessions: Sessions, failure: SignalError) -> Received:
        """A failure is believed only if nobody was faster: neither with this message nor with the session."""
        if isinstance(failure, Duplicate):
            # Under this name, or under the other one before the sessions moved.
            known = self._stanzas.known(user) or self._stanzas.known_elsewhere(user)
            if known is not None:
                return known
        key = outbound_key(self._context.account, self._incarnation, user)
        before, after = sessions.outbound or {}, self._context.table.get(key) or {}
        if any(before.get(name) != after.get(name) for name in ("turn", "signpost")):
            raise TornRecord("the sessions were turned or moved while we read them") from failure
        raise failure

    def _yield(self, user: str, decryption: Decryption) -> Received:
        return Received(
            decryption.plaintext,
            False,
            user,
            self._stanzas.key(user),
            decryption.new_session,
            decryption.consumed_prekey is not None,
            decryption.identity_change,
        )


def mark_handled(context: KeyContext, received: Received) -> None:
    """What the plaintext said is done: forget it, keep the mark."""
    update = Update(received.key, set={"handled": True}, remove=("text",), when=(ITEM_EXISTS,))
    try:
        context.patiently(lambda: context.table.update(update))
    except ConditionFailed:
        # Expired meanwhile, which says the same.
        return


def count_retry(
    context: KeyContext, incarnation: int, user: str, device: int, stanza_id: str, at_least: int = 0
) -> int:
    """One more request for this stanza; how many that makes. `at_least`: what the sender's own count says."""
    key = retry_key(context.account, incarnation, user, device, stanza_id)
    expire_at = context.now() + STANZA_LIFETIME
    update = Update(key, set={"expire_at": expire_at}, add={"count": 1})
    count = context.patiently(lambda: context.table.update(update))["count"]
    assert isinstance(count, int)  # noqa: S101 - ADD refuses anything but a number
    if count >= at_least:
        return count
    lift = Update(key, set={"count": at_least})
    context.patiently(lambda: context.table.update(lift))
    return at_least
