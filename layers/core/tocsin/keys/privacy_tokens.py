"""Privacy tokens: what contacts issued to us, when we issued ours, and the salt for those who issued none.

They lie beside the addresses, under both names of a contact, so that a send reads them with what it reads
anyway. A token is sealed under our own name: after a pairing with another number it can't be opened, which is
right, for it was issued to somebody else.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Equals, Item, Update, Value
from tocsin.keys.context import KeyContext
from tocsin.sealing import DamagedRecord, Place
from tocsin.tables.keys import address_key, privacy_key

TIMER = "timer"
"""The chat's timer, sealed (`keys.timers`)."""

TRUST = ("token", "token_at", "issued_at", TIMER)
"""The attributes of an address item beside the names."""


class Trust(NamedTuple):
    """`token`: the contact's, opaque; issued at `token_at`. `issued_at`: when we issued ours. Unix seconds, 0
    for never."""

    token: bytes | None = None
    token_at: int = 0
    issued_at: int = 0

    def __repr__(self) -> str:
        return f"Trust(token_at={self.token_at}, issued_at={self.issued_at})"


def read_trust(context: KeyContext, own: str, lid: str) -> Trust:
    return open_trust(context, own, lid, context.table.get(address_key(context.account, lid)) or {})


def open_trust(context: KeyContext, own: str, lid: str, item: Item) -> Trust:
    """What an address item, as read, says of the contact `lid`. `own`: our own bare LID."""
    token: bytes | None = None
    if "token" in item:
        try:
            token = context.sealer.unseal(item["token"], _place(context, own, lid))
        except DamagedRecord:
            token = None  # issued to another number of ours, or damaged: the contact issues a new one in time
    token_at, issued_at = item.get("token_at"), item.get("issued_at")
    return Trust(
        token,
        token_at if isinstance(token_at, int) and token is not None else 0,
        issued_at if isinstance(issued_at, int) else 0,
    )


def keep_token(context: KeyContext, own: str, lid: str, token: bytes, at: int) -> bool:
    """Keep a contact's token, issued at `at`; whether it is newer than the one that is kept."""
    item = context.table.get(address_key(context.account, lid)) or {}
    if open_trust(context, own, lid, item).token_at >= at:
        return False
    sealed = context.sealer.seal(token, _place(context, own, lid), context.random(12))
    _note(context, lid, item, {"token": sealed, "token_at": at})
    return True


def note_issued(context: KeyContext, lid: str, at: int) -> None:
    """Remember that we issued a token to the contact."""
    _note(context, lid, context.table.get(address_key(context.account, lid)) or {}, {"issued_at": at})


def _note(context: KeyContext, lid: str, item: Item, what: dict[str, Value]) -> None:
    """Under the number first: a crash in between leaves the LID's item as it was, so all is done again."""
    pn = item.get("pn")
    if isinstance(pn, str):
        number = Update(address_key(context.account, pn), set=what, when=(Equals("lid", lid),))
        with suppress(ConditionFailed):  # the number is another LID's by now
            context.patiently(lambda: context.table.update(number))
    context.patiently(lambda: context.table.update(Update(address_key(context.account, lid), set=what)))


def _place(context: KeyContext, own: str, lid: str) -> Place:
    return Place(*address_key(context.account, lid), "token", own.encode())


def save_salt(context: KeyContext, own: str, salt: bytes) -> None:
    """Keep the account's salt for contact secrets (`<cstoken>`)."""
    key = privacy_key(context.account)
    sealed = context.seal(salt, key, "salt", own.encode())
    context.patiently(lambda: context.table.update(Update(key, set={"salt": sealed})))


def read_salt(context: KeyContext, own: str) -> bytes | None:
    key = privacy_key(context.account)
    item = context.table.get(key)
    if item is None or "salt" not in item:
        return None
    try:
        return context.sealer.unseal(item["salt"], Place(*key, "salt", own.encode()))
    except DamagedRecord:
        return None
