"""What can go wrong with a message, a key or a stored session.

    SignalError
    ├── Duplicate             drop it, send the normal receipt
    ├── BadMac                ask for the message again (code 7)
    ├── FutureMessage         ask again (code 6)
    ├── NoSession             ask again, with fresh keys at once (code 1)
    ├── NoPreKey              ask again, with fresh keys at once (code 3)
    ├── UntrustedIdentity     decide whether the new identity is accepted
    ├── UnprovenDevice        refuse it; nobody vouches for this device
    ├── InvalidMessage        ask again (code 4)
    │   ├── BadSignature      ask again (code 5)
    │   └── InvalidKey        ask again (code 2)
    ├── InvalidRecord         a stored session is damaged; nobody's message is at fault
    │   └── TornRecord        its two parts were read around somebody's turn; read both again
    └── StaleIndex            an index can't be encrypted under; reserve again or make a new session

Whoever raises one of these has changed nothing.
"""

from __future__ import annotations

from typing import ClassVar


class SignalError(Exception):
    """Base of all. `retry_code` is the `error` of a retry receipt, `keys_at_once` says whether the first
    receipt already offers fresh keys."""

    retry_code: ClassVar[int] = 0
    keys_at_once: ClassVar[bool] = False


class Duplicate(SignalError):
    """The message key was used before. Send the normal receipt again, nothing else."""


class BadMac(SignalError):
    """Sessions exist and none fits: the sender's differs from ours. Our record is unchanged.
    Answer with a retry receipt; from the second time on, include fresh keys."""

    retry_code = 7


class FutureMessage(SignalError):
    """The index lies further ahead in its chain than we derive. Answer with a retry receipt."""

    retry_code = 6


class NoSession(SignalError):
    """No session with this device, or no sender key with this id. Answer with a retry receipt and keys."""

    retry_code = 1
    keys_at_once = True


class NoPreKey(SignalError):
    """The message starts a session from a prekey that we don't hold. Answer with a retry receipt and keys."""

    retry_code = 3
    keys_at_once = True


class UntrustedIdentity(SignalError):
    """The identity isn't the one pinned for this device. Nothing was stored; accept it first, or refuse."""

    def __init__(self, pinned: bytes, offered: bytes) -> None:
        super().__init__(pinned, offered)
        self.pinned = pinned
        self.offered = offered

    def __str__(self) -> str:
        return "the identity key differs from the pinned one"


class UnprovenDevice(SignalError):
    """No session with a companion for which its account's phone doesn't vouch. Nothing was stored.

    `phone_known`: whether the phone's identity is known; else nothing could be checked against it.
    """

    retry_code = 12

    def __init__(self, *, phone_known: bool) -> None:
        super().__init__(phone_known)
        self.phone_known = phone_known

    def __str__(self) -> str:
        known = "the phone does not vouch for this companion"
        return known if self.phone_known else "nothing is known of the phone that should vouch"


class InvalidMessage(SignalError):
    """The bytes aren't a message of this protocol version. Answer with a retry receipt; leave the session."""

    retry_code = 4


class BadSignature(InvalidMessage):
    """A signature does not verify. Whatever it was meant to protect must not be used."""

    retry_code = 5


class InvalidKey(InvalidMessage):
    """A public key has the wrong size or type, or is a point that makes every agreement zero."""

    retry_code = 2


class InvalidRecord(SignalError):
    """A stored record can't be read: cut, damaged, or of a version that this code doesn't know."""

    retry_code = 8


class TornRecord(InvalidRecord):
    """Record and sending chain belong to different turns of one session. Read both again."""


class StaleIndex(SignalError):
    """A sending index lies behind the chain's checkpoint, or too far ahead of it. Nothing was encrypted."""
