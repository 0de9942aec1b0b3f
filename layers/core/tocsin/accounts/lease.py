"""Who may hold an account's socket: one connector at a time, each change of hands numbered by an epoch.

A connector proves that it lives by changing the version of its one heartbeat item every five seconds. Nobody
compares clocks: it counts as dead when its version stayed the same for fifteen seconds on the watcher's own
monotonic clock. Who takes over deletes the heartbeat of the dead in the same transaction, so if that one was
only slow, its next beat fails and it knows that it lost everything. Before that, it stops by itself: a
connector that couldn't beat for twelve seconds, counted from before its last beat, must not use its socket.

The heartbeat also says how many accounts its connector holds. One query shows them all, and with it whether
some account is held by nobody: only then are the leases themselves looked through.

What is plain here decides who tries to serve an account and what the console shows. Where the holder answers
is sealed (`whereabouts`), because a function hands its token over there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.accounts.state import LOGGED_IN, UNLINKED, AccountState
from tocsin.accounts.whereabouts import UNSAID_PROTOCOL, WHEREABOUTS, seal_whereabouts
from tocsin.dynamo.table import ConditionFailed, Conflict, Contention, OutcomeUnknown, Table
from tocsin.dynamo.writes import (
    ITEM_ABSENT,
    Absent,
    Check,
    Delete,
    Equals,
    Exists,
    Item,
    Put,
    Update,
    Value,
    Write,
)
from tocsin.tables.keys import CONNECTORS, heartbeat_key, lease_key

if TYPE_CHECKING:
    from tocsin.sealing import Sealer

# A heartbeat that nobody renews is garbage after a day.
HEARTBEAT_LIFETIME = 86400

SILENT_SECONDS = 60.0
"""A connector whose last heartbeat is so old by its own clock counts as gone, for an alarm. Nobody takes
over by this."""

# Nobody holds the account now; the item stays to count the epochs.
RELEASED = Absent("connector")


@dataclass(frozen=True, slots=True)
class Terms:
    """`beat`: seconds between two beats. `hold`: how long a holder may act after the beginning of its last
    one. `dead`: how long others see no change before they take over. Raises ValueError for terms under which
    one late beat loses everything, or two could hold at once."""

    beat: float = 5.0
    hold: float = 12.0
    dead: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.beat <= self.dead / 2:
            raise ValueError(f"a beat each {self.beat:g} s is more than half of a lease of {self.dead:g} s")
        if not self.beat < self.hold < self.dead:
            # It gives up before a watcher may take over, however their clocks drift within one lease.
            raise ValueError(
                f"{self.hold:g} s is no time to give up, between {self.beat:g} and {self.dead:g}"
            )


TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Member:
    """Another connector, as its heartbeat tells. `load`: accounts it holds. `leaving`: it takes no more.
    `alive`: its heartbeat changed within the lease, or was first seen within it."""

    connector: str
    load: int
    leaving: bool
    alive: bool


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """An account's lease as anybody may read it. `connector`: None if nobody holds it. `since`: when `state`
    was set, in seconds."""

    account: str
    epoch: int
    connector: str | None = None
    state: AccountState = AccountState.STOPPED
    detail: str = ""
    since: int = 0


class LeaseHeld(Exception):
    """Another connector holds the account and seems to live. Ask again; `seconds`: when it could be dead."""

    def __init__(self, holder: str, seconds: float) -> None:
        super().__init__(holder)
        self.holder = holder
        self.seconds = seconds

    def __str__(self) -> str:
        return f"held by {self.holder}, free in {self.seconds:.0f} s at the earliest"


class LeaseLost(Exception):
    """The lease is no longer ours: close the account's socket at once. `account` is None for all of them."""

    def __init__(self, account: str | None = None) -> None:
        super().__init__(account)
        self.account = account


def read_lease(table: Table, account: str) -> LeaseInfo | None:
    """The lease, or None if no connector ever held the account."""
    item = table.get(lease_key(account))
    return _info(account, item) if item is not None else None


def disconnected_accounts(table: Table, accounts: Collection[str], now: float) -> list[str]:
    """Those of the accounts that aren't logged in, as far as the leases tell, that nobody holds, or that a
    connector holds which is silent. `now`: seconds."""
    states = account_states(table, accounts, now)
    return [account for account, state in states.items() if state not in LOGGED_IN]


def account_states(table: Table, accounts: Collection[str], now: float) -> dict[str, AccountState]:
    """The state of each of the accounts. What nobody holds, or only a connector that is silent, is stopped,
    whatever its lease says; who lost the link has lost it still. `now`: seconds."""
    found = table.get_many([lease_key(account) for account in accounts])
    leases = {account: _info(account, found.get(lease_key(account), {})) for account in accounts}
    holders = sorted({lease.connector for lease in leases.values() if lease.connector is not None})
    heartbeats = table.get_many([heartbeat_key(holder) for holder in holders])

    def state(lease: LeaseInfo) -> AccountState:
        if lease.state in UNLINKED:
            return lease.state
        if lease.connector is None:
            return AccountState.STOPPED
        expire_at = heartbeats.get(heartbeat_key(lease.connector), {}).get("expire_at")
        beats = isinstance(expire_at, int) and now - (expire_at - HEARTBEAT_LIFETIME) <= SILENT_SECONDS
        return lease.state if beats else AccountState.STOPPED

    return {account: state(lease) for account, lease in leases.items()}


def clock_offsets(table: Table) -> dict[str, int]:
    """By how many seconds WhatsApp's clock is ahead of each connector's, as it was at the last login.
    Connectors of earlier releases don't tell."""
    told = {str(item["sk"]): item.get("clock_offset") for item in table.query(CONNECTORS)}
    return {connector: offset for connector, offset in told.items() if isinstance(offset, int)}


class LeaseKeeper:
    """One connector's side: its heartbeat, and the leases it holds.

    `connector`: a name that no other process ever had. `url`, `certificate`: where it answers, sealed into
    each lease with the version of the `protocol` that is spoken there. `members_table`: the same table, maybe
    read with eventual consistency: nothing is taken by what `members` finds. `monotonic`, `clock`: seconds.
    Not thread-safe.
    """

    def __init__(
        self,
        table: Table,
        connector: str,
        *,
        url: str,
        certificate: str,
        sealer: Sealer,
        protocol: int = UNSAID_PROTOCOL,
        terms: Terms = TERMS,
        members_table: Table | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.connector = connector
        self._table = table
        self._members_table = members_table or table
        self._url = url
        self._certificate = certificate
        self._sealer = sealer
        self._protocol = protocol
        self.terms = terms
        self._monotonic = monotonic
        self._clock = clock
        self._random = random
        self._version: bytes | None = None
        # Versions that may have been written although the answer was lost.
        self._uncertain: set[bytes] = set()
        self._beaten_at = float("-inf")
        self._held: dict[str, int] = {}
        self._leaving = False
        self._clock_offset: int | None = None
        # Leases as `unheld` found them, for `acquire`.
        self._found: dict[str, Item | None] = {}
        # Other connectors' versions, and since when we see them unchanged.
        self._watched: dict[str, tuple[Value | None, float]] = {}

    @property
    def held(self) -> dict[str, int]:
        """Accounts held → epochs."""
        return dict(self._held)

    @property
    def alive(self) -> bool:
        """Whether our leases still protect us. If not, use no socket until a beat succeeds."""
        return self._monotonic() - self._beaten_at < self.terms.hold

    def beat(self) -> None:
        """Renew the heartbeat; every five seconds. Raises LeaseLost if somebody took us for dead.

        A failure of the table is raised as it comes: try again soon, and mind `alive`.
        """
        started, version = self._monotonic(), self._random(16)
        try:
            self._table.put(self._heartbeat(version))
        except ConditionFailed as failed:
            found = failed.item.get("version") if failed.item is not None else None
            if not isinstance(found, bytes) or found not in self._uncertain:
                self._forget()
                raise LeaseLost from None
            # An earlier beat arrived, only its answer did not.
            self._version = found
            self._uncertain.clear()
            self.beat()
            return
        except OutcomeUnknown:
            self._uncertain.add(version)
            raise
        self._version = version
        self._uncertain.clear()
        self._beaten_at = started

    def members(self) -> list[Member]:
        """The other connectors. Look regularly: who is dead shows only in that nothing changes.

        What is a moment old may make one look alive for longer. Whoever takes over reads the heartbeat again,
        and takes nothing if it has changed since.
        """
        found = []
        for item in self._members_table.query(CONNECTORS):
            name, load = str(item["sk"]), item.get("load")
            if name != self.connector:
                alive = self._unchanged_for(name, item) < self.terms.dead
                found.append(
                    Member(name, load if isinstance(load, int) else 0, bool(item.get("leaving")), alive)
                )
        for gone in self._watched.keys() - {member.connector for member in found}:
            del self._watched[gone]
        return found

    def unheld(self, accounts: Collection[str], members: Iterable[Member]) -> list[str]:
        """Those of the accounts that nobody holds, or only one who isn't among the living `members`."""
        living = {member.connector for member in members if member.alive}
        leases = self._table.get_many([lease_key(account) for account in accounts])
        self._found = {account: leases.get(lease_key(account)) for account in accounts}
        holders = {account: (lease or {}).get("connector") for account, lease in self._found.items()}
        return [
            account
            for account, holder in holders.items()
            if account not in self._held and (holder is None or holder not in living)
        ]

    def acquire(self, account: str) -> int:
        """Take the lease of an account; its new epoch. Raises LeaseHeld while its holder may live.

        What `unheld` found isn't read again: if it has changed, the lease is held.
        """
        if account in self._held:
            return self._held[account]
        if self._version is None:
            self.beat()
        found = account in self._found
        lease = self._found.pop(account) if found else self._table.get(lease_key(account))
        try:
            epoch = self._take(account, lease)
        except (ConditionFailed, Conflict, Contention):
            raise LeaseHeld("another connector, just now", self.terms.dead) from None
        self._held[account] = epoch
        return epoch

    def forgo(self, account: str, epoch: int) -> None:
        """Hold it no more, without a word: nothing could be written. It may be taken anew, by us too."""
        if self._held.get(account) == epoch:
            del self._held[account]

    def release(self, account: str, epoch: int) -> None:
        """Give the lease back, so that a successor needn't wait; nothing if it isn't ours any more."""
        self.forgo(account, epoch)
        update = Update(
            lease_key(account),
            set={"state": AccountState.STOPPED, "detail": "", "since": int(self._clock())},
            remove=("connector", "url", "certificate", WHEREABOUTS),
            when=self._ours(epoch),
        )
        try:
            self._table.update(update)
        except ConditionFailed:
            return

    def set_state(self, account: str, epoch: int, state: AccountState, detail: str = "") -> None:
        """Write the account's state for Lambdas and the console to read. Raises LeaseLost."""
        changes: dict[str, Value] = {
            "state": AccountState(state),
            "detail": detail,
            "since": int(self._clock()),
        }
        try:
            self._table.update(Update(lease_key(account), set=changes, when=self._ours(epoch)))
        except ConditionFailed:
            self.forgo(account, epoch)
            raise LeaseLost(account) from None

    def note_clock(self, offset: float) -> None:
        """Say with the next beat how far WhatsApp's clock is ahead of ours, in seconds."""
        self._clock_offset = round(offset)

    def leave(self) -> None:
        """Say that we take no more accounts and that those we hold will be free in a moment."""
        self._leaving = True
        self.beat()

    def stop(self) -> None:
        """Release everything and take the heartbeat away; the process ends."""
        for account, epoch in self.held.items():
            self.release(account, epoch)
        if self._version is not None:
            self._table.delete(Delete(heartbeat_key(self.connector)))
            self._forget()

    def _heartbeat(self, version: bytes) -> Put:
        # First beat: nobody is called as we are. Later: still the version that we wrote.
        mine = ITEM_ABSENT if self._version is None else Equals("version", self._version)
        attributes: dict[str, Value] = {
            "version": version,
            "load": 0 if self._leaving else len(self._held),
            "leaving": self._leaving,
            "expire_at": int(self._clock()) + HEARTBEAT_LIFETIME,
        }
        if self._clock_offset is not None:
            attributes["clock_offset"] = self._clock_offset
        return Put(heartbeat_key(self.connector), attributes, when=(mine,))

    def _forget(self) -> None:
        self._held.clear()
        self._uncertain.clear()
        self._version = None
        self._beaten_at = float("-inf")

    def _take(self, account: str, lease: Item | None) -> int:
        """Write ourselves into the lease as it was read. Raises LeaseHeld, and what the table raises."""
        if lease is None:
            self._table.put(Put(lease_key(account), self._lease(account, 1), when=(ITEM_ABSENT,)))
            return 1
        info = _info(account, lease)
        epoch = info.epoch + 1
        if info.connector is None or info.connector == self.connector:
            condition = RELEASED if info.connector is None else Equals("connector", self.connector)
            self._table.update(self._taking(account, info.epoch, condition))
            return epoch
        still_dead = self._dead(info.connector)
        taking = self._taking(account, info.epoch, Equals("connector", info.connector))
        self._table.transact([taking, still_dead], self._random(16).hex())
        return epoch

    def _dead(self, holder: str) -> Write:
        """What must hold when we take over from `holder`, who is dead. Raises LeaseHeld while it may live."""
        key = heartbeat_key(holder)
        heartbeat = self._table.get(key)
        if heartbeat is None:
            return Check(key, when=(ITEM_ABSENT,))
        unchanged_for = self._unchanged_for(holder, heartbeat)
        if unchanged_for < self.terms.dead:
            raise LeaseHeld(holder, self.terms.dead - unchanged_for)
        version = heartbeat.get("version")
        unchanged = Equals("version", version) if version is not None else Exists("pk")
        return Delete(key, when=(unchanged,))

    def _unchanged_for(self, holder: str, heartbeat: Item) -> float:
        """Seconds that another's heartbeat has been what it is, as far as we saw."""
        now, version = self._monotonic(), heartbeat.get("version")
        seen, since = self._watched.get(holder, (None, now))
        if seen != version:
            since = now
        self._watched[holder] = (version, since)
        return now - since

    def _taking(self, account: str, epoch: int, holder: Absent | Equals) -> Update:
        taken = self._lease(account, epoch + 1)
        return Update(lease_key(account), set=taken, when=(Equals("epoch", epoch), holder))

    def _lease(self, account: str, epoch: int) -> dict[str, Value]:
        """`url` and `certificate` stand here in plain too for functions of 0.1.0, after a rollback of theirs
        alone. No later function reads them."""
        whereabouts = seal_whereabouts(
            self._sealer,
            account,
            epoch,
            connector=self.connector,
            url=self._url,
            certificate=self._certificate,
            protocol=self._protocol,
            nonce=self._random(12),
        )
        return {
            "connector": self.connector,
            "epoch": epoch,
            WHEREABOUTS: whereabouts,
            "url": self._url,
            "certificate": self._certificate,
            "state": AccountState.CONNECTING,
            "detail": "",
            "since": int(self._clock()),
        }

    def _ours(self, epoch: int) -> tuple[Equals, Equals]:
        return Equals("connector", self.connector), Equals("epoch", epoch)


def _info(account: str, item: Item) -> LeaseInfo:
    def text(name: str) -> str | None:
        value = item.get(name)
        return value if isinstance(value, str) else None

    def number(name: str) -> int:
        value = item.get(name)
        return value if isinstance(value, int) else 0

    return LeaseInfo(
        account,
        number("epoch"),
        text("connector"),
        AccountState.read(item.get("state")),
        text("detail") or "",
        number("since"),
    )
