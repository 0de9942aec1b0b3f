"""Maintenance of sessions: tending, which the schedule does, and cleaning, which an operator asks for.

Tending puts right what time does to sessions, user by user, before anybody needs them.

    unanswered   the peer never wrote back in 30 days: it may be gone       archived, the next send renews
    idle         neither side used it in 90 days                            archived, the next send renews
    lagging      unused for a week, 32 or more numbers of unknown fate      archived, the next send renews
    resting      keys of what was sent are still derivable                  checkpoint moved, once a week
    expired      archived for 30 days                                       dropped

and so with our own sender key in a group, which rests, or is made anew if it lags.

`needs_care` looks at single items as a walk through the table finds them (eventually consistent, not of one
moment); `tend` reads the user again and decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from tocsin.dynamo.table import ConditionFailed, Contention, OutcomeUnknown
from tocsin.dynamo.writes import Item, Update
from tocsin.keys.chain import CHECKPOINT_DISTANCE, UNANSWERED_SECONDS, Chain, chain_devices, pack, read_chain
from tocsin.keys.context import KeyContext
from tocsin.keys.establish import follow
from tocsin.keys.observe import CLEANED, LOG
from tocsin.keys.reserve import advanced, unchanged
from tocsin.keys.sender_keys import rest_sender_key
from tocsin.keys.sessions import Sessions
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.keys.views import Listing
from tocsin.signal.errors import InvalidRecord, TornRecord
from tocsin.signal.session import ARCHIVED_LIFETIME, archive_current, prune
from tocsin.signal.state import Record, decode_lost
from tocsin.tables.keys import OUTBOUND, SENDER, chain_attribute, inbound_device, outbound_key, owner_of

DAY = 86400


class Limits(NamedTuple):
    """Seconds. `unanswered`: a session whose peer never wrote back. `idle`: one that neither side used.
    `rest`: so long without a message, and no key of an earlier one stays derivable."""

    unanswered: int = UNANSWERED_SECONDS
    idle: int = 90 * DAY
    rest: int = 7 * DAY


@dataclass
class Tended:
    """What upkeep did to one user's sessions. `renewed`: device → why its session was archived. `pruned`:
    archived states that were dropped. `rested`: checkpoints moved. `emptied`: devices without anything left.
    """

    renewed: dict[int, str] = field(default_factory=dict)
    pruned: int = 0
    rested: int = 0
    emptied: int = 0


def needs_care(context: KeyContext, item: Item, limits: Limits) -> bool:
    """Whether an item of the sessions, as a walk through the table finds it, gives `tend` something to do."""
    if str(item["sk"]) == OUTBOUND:
        return _outbound_needs_care(context, item, limits)
    if inbound_device(str(item["sk"])) is None:
        return False
    sessions = Sessions(context, 0, "", None, {0: item})
    try:
        inbound = sessions.inbound(0)
        # Without its sending chain; the dates are all that matters here.
        record = decode_lost(inbound.encoded, bytes(32)) if inbound is not None else None
    except InvalidRecord:
        return False
    if record is None or inbound is None:
        return False
    return prune(record, context.now()) != record or _is_over(record, inbound.rebuilt, context.now())


def tend(context: KeyContext, incarnation: int, user: str, limits: Limits) -> Tended:
    """See `Upkeep.tend`. One query; a turn and an update where there is work."""
    tended = turning(context, lambda current: _tend(context, incarnation, user, limits, current))
    tended.rested = _rest(context, incarnation, user, limits)
    return tended


def tend_group(context: KeyContext, item: Item, limits: Limits) -> bool:
    """See `Upkeep.tend_group`. A key that lags is forgotten: the next send makes another."""
    owner = owner_of(str(item["pk"]))
    if owner is None or item["sk"] != SENDER or not _group_may_rest(context, item, limits):
        return False
    current = context.table.get((str(item["pk"]), SENDER))
    if current is None or not _group_may_rest(context, current, limits):
        return False
    return rest_sender_key(context, owner.incarnation, owner.user, current)


def _group_may_rest(context: KeyContext, item: Item, limits: Limits) -> bool:
    used_at = item.get("used_at")
    return "key" in item and isinstance(used_at, int) and context.now() - used_at > limits.rest


def _tend(context: KeyContext, incarnation: int, user: str, limits: Limits, current: Try) -> Tended:
    tended = Tended()
    sessions = follow(context, incarnation, user, current)
    turn = Turn(sessions, current.leap)
    for device in sessions.devices:
        record = readable(turn, device)
        if record is None:
            continue
        cause = _cause_to_renew(sessions, device, limits)
        pruned = prune(record, context.now())
        inbound = sessions.inbound(device)
        if cause is not None and record.current is not None:
            turn.replace(device, archive_current(record, context.now()))
            turn.check_devices(0)
            tended.renewed[device] = cause
        elif inbound is not None and _is_over(pruned, inbound.rebuilt, context.now()):
            turn.drop(device)
            tended.emptied += 1
        elif pruned != record:
            turn.receive(device, pruned)
        tended.pruned += len(record.states) - len(pruned.states)
    commit(context, turn.writes(), turn)
    return tended


def _cause_to_renew(sessions: Sessions, device: int, limits: Limits) -> str | None:
    """Why the session with a device shall not serve any longer, or None."""
    chain, now = sessions.chain(device), sessions.context.now()
    if chain is None:
        return None
    if _is_unanswered(chain, now, limits):
        return "unanswered"
    used_at = _last_used(sessions.used_at, sessions.checked_at, [chain])
    if now - max(used_at, sessions.heard_at(device)) > limits.idle:
        return "idle"
    if now - used_at > limits.rest and _lags(chain, sessions.next or 0):
        return "lagging"
    return None


def _outbound_needs_care(context: KeyContext, outbound: Item, limits: Limits) -> bool:
    sessions = Sessions(context, 0, "", outbound, {})
    now, following = context.now(), sessions.next
    found = (read_chain(context, outbound, device) for device in chain_devices(outbound))
    chains = [chain for chain in found if chain is not None]
    if following is None or not chains:
        return False
    if any(_is_unanswered(chain, now, limits) for chain in chains):
        return True
    used_at = _last_used(sessions.used_at, sessions.checked_at, chains)
    if now - used_at > limits.idle:
        return True
    owner = owner_of(str(outbound["pk"]))
    resting = owner is not None and _may_rest(owner.user, used_at, now, limits)
    return resting and any(chain.distance(following) > 0 for chain in chains)


def _is_unanswered(chain: Chain, now: int, limits: Limits) -> bool:
    return chain.sending.pending is not None and now - chain.created > limits.unanswered


def _last_used(used_at: int, checked_at: int, chains: list[Chain]) -> int:
    """When something was last sent; for items that don't say, when it may have been at the latest."""
    return max(used_at or checked_at + DAY, *(chain.created for chain in chains))


def _may_rest(user: str, used_at: int, now: int, limits: Limits) -> bool:
    """Whether it is time to move checkpoints: after a while without use, and else on one day of the week,
    which is not the same for all users."""
    return now - used_at > limits.rest or (now // DAY + crc32(user.encode())) % 7 == 0


def _lags(chain: Chain, following: int) -> bool:
    """Whether so many numbers are unaccounted for that the checkpoint must not pass over them in silence:
    it bounds what the peer has never got."""
    return chain.distance(following) >= CHECKPOINT_DISTANCE


def _is_over(record: Record, rebuilt: int, now: int) -> bool:
    """Nothing is left that could receive, nor a reason to remember that there was."""
    return not record.states and now - rebuilt > ARCHIVED_LIFETIME


def _rest(context: KeyContext, incarnation: int, user: str, limits: Limits) -> int:
    """Move the checkpoints of chains that rest behind all numbers taken: one update, and only if nothing was
    turned meanwhile. Whoever holds one of those numbers has its chain in hand already."""
    key = outbound_key(context.account, incarnation, user)
    outbound = context.table.get(key)
    if outbound is None:
        return 0
    sessions = Sessions(context, incarnation, user, outbound, {})
    following = sessions.next
    found = {device: read_chain(context, outbound, device) for device in chain_devices(outbound)}
    chains = {device: chain for device, chain in found.items() if chain is not None}
    if following is None or not chains:
        return 0
    used_at = _last_used(sessions.used_at, sessions.checked_at, [*chains.values()])
    if not _may_rest(user, used_at, context.now(), limits):
        return 0
    moved = {
        device: advanced(chain, following - 1)
        for device, chain in chains.items()
        if 0 < chain.distance(following) < CHECKPOINT_DISTANCE
    }
    if not moved:
        return 0
    names = {device: chain_attribute(device) for device in moved}
    sealed = {
        names[device]: context.seal(pack(chain), key, names[device], chain.tag)
        for device, chain in moved.items()
    }
    try:
        context.table.update(
            Update(key, set=sealed, when=tuple(unchanged(chains[device], device) for device in moved))
        )
    except (ConditionFailed, Contention, OutcomeUnknown):
        return 0
    return len(moved)


# Cleaning: an operator wants sessions out of use. They are archived, and the next send makes new ones.
#
# Archived, not deleted: what the peer sent before it hears of the new session stays readable. Only what can't
# be read anyway is deleted. Each is a turn, so it never collides with a message; the same turn marks the
# device list as out of date, because the next send makes sessions with the devices that the list names.


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of a user's devices: sessions `archived`, and what was unreadable `deleted`."""

    user: str
    archived: tuple[int, ...] = ()
    deleted: tuple[int, ...] = ()


def clean(context: KeyContext, incarnation: int, user: str, device: int | None = None) -> Cleaned:
    """Archive the current session with one device of a user, or with all of them. Raises Contended."""

    def attempt(current: Try) -> Cleaned:
        sessions = follow(context, incarnation, user, current, device=device)
        turn = Turn(sessions, current.leap)
        archived, deleted = [], []
        for each in sessions.devices if device is None else [device]:
            record = readable(turn, each)
            if record is None and (
                each in sessions.inbounds or each in chain_devices(sessions.outbound or {})
            ):
                turn.drop(each)
                deleted.append(each)
            elif record is not None and record.current is not None:
                turn.replace(each, archive_current(record, context.now()))
                archived.append(each)
        if archived or deleted:
            turn.check_devices(0)
            commit(context, turn.writes(), turn)
        for cleaned in (*archived, *deleted):
            (context.observer or LOG).session(CLEANED, sessions.user, cleaned)
        return Cleaned(sessions.user, tuple(archived), tuple(deleted))

    return turning(context, attempt)


def clean_all(context: KeyContext, incarnation: int) -> Iterator[Cleaned]:
    """Clean every user, one after the other; costs a walk through the table, and a query and a turn each."""
    for user in Listing(context, incarnation):
        if user.moved is None:
            yield clean(context, incarnation, user.user)


def readable(turn: Turn, device: int) -> Record | None:
    """The device's record, or None if it can't be read or isn't there. Raises TornRecord."""
    try:
        return turn.record(device)
    except TornRecord:
        raise
    except InvalidRecord:
        return None
