"""The sessions of one user as read from the table: a snapshot that a turn starts from.

`outbound` holds the counter and the sending chains, `inbound#D` all the rest of what we share with device D.
The sending chain of a device's current state lies in `outbound` alone; the two halves are put together here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tocsin.dynamo.writes import Item, Key
from tocsin.keys.chain import Chain, chain_devices, read_chain
from tocsin.keys.context import KeyContext
from tocsin.keys.proof import PHONE, UNPROVEN, vouched_by
from tocsin.keys.signpost import read_signpost
from tocsin.sealing import DamagedRecord
from tocsin.signal.errors import InvalidRecord, TornRecord
from tocsin.signal.state import Record, decode_lost, decode_record, encode_record, evolve
from tocsin.tables.keys import (
    OUTBOUND,
    chain_attribute,
    inbound_device,
    inbound_key,
    outbound_key,
    session_pk,
)

_VERSION = 1
_HEADER_BYTES = 5
# Checkpoint of a chain whose key is lost: beyond every index, so that nothing is ever encrypted under it.
_BEYOND_EVERY_INDEX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Inbound:
    """The receiving half as stored. `rebuilt`: when the session was last replaced or archived, in seconds."""

    encoded: bytes = field(repr=False)
    rebuilt: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """`outbound`, `inbounds`: the items as read, for conditions. `torn_is_lost`: a half that doesn't fit the
    other one is taken as damaged; else it is taken for two reads around a turn, and TornRecord is raised."""

    context: KeyContext = field(repr=False)
    incarnation: int
    user: str
    outbound: Item | None = field(repr=False)
    inbounds: Mapping[int, Item] = field(repr=False)
    torn_is_lost: bool = False
    # Opened once each, for a damaged record should be reported once.
    _chains: dict[int, Chain | None] = field(init=False, repr=False, default_factory=dict)
    _inbounds: dict[int, Inbound | None] = field(init=False, repr=False, default_factory=dict)

    @property
    def next(self) -> int | None:
        """The next number to be reserved; None if there is no counter."""
        following = (self.outbound or {}).get("next")
        return following if isinstance(following, int) else None

    @property
    def moved(self) -> str | None:
        """The name under which these sessions lie now, if they moved."""
        return read_signpost(self.context, self.outbound)

    @property
    def checked_at(self) -> int:
        checked_at = (self.outbound or {}).get("checked_at", 0)
        return checked_at if isinstance(checked_at, int) else 0

    @property
    def used_at(self) -> int:
        """When a number was last taken, in seconds; 0 for never."""
        used_at = (self.outbound or {}).get("used_at", 0)
        return used_at if isinstance(used_at, int) else 0

    def heard_at(self, device: int) -> int:
        """When something of the device was last decrypted, in seconds; 0 for never."""
        heard_at = self.inbounds.get(device, {}).get("heard_at", 0)
        return heard_at if isinstance(heard_at, int) else 0

    @property
    def devices(self) -> list[int]:
        """All devices that anything is stored of."""
        return sorted({*self.inbounds, *chain_devices(self.outbound or {})})

    def chain(self, device: int) -> Chain | None:
        """The sending chain; None if absent, damaged, or without the counter that gives it meaning."""
        if self.outbound is None or self.next is None:
            return None
        if device not in self._chains:
            self._chains[device] = self._read_chain(self.outbound, device, self.next)
        return self._chains[device]

    def _read_chain(self, outbound: Item, device: int, following: int) -> Chain | None:
        chain = read_chain(self.context, outbound, device)
        if chain is None or chain.index_of(following) >= 0:
            return chain
        # The counter was set back, so nobody knows which indexes were used.
        self.context.on_damage(DamagedRecord(str(outbound["pk"]), OUTBOUND, "next"))
        return None

    def inbound(self, device: int) -> Inbound | None:
        """The receiving half; None if absent, or damaged (which is reported)."""
        if device in self.inbounds and device not in self._inbounds:
            self._inbounds[device] = _read_inbound(self.context, self.inbounds[device])
        return self._inbounds.get(device)

    def vouched_by(self, device: int) -> bytes:
        """The name of the phone that vouched for the device's present identity; empty without proof."""
        readable = self.inbound(device) is not None
        return vouched_by(self.inbounds[device].get("tag")) if readable else UNPROVEN

    def phone_identity(self) -> bytes | None:
        """The identity of the user's phone as pinned; None if there was never a session with it, or it wasn't
        read."""
        chain, inbound = self.chain(PHONE), self.inbound(PHONE)
        if chain is not None:
            return chain.sending.remote_identity
        return decode_lost(inbound.encoded, bytes(32)).identity if inbound is not None else None

    def record(self, device: int, fence: int) -> Record | None:
        """The whole record of a device, with as many indexes of its chain used as a turn at `fence` finds.

        None if absent or damaged. Raises TornRecord if the halves were read around somebody's turn.
        """
        inbound, chain = self.inbound(device), self.chain(device)
        if inbound is None:
            if chain is not None and device not in self.inbounds and not self.torn_is_lost:
                raise TornRecord("a sending chain without its session")
            return None
        try:
            if chain is not None:
                return decode_record(inbound.encoded, chain.sending, fence - chain.origin)
        except TornRecord:
            if not self.torn_is_lost:
                raise
        if chain is None and self._may_be_torn(device) and self._has_current(inbound):
            raise TornRecord("a current session without its sending chain")
        return _without_chain(inbound, self.context.random(32))

    def _has_current(self, inbound: Inbound) -> bool:
        return decode_lost(inbound.encoded, bytes(32)).current is not None

    def _may_be_torn(self, device: int) -> bool:
        """Whether the missing chain was merely read too early or too late; a damaged one would be there."""
        damaged = self.outbound is not None and chain_attribute(device) in self.outbound
        return not damaged and not self.torn_is_lost


def _without_chain(inbound: Inbound, entropy: bytes) -> Record:
    """The record of a device whose sending chain is lost: it receives, and refuses to send."""
    record = decode_lost(inbound.encoded, entropy)
    if record.current is None:
        return record
    refusing = evolve(record.current.sending, index=_BEYOND_EVERY_INDEX)
    return evolve(record, states=(evolve(record.current, sending=refusing), *record.archived))


def pack_inbound(record: Record, rebuilt: int) -> bytes:
    """The receiving half: version (1) ‖ rebuilt (4, seconds) ‖ record without the current sending chain."""
    return bytes((_VERSION,)) + rebuilt.to_bytes(4, "big") + encode_record(record, with_sending=False)


def _read_inbound(context: KeyContext, item: Item) -> Inbound | None:
    try:
        packed = context.unseal(item, "states", "tag")
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None
    if packed[:1] != bytes((_VERSION,)):
        raise InvalidRecord("a session record of an unknown version")
    return Inbound(packed[_HEADER_BYTES:], int.from_bytes(packed[1:_HEADER_BYTES], "big"))


def read_sessions(
    context: KeyContext,
    incarnation: int,
    user: str,
    device: int | None = None,
    *,
    torn_is_lost: bool = False,
    phone: bool = False,
) -> Sessions:
    """All sessions with a user, or those with one device, and with its user's phone if that is asked for; one
    request either way."""
    if device is None:
        all_of_them = context.table.query(session_pk(context.account, incarnation, user))
        return _sessions(context, incarnation, user, all_of_them, torn_is_lost)
    keys = _keys_of_device(context, incarnation, user, device, phone)
    items = context.table.get_many(keys).values()
    return _sessions(context, incarnation, user, items, torn_is_lost)


def read_sessions_beside(
    context: KeyContext,
    incarnation: int,
    user: str,
    device: int,
    beside: Sequence[Key],
    *,
    torn_is_lost: bool = False,
) -> tuple[Sessions, Mapping[Key, Item]]:
    """The session with one device, and other items of the table, in one request. They may be of different
    moments."""
    keys = _keys_of_device(context, incarnation, user, device, phone=False)
    found = context.table.get_many([*beside, *keys])
    items = [found[key] for key in keys if key in found]
    return _sessions(context, incarnation, user, items, torn_is_lost), found


def _keys_of_device(context: KeyContext, incarnation: int, user: str, device: int, phone: bool) -> list[Key]:
    outbound = outbound_key(context.account, incarnation, user)
    devices = dict.fromkeys((device, PHONE) if phone else (device,))
    return [outbound, *(inbound_key(context.account, incarnation, user, each) for each in devices)]


def _sessions(
    context: KeyContext, incarnation: int, user: str, items: Iterable[Item], torn_is_lost: bool
) -> Sessions:
    outbound = None
    inbounds: dict[int, Item] = {}
    for item in items:
        sk = str(item["sk"])
        device = inbound_device(sk)
        if device is not None:
            inbounds[device] = item
        elif sk == OUTBOUND:
            outbound = item
    return Sessions(context, incarnation, user, outbound, inbounds, torn_is_lost)
