"""The states of an account, what is allowed in each, and which may follow which.

The lease carries the state. One writer sets it: the connector that holds the account
(`connector.gateway.status.AccountStatus.set`). Lambdas and the console read it.

    unpaired ──▶ pairing ──▶ connecting ──▶ resuming ──▶ connected ◀──▶ restricted
                                 ▲  ▲                        │
                                 │  └─── tried again ────────┤ the connection ended
                                 │                           ▼
                                 └── the operator asks ── logged_out · replaced · stopped

`TRANSITIONS` has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class AccountState(StrEnum):
    """The value is what the lease stores, and what the console and the event AccountDisconnected show."""

    UNPAIRED = "unpaired"
    PAIRING = "pairing"
    CONNECTING = "connecting"
    RESUMING = "resuming"
    """Logged in. Parked notifications are sent before fresh ones."""
    CONNECTED = "connected"
    RESTRICTED = "restricted"
    """WhatsApp refuses some messages of the account, or its login, for a while."""
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    """Another program logged in with the same keys."""
    STOPPED = "stopped"
    """No connector holds the account, or it was refused for a reason that only a person can remove."""

    @classmethod
    def read(cls, stored: object) -> AccountState:
        """Return the state that `stored` names. Any other value counts as STOPPED: nothing is sent then."""
        try:
            return cls(str(stored))
        except ValueError:
            return cls.STOPPED


_S = AccountState

LOGGED_IN: Final = frozenset({_S.RESUMING, _S.CONNECTED, _S.RESTRICTED})
"""The account has a WhatsApp connection: queries, receipts and parked notifications can pass. A restricted
account may have none; the connector then says until when."""

CAN_SEND: Final = LOGGED_IN - {_S.RESUMING}
"""Fresh notifications may pass, and work that can wait may begin."""

HEALTHY: Final = LOGGED_IN - {_S.RESTRICTED}
"""Nothing needs an operator's attention."""

PENDING: Final = frozenset({_S.CONNECTING, _S.PAIRING})
"""The account changes by itself within seconds or minutes."""

PAIRED: Final = LOGGED_IN | {_S.CONNECTING}
"""The account has keys that WhatsApp accepts, as far as is known."""

UNLINKED: Final = frozenset({_S.UNPAIRED, _S.LOGGED_OUT})
"""The account has no link to a phone."""

LINK_LOST: Final = frozenset({_S.LOGGED_OUT, _S.REPLACED})
"""The connection ended for good: only a person can bring the account back."""

_DISCONNECTED: Final = frozenset({_S.UNPAIRED, _S.LOGGED_OUT, _S.REPLACED, _S.STOPPED})
_ENDS: Final = _DISCONNECTED | {_S.CONNECTING, _S.RESTRICTED}
"""What may follow a connection, or an attempt at one."""

TRANSITIONS: Final[Mapping[AccountState, frozenset[AccountState]]] = {
    _S.UNPAIRED: frozenset({_S.PAIRING, _S.CONNECTING, _S.STOPPED}),
    _S.PAIRING: frozenset({_S.UNPAIRED, _S.CONNECTING, _S.STOPPED}),
    _S.CONNECTING: _ENDS | {_S.RESUMING},
    _S.RESUMING: _ENDS | {_S.CONNECTED},
    _S.CONNECTED: _ENDS,
    # Sat out without a connection, where WhatsApp refuses the login: then a person may pair anew.
    _S.RESTRICTED: _ENDS | {_S.CONNECTED, _S.PAIRING},
    # `connecting`: the operator asks for another try, with keys of a restored backup for example.
    _S.LOGGED_OUT: frozenset({_S.UNPAIRED, _S.PAIRING, _S.CONNECTING, _S.STOPPED}),
    _S.REPLACED: frozenset({_S.UNPAIRED, _S.PAIRING, _S.CONNECTING, _S.STOPPED}),
    _S.STOPPED: _ENDS | {_S.PAIRING},
}
"""State → those that may follow it while one connector holds the account."""


def may_follow(before: AccountState, after: AccountState) -> bool:
    """Return whether `after` may come next. The same state always may."""
    return after == before or after in TRANSITIONS[before]


def may_send(state: AccountState, *, resumed: bool) -> bool:
    """Return whether a notification may be sent. `resumed`: it was parked, and its turn has come."""
    return state in (LOGGED_IN if resumed else CAN_SEND)
