"""What sessions look like to an operator: counters, ages and sizes, never a byte of a key.

`list_users` walks through the whole table (`read_units` says what that cost: half a unit for each 4 KB, in a
table of 100,000 users some 30,000 units); `view_user` is one query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from tocsin.dynamo.attributes import item_bytes
from tocsin.dynamo.writes import Item, Key
from tocsin.keys.chain import Chain, chain_devices, read_chain, staleness_of
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import Staleness
from tocsin.keys.establish import follow
from tocsin.keys.proof import PHONE
from tocsin.keys.sessions import Sessions
from tocsin.keys.turn import Try, turning
from tocsin.signal.errors import InvalidRecord, TornRecord
from tocsin.signal.state import Record
from tocsin.tables.keys import OUTBOUND, session_pk


class UserSummary(NamedTuple):
    """What the item of the sending chains alone says of a user. Times in seconds, 0 for never.

    `next`: the next number, None for sessions that moved (to `moved`). `unanswered`: devices that never wrote
    back. `damaged`: devices whose chain can't be read.
    """

    user: str
    next: int | None
    devices: tuple[int, ...]
    unanswered: tuple[int, ...]
    damaged: tuple[int, ...]
    used_at: int
    checked_at: int
    bytes: int
    moved: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What is shared with one device. Times in seconds, 0 for never; `None`: there is no current session.

    `index`: of the next message in the current sending chain. `checkpoint`: the index from which on keys can
    be derived. `born`: the number from which on the session was used. `created`, `rebuilt`: when the session
    was made, and when one was last replaced on purpose. `heard_at`: when something was last decrypted.
    `pending`: it never answered. `archived`: sessions that only receive, `oldest_archived` the first of them.
    `skipped`: keys kept for messages that did not arrive. `staleness`: why the next send makes a new session.
    `damage`: what can't be read.
    """

    device: int
    index: int | None = None
    checkpoint: int | None = None
    born: int | None = None
    created: int | None = None
    pending: bool = False
    staleness: Staleness | None = None
    registration_id: int | None = None
    receiving_chains: int = 0
    skipped: int = 0
    archived: int = 0
    oldest_archived: int | None = None
    rebuilt: int = 0
    heard_at: int = 0
    bytes: int = 0
    damage: str = ""


@dataclass(frozen=True, slots=True)
class UserView:
    """All sessions with a user. `bytes`: of the item with the sending chains; each device's are its own."""

    user: str
    next: int | None
    moved: str | None
    used_at: int
    checked_at: int
    bytes: int
    devices: tuple[DeviceView, ...]


class Listing:
    """Users with sessions, as an iterable that can be gone through once; and what that cost so far."""

    def __init__(self, context: KeyContext, incarnation: int) -> None:
        self._context = context
        self._prefix = session_pk(context.account, incarnation, "")
        self.read_units = 0.0

    def __iter__(self) -> Iterator[UserSummary]:
        after: Key | None = None
        while True:
            page = self._context.table.scan(after, prefix=self._prefix, sk=OUTBOUND)
            self.read_units += page.read_units
            for item in page.items:
                yield _summary(self._context, str(item["pk"]).removeprefix(self._prefix), item)
            after = page.following
            if after is None:
                return


def view_user(context: KeyContext, incarnation: int, user: str) -> UserView:
    """The sessions of a user where they lie now. `user` of the answer is another one if they moved."""

    def look(current: Try) -> UserView:
        sessions = follow(context, incarnation, user, current)
        return UserView(
            sessions.user,
            sessions.next,
            sessions.moved,
            sessions.used_at,
            sessions.checked_at,
            item_bytes(sessions.outbound) if sessions.outbound else 0,
            tuple(view for device in sessions.devices if (view := _device_view(sessions, device))),
        )

    return turning(context, look)


def _summary(context: KeyContext, user: str, outbound: Item) -> UserSummary:
    following = outbound.get("next")
    sessions = Sessions(context, 0, user, outbound, {})
    chains = {device: read_chain(context, outbound, device) for device in chain_devices(outbound)}
    return UserSummary(
        user,
        following if isinstance(following, int) else None,
        tuple(chains),
        tuple(device for device, chain in chains.items() if chain and chain.sending.pending),
        tuple(device for device, chain in chains.items() if chain is None),
        sessions.used_at,
        sessions.checked_at,
        item_bytes(outbound),
        sessions.moved,
    )


def _device_view(sessions: Sessions, device: int) -> DeviceView | None:
    """None for a device that is gone, of which only what tells a repetition is kept."""
    item, following = sessions.inbounds.get(device), sessions.next or 0
    chain = sessions.chain(device)
    damage, record = "", None
    try:
        record = sessions.record(device, following)
    except TornRecord:
        raise
    except InvalidRecord as error:
        damage = str(error)
    if record is None and item is not None:
        damage = damage or "the receiving half can't be read"
    elif chain is None and device in chain_devices(sessions.outbound or {}):
        damage = "the sending chain can't be read"
    inbound = sessions.inbound(device) if record is not None else None
    if record is not None and record.is_gone:
        return None
    return _filled(
        DeviceView(
            device,
            rebuilt=inbound.rebuilt if inbound is not None else 0,
            heard_at=sessions.heard_at(device),
            bytes=item_bytes(item) if item is not None else 0,
            damage=damage,
        ),
        chain,
        record,
        following,
        _staleness(sessions, device, following),
    )


def _staleness(sessions: Sessions, device: int, following: int) -> Staleness | None:
    chains = {each: chain for each in (PHONE, device) if (chain := sessions.chain(each)) is not None}
    return staleness_of(chains, device, following, sessions.context.now())


def _filled(
    view: DeviceView, chain: Chain | None, record: Record | None, following: int, staleness: Staleness | None
) -> DeviceView:
    """The view with what chain and record tell."""
    if chain is not None:
        view = replace(
            view,
            index=chain.index_of(following),
            checkpoint=chain.sending.index,
            born=chain.born,
            created=chain.created,
            pending=chain.sending.pending is not None,
            staleness=staleness,
        )
    if record is None:
        return view
    receiving = [chain for state in record.states for chain in state.receiving]
    return replace(
        view,
        registration_id=record.states[0].remote_registration_id if record.states else None,
        receiving_chains=len(receiving),
        skipped=sum(len(chain.skipped) for chain in receiving),
        archived=len(record.archived),
        oldest_archived=min((state.archived or 0 for state in record.archived), default=None),
    )
