"""Sessions with one device: encrypt, decrypt, and keep the record of current and archived states in bounds.

Everything is a pure function from an immutable record to a new one. Who calls stores the new record before a
ciphertext leaves or a plaintext is used; who gets an exception still holds the old record, which is right.

Spec: Signal, "The Sesame Algorithm", for the order and the promotion of states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tocsin.signal import cipher, ratchet, wire
from tocsin.signal.curve import KeyPair
from tocsin.signal.errors import (
    BadMac,
    Duplicate,
    FutureMessage,
    InvalidMessage,
    NoSession,
    SignalError,
    StaleIndex,
    UntrustedIdentity,
)
from tocsin.signal.kdf import advance as advance_chain_key
from tocsin.signal.kdf import chain_step, message_keys, message_seed
from tocsin.signal.ratchet import MAX_RECEIVING_CHAINS, MAX_SKIP
from tocsin.signal.state import Record, SendingChain, State, evolve
from tocsin.signal.wire import PreKeyMessage, SignalMessage
from tocsin.signal.x3dh import Local, respond

MAX_ARCHIVED_STATES = 40
MAX_EVICTED = 40
ARCHIVED_LIFETIME = 30 * 24 * 3600
"""Seconds that an archived state is kept."""


class Ciphertext(NamedTuple):
    """`type`: `msg`, or `pkmsg` while the peer has not answered. `body`: as it goes on the wire."""

    type: str
    body: bytes


class Decryption(NamedTuple):
    """What a decrypted message changed. Store it all in one step, before the plaintext is used.

    `turned`: the current state's sending chain is another one than before. `new_session`: the message
    founded a state. `promoted`: an archived state is the current one now. `consumed_prekey`: the one-time
    prekey to be deleted. `identity_change`: (old, new) if the device has another identity from now on.
    """

    plaintext: bytes
    record: Record
    turned: bool = False
    new_session: bool = False
    promoted: bool = False
    consumed_prekey: int | None = None
    identity_change: tuple[bytes, bytes] | None = None

    def __repr__(self) -> str:
        return f"Decryption(<{len(self.plaintext)} bytes>, turned={self.turned}, promoted={self.promoted})"


def encrypt(
    chain: SendingChain, index: int, *, identity: bytes, registration_id: int, plaintext: bytes
) -> Ciphertext:
    """Encrypt under one index of a sending chain. `identity`: our own, 32 bytes.

    No randomness enters: the same index with another text would use the same key and IV. So an index must
    have been taken, durably and by this call only, before. Raises StaleIndex if it lies behind the
    checkpoint or more than 2000 ahead of it.
    """
    ahead = index - chain.index
    if not 0 <= ahead <= MAX_SKIP:
        raise StaleIndex(f"index {index} of a chain whose checkpoint is {chain.index}")
    chain_key = advance_chain_key(chain.chain_key, ahead) if ahead else chain.chain_key
    return _encrypt(message_seed(chain_key), chain, index, identity, registration_id, plaintext)


def _encrypt(
    seed: bytes, chain: SendingChain, index: int, identity: bytes, registration_id: int, plaintext: bytes
) -> Ciphertext:
    cipher_key, mac_key, iv = message_keys(seed)
    signed = wire.encode_signal_message(
        chain.ratchet_public, index, chain.previous_counter, cipher.encrypt(cipher_key, iv, plaintext)
    )
    body = signed + ratchet.message_mac(mac_key, identity, chain.remote_identity, signed)
    pending = chain.pending
    if pending is None:
        return Ciphertext("msg", body)
    body = wire.encode_prekey_message(
        pending.prekey_id, pending.base_key, identity, body, registration_id, pending.signed_prekey_id
    )
    return Ciphertext("pkmsg", body)


def advance(chain: SendingChain, index: int) -> SendingChain:
    """The chain with its checkpoint moved to `index`; keys before it can't be derived any more.

    Raises StaleIndex for a place behind the checkpoint.
    """
    if index < chain.index:
        raise StaleIndex(f"index {index} of a chain whose checkpoint is {chain.index}")
    return evolve(chain, chain_key=advance_chain_key(chain.chain_key, index - chain.index), index=index)


def send(record: Record | None, *, local: Local, plaintext: bytes) -> tuple[Record, Ciphertext]:
    """Encrypt under the next unused index, for an endpoint that has its record to itself.

    Raises NoSession if no state is current.
    """
    state = record.current if record is not None else None
    if record is None or state is None:
        raise NoSession("no current session to encrypt with")
    index = state.used
    chain = state.sending if state.sending.index == index else advance(state.sending, index)
    seed, following = chain_step(chain.chain_key)
    message = _encrypt(seed, chain, index, local.identity.public, local.registration_id, plaintext)
    chain = evolve(chain, chain_key=following, index=index + 1)
    used = evolve(state, sending=chain, used=index + 1)
    return evolve(record, states=(used, *record.states[1:])), message


def start(record: Record | None, state: State, now: int) -> Record:
    """The record with `state` (from `x3dh.initiate`) as the current one and the old current one archived.

    A bundle comes from the server with the identity that the device has now: an identity that it replaces is
    superseded, and one that comes back is so no longer.
    """
    record = record or Record()
    superseded = record.superseded
    known = record.identity
    if known is not None and known != state.remote_identity:
        superseded = (known, *superseded)
    superseded = tuple(key for key in superseded if key != state.remote_identity)
    states = (evolve(state, archived=None), *_archived(record.states, now))
    return _bounded(Record(states, record.evicted, superseded), now)


def archive_current(record: Record, now: int) -> Record:
    """The record without a current state: what it had goes on receiving, and sends no more."""
    return _bounded(Record(_archived(record.states, now), record.evicted, record.superseded), now)


def forgotten(record: Record, random: Callable[[int], bytes], now: int) -> Record:
    """The record of a device that is gone: it sends and reads nothing, and tells a repetition of what it once
    sent. The names of its sessions and how far each chain had got stay, for as long as archived states do.

    `random(n)`: n random bytes, which take the place of each secret, for nothing that anybody knows must pass
    for one.
    """
    states = tuple(_without_secrets(state, random) for state in _archived(record.states, now))
    identities = dict.fromkeys((*record.superseded, *(state.remote_identity for state in states)))
    return _bounded(Record(states, record.evicted, tuple(identities)), now)


def _without_secrets(state: State, random: Callable[[int], bytes]) -> State:
    receiving = tuple(evolve(chain, chain_key=random(32), skipped=()) for chain in state.receiving)
    return evolve(
        state,
        root_key=random(32),
        ratchet=KeyPair(random(32), state.ratchet.public),
        sending=evolve(state.sending, chain_key=random(32)),
        receiving=receiving,
    )


def prune(record: Record, now: int) -> Record:
    """The record without archived states whose time is over; otherwise every change does so in passing."""
    return _bounded(record, now)


def merge(record: Record, other: Record, now: int) -> Record:
    """One record of two that turn out to be of the same device. The states of `other` become archived ones.

    Without a current state in `record`, that of `other` stays current.
    """
    if record.current is None and other.current is not None:
        record, other = other, record
    known = {state.base_key for state in record.states}
    added = tuple(state for state in _archived(other.states, now) if state.base_key not in known)
    superseded = dict.fromkeys((*record.superseded, *other.superseded))
    if other.identity is not None and record.identity is not None and other.identity != record.identity:
        superseded[other.identity] = None
    superseded.pop(record.identity or b"", None)
    archived = sorted((*record.archived, *added), key=lambda state: -(state.archived or 0))
    states = (record.current, *archived) if record.current is not None else tuple(archived)
    evicted = tuple(dict.fromkeys((*record.evicted, *other.evicted)))
    return _bounded(Record(states, evicted, tuple(superseded)), now)


def parse(type: str, body: bytes) -> SignalMessage | PreKeyMessage:
    """Read an `enc` of type `msg` or `pkmsg`. Raises InvalidMessage, InvalidKey."""
    if type == "msg":
        return wire.parse_signal_message(body)
    if type == "pkmsg":
        return wire.parse_prekey_message(body)
    raise InvalidMessage(f"not a pairwise message: {type!r}")


def decrypt(
    record: Record | None,
    message: SignalMessage | PreKeyMessage,
    local: Local,
    *,
    prekey: KeyPair | None,
    ratchet: KeyPair | bytes,
    now: int,
    pinned: bytes | None = None,
) -> Decryption:
    """Decrypt one message from this device.

    `prekey`: the one-time prekey that the message names, if we still hold it. `ratchet`: a fresh pair, or 32
    bytes of entropy from which one is made if the message needs it. `pinned`: refuse any other identity; if
    None, a new identity is accepted and reported, once the message has proven itself.

    Raises Duplicate, BadMac, FutureMessage, NoSession, NoPreKey, UntrustedIdentity, InvalidMessage. If
    several states fail, a duplicate in one decides, else a bad MAC, else a message too far ahead.
    """
    record = record or Record()
    if isinstance(message, SignalMessage):
        if not record.states:
            raise NoSession("no session with this device")
        return _decrypt_known(record, message, range(len(record.states)), local, ratchet, now)
    if pinned is not None and message.identity != pinned:
        raise UntrustedIdentity(pinned, message.identity)
    for place, state in enumerate(record.states):
        if state.base_key == message.base_key:
            return _decrypt_known(record, message.message, (place,), local, ratchet, now)
    return _found_session(record, message, local, prekey, ratchet, now)


def _decrypt_known(
    record: Record,
    message: SignalMessage,
    places: range | tuple[int, ...],
    local: Local,
    next_ratchet: KeyPair | bytes,
    now: int,
) -> Decryption:
    """Decrypt with one of the states at `places`. Of a device that is gone, none can."""
    try:
        return _decrypt_with(record, message, places, local, next_ratchet, now)
    except (BadMac, FutureMessage) as failure:
        if record.is_gone:
            raise NoSession("the device was removed") from failure
        raise


def _decrypt_with(
    record: Record,
    message: SignalMessage,
    places: range | tuple[int, ...],
    local: Local,
    next_ratchet: KeyPair | bytes,
    now: int,
) -> Decryption:
    """Decrypt with one of the states at `places`. A ratchet key is of one session: who knows it decides."""
    for place in places:
        state = record.states[place]
        for chain_place, chain in enumerate(state.receiving):
            if chain.ratchet_public == message.ratchet_public:
                opened = ratchet.receive(state, chain_place, message, local.identity.public)
                return _adopt(record, place, *opened, now)
    if message.ratchet_public in record.evicted:
        raise Duplicate("a chain that was used and dropped")
    failure: SignalError = FutureMessage()
    for place in places:
        try:
            turned = ratchet.turn(record.states[place], message, local.identity.public, next_ratchet)
        except BadMac as bad_mac:
            failure = bad_mac
        except FutureMessage:
            continue
        else:
            return _adopt(record, place, *turned, True, now)
    raise failure


def _adopt(record: Record, place: int, plaintext: bytes, state: State, grown: bool, now: int) -> Decryption:
    """The record with the state that decrypted at its place, or promoted if it was an archived one."""
    before = record.states[place]
    if before.archived is None or before.remote_identity in record.superseded:
        changed = evolve(record, states=(*record.states[:place], state, *record.states[place + 1 :]))
        if grown:
            changed = _bounded(changed, now)
        turned = before.archived is None and state.ratchet is not before.ratchet
        return Decryption(plaintext, changed, turned)
    others = (*record.states[:place], *record.states[place + 1 :])
    promoted = (evolve(state, archived=None), *_archived(others, now))
    changed = _bounded(evolve(record, states=promoted), now)
    return Decryption(plaintext, changed, turned=True, promoted=True)


def _found_session(
    record: Record,
    message: PreKeyMessage,
    local: Local,
    prekey: KeyPair | None,
    next_ratchet: KeyPair | bytes,
    now: int,
) -> Decryption:
    """Decrypt a pkmsg whose base key is new. Only when it has proven itself does anything come of it."""
    if message.message.ratchet_public in record.evicted:
        raise Duplicate("the first message of a session that was used and dropped")
    state = respond(local, message, prekey, now=now)
    plaintext, state = ratchet.turn(state, message.message, local.identity.public, next_ratchet)
    known = record.identity
    superseded = record.superseded
    if message.identity in superseded:
        # A late first message of an installation that is gone: readable, but nothing to answer with.
        first = 0 if record.current is None else 1
        late = evolve(state, archived=now)
        states = (*record.states[:first], late, *record.states[first:])
        changed = _bounded(Record(states, record.evicted, superseded), now)
        return Decryption(plaintext, changed, new_session=True, consumed_prekey=message.prekey_id)
    identity_change = None
    if known is not None and known != message.identity:
        identity_change = (known, message.identity)
        superseded = (known, *superseded)
    changed = Record((state, *_archived(record.states, now)), record.evicted, superseded)
    return Decryption(
        plaintext,
        _bounded(changed, now),
        turned=True,
        new_session=True,
        consumed_prekey=message.prekey_id,
        identity_change=identity_change,
    )


def _archived(states: tuple[State, ...], now: int) -> tuple[State, ...]:
    """The states, the current one among them (which is the first, if any) archived now."""
    if states and states[0].archived is None:
        return (evolve(states[0], archived=now), *states[1:])
    return states


def _bounded(record: Record, now: int) -> Record:
    """The record within its limits; ratchet keys of whatever is dropped are remembered as evicted."""
    kept: list[State] = []
    evicted: list[bytes] = []
    for state in record.states:
        expired = state.archived is not None and state.archived < now - ARCHIVED_LIFETIME
        archived = len(kept) - (1 if kept and kept[0].archived is None else 0)
        if expired or (state.archived is not None and archived >= MAX_ARCHIVED_STATES):
            evicted += (chain.ratchet_public for chain in state.receiving)
        elif len(state.receiving) > MAX_RECEIVING_CHAINS:
            evicted += (chain.ratchet_public for chain in state.receiving[MAX_RECEIVING_CHAINS:])
            kept.append(evolve(state, receiving=state.receiving[:MAX_RECEIVING_CHAINS]))
        else:
            kept.append(state)
    return Record(
        _with_bounded_skips(tuple(kept)),
        (*evicted, *record.evicted)[:MAX_EVICTED] if evicted else record.evicted,
        record.superseded[:MAX_ARCHIVED_STATES],
    )


def _with_bounded_skips(states: tuple[State, ...]) -> tuple[State, ...]:
    """Keep at most 2000 skipped keys in all: those of newer states, newer chains, higher indexes."""
    total = sum(len(chain.skipped) for state in states for chain in state.receiving)
    if total <= MAX_SKIP:
        return states
    room = MAX_SKIP
    bounded = []
    for state in states:
        chains = []
        for chain in state.receiving:
            skipped = chain.skipped[max(len(chain.skipped) - room, 0) :]
            room -= len(skipped)
            chains.append(evolve(chain, skipped=skipped))
        bounded.append(evolve(state, receiving=tuple(chains)))
    return tuple(bounded)
