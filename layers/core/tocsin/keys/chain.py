"""A sending chain as it lies in a user's `outbound` item, and what it means for a reserved number.

`chain#D`, sealed under `tag#D`:

    version (1) ‖ origin (varint, zigzag) ‖ born (varint, zigzag) ‖ created (varint) ‖ encoded SendingChain

All chains of a user share the counter `next`. A chain's index for a number is `number − origin`; the origin
never changes while the chain lies there, and may be negative after a chain moved in from another item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import Staleness
from tocsin.keys.proof import PHONE, name_of, vouched_by
from tocsin.sealing import DamagedRecord
from tocsin.signal.state import SendingChain, decode_chain, encode_chain
from tocsin.signal.wire import varint
from tocsin.tables.keys import chain_attribute, tag_attribute

_VERSION = 1

# Receivers derive at most 2,000 keys ahead, and what was never acknowledged may never have arrived.
GAP_LIMIT = 1000
# A session that the peer never answered may long be gone on its side.
UNANSWERED_SECONDS = 30 * 86400
# After this many numbers the checkpoint moves, so that few keys are derived at each send.
CHECKPOINT_DISTANCE = 32


class Chain(NamedTuple):
    """`born`: the number at which its session was made. `created`: when, in seconds. `tag`, `sealed`: as they
    lie in the item, for conditions. A companion's tag names the phone that vouched for it (`proof`)."""

    sending: SendingChain
    origin: int
    born: int
    created: int
    tag: bytes = b""
    sealed: bytes = b""

    def __repr__(self) -> str:
        return f"Chain({self.sending!r}, origin={self.origin}, born={self.born}, created={self.created})"

    def index_of(self, number: int) -> int:
        """The message index that a number means in this chain; negative: the chain is younger."""
        return number - self.origin

    def distance(self, number: int) -> int:
        """How far a number lies ahead of the checkpoint."""
        return self.index_of(number) - self.sending.index

    def staleness(self, number: int, now: int) -> Staleness | None:
        """Why `number` can't be encrypted under this chain, or None if it can."""
        if self.index_of(number) < 0:
            return Staleness.YOUNGER
        if self.distance(number) < 0:
            return Staleness.BEHIND
        if self.distance(number) >= GAP_LIMIT:
            return Staleness.GAP
        if self.sending.pending is not None and now - self.created > UNANSWERED_SECONDS:
            return Staleness.UNANSWERED
        return None


def staleness_of(chains: Mapping[int, Chain], device: int, number: int, now: int) -> Staleness | None:
    """Why `number` can't be used for one device of those with `chains`, or None if it can."""
    chain = chains.get(device)
    if chain is None:
        return Staleness.ABSENT
    if not _is_proven(device, chain, chains.get(PHONE)):
        return Staleness.UNPROVEN
    return chain.staleness(number, now)


def _is_proven(device: int, chain: Chain, phone: Chain | None) -> bool:
    """Whether the phone with which we have a session vouched for this device. While there is no session with
    it, the one that was pinned last is believed."""
    if device == PHONE:
        return True
    vouched = vouched_by(chain.tag)
    return bool(vouched) and (phone is None or vouched == name_of(phone.sending.remote_identity))


def pack(chain: Chain) -> bytes:
    header = bytes((_VERSION,)) + varint(_zigzag(chain.origin)) + varint(_zigzag(chain.born))
    return header + varint(chain.created) + encode_chain(chain.sending)


def unpack(packed: bytes) -> Chain:
    """Raises ValueError or signal.InvalidRecord for what `pack` didn't write."""
    if packed[:1] != bytes((_VERSION,)):
        raise ValueError("unknown version of a stored chain")
    origin, position = _read_varint(packed, 1)
    born, position = _read_varint(packed, position)
    created, position = _read_varint(packed, position)
    return Chain(decode_chain(packed[position:]), _unzigzag(origin), _unzigzag(born), created)


def read_chain(context: KeyContext, outbound: Item, device: int) -> Chain | None:
    """The chain to `device`, or None: absent, or damaged (which is reported)."""
    name, tag_name = chain_attribute(device), tag_attribute(device)
    if name not in outbound:
        return None
    try:
        chain = unpack(context.unseal(outbound, name, tag_name))
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None
    tag, sealed = outbound[tag_name], outbound[name]
    assert isinstance(tag, bytes)  # noqa: S101 - the seal covers it
    assert isinstance(sealed, bytes)  # noqa: S101
    return chain._replace(tag=tag, sealed=sealed)


def chain_devices(outbound: Item) -> list[int]:
    """The devices that an outbound item holds chains for, damaged ones too."""
    devices = (name.removeprefix("chain#") for name in outbound if name.startswith("chain#"))
    return sorted(int(device) for device in devices if device.isdecimal())


def write_origin(origin: int) -> bytes:
    """A number of the counter that a chain starts at, as the stored forms have it."""
    return varint(_zigzag(origin))


def read_origin(packed: bytes, start: int = 0) -> tuple[int, int]:
    """The origin, and the position after it. Raises ValueError."""
    value, position = _read_varint(packed, start)
    return _unzigzag(value), position


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _unzigzag(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and the position after it. Raises ValueError if the data ends within it."""
    number = 0
    for shift in range(0, 63, 7):
        if position >= len(data):
            raise ValueError("a stored chain is cut")
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number in a stored chain is too long")
