"""What the key store says when it can't do what was asked. Nothing was changed when one of these is raised.

    KeyStoreError
    ├── NoAccount       nobody made this account: `tocsin pair`
    ├── NotPaired       the account isn't linked to WhatsApp (any more): wait, tell the operator
    ├── KeysBehind      the keys table is older than what was used last: `tocsin sessions reset`
    ├── OtherPairing    what was asked belongs to an earlier pairing: drop it, read the profile again
    ├── NoOutbound      no session with this user yet: make sessions, reserve again
    ├── StaleChain      this number can't be used with this device's chain: make a session, reserve again
    ├── StaleSenderKey  the same for a group's sender key
    └── Contended       others were faster for a second: try again later

A damaged record is `seal.DamagedRecord`; the session code treats it as absent and reports it.
"""

from __future__ import annotations

from enum import Enum


class KeyStoreError(Exception):
    """Base of all."""


class NoAccount(KeyStoreError):
    """There are no credentials for this account. It is made by the connector at its first start."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"there is no account {self.account!r}"


class NotPaired(KeyStoreError):
    """The account has keys but no WhatsApp identity: it was not linked yet, or was logged out."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"account {self.account!r} is not linked to WhatsApp"


class OtherPairing(KeyStoreError):
    """The request belongs to another incarnation of the account than the stored one."""

    def __init__(self, asked: int, stored: int) -> None:
        super().__init__(asked, stored)
        self.asked = asked
        self.stored = stored

    def __str__(self) -> str:
        return f"incarnation {self.asked} was asked for, the account is at {self.stored}"


class KeysBehind(KeyStoreError):
    """The keys table was set back, as by a restored backup: what it holds was used already. Nothing may be
    sent with it before `tocsin sessions reset`."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return (
            f"the keys of account {self.account!r} are older than those last used, as after a restored "
            "backup: run `tocsin sessions reset`"
        )


class NoOutbound(KeyStoreError):
    """There is no session with any device of this user. Make sessions, then reserve again."""

    def __init__(self, user: str) -> None:
        super().__init__(user)
        self.user = user

    def __str__(self) -> str:
        return "no session with this user yet"


class Staleness(Enum):
    """Why a chain can't serve a number."""

    ABSENT = "there is no session with this device: make one"
    YOUNGER = "the number is older than the chain, so the counter was set back: make a new session"
    BEHIND = "the chain has moved past this number: make a new session"
    GAP = "too many numbers were taken since the last one known to have arrived: make a new session"
    UNANSWERED = "the device never answered in 30 days: make a new session"
    UNPROVEN = "unproven device: its user's phone doesn't vouch for it"


class StaleChain(KeyStoreError):
    """A reserved number can't be used with this device's chain: make a new session, reserve again.
    Nothing was encrypted."""

    def __init__(self, device: int, reason: Staleness) -> None:
        super().__init__(device, reason)
        self.device = device
        self.reason = reason

    def __str__(self) -> str:
        return f"device {self.device}: {self.reason.value}"


class StaleSenderKey(KeyStoreError):
    """A reserved number can't be used with the group's sender key: make a new one, reserve again. Nothing
    was encrypted."""

    def __init__(self, reason: Staleness) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason.value


class Contended(KeyStoreError):
    """Other writers held the item each time we tried, for about a second. Try again later."""
