"""What the operator asks of an account, and what the connector answers: one item that both look at.

    account#A   control   `asked`: sealed, what is asked for   `shown`: sealed, what the operator is to see
                          `answered`: sealed, the operator's part in the passkey ceremony (`accounts.passkey`)
                          `request`, `requested_at`: that a request is open, for everybody to read
    wishes      A         for which account there is one, so that nobody looks into every item all the time

The console needs no door into the network for it: it seals a request, the connector finds it, does it, and
seals what the operator must see (a QR to scan, a code to type, what went wrong). Both hold the sealing key.
Who can only write to the table asks for nothing, and shows the operator no code. Who can only read sees none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tocsin.accounts.passkey import LinkedPhone, PasskeyAnswer, PasskeyStep
from tocsin.accounts.state import AccountState
from tocsin.dynamo.table import ConditionFailed, Table
from tocsin.dynamo.writes import Delete, Equals, Item, Put, Update, Value, as_read
from tocsin.sealing import DamagedRecord, Place, Sealer
from tocsin.tables.keys import OPERATOR_REQUESTS, control_key, operator_request_key

REQUESTS: Final = ("pair", "unpair", "reconnect")
"""`reconnect`: log in again, with the account as it is stored now; a halted account tries again."""

REQUEST_SECONDS: Final = 900
"""How long a request may wait for a connector. A new one starts in a minute or two."""

AHEAD_SECONDS: Final = 300
"""How far the operator's clock may be ahead. With more, AWS refuses their signature."""

ASKED: Final = "asked"
SHOWN: Final = "shown"
ANSWERED: Final = "answered"
_PLAIN: Final = ("qr", "qr_expires_at", "pairing_code", "state", "message", "phone")
"""What 0.1.0 wrote in clear; it goes with the next request or answer."""

NOT_OURS: Final = (
    "what the table shows was not sealed by this stack's connector, so it isn't shown; who else may write to "
    "it?"
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it lies there; `what` is None if none is open. It doesn't count before `open_request`."""

    what: str | None = None
    requested_at: int = 0
    sealed: Value | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an operator really asked for. `phone`: digits, to pair with a code instead of a QR.
    `requested_at`: seconds, by the operator's clock. `sealed`: tells it from every other one.
    `always_ask_code`: compare codes even where the phone could do without. `shared_phone`: link the phone
    even if another account of the stack is linked to it."""

    request: str
    requested_at: int
    phone: str | None = None
    always_ask_code: bool = False
    shared_phone: bool = False
    sealed: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class Control:
    """What the operator sees. `request`: what is asked for and not taken up. `state`: how far pairing is;
    None: nothing was answered yet. `message`: for the operator, when something went wrong. `requested_at`,
    `qr_expires_at`: seconds. `passkey`: what the operator is to do in the passkey ceremony. `linked`: which
    phone was linked."""

    request: str | None = None
    requested_at: int = 0
    qr: str | None = field(repr=False, default=None)
    qr_expires_at: int = 0
    pairing_code: str | None = field(repr=False, default=None)
    state: AccountState | None = None
    message: str = ""
    passkey: PasskeyStep | None = None
    linked: LinkedPhone | None = None


class RequestRefused(Exception):
    """Nobody who holds the sealing key asks for this here and now: drop it.

    `reason`: `unsealed` (by a console of 0.1.0, or by a stranger), `damaged` (changed, or of another
    account), `stale` or `early` (by its own time), `replayed` (carried out before).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# The operator's side


def request(
    table: Table,
    sealer: Sealer,
    account: str,
    what: str,
    now: int,
    nonce: bytes,
    *,
    phone: str | None = None,
    always_ask_code: bool = False,
    shared_phone: bool = False,
    lasts: int = REQUEST_SECONDS,
) -> Request:
    """Ask for something; what was asked, for `withdraw`. What an earlier request left to see is cleared.
    `nonce`: 12 random bytes. `lasts`: seconds after which nobody may take it up any more."""
    if what not in REQUESTS:
        raise ValueError(f"no such request: {what}")
    content = {
        "request": what,
        "requested_at": now,
        "phone": phone,
        # What a connector of 0.1.0 doesn't know of: it leaves it out.
        "always_ask_code": always_ask_code,
        "shared_phone": shared_phone,
        "lasts": lasts,
    }
    asked = _seal(sealer, account, ASKED, content, nonce)
    told: dict[str, Value] = {"request": what, "requested_at": now, ASKED: asked}
    table.update(Update(control_key(account), set=told, remove=(SHOWN, ANSWERED, *_PLAIN)))
    table.put(Put(operator_request_key(account), {"requested_at": now}))
    return Request(what, now, asked)


def withdraw(table: Table, account: str, asked: Request) -> bool:
    """Take back what was asked. False: a connector took it up, or something else was asked since."""
    return take_up(table, account, asked)


def read_control(table: Table, account: str, sealer: Sealer) -> Control:
    """What is asked for and shown; empty if there is nothing. What somebody else wrote there isn't shown,
    which `message` says."""
    item = table.get(control_key(account)) or {}
    open_now, requested_at = _text(item, "request"), _number(item, "requested_at")
    if SHOWN not in item:
        return Control(open_now, requested_at)
    try:
        shown = _open(sealer, account, SHOWN, item[SHOWN])
    except DamagedRecord:
        return Control(open_now, requested_at, message=NOT_OURS)
    return Control(
        open_now,
        requested_at,
        shown["qr"],
        shown["qr_expires_at"],
        shown["pairing_code"],
        AccountState.read(shown["state"]),
        shown["message"],
        # A connector of 0.1.0 shows neither.
        PasskeyStep.read(shown.get("passkey")),
        LinkedPhone.read(shown.get("linked")),
    )


# The connector's side


def asked_accounts(table: Table) -> list[str]:
    """The accounts that may have an open request."""
    return [account for _, account in table.keys(OPERATOR_REQUESTS)]


def read_request(table: Table, account: str) -> Request:
    """The request as it lies there."""
    item = table.get(control_key(account)) or {}
    return Request(_text(item, "request"), _number(item, "requested_at"), item.get(ASKED))


def open_request(seen: Request, account: str, sealer: Sealer, now: float) -> Asked:
    """What is really asked for. Raises RequestRefused. `now`: seconds."""
    if not isinstance(seen.sealed, bytes):
        raise RequestRefused("unsealed")
    try:
        told = _open(sealer, account, ASKED, seen.sealed)
    except DamagedRecord:
        raise RequestRefused("damaged") from None
    asked = Asked(
        told["request"],
        told["requested_at"],
        told["phone"],
        # A console of 0.1.0 doesn't know of these.
        told.get("always_ask_code", False),
        told.get("shared_phone", False),
        seen.sealed,
    )
    # Each clock may be wrong by as much as AWS allows; a request must not be over before it is read.
    lasts = told.get("lasts", REQUEST_SECONDS) + AHEAD_SECONDS
    if now - asked.requested_at > min(lasts, REQUEST_SECONDS):
        raise RequestRefused("stale")
    if asked.requested_at - now > AHEAD_SECONDS:
        raise RequestRefused("early")
    return asked


def take_up(table: Table, account: str, seen: Request) -> bool:
    """Take the request off the table, to carry it out or to drop it. False if the operator asked anew
    meanwhile."""
    found = {
        name: value for name, value in (("request", seen.what), (ASKED, seen.sealed)) if value is not None
    }
    unchanged = (as_read("request", found), as_read(ASKED, found))
    try:
        table.update(Update(control_key(account), remove=("request", ASKED), when=unchanged))
    except ConditionFailed:
        return False
    clear_request(table, account, seen.requested_at)
    return True


def clear_request(table: Table, account: str, requested_at: int) -> None:
    """No request is open after the one of that time."""
    asked = (Equals("requested_at", requested_at),)
    with suppress(ConditionFailed):  # asked anew, or cleared before
        table.delete(Delete(operator_request_key(account), when=asked))


def answer(
    table: Table,
    sealer: Sealer,
    account: str,
    nonce: bytes,
    *,
    state: AccountState,
    message: str = "",
    qr: str | None = None,
    qr_expires_at: int = 0,
    pairing_code: str | None = None,
    passkey: PasskeyStep | None = None,
    linked: LinkedPhone | None = None,
) -> None:
    """What the operator is to see now, in place of what they saw before. `nonce`: 12 random bytes."""
    shown = {
        "state": state,
        "message": message,
        "qr": qr,
        "qr_expires_at": qr_expires_at,
        "pairing_code": pairing_code,
        "passkey": asdict(passkey) if passkey is not None else None,
        "linked": asdict(linked) if linked is not None else None,
    }
    sealed = _seal(sealer, account, SHOWN, shown, nonce)
    over = () if passkey is not None else (ANSWERED,)
    table.update(Update(control_key(account), set={SHOWN: sealed}, remove=(*over, *_PLAIN)))


# The passkey ceremony: the operator's part of it lies beside the requests, for it replaces none


def give_passkey_answer(
    table: Table, sealer: Sealer, account: str, given: PasskeyAnswer, nonce: bytes
) -> None:
    """The operator's side: an assertion, a comparison, or the wish to stop. `nonce`: 12 random bytes."""
    sealed = _seal(sealer, account, ANSWERED, asdict(given), nonce)
    table.update(Update(control_key(account), set={ANSWERED: sealed}))


def take_passkey_answer(table: Table, account: str, sealer: Sealer, ceremony: str) -> PasskeyAnswer | None:
    """The connector's side: the answer in this ceremony, taken off the table. One that belongs to another, or
    that nobody sealed who holds the key, is taken off and counts for nothing."""
    sealed = (table.get(control_key(account)) or {}).get(ANSWERED)
    if sealed is None:
        return None
    try:
        table.update(Update(control_key(account), remove=(ANSWERED,), when=(Equals(ANSWERED, sealed),)))
        given = PasskeyAnswer.read(_open(sealer, account, ANSWERED, sealed))
    except (ConditionFailed, DamagedRecord):
        return None  # answered anew meanwhile: it is looked at again; or nobody's
    return given if given is not None and given.ceremony == ceremony else None


def _seal(sealer: Sealer, account: str, attribute: str, content: Mapping[str, Any], nonce: bytes) -> bytes:
    return sealer.seal(json.dumps(content).encode(), Place(*control_key(account), attribute), nonce)


def _open(sealer: Sealer, account: str, attribute: str, sealed: object) -> dict[str, Any]:
    """Raises DamagedRecord."""
    content = sealer.unseal(sealed, Place(*control_key(account), attribute))
    opened: dict[str, Any] = json.loads(content)
    return opened


def _text(item: Item, name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _number(item: Item, name: str) -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0
