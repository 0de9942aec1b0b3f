"""What operator and connector tell each other in the passkey ceremony, sealed in `operator_requests`.

An assertion links a device to the account within its ten minutes: it is treated like the QR code. It lies in
the table sealed, until the connector takes it up a second later, and is in no log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

FETCHING: Final = "fetching"
CHALLENGED: Final = "challenged"
SENT: Final = "sent"
CONTINUE: Final = "continue"
COMPARE: Final = "compare"
PAIRING: Final = "pairing"

STEPS: Final = (FETCHING, CHALLENGED, SENT, CONTINUE, COMPARE, PAIRING)
"""What is to be signed is asked for; the assertion is wanted; it is on its way; *Continue* is to be pressed
on the phone; the codes are to be compared; the phone has all that it needs."""


@dataclass(frozen=True, slots=True)
class PasskeyStep:
    """How far the ceremony is. `ceremony`: names the challenge, for the answer to repeat. `expires_at`:
    seconds, the end of this step. `options`: JSON in ASCII, in `challenged`. `code`: what the phone shows
    too, if it shows one. `refusal`: why the last answer wasn't taken."""

    ceremony: str
    step: str
    expires_at: int
    options: str | None = field(repr=False, default=None)
    code: str | None = field(repr=False, default=None)
    refusal: str = ""

    @classmethod
    def read(cls, told: dict[str, Any] | None) -> PasskeyStep | None:
        return None if told is None else cls(**{name: told.get(name) for name in cls.__slots__})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """`assertion`: what the browser gave. `same`: whether the codes are the same. Neither: stop."""

    ceremony: str
    assertion: str | None = field(repr=False, default=None)
    same: bool | None = None

    @classmethod
    def read(cls, told: dict[str, Any]) -> PasskeyAnswer | None:
        ceremony, assertion, same = (told.get(name) for name in cls.__slots__)
        return cls(ceremony, assertion, same) if isinstance(ceremony, str) else None


@dataclass(frozen=True, slots=True)
class LinkedPhone:
    """The account that results. `number`: its digits. `before`: those of the phone that it was linked to
    before, None for the first one. `also`: other accounts of the stack that are linked to the same phone."""

    number: str = field(repr=False)
    before: str | None = field(repr=False, default=None)
    also: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: dict[str, Any] | None) -> LinkedPhone | None:
        return None if told is None else cls(told["number"], told["before"], tuple(told["also"]))
