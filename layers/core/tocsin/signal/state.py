"""What is remembered about the sessions with one device.

All public keys are 32 bytes here; the type byte exists on the wire only. A `Record` holds the states of one
device, a `State` one session, a `SendingChain` all that encrypting needs. The chain of the current state may
be stored apart from the rest (`encode_chain`), because sending takes its indexes without reading the rest.

The encoding is our own: a version byte, fixed fields, protobuf's variable-length integers, CRC-32 of it all.
The checksum finds damage, not forgery: sealing is the store's business.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from zlib import crc32

from .curve import KeyPair
from .errors import InvalidMessage, InvalidRecord, TornRecord
from .wire import read_varint, varint


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


Item = TypeVar("Item")
Value = TypeVar("Value", SendingChain, ReceivingChain, State, Record)


def evolve(value: Value, **changes: Any) -> Value:
    """The same value but for the named fields.

    What `dataclasses.replace` does, at a tenth of its cost: every message makes three or four such copies,
    and `__init__` of a frozen dataclass is slower than an HMAC. Hence also no slots.
    """
    copy = object.__new__(type(value))
    copy.__dict__.update(value.__dict__, **changes)
    return copy


_RECORD_VERSION = b"\x01"
_CHAIN_VERSION = b"\x01"

_BY_US, _ARCHIVED, _SENDING, _PENDING = 1, 2, 4, 8


def encode_record(record: Record, *, with_sending: bool = True) -> bytes:
    """The bytes of a record. Without `with_sending`, the sending chain of the current state stays out."""
    parts = [varint(len(record.states))]
    for state in record.states:
        _put_state(parts, state, with_sending or state.archived is not None)
    for keys in (record.evicted, record.superseded):
        parts.append(varint(len(keys)))
        parts.extend(keys)
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
    states = tuple(_take_state(reader, sending, used) for _ in range(reader.integer()))
    if any(state.archived is None for state in states[1:]):
        raise InvalidRecord("two current states")
    evicted = tuple(reader.many(reader.key))
    superseded = tuple(reader.many(reader.key))
    reader.finish()
    return Record(states, evicted, superseded)


def encode_chain(chain: SendingChain) -> bytes:
    """The bytes of a sending chain that is stored by itself."""
    pending = chain.pending
    parts = [
        chain.chain_key,
        varint(chain.index),
        chain.ratchet_public,
        varint(chain.previous_counter),
        chain.remote_identity,
    ]
    if pending is not None:
        parts += (
            varint(pending.prekey_id or 0),
            varint(pending.signed_prekey_id),
            pending.base_key,
        )
    return checked(_CHAIN_VERSION, parts)


def decode_chain(data: bytes) -> SendingChain:
    """Read what `encode_chain` wrote. Raises InvalidRecord."""
    reader = Reader(data, _CHAIN_VERSION)
    chain_key, index, ratchet_public = reader.key(), reader.integer(), reader.key()
    previous_counter, identity = reader.integer(), reader.key()
    pending = None
    if not reader.at_end():
        pending = Pending(reader.integer() or None, reader.integer(), reader.key())
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
    parts += (
        bytes((flags,)),
        state.base_key,
        state.remote_identity,
        varint(state.remote_registration_id),
        state.root_key,
        state.ratchet.private,
        state.ratchet.public,
        varint(state.created),
    )
    if state.archived is not None:
        parts.append(varint(state.archived))
    if with_sending:
        # The chain's ratchet key, identity and base key are those of the state: not written twice.
        chain = state.sending
        parts += (
            chain.chain_key,
            varint(chain.index),
            varint(chain.previous_counter),
            varint(state.used),
        )
        if pending is not None:
            parts += (varint(pending.prekey_id or 0), varint(pending.signed_prekey_id))
    parts.append(varint(len(state.receiving)))
    for receiving in state.receiving:
        parts += (
            receiving.ratchet_public,
            receiving.chain_key,
            varint(receiving.next_index),
            varint(len(receiving.skipped)),
        )
        for index, seed in receiving.skipped:
            parts += (varint(index), seed)


def _take_state(reader: "Reader", given: SendingChain | bytes | None, used: int) -> State:
    flags = reader.byte()
    base_key, identity, registration_id = reader.key(), reader.key(), reader.integer()
    root_key, ratchet, created = reader.key(), KeyPair(reader.key(), reader.key()), reader.integer()
    archived = reader.integer() if flags & _ARCHIVED else None
    if flags & _SENDING:
        chain_key, index, previous_counter = reader.key(), reader.integer(), reader.integer()
        used = reader.integer()
        pending = None
        if flags & _PENDING:
            pending = Pending(reader.integer() or None, reader.integer(), base_key)
        sending = SendingChain(chain_key, index, ratchet.public, previous_counter, identity, pending)
    elif given is None:
        raise InvalidRecord("the sending chain of this record is stored elsewhere and was not given")
    elif isinstance(given, bytes):
        sending = SendingChain(given, 0, ratchet.public, 0, identity, None)
    elif (given.ratchet_public, given.remote_identity) != (ratchet.public, identity):
        raise TornRecord("record and sending chain belong to different turns")
    else:
        sending = given
    return State(
        base_key=base_key,
        initiated_by_us=bool(flags & _BY_US),
        remote_identity=identity,
        remote_registration_id=registration_id,
        root_key=root_key,
        ratchet=ratchet,
        sending=sending,
        used=used,
        receiving=tuple(reader.many(lambda: _take_receiving(reader))),
        created=created,
        archived=archived,
    )


def _take_receiving(reader: "Reader") -> ReceivingChain:
    ratchet_public, chain_key, next_index = reader.key(), reader.key(), reader.integer()
    skipped = tuple(reader.many(lambda: (reader.integer(), reader.key())))
    return ReceivingChain(ratchet_public, chain_key, next_index, skipped)


def checked(version: bytes, parts: list[bytes]) -> bytes:
    """A stored form: its version, its fields, and the CRC-32 over both."""
    data = version + b"".join(parts)
    return data + crc32(data).to_bytes(4, "big")


class Reader:
    """Takes fields off the front of a stored form. Raises InvalidRecord for whatever doesn't fit."""

    def __init__(self, data: bytes, version: bytes) -> None:
        if data[:1] != version:
            raise InvalidRecord("an unknown version of the stored form")
        self._data = data[:-4]
        if len(data) < 5 or crc32(self._data).to_bytes(4, "big") != data[-4:]:
            raise InvalidRecord("the stored form is damaged")
        self._at = 1

    def byte(self) -> int:
        return self._take(1)[0]

    def key(self) -> bytes:
        return self._take(32)

    def integer(self) -> int:
        try:
            value, self._at = read_varint(self._data, self._at)
        except (IndexError, InvalidMessage) as error:
            raise InvalidRecord("the stored form is cut") from error
        return value

    def many(self, take: Callable[[], Item]) -> list[Item]:
        return [take() for _ in range(self.integer())]

    def at_end(self) -> bool:
        return self._at == len(self._data)

    def finish(self) -> None:
        if not self.at_end():
            raise InvalidRecord("the stored form has more than was expected")

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise InvalidRecord("the stored form is cut")
        taken = self._data[self._at : end]
        self._at = end
        return taken
