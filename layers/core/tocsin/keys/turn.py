"""Turning: what a session becomes, written as one transaction under a fence.

A turn reads `next` = n and picks a fence F = n, or n + 64 once it has lost a race. It commits if `next ≤ F`
and sets `next = F`. So every number below F belongs to the old chain and every later one to the new chain,
although nobody stopped reserving:

    a chain made or brought back by the turn      origin = F − used     (used = 0 for a new one)
    the chain it replaces                         used   = F − its origin

"`next` unchanged" would starve where every send reserves; the fence is passed at most by those who reserved
between our read and our commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tocsin.dynamo.table import ConditionFailed, Conflict, OutcomeUnknown
from tocsin.dynamo.writes import (
    ITEM_ABSENT,
    Absent,
    AtMost,
    Condition,
    Delete,
    Exists,
    Item,
    Key,
    Put,
    Update,
    Value,
    Write,
    as_read,
)
from tocsin.keys.chain import Chain, pack
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import Contended
from tocsin.keys.observe import (
    FORGOTTEN,
    LOG,
    MOVED,
    IdentityChange,
    identity_change,
    log_identity_change,
    session_changes,
)
from tocsin.keys.proof import PHONE, UNPROVEN
from tocsin.keys.sessions import Sessions, pack_inbound
from tocsin.keys.signpost import TOMBSTONE, signpost_to
from tocsin.signal.errors import TornRecord
from tocsin.signal.session import forgotten
from tocsin.signal.state import Record
from tocsin.tables.keys import chain_attribute, inbound_key, outbound_key, tag_attribute

T = TypeVar("T")

# How far the fence leaps ahead after a lost race: more than can be reserved between read and commit.
LEAP = 64
# Each repetition needs another writer who won; so many in a row mean something else is wrong.
ATTEMPTS = 16
# Two reads around somebody's turn don't fit each other. If that lasts, it is damage, not a race.
TORN_READS = 4

HAS_COUNTER = (Exists("next"),)


def fence_holds(fence: int) -> Condition:
    """No number at or beyond the fence was taken: all that were belong to the old chains."""
    return AtMost("next", fence)


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at a turn. `leap`: what to add to `next` for the fence."""

    leap: int
    torn_is_lost: bool


def tries() -> Iterator[Try]:
    """The attempts that a turn gets."""
    for number in range(ATTEMPTS):
        yield Try(LEAP if number else 0, number >= TORN_READS)


def turning(context: KeyContext, attempt: Callable[[Try], T]) -> T:
    """Call `attempt` until it commits. It reads, computes and commits, each time from the beginning.

    A lost answer is a lost race here: the next reading shows whether the turn happened, so `attempt` must
    recognise its own work as done. Raises Contended, and whatever else `attempt` raises.
    """
    for current in tries():
        try:
            return attempt(current)
        except (Conflict, TornRecord, OutcomeUnknown):
            continue
    raise Contended


def commit(context: KeyContext, writes: list[Write], *turns: Turn) -> None:
    """All or nothing, repeated as it is while contended. Raises Conflict, OutcomeUnknown, InvalidWrite.

    `turns`: whose changes these are. A new identity is told before it is stored, so that nobody goes without
    having been told; told twice, it is the same news. The rest is told when it has happened.
    """
    for turn in turns:
        for change in turn.identity_changes:
            (context.on_identity_change or log_identity_change)(change)
    _commit(context, writes)
    observer = context.observer or LOG
    for turn in turns:
        for device, what in turn.changes:
            observer.session(what, turn.sessions.user, device)


def _commit(context: KeyContext, writes: list[Write]) -> None:
    if len(writes) == 1:
        # A transaction costs twice as much, and one write is all or nothing by itself.
        context.patiently(lambda: _write(context, writes[0]))
    elif writes:
        token = context.random(16).hex()
        context.patiently(lambda: context.table.transact(writes, token))


def _write(context: KeyContext, write: Write) -> None:
    try:
        if isinstance(write, Put):
            context.table.put(write)
        elif isinstance(write, Update):
            context.table.update(write)
        elif isinstance(write, Delete):
            context.table.delete(write)
    except ConditionFailed as failed:
        raise Conflict({0: failed.item}) from failed


class Turn:
    """The unit of work on one user's sessions: collects changes, yields the writes that make them.

    Leaving it without committing its writes changes nothing.
    """

    def __init__(self, sessions: Sessions, leap: int = 0) -> None:
        self.sessions = sessions
        self.fence = (sessions.next or 0) + leap
        self._context = sessions.context
        self._outbound = outbound_key(self._context.account, sessions.incarnation, sessions.user)
        self._set: dict[str, Value] = {}
        self._remove: list[str] = []
        self._when: list[Condition] = []
        self._inbounds: list[Write] = []
        self._chains_change = False
        self._moved_to: str | None = None
        self._found: dict[int, Record | None] = {}
        self._made: dict[int, Record] = {}
        self._vouched: dict[int, bytes] = {}
        self.changes: list[tuple[int, str]] = []
        self.identity_changes: list[IdentityChange] = []

    def record(self, device: int) -> Record | None:
        """The device's record as this turn finds it."""
        if device not in self._found:
            self._found[device] = self.sessions.record(device, self.fence)
        return self._found[device]

    def phone_identity(self) -> bytes | None:
        """The identity of the user's phone as it is pinned after this turn; None if no phone is known."""
        made = self._made.get(PHONE)
        return made.identity if made is not None else self.sessions.phone_identity()

    def prove(self, device: int, name: bytes) -> None:
        """The phone of this name vouches for the identity that this turn has yet to write."""
        self._vouched[device] = name

    def vouched_by(self, device: int, identity: bytes | None) -> bytes:
        """The name of the phone that vouched for a device with this identity; empty without proof."""
        if device in self._vouched:
            return self._vouched[device]
        found = self.record(device)
        same = found is not None and identity is not None and found.identity == identity
        return self.sessions.vouched_by(device) if same else UNPROVEN

    def replace(self, device: int, record: Record, *, rebuilt: int | None = None, heard_at: int = 0) -> None:
        """The device's record becomes `record`; its current state's chain goes where it can be reserved from.

        `rebuilt`: the time to be remembered as that of the last rebuild, None to keep the old one.
        `heard_at`: when something of the device was decrypted; never set back.
        """
        self.receive(device, record, rebuilt=rebuilt, heard_at=heard_at)
        self._turn_chain(device, record)

    def receive(self, device: int, record: Record, *, rebuilt: int | None = None, heard_at: int = 0) -> None:
        """As `replace`, where the sending chain stays what it is: the outbound item is left alone."""
        self._note(device, record)
        inbound = self.sessions.inbound(device)
        kept = inbound.rebuilt if inbound is not None else 0
        key = self._inbound_key(device)
        tag = self._context.new_tag() + self.vouched_by(device, record.identity)
        item = self.sessions.inbounds.get(device)
        packed = pack_inbound(record, kept if rebuilt is None else rebuilt)
        states = self._context.seal(packed, key, "states", tag)
        when = ITEM_ABSENT if item is None else as_read("tag", item)
        attributes: dict[str, Value] = {"tag": tag, "states": states}
        heard_at = max(heard_at, self.sessions.heard_at(device))
        if heard_at:
            attributes["heard_at"] = heard_at
        self._inbounds.append(Put(key, attributes, when=(when,)))

    def forget(self, device: int, record: Record) -> None:
        """The device is gone: what tells a repetition stays of its sessions, and nothing secret."""
        now = self._context.now()
        self.receive(device, forgotten(record, self._context.random, now), rebuilt=now)
        self._remove_chain(device)
        self.changes = [change for change in self.changes if change[0] != device]
        self.changes.append((device, FORGOTTEN))

    def drop(self, device: int) -> None:
        """Forget the device altogether."""
        key = self._inbound_key(device)
        item = self.sessions.inbounds.get(device)
        if item is not None:
            self._inbounds.append(Delete(key, when=(as_read("tag", item),)))
        self._remove_chain(device)
        self.changes.append((device, FORGOTTEN))

    def check_devices(self, now: int) -> None:
        """Note that the device list was compared with WhatsApp's at `now`; 0: the next send shall do so, and
        make sessions with the devices that have none."""
        self._set["checked_at"] = now

    def leave_for(self, user: str) -> None:
        """The sessions lie under another name from now on: nothing stays here but the tombstone."""
        for device in self.sessions.inbounds:
            self.drop(device)
        self.changes = [(device, MOVED) for device in self.sessions.inbounds]
        self._moved_to = user

    def writes(self) -> list[Write]:
        """The members of the transaction; none if nothing changed."""
        return [*self._outbound_writes(), *self._inbounds]

    def _note(self, device: int, record: Record) -> None:
        """Keep in mind what is to be told of this change."""
        found = self.record(device)
        self._made[device] = record
        self.changes += [(device, what) for what in session_changes(found, record)]
        change = identity_change(self.sessions.user, device, found, record)
        if change is not None:
            self.identity_changes.append(change)
            if device == PHONE:
                # Its companions have to be proven anew, which takes their bundles.
                self.check_devices(0)

    def _outbound_writes(self) -> list[Write]:
        if self._moved_to is not None:
            # The tag of the last turn stands for all chains, also for one that came after our reading.
            when = (*self._counter_as_read(), as_read("turn", self._items()))
            return [
                Put(self._outbound, signpost_to(self._context, self._outbound, self._moved_to), when=when)
            ]
        if not self._chains_change:
            noted = self._set and self.sessions.next is not None
            return [Update(self._outbound, set=self._set, when=HAS_COUNTER)] if noted else []
        changes = self._set | {"next": self.fence, "turn": self._context.new_tag()}
        when = (*self._counter_as_read(), *self._when)
        return [Update(self._outbound, set=changes, remove=self._removed(), when=when)]

    def _counter_as_read(self) -> tuple[Condition, ...]:
        """Without a counter the item is absent, was damaged beyond counting, or is a tombstone that leads
        nowhere. Whichever it is, nobody has begun to count since."""
        if self.sessions.next is not None:
            return (fence_holds(self.fence),)
        return Absent("next"), *(as_read(name, self.sessions.outbound) for name in TOMBSTONE)

    def _removed(self) -> tuple[str, ...]:
        """Chains to be taken out; where the counter was lost, all that this turn doesn't make anew."""
        if self.sessions.next is not None:
            return tuple(self._remove)
        void = (name for name in self._items() if "#" in name or name in TOMBSTONE)
        return tuple(name for name in void if name not in self._set)

    def _items(self) -> Item:
        return self.sessions.outbound or {}

    def _inbound_key(self, device: int) -> Key:
        return inbound_key(self._context.account, self.sessions.incarnation, self.sessions.user, device)

    def _turn_chain(self, device: int, record: Record) -> None:
        state = record.current
        if state is None:
            self._remove_chain(device)
            return
        self._chains_change = True
        chain = Chain(
            state.sending, self.fence - state.used, self._born(device, state.base_key), state.created
        )
        name, tag_name = chain_attribute(device), tag_attribute(device)
        tag = self._context.new_tag() + self.vouched_by(device, state.remote_identity)
        self._set[name] = self._context.seal(pack(chain), self._outbound, name, tag)
        self._set[tag_name] = tag
        self._when.append(as_read(tag_name, self.sessions.outbound))

    def _remove_chain(self, device: int) -> None:
        names = (chain_attribute(device), tag_attribute(device))
        if any(name in self._items() for name in names):
            self._chains_change = True
            self._remove += names
            self._when.append(as_read(names[1], self.sessions.outbound))

    def _born(self, device: int, base_key: bytes) -> int:
        """The number from which on the session was in use here: the fence, unless it was so before."""
        chain, record = self.sessions.chain(device), self.record(device)
        same = record is not None and record.current is not None and record.current.base_key == base_key
        return chain.born if chain is not None and same else self.fence
