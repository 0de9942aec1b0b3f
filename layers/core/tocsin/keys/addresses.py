"""Who is who: LID and phone number of a user, their devices, and how sessions move from one to the other.

Sessions lie under the LID as soon as it is known. The move is one transaction that leaves a tombstone
(`moved`), so that whoever still writes to the old name is refused and follows, and a late maker doesn't found
a second session there.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Exists, Item, Key, Put, Update, Value, Write, as_read
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoAccount
from tocsin.keys.privacy_tokens import TRUST
from tocsin.keys.sessions import Sessions, read_sessions
from tocsin.keys.signpost import SIGNPOST, signpost_to
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.sealing import DamagedRecord, Place
from tocsin.signal.session import merge
from tocsin.signal.state import Record
from tocsin.tables.keys import address_key, credentials_key, outbound_key
from tocsin.timestamps import is_recent

PROOF = "proof"
"""The sealed attribute that says which LID a number has. The plain ones beside it decide nothing."""

JUST_NOW_SECONDS = 60
FRESH_SECONDS = 24 * 3600
"""What was told within this time needn't be written down again."""


class KnownAddress(NamedTuple):
    """Which LID a number has, as WhatsApp told us. Bare JIDs; times in seconds.

    `at`: when it was last told. `doubted`: something said otherwise since. `moved_to`: the LID that WhatsApp
    named for the number last, if nobody has confirmed yet that it may be written to.
    """

    pn: str
    lid: str
    at: int
    doubted: bool = False
    moved_to: str | None = None


def read_known(context: KeyContext, user: str) -> KnownAddress | None:
    """What is known of a user, by either of their names."""
    return open_known(context, user, context.table.get(address_key(context.account, user)))


def open_known(context: KeyContext, user: str, item: Item | None) -> KnownAddress | None:
    """The same, from an item as it was read. What isn't sealed for this very place counts for nothing:
    whoever can write to the table must not choose where messages go."""
    if item is None or PROOF not in item:
        return None
    place = Place(*address_key(context.account, user), PROOF)
    try:
        told = json.loads(context.sealer.unseal(item[PROOF], place))
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None
    doubted_at = item.get("doubted_at")
    doubted = isinstance(doubted_at, int) and doubted_at >= told["at"]
    return KnownAddress(told["pn"], told["lid"], told["at"], doubted, told.get("moved_to"))


def read_number(context: KeyContext, user: str, perhaps: str | None = None) -> KnownAddress | None:
    """What is known of a user's number, by either name, if it is still theirs: a LID remembers the number
    that it had, and only the number says whose it is. `perhaps`: a number that somebody says is theirs. It
    decides nothing; if it is right, one request is enough."""
    keys = {each: address_key(context.account, each) for each in (user, perhaps) if each is not None}
    found = context.table.get_many(list(keys.values()))
    told = open_known(context, user, found.get(keys[user]))
    number = None
    if told is not None and told.pn in keys:
        number = open_known(context, told.pn, found.get(keys[told.pn]))
    elif told is not None:
        number = read_known(context, told.pn)
    return number if told is not None and number is not None and number.lid == told.lid else None


def read_address(context: KeyContext, user: str) -> dict[str, str] | None:
    """Both names of a user, `pn` and `lid`, by either of them; None if only this one is known."""
    known = read_known(context, user)
    return {"pn": known.pn, "lid": known.lid} if known is not None else None


def read_item(context: KeyContext, user: str) -> Item:
    """All that is known beside the names, as `trust` reads it."""
    return context.table.get(address_key(context.account, user)) or {}


def other_name(context: KeyContext, user: str) -> str | None:
    """The name of a user that isn't this one, if it is known."""
    names = read_address(context, user) or {}
    return next((name for name in names.values() if name != user), None)


def doubt(context: KeyContext, pn: str) -> bool:
    """Something contradicts what is known of a number: it is asked for before anything is sent there. False
    if WhatsApp was asked just now: then that answer holds."""
    known = read_known(context, pn)
    if known is None or is_recent(known.at, context.now(), JUST_NOW_SECONDS):
        return False
    update = Update(
        address_key(context.account, pn), set={"doubted_at": context.now()}, when=(Exists(PROOF),)
    )
    with suppress(ConditionFailed):
        context.patiently(lambda: context.table.update(update))
    return True


def note_moved(context: KeyContext, pn: str, to: str) -> bool:
    """WhatsApp names another LID for a known number; whether that is news. Nothing else changes yet."""
    key = address_key(context.account, pn)

    def attempt(_: Try) -> bool:
        item = context.table.get(key)
        known = open_known(context, pn, item)
        if known is None or known.lid == to or known.moved_to == to:
            return False
        proof = _sealed(context, pn, known._replace(at=context.now(), moved_to=to))
        moved = Update(key, set={PROOF: proof}, remove=("doubted_at",), when=(as_read(PROOF, item),))
        commit(context, [moved])
        return True

    return turning(context, attempt)


def _sealed(context: KeyContext, user: str, known: KnownAddress) -> bytes:
    told: dict[str, str | int] = {"pn": known.pn, "lid": known.lid, "at": known.at}
    if known.moved_to is not None:
        told["moved_to"] = known.moved_to
    plain = json.dumps(told, separators=(",", ":")).encode()
    return context.seal(plain, address_key(context.account, user), PROOF)


def absent_since(context: KeyContext, pn: str) -> int:
    """When WhatsApp last said that it doesn't know this number (seconds); 0: never, or it does by now."""
    at = (context.table.get(address_key(context.account, pn)) or {}).get("absent_at")
    return at if isinstance(at, int) else 0


def note_absent(context: KeyContext, pn: str) -> None:
    """Remember that WhatsApp doesn't know this number now, whoever had it. What is learnt takes that back;
    what was learnt just now, while we asked, holds."""
    key = address_key(context.account, pn)
    item = context.table.get(key)
    known = open_known(context, pn, item)
    if known is not None and is_recent(known.at, context.now(), JUST_NOW_SECONDS):
        return
    update = Update(key, set={"absent_at": context.now()}, when=(as_read(PROOF, item),))
    with suppress(ConditionFailed):
        context.patiently(lambda: context.table.update(update))


def learn(context: KeyContext, pn: str, lid: str) -> bool:
    """See `Contacts.learn`. A number that went to another person takes no session along."""
    if _holds(context, read_known(context, pn), lid):
        return False
    incarnation = _incarnation(context)

    def attempt(current: Try) -> bool:
        address = context.table.get(address_key(context.account, pn))
        known = open_known(context, pn, address)
        if _holds(context, known, lid):
            return False
        is_news = known is None or known.lid != lid
        moves, turns = _moves(context, incarnation, pn, lid, current) if is_news else ([], [])
        other = context.table.get(address_key(context.account, lid))
        commit(context, [*moves, *_names(context, pn, lid, address, other)], *turns)
        return is_news

    return turning(context, attempt)


def learn_own(context: KeyContext, pn: str, lid: str) -> bool:
    """See `Contacts.learn_own`."""

    def attempt(_: Try) -> bool:
        address = context.table.get(address_key(context.account, pn))
        known = open_known(context, pn, address)
        if _holds(context, known, lid):
            return False
        other = context.table.get(address_key(context.account, lid))
        commit(context, _names(context, pn, lid, address, other))
        return known is None or known.lid != lid

    return turning(context, attempt)


def _holds(context: KeyContext, known: KnownAddress | None, lid: str) -> bool:
    """Whether it is known already that a number is this LID's, and was told lately."""
    if known is None or known.lid != lid or known.doubted or known.moved_to is not None:
        return False
    return is_recent(known.at, context.now(), FRESH_SECONDS)


def _incarnation(context: KeyContext) -> int:
    incarnation = (context.table.get(credentials_key(context.account)) or {}).get("incarnation")
    if not isinstance(incarnation, int):
        raise NoAccount(context.account)
    return incarnation


def _names(context: KeyContext, pn: str, lid: str, address: Item | None, known: Item | None) -> list[Write]:
    """The mapping, to be found from either side; both stand as they were read. What the contact entrusted to
    us under the LID (`known`) is found under the number too."""
    trust = {name: value for name, value in (known or {}).items() if name in TRUST}
    names: dict[str, Value] = {"pn": pn, "lid": lid, **trust}
    told = KnownAddress(pn, lid, context.now())
    return [
        Put(
            address_key(context.account, user),
            {**names, PROOF: _sealed(context, user, told)},
            when=(as_read(PROOF, item), as_read(as_it_was, item)),
        )
        for user, item, as_it_was in ((pn, address, "lid"), (lid, known, "token_at"))
    ]


def _moves(
    context: KeyContext, incarnation: int, pn: str, lid: str, current: Try
) -> tuple[list[Write], list[Turn]]:
    """The writes that move what lies under the phone number, and the turn that takes it away there."""
    source = read_sessions(context, incarnation, pn, torn_is_lost=current.torn_is_lost)
    if source.moved == lid:
        return [], []
    if source.moved is not None:
        # The number was somebody else's before: only the signpost changes.
        return [_signpost(context, source, lid)], []
    target = read_sessions(context, incarnation, lid, torn_is_lost=current.torn_is_lost)
    leaving, arriving = Turn(source, current.leap), Turn(target, current.leap)
    leaving.leave_for(lid)
    for device in source.devices:
        record = leaving.record(device)
        if record is not None:
            merged = _merged(context, arriving.record(device), record)
            vouched = arriving.vouched_by(device, merged.identity) or leaving.vouched_by(
                device, merged.identity
            )
            arriving.prove(device, vouched)
            arriving.replace(device, merged, heard_at=source.heard_at(device))
    if source.checked_at and target.next is None:
        arriving.check_devices(source.checked_at)
    return [*leaving.writes(), *arriving.writes()], [leaving]


def _merged(context: KeyContext, record: Record | None, moved: Record) -> Record:
    """What lay under the LID goes on; what comes from the phone number stays readable."""
    return moved if record is None else merge(record, moved, context.now())


def _signpost(context: KeyContext, source: Sessions, lid: str) -> Write:
    key: Key = outbound_key(context.account, source.incarnation, source.user)
    return Put(key, signpost_to(context, key, lid), when=(as_read(SIGNPOST, source.outbound),))
