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
from tocsin.keys.seal import DamagedRecord, Place
from tocsin.tables.keys import address_key, privacy_key

TRUST = ("token", "token_at", "issued_at")
"""The attributes of an address item that this module writes."""


class Trust(NamedTuple):
    """`token`: the contact's, opaque; issued at `token_at`. `issued_at`: when we issued ours. Unix seconds, 0
    for never."""

    token: bytes | None = None
    token_at: int = 0
    issued_at: int = 0

    def __repr__(self) -> str:
        return f"Trust(token_at={self.token_at}, issued_at={self.issued_at})"


def read_trust(vault: KeyContext, own: str, lid: str) -> Trust:
    return open_trust(vault, own, lid, vault.table.get(address_key(vault.account, lid)) or {})


def open_trust(vault: KeyContext, own: str, lid: str, item: Item) -> Trust:
    """What an address item, as read, says of the contact `lid`. `own`: our own bare LID."""
    token: bytes | None = None
    if "token" in item:
        try:
            token = vault.sealer.unseal(item["token"], _place(vault, own, lid))
        except DamagedRecord:
            token = None  # issued to another number of ours, or damaged: the contact issues a new one in time
    token_at, issued_at = item.get("token_at"), item.get("issued_at")
    return Trust(
        token,
        token_at if isinstance(token_at, int) and token is not None else 0,
        issued_at if isinstance(issued_at, int) else 0,
    )


def keep_token(vault: KeyContext, own: str, lid: str, token: bytes, at: int) -> bool:
    """Keep a contact's token, issued at `at`; whether it is newer than the one that is kept."""
    item = vault.table.get(address_key(vault.account, lid)) or {}
    if open_trust(vault, own, lid, item).token_at >= at:
        return False
    sealed = vault.sealer.seal(token, _place(vault, own, lid), vault.random(12))
    _note(vault, lid, item, {"token": sealed, "token_at": at})
    return True


def note_issued(vault: KeyContext, lid: str, at: int) -> None:
    """Remember that we issued a token to the contact."""
    _note(vault, lid, vault.table.get(address_key(vault.account, lid)) or {}, {"issued_at": at})


def _note(vault: KeyContext, lid: str, item: Item, what: dict[str, Value]) -> None:
    """Under the number first: a crash in between leaves the LID's item as it was, so all is done again."""
    pn = item.get("pn")
    if isinstance(pn, str):
        number = Update(address_key(vault.account, pn), set=what, when=(Equals("lid", lid),))
        with suppress(ConditionFailed):  # the number is another LID's by now
            vault.patiently(lambda: vault.table.update(number))
    vault.patiently(lambda: vault.table.update(Update(address_key(vault.account, lid), set=what)))


def _place(vault: KeyContext, own: str, lid: str) -> Place:
    return Place(*address_key(vault.account, lid), "token", own.encode())


def save_salt(vault: KeyContext, own: str, salt: bytes) -> None:
    """Keep the account's salt for contact secrets (`<cstoken>`)."""
    key = privacy_key(vault.account)
    sealed = vault.seal(salt, key, "salt", own.encode())
    vault.patiently(lambda: vault.table.update(Update(key, set={"salt": sealed})))


def read_salt(vault: KeyContext, own: str) -> bytes | None:
    key = privacy_key(vault.account)
    item = vault.table.get(key)
    if item is None or "salt" not in item:
        return None
    try:
        return vault.sealer.unseal(item["salt"], Place(*key, "salt", own.encode()))
    except DamagedRecord:
        return None
