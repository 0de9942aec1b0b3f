"""The tombstone of sessions that moved to another name: where they lie now, sealed.

    session#A.I#U   outbound   `moved`: the name, for everybody to read   `signpost`: the same, sealed

Whoever follows it sends to that name. So the seal decides, and `moved` alone leads nowhere: who can write to
the table could else have somebody's messages sent to another person. A tombstone of 0.1.0 has no seal. It is
taken for an item without sessions: they are made anew, under the name that was asked for.
"""

from __future__ import annotations

from tocsin.dynamo.writes import Item, Key, Value
from tocsin.keys.context import KeyContext
from tocsin.sealing import DamagedRecord

MOVED = "moved"
SIGNPOST = "signpost"
TOMBSTONE = (MOVED, SIGNPOST)

MAX_WALK = 4
"""Names that are gone through to where sessions lie. They move once, from the phone number to the LID. A
longer walk can only be damage; an old tombstone that was put back could lead round in a circle."""


def signpost_to(context: KeyContext, key: Key, user: str) -> dict[str, Value]:
    """The attributes of a tombstone at `key` that leads to `user` (a bare JID)."""
    return {MOVED: user, SIGNPOST: context.seal(user.encode(), key, SIGNPOST)}


def read_signpost(context: KeyContext, item: Item | None) -> str | None:
    """Where a tombstone leads. None if the item is none, if it is of before the seals, or if its seal doesn't
    open, which is reported."""
    if item is None or SIGNPOST not in item:
        return None
    try:
        return context.unseal(item, SIGNPOST).decode()
    except DamagedRecord as damaged:
        context.on_damage(damaged)
        return None
