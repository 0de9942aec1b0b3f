"""Cleaning: sessions that an operator wants out of use are archived, and the next send makes new ones.

Archived, not deleted: what the peer sent before it hears of the new session stays readable. Deleted is only
what can't be read anyway. Each is a turn, so it collides with nobody's message; and in the same turn the
device list is marked as out of date, for the next send makes sessions with those devices that it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tocsin.keys.chain import chain_devices
from tocsin.keys.context import KeyContext
from tocsin.keys.establish import follow
from tocsin.keys.observe import CLEANED, LOG
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.keys.views import Listing
from tocsin.signal.errors import InvalidRecord, TornRecord
from tocsin.signal.session import archive_current
from tocsin.signal.state import Record


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
