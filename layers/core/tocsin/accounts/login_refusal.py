"""What WhatsApp said when it refused an account's login: a ban, a lock. It is said once, so it is kept.

    account#A   refusal     in plain what an operator must read, `stanza` sealed: all of it, the token for an
                            appeal included, which is good once and belongs in no log

Written before anybody is told, taken away by the next login that succeeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tocsin.dynamo.table import Table
from tocsin.dynamo.writes import Delete, Item, Put, Value
from tocsin.tables.keys import login_refusal_key

if TYPE_CHECKING:
    from tocsin.sealing import Place, Sealer

STANZA: Final = "stanza"
APPEAL_TOKEN: Final = "appeal_token"  # noqa: S105  an attribute's name

MAX_WORDS: Final = 500
"""Characters of one attribute that are shown."""


@dataclass(frozen=True)
class LoginRefusal:
    """`code`: of the refusal (402, 403, 406). `until`: Unix seconds; `None` where no end is known.
    `guessed`: nobody said until when. `told`: its attributes as they came, cut, without the token.
    `can_appeal`: a token for an appeal came with it."""

    code: str
    heard_at: int
    until: int | None = None
    guessed: bool = False
    told: Mapping[str, str] = field(default_factory=dict)
    can_appeal: bool = False


def refusal_of(
    code: str, attributes: Mapping[str, str], heard_at: int, until: int | None, *, guessed: bool
) -> LoginRefusal:
    """Make it of a stanza's attributes."""
    told = {name: value[:MAX_WORDS] for name, value in attributes.items() if name != APPEAL_TOKEN}
    return LoginRefusal(code, heard_at, until, guessed, told, bool(attributes.get(APPEAL_TOKEN)))


def note_refusal(
    table: Table, sealer: Sealer, account: str, refusal: LoginRefusal, stanza: bytes, nonce: bytes
) -> None:
    """`stanza`: the whole of it, as bytes; `nonce`: 12 random bytes."""
    known: dict[str, Value] = {
        "code": refusal.code,
        "heard_at": refusal.heard_at,
        "told": dict(refusal.told),
        "can_appeal": refusal.can_appeal,
        "guessed": refusal.guessed,
        STANZA: sealer.seal(stanza, _place(account), nonce),
    }
    if refusal.until is not None:
        known["until"] = refusal.until
    table.put(Put(login_refusal_key(account), known))


def read_refusal(table: Table, account: str) -> LoginRefusal | None:
    """The last one, `None` if the account has logged in since."""
    item = table.get(login_refusal_key(account))
    return _refusal(item) if item is not None else None


def open_refusal(table: Table, sealer: Sealer, account: str) -> bytes | None:
    """The whole stanza, as it was kept. Raises DamagedRecord."""
    item = table.get(login_refusal_key(account))
    return sealer.unseal(item.get(STANZA), _place(account)) if item is not None else None


def forget_refusal(table: Table, account: str) -> None:
    """The account has logged in: what was said before doesn't hold any more."""
    table.delete(Delete(login_refusal_key(account)))


def _refusal(item: Item) -> LoginRefusal:
    until, heard_at, told = item.get("until"), item.get("heard_at"), item.get("told")
    return LoginRefusal(
        str(item.get("code", "")),
        heard_at if isinstance(heard_at, int) else 0,
        until if isinstance(until, int) else None,
        item.get("guessed") is True,
        {name: str(value) for name, value in told.items()} if isinstance(told, dict) else {},
        item.get("can_appeal") is True,
    )


def _place(account: str) -> Place:
    from tocsin.sealing import Place

    pk, sk = login_refusal_key(account)
    return Place(pk, sk, STANZA)
