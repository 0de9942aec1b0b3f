"""Sender keys: one chain per sender and group, distributed pairwise, each message signed.

The sender's side is a chain like a session's: a number is taken first, the key is derived from a checkpoint.
The receiver's side keeps the newest five keys of each sender. Spec: Signal's sender keys, as WhatsApp uses
them (no distribution id).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from struct import Struct

from tocsin.signal import cipher, wire
from tocsin.signal.curve import KeyPair, sign, verify
from tocsin.signal.errors import Duplicate, FutureMessage, InvalidRecord, NoSession, StaleIndex
from tocsin.signal.kdf import advance as advance_chain_key
from tocsin.signal.kdf import chain_step, group_message_keys, message_seed
from tocsin.signal.state import Reader, checked, put_skipped
from tocsin.signal.wire import SenderKeyDistribution

MAX_STATES = 5
MAX_SKIP = 2000


@dataclass(frozen=True, slots=True)
class SenderKey:
    """Our own key for a group. `chain_key` is the key at `iteration`, the checkpoint."""

    key_id: int
    chain_key: bytes = field(repr=False)
    iteration: int
    signing: KeyPair = field(repr=False)


@dataclass(frozen=True, slots=True)
class SenderKeyState:
    """Another one's key. `skipped`: (iteration, message seed) of what did not arrive."""

    key_id: int
    signing_public: bytes = field(repr=False)
    chain_key: bytes = field(repr=False)
    iteration: int
    skipped: tuple[tuple[int, bytes], ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class SenderKeyRecord:
    """The keys of one sender in one group, newest first, at most five."""

    states: tuple[SenderKeyState, ...] = ()


def create(key_id: int, chain_key: bytes, signing: KeyPair) -> SenderKey:
    """A new key of our own. `key_id`: 31 random bits; `chain_key`: 32 random bytes; `signing`: a pair."""
    return SenderKey(key_id, chain_key, 0, signing)


def distribution(key: SenderKey) -> bytes:
    """What a member needs to read messages from the key's checkpoint on. Make it before encrypting: who gets
    it afterwards can't read that message."""
    return wire.encode_distribution(
        SenderKeyDistribution(key.key_id, key.iteration, key.chain_key, key.signing.public)
    )


def advance(key: SenderKey, iteration: int) -> SenderKey:
    """The key with its checkpoint moved to `iteration`. Raises StaleIndex for a place behind it."""
    if iteration < key.iteration:
        raise StaleIndex(f"iteration {iteration} of a sender key whose checkpoint is {key.iteration}")
    chain_key = advance_chain_key(key.chain_key, iteration - key.iteration)
    return SenderKey(key.key_id, chain_key, iteration, key.signing)


def encrypt(key: SenderKey, iteration: int, *, plaintext: bytes, entropy: bytes) -> bytes:
    """A `skmsg` under one iteration, which must have been taken durably before. `entropy`: 64 random bytes.

    Raises StaleIndex if the iteration lies behind the checkpoint or more than 2000 ahead of it.
    """
    ahead = iteration - key.iteration
    if not 0 <= ahead <= MAX_SKIP:
        raise StaleIndex(f"iteration {iteration} of a sender key whose checkpoint is {key.iteration}")
    cipher_key, iv = group_message_keys(message_seed(advance_chain_key(key.chain_key, ahead)))
    signed = wire.encode_sender_key_message(key.key_id, iteration, cipher.encrypt(cipher_key, iv, plaintext))
    return signed + sign(key.signing.private, signed, entropy)


def process(record: SenderKeyRecord | None, body: bytes) -> SenderKeyRecord:
    """The sender's record with a distribution message taken in. Raises InvalidMessage, InvalidKey.

    A key that we have already stays where it is in its chain: a repeated distribution must not make messages
    readable again. Of more than five keys the oldest goes.
    """
    received = wire.parse_distribution(body)
    states = record.states if record is not None else ()
    newest = SenderKeyState(received.key_id, received.signing_public, received.chain_key, received.iteration)
    for state in states:
        if state.key_id == received.key_id and state.signing_public == received.signing_public:
            newest = state
    others = tuple(state for state in states if state.key_id != received.key_id)
    return SenderKeyRecord((newest, *others)[:MAX_STATES])


def merge(record: SenderKeyRecord | None, earlier: SenderKeyRecord) -> SenderKeyRecord:
    """One sender's keys that came under two names; those of `record` go first. A key that both have is the
    one that was used further: what was read under one name isn't readable again. Of more than five the oldest
    go.
    """
    states = record.states if record is not None else ()
    also = {(state.key_id, state.signing_public): state for state in earlier.states}
    merged = [
        twin if twin is not None and twin.iteration > state.iteration else state
        for state in states
        for twin in (also.pop((state.key_id, state.signing_public), None),)
    ]
    known = {state.key_id for state in states}
    rest = [state for state in also.values() if state.key_id not in known]
    return SenderKeyRecord((*merged, *rest)[:MAX_STATES])


def decrypt(record: SenderKeyRecord | None, body: bytes) -> tuple[bytes, SenderKeyRecord]:
    """The plaintext of a `skmsg`, and the sender's record without the key that opened it.

    Raises NoSession if there is no key with this id, BadSignature, Duplicate, FutureMessage, InvalidMessage.
    """
    message = wire.parse_sender_key_message(body)
    states = record.states if record is not None else ()
    place = next((at for at, state in enumerate(states) if state.key_id == message.key_id), None)
    if place is None:
        raise NoSession("no sender key with this id")
    verify(states[place].signing_public, message.signed, message.signature)
    seed, after = _take_seed(states[place], message.iteration)
    cipher_key, iv = group_message_keys(seed)
    plaintext = cipher.decrypt(cipher_key, iv, message.ciphertext)
    return plaintext, SenderKeyRecord((*states[:place], after, *states[place + 1 :]))


_KEY_VERSION = 0x11
_RECORD_VERSION = 0x12

# key id, chain key, iteration, signing pair
_KEY = Struct(">I32sI32s32s")
# key id, signing key, chain key, iteration, number of skipped keys; then those
_STATE = Struct(">I32s32sIH")


def encode_key(key: SenderKey) -> bytes:
    """The stored form of our own key."""
    pair = key.signing
    return checked(
        _KEY_VERSION, [_KEY.pack(key.key_id, key.chain_key, key.iteration, pair.private, pair.public)]
    )


def decode_key(data: bytes) -> SenderKey:
    """Raises InvalidRecord."""
    reader = Reader(data, _KEY_VERSION)
    key_id, chain_key, iteration, private, public = reader.take(_KEY)
    reader.finish()
    return SenderKey(key_id, chain_key, iteration, KeyPair(private, public))


def encode_record(record: SenderKeyRecord) -> bytes:
    """The stored form of another sender's keys."""
    parts = [bytes((len(record.states),))]
    for state in record.states:
        skipped = state.skipped
        parts.append(
            _STATE.pack(state.key_id, state.signing_public, state.chain_key, state.iteration, len(skipped))
        )
        put_skipped(parts, skipped)
    return checked(_RECORD_VERSION, parts)


def decode_record(data: bytes) -> SenderKeyRecord:
    """Raises InvalidRecord."""
    reader = Reader(data, _RECORD_VERSION)
    number = reader.count()
    if number > MAX_STATES:
        raise InvalidRecord("too many sender keys")
    states = []
    for _ in range(number):
        key_id, signing_public, chain_key, iteration, skipped = reader.take(_STATE)
        states.append(SenderKeyState(key_id, signing_public, chain_key, iteration, reader.skipped(skipped)))
    reader.finish()
    return SenderKeyRecord(tuple(states))


def _take_seed(state: SenderKeyState, iteration: int) -> tuple[bytes, SenderKeyState]:
    """The message seed of an iteration, and the state without it."""
    ahead = iteration - state.iteration
    if ahead < 0:
        place = bisect_left(state.skipped, (iteration,))
        if place == len(state.skipped) or state.skipped[place][0] != iteration:
            raise Duplicate("this iteration was used, or lies before the distribution")
        skipped = state.skipped[:place] + state.skipped[place + 1 :]
        after = SenderKeyState(state.key_id, state.signing_public, state.chain_key, state.iteration, skipped)
        return state.skipped[place][1], after
    if ahead > MAX_SKIP:
        raise FutureMessage(f"{ahead} messages ahead in the sender's chain")
    chain_key, seeds = state.chain_key, []
    for skipped_iteration in range(state.iteration, iteration):
        seed, chain_key = chain_step(chain_key)
        seeds.append((skipped_iteration, seed))
    seed, following = chain_step(chain_key)
    after = SenderKeyState(
        state.key_id,
        state.signing_public,
        following,
        iteration + 1,
        (*state.skipped, *seeds)[-MAX_SKIP:],
    )
    return seed, after
