"""What the operator asks of an account, and what the connector answers: one item that both look at.

The console needs no door into the network for it: it writes a request, the connector finds it, does it, and
writes what the operator must see (a QR to scan, a code to type, what went wrong). A second item per request
says for which account there is one, so that nobody has to look into every account's item all the time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import Delete, Equals, Item, Put, Update, Value
from tocsin.tables.keys import OPERATOR_REQUESTS, control_key, operator_request_key

# `reconnect`: log in again, with the account as it is stored now; a halted account tries again.
REQUESTS = ("pair", "unpair", "reconnect")


@dataclass(frozen=True, slots=True)
class Control:
    """`request`: what the operator asked for and the connector hasn't taken up. `phone`: digits, to pair with
    a code instead of a QR. `requested_at`, `qr_expires_at`: seconds. `state`: how far pairing is; None:
    nothing was answered yet. `message`: for the operator, when something went wrong."""

    request: str | None = None
    requested_at: int = 0
    phone: str | None = None
    qr: str | None = field(repr=False, default=None)
    qr_expires_at: int = 0
    pairing_code: str | None = field(repr=False, default=None)
    state: AccountState | None = None
    message: str = ""


def read_control(table: Table, account: str) -> Control:
    """The control item; empty if there is none."""
    item = table.get(control_key(account)) or {}
    return Control(
        _text(item, "request"),
        _number(item, "requested_at"),
        _text(item, "phone"),
        _text(item, "qr"),
        _number(item, "qr_expires_at"),
        _text(item, "pairing_code"),
        AccountState.read(item["state"]) if "state" in item else None,
        _text(item, "message") or "",
    )


def request(table: Table, account: str, what: str, now: int, *, phone: str | None = None) -> None:
    """The operator's side: ask for something. What an earlier request left to see is cleared."""
    if what not in REQUESTS:
        raise ValueError(f"no such request: {what}")
    asked: dict[str, Value] = {"request": what, "requested_at": now}
    if phone is not None:
        asked["phone"] = phone
    gone = ("qr", "qr_expires_at", "pairing_code", "state", "message")
    remove = gone if phone is not None else (*gone, "phone")
    table.update(Update(control_key(account), set=asked, remove=remove))
    table.put(Put(operator_request_key(account), {"requested_at": now}))


def asked_accounts(table: Table) -> list[str]:
    """The connector's side: the accounts that may have an open request."""
    return [account for _, account in table.keys(OPERATOR_REQUESTS)]


def take_up(table: Table, account: str, seen: Control) -> bool:
    """The connector's side: it works on the request now. False if the operator asked anew meanwhile."""
    if seen.request is None:
        return False
    asked = (Equals("request", seen.request), Equals("requested_at", seen.requested_at))
    try:
        table.update(Update(control_key(account), remove=("request",), when=asked))
    except ConditionFailed:
        return False
    clear_request(table, account, seen)
    return True


def clear_request(table: Table, account: str, seen: Control) -> None:
    """The connector's side: no request is open after the one that was seen."""
    asked = (Equals("requested_at", seen.requested_at),)
    with suppress(ConditionFailed):  # asked anew, or cleared before
        table.delete(Delete(operator_request_key(account), when=asked))


def answer(
    table: Table,
    account: str,
    *,
    state: AccountState,
    message: str = "",
    qr: str | None = None,
    qr_expires_at: int = 0,
    pairing_code: str | None = None,
) -> None:
    """The connector's side: what the operator is to see now. What isn't given is taken away."""
    shown: dict[str, Value | None] = {
        "state": state,
        "message": message or None,
        "qr": qr,
        "qr_expires_at": qr_expires_at or None,
        "pairing_code": pairing_code,
    }
    present = {name: value for name, value in shown.items() if value is not None}
    absent = tuple(name for name, value in shown.items() if value is None)
    table.update(Update(control_key(account), set=present, remove=absent))


def _text(item: Item, name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _number(item: Item, name: str) -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0
