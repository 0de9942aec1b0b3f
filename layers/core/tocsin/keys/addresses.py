"""Who is who: LID and phone number of a user, their devices, and how sessions move from one to the other.

Sessions lie under the LID as soon as it is known. The move is one transaction that leaves a tombstone
(`moved`), so that whoever still writes to the old name is refused and follows, and a late maker doesn't found
a second session there.
"""

from __future__ import annotations

from contextlib import suppress

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Absent, Item, Key, Put, Update, Value, Write, as_read
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoAccount
from tocsin.keys.privacy_tokens import TRUST
from tocsin.keys.sessions import Sessions, read_sessions
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.signal.session import merge
from tocsin.signal.state import Record
from tocsin.tables.keys import address_key, credentials_key, outbound_key


def read_address(context: KeyContext, user: str) -> dict[str, str] | None:
    """Both names of a user, `pn` and `lid`, by either of them; None if only this one is known."""
    return _both_names(context.table.get(address_key(context.account, user)))


def read_item(context: KeyContext, user: str) -> Item:
    """All that is known beside the names, as `trust` reads it."""
    return context.table.get(address_key(context.account, user)) or {}


def other_name(context: KeyContext, user: str) -> str | None:
    """The name of a user that isn't this one, if it is known."""
    names = read_address(context, user) or {}
    return next((name for name in names.values() if name != user), None)


def _both_names(item: Item | None) -> dict[str, str] | None:
    pn, lid = (item or {}).get("pn"), (item or {}).get("lid")
    return {"pn": pn, "lid": lid} if isinstance(pn, str) and isinstance(lid, str) else None


def absent_since(context: KeyContext, pn: str) -> int:
    """When WhatsApp last said that it doesn't know this number (seconds); 0: never, or it does by now."""
    at = (context.table.get(address_key(context.account, pn)) or {}).get("absent_at")
    return at if isinstance(at, int) else 0


def note_absent(context: KeyContext, pn: str) -> None:
    """Remember that WhatsApp doesn't know this number now. What is learnt later takes that back."""
    update = Update(address_key(context.account, pn), set={"absent_at": context.now()}, when=(Absent("lid"),))
    with suppress(ConditionFailed):
        context.patiently(lambda: context.table.update(update))


def learn(context: KeyContext, pn: str, lid: str) -> bool:
    """See `Contacts.learn`. A number that went to another person takes no session along."""
    if _lid_of(read_address(context, pn)) == lid:
        return False
    incarnation = _incarnation(context)

    def attempt(current: Try) -> bool:
        address = context.table.get(address_key(context.account, pn))
        if _lid_of(_both_names(address)) == lid:
            return False
        moves, turns = _moves(context, incarnation, pn, lid, current)
        known = context.table.get(address_key(context.account, lid))
        commit(context, [*moves, *_names(context, pn, lid, address, known)], *turns)
        return True

    return turning(context, attempt)


def _lid_of(names: dict[str, str] | None) -> str | None:
    return names["lid"] if names is not None else None


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
    return [
        Put(address_key(context.account, pn), names, when=(as_read("lid", address),)),
        Put(address_key(context.account, lid), names, when=(as_read("token_at", known),)),
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
    return Put(key, {"moved": lid}, when=(as_read("moved", source.outbound),))
