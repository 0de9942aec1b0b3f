"""What is remembered about the sessions with one device.

All public keys are 32 bytes here; the type byte exists on the wire only. A `Record` holds the states of one
device, a `State` one session, a `SendingChain` all that encrypting needs. The chain of the current state may
be stored apart from the rest (`encode_chain`), because sending takes its indexes without reading the rest.

The stored form is our own: a version byte, fields of fixed size (integers big-endian), CRC-32 of it all. The
checksum finds damage, not forgery: sealing is the store's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Any, TypeVar
from zlib import crc32

from tocsin.signal.curve import KeyPair
from tocsin.signal.errors import InvalidRecord, TornRecord


@dataclass(frozen=True)
class Pending:
    """What makes each of our messages a pkmsg until the peer answered: the prekeys that we started from."""

    prekey_id: int | None
    signed_prekey_id: int
    base_key: bytes


@dataclass(frozen=True)
class SendingChain:
    """`chain_key` is the key at `index`, the checkpoint; keys of later indexes are derived from it.

    `previous_counter`: index of the last message of the sending chain before this one, 0 if there was none.
    """

    chain_key: bytes = field(repr=False)
    index: int
    ratchet_public: bytes = field(repr=False)
    previous_counter: int
    remote_identity: bytes = field(repr=False)
    pending: Pending | None = field(repr=False)


@dataclass(frozen=True)
class ReceivingChain:
    """`chain_key` is the key at `next_index`; `skipped`: (index, message seed) of what did not arrive."""

    ratchet_public: bytes = field(repr=False)
    chain_key: bytes = field(repr=False)
    next_index: int
    skipped: tuple[tuple[int, bytes], ...] = field(repr=False, default=())


@dataclass(frozen=True)
class State:
    """One session. Its name is `base_key`, the initiator's.

    `used`: how many indexes of `sending` were handed out. `receiving`: at most 5 chains, newest first.
    `created`, `archived`: seconds since the epoch; `archived` is None while this is the current state.
    """

    base_key: bytes = field(repr=False)
    initiated_by_us: bool
    remote_identity: bytes = field(repr=False)
    remote_registration_id: int
    root_key: bytes = field(repr=False)
    ratchet: KeyPair = field(repr=False)
    sending: SendingChain = field(repr=False)
    used: int
    receiving: tuple[ReceivingChain, ...] = field(repr=False)
    created: int
    archived: int | None = None


@dataclass(frozen=True)
class Record:
    """All sessions with one device: the current one first (if there is one), then archived, newest first.

    `evicted`: ratchet keys of receiving chains that were dropped, newest first; a message under one of them
    is a duplicate, not a bad MAC. `superseded`: identities that this device had before; a session with one of
    them may still decrypt a late message, and never becomes current again.
    """

    states: tuple[State, ...] = ()
    evicted: tuple[bytes, ...] = field(repr=False, default=())
    superseded: tuple[bytes, ...] = field(repr=False, default=())

    @property
    def current(self) -> State | None:
        """The state that sends, or None if the record holds archived ones only."""
        return self.states[0] if self.states and self.states[0].archived is None else None

    @property
    def archived(self) -> tuple[State, ...]:
        return self.states if self.current is None else self.states[1:]

    @property
    def identity(self) -> bytes | None:
        """The device's identity as far as we know: the newest one that no other has superseded."""
        for state in self.states:
            if state.remote_identity not in self.superseded:
                return state.remote_identity
        return None

    @property
    def is_gone(self) -> bool:
        """Whether the device was removed: its sessions tell a repetition, and read nothing (`forgotten`)."""
        return bool(self.states) and self.identity is None


Value = TypeVar("Value", SendingChain, ReceivingChain, State, Record)


def evolve(value: Value, **changes: Any) -> Value:
    """The same value but for the named fields.

    What `dataclasses.replace` does, at a tenth of its cost: every message makes three or four such copies,
    and `__init__` of a frozen dataclass is slower than an HMAC. Hence also no slots.
    """
    copy = object.__new__(type(value))
    copy.__dict__.update(value.__dict__, **changes)
    return copy


_RECORD_VERSION = 1
_CHAIN_VERSION = 1

_BY_US, _ARCHIVED, _SENDING, _PENDING = 1, 2, 4, 8

_COUNT = Struct(">B")
_KEY = Struct(">32s")
_TIME = Struct(">I")
# flags, base key, identity, registration id, root key, own ratchet pair, created
_STATE = Struct(">B32s32sI32s32s32sI")
# chain key, index (8 bytes: a chain that must not send may stand beyond every index), previous counter, used
_SENDING_PART = Struct(">32sQII")
# one-time prekey id (0: none), signed prekey id
_PENDING_PART = Struct(">II")
# ratchet key, chain key, next index, number of skipped keys; then those
_RECEIVING = Struct(">32s32sIH")
_SKIPPED = Struct(">I32s")
# chain key, index, ratchet key, previous counter, identity; then perhaps the pending part and the base key
_CHAIN = Struct(">32sQ32sI32s")


def encode_record(record: Record, *, with_sending: bool = True) -> bytes:
    """The stored form of a record. Without `with_sending`, the current state's sending chain stays out."""
    parts = [_COUNT.pack(len(record.states))]
    for state in record.states:
        _put_state(parts, state, with_sending or state.archived is not None)
    for keys in (record.evicted, record.superseded):
        parts.append(_COUNT.pack(len(keys)))
        parts += keys
    return checked(_RECORD_VERSION, parts)


def decode_record(data: bytes, sending: SendingChain | None = None, used: int = 0) -> Record:
    """Read a record. `sending`, `used`: those of the current state, if the record was written without.

    Raises InvalidRecord if it is damaged, and TornRecord if `sending` belongs to another turn of the session
    than the record does (the two were read while somebody turned it: read both again).
    """
    return _decode_record(data, sending, used)


def decode_lost(data: bytes, entropy: bytes) -> Record:
    """Read a record that was written without the sending chain of its current state, which is lost.

    That state can still receive. It gets a chain with a random key (`entropy`, 32 bytes), under which nobody
    could read anything: archive it, or turn it, before sending. Raises InvalidRecord.
    """
    return _decode_record(data, entropy, 0)


def _decode_record(data: bytes, sending: SendingChain | bytes | None, used: int) -> Record:
    reader = Reader(data, _RECORD_VERSION)
    states = tuple([_take_state(reader, sending, used) for _ in range(reader.count())])
    for state in states[1:]:
        if state.archived is None:
            raise InvalidRecord("two current states")
    evicted, superseded = reader.keys(), reader.keys()
    reader.finish()
    return Record(states, evicted, superseded)


def encode_chain(chain: SendingChain) -> bytes:
    """The stored form of a sending chain that is kept by itself."""
    parts = [
        _CHAIN.pack(
            chain.chain_key,
            chain.index,
            chain.ratchet_public,
            chain.previous_counter,
            chain.remote_identity,
        )
    ]
    pending = chain.pending
    if pending is not None:
        parts.append(_PENDING_PART.pack(pending.prekey_id or 0, pending.signed_prekey_id))
        parts.append(pending.base_key)
    return checked(_CHAIN_VERSION, parts)


def decode_chain(data: bytes) -> SendingChain:
    """Read what `encode_chain` wrote. Raises InvalidRecord."""
    reader = Reader(data, _CHAIN_VERSION)
    chain_key, index, ratchet_public, previous_counter, identity = reader.take(_CHAIN)
    pending = None
    if not reader.at_end():
        prekey_id, signed_prekey_id = reader.take(_PENDING_PART)
        pending = Pending(prekey_id or None, signed_prekey_id, *reader.take(_KEY))
    reader.finish()
    return SendingChain(chain_key, index, ratchet_public, previous_counter, identity, pending)


def _put_state(parts: list[bytes], state: State, with_sending: bool) -> None:
    pending = state.sending.pending if with_sending else None
    flags = (
        (_BY_US if state.initiated_by_us else 0)
        | (_ARCHIVED if state.archived is not None else 0)
        | (_SENDING if with_sending else 0)
        | (_PENDING if pending is not None else 0)
    )
    parts.append(
        _STATE.pack(
            flags,
            state.base_key,
            state.remote_identity,
            state.remote_registration_id,
            state.root_key,
            state.ratchet.private,
            state.ratchet.public,
            state.created,
        )
    )
    if state.archived is not None:
        parts.append(_TIME.pack(state.archived))
    if with_sending:
        # The chain's ratchet key, identity and base key are those of the state: not written twice.
        chain = state.sending
        parts.append(_SENDING_PART.pack(chain.chain_key, chain.index, chain.previous_counter, state.used))
    if pending is not None:
        parts.append(_PENDING_PART.pack(pending.prekey_id or 0, pending.signed_prekey_id))
    parts.append(_COUNT.pack(len(state.receiving)))
    for received in state.receiving:
        skipped = received.skipped
        parts.append(
            _RECEIVING.pack(received.ratchet_public, received.chain_key, received.next_index, len(skipped))
        )
        if skipped:
            put_skipped(parts, skipped)


def put_skipped(parts: list[bytes], skipped: tuple[tuple[int, bytes], ...]) -> None:
    parts += [_SKIPPED.pack(index, seed) for index, seed in skipped]


def _take_state(reader: Reader, given: SendingChain | bytes | None, used: int) -> State:
    flags, base_key, identity, registration_id, root_key, private, public, created = reader.take(_STATE)
    archived = reader.take(_TIME)[0] if flags & _ARCHIVED else None
    if flags & _SENDING:
        chain_key, index, previous_counter, used = reader.take(_SENDING_PART)
        pending = None
        if flags & _PENDING:
            prekey_id, signed_prekey_id = reader.take(_PENDING_PART)
            pending = Pending(prekey_id or None, signed_prekey_id, base_key)
        sending = SendingChain(chain_key, index, public, previous_counter, identity, pending)
    elif given is None:
        raise InvalidRecord("the sending chain of this record is stored elsewhere and was not given")
    elif isinstance(given, bytes):
        sending = SendingChain(given, 0, public, 0, identity, None)
    elif (given.ratchet_public, given.remote_identity) != (public, identity):
        raise TornRecord("record and sending chain belong to different turns")
    else:
        sending = given
    return State(
        base_key,
        bool(flags & _BY_US),
        identity,
        registration_id,
        root_key,
        KeyPair(private, public),
        sending,
        used,
        tuple([_take_receiving(reader) for _ in range(reader.count())]),
        created,
        archived,
    )


def _take_receiving(reader: Reader) -> ReceivingChain:
    ratchet_public, chain_key, next_index, skipped = reader.take(_RECEIVING)
    return ReceivingChain(ratchet_public, chain_key, next_index, reader.skipped(skipped) if skipped else ())


def checked(version: int, parts: list[bytes]) -> bytes:
    """A stored form: its version, its fields, and the CRC-32 over both."""
    data = _COUNT.pack(version) + b"".join(parts)
    return data + crc32(data).to_bytes(4, "big")


class Reader:
    """Takes fields off the front of a stored form. Raises InvalidRecord for whatever doesn't fit."""

    def __init__(self, data: bytes, version: int) -> None:
        if not data or data[0] != version:
            raise InvalidRecord("an unknown version of the stored form")
        self._data = data[:-4]
        if len(data) < 5 or crc32(self._data).to_bytes(4, "big") != data[-4:]:
            raise InvalidRecord("the stored form is damaged")
        self._at = 1

    def take(self, form: Struct) -> tuple[Any, ...]:
        """The values of one group of fields."""
        at = self._at
        self._at = at + form.size
        try:
            return form.unpack_from(self._data, at)
        except StructError:
            raise InvalidRecord("the stored form is cut") from None

    def count(self) -> int:
        return self.take(_COUNT)[0]  # type: ignore[no-any-return]

    def keys(self) -> tuple[bytes, ...]:
        """A number, and as many keys."""
        return tuple([self.take(_KEY)[0] for _ in range(self.count())])

    def skipped(self, number: int) -> tuple[tuple[int, bytes], ...]:
        """That many pairs of an index and a message seed."""
        at = self._at
        self._at = at + number * _SKIPPED.size
        if self._at > len(self._data):
            raise InvalidRecord("the stored form is cut")
        return tuple(_SKIPPED.iter_unpack(self._data[at : self._at]))

    def at_end(self) -> bool:
        return self._at == len(self._data)

    def finish(self) -> None:
        if not self.at_end():
            raise InvalidRecord("the stored form has more than was expected")
