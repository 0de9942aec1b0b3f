"""Numbers and groups as callers write them → what the schema of the events knows.

| arrives | becomes |
| --- | --- |
| `6281234567890`, `5511999999999` | `+6281234567890`, `+5511999999999`: a foreign one needs its + |
| `081234567890`, `0061 2 1234 7777` | as it is: only the planner knows the country |
| `6281234567890@c.us`, `…@s.whatsapp.net`, `…:3@s.whatsapp.net` | the digits with + |
| `120363000000000000@g.us` | the group |
| 18 digits and more, `6281234567890-1600000000` | the group |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tocsin.door.answer import Refused
from tocsin.door.sources import GROUP

MAX_ADDRESS_CHARACTERS = 64
_SIGNS = re.compile(r"[\s()+.\-/\u00a0\u2010-\u2015]")
_OF_A_PERSON = ("@s.whatsapp.net", "@c.us")
_GROUP_DIGITS = 18
_OLD_GROUP = re.compile(r"[0-9]{7,15}-[0-9]{10}")


class Address(NamedTuple):
    """One of the two is empty. `phone`: with +, or as it was written where it has no country code."""

    phone: str = ""
    group: str = ""

    @property
    def recipient(self) -> dict[str, str]:
        """As the event names it."""
        return {"group": self.group} if self.group else {"phone": self.phone}

    @property
    def digits(self) -> str:
        """The number as JIDs have it; of a group its JID."""
        return self.group or "".join(sign for sign in self.phone if sign.isdigit())


def address_of(written: object, path: str) -> Address:
    """Read a number or group. `path`: of the field, for the refusal. Raises Refused (400)."""
    text = written.strip() if isinstance(written, str) else ""
    if isinstance(written, int) and not isinstance(written, bool):
        text = str(written)  # a JSON number: n8n sends what somebody typed
    if not text:
        raise _bad(path, "names nobody: a number with its country code, or a group", written)
    if len(text) > MAX_ADDRESS_CHARACTERS:
        raise _bad(path, f"is longer than {MAX_ADDRESS_CHARACTERS} characters", written)
    if "@" in text:
        return _of_jid(text, path)
    if _OLD_GROUP.fullmatch(text):
        return Address(group=f"{text}@g.us")
    digits = _SIGNS.sub("", text)
    if not (digits.isascii() and digits.isdigit()):
        raise _bad(path, "is neither a number nor a group", written)
    if len(digits) >= _GROUP_DIGITS:
        return Address(group=f"{digits}@g.us")
    if text.lstrip(" (").startswith("+") or not digits.startswith("0"):
        return Address(phone=f"+{digits}")
    return Address(phone=text)


def _of_jid(text: str, path: str) -> Address:
    user, _, server = text.partition("@")
    if server == "g.us":
        if not GROUP.fullmatch(text):
            raise _bad(path, "is no group, such as 120363000000000000@g.us", text)
        return Address(group=text)
    if f"@{server}" not in _OF_A_PERSON:
        raise _bad(path, f"is a kind of chat that is not written to here ({server[:20]})", text)
    digits = user.partition(":")[0].removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise _bad(path, "is no number", text)
    return Address(phone=f"+{digits}")


def _bad(path: str, reason: str, written: object) -> Refused:
    # Some dialects repeat to the caller what they sent.
    facts = {"number": written if isinstance(written, str) else ""}
    return Refused(
        400, "invalid-recipient", f"{path}: {reason}", violations=(f"{path}: {reason}",), facts=facts
    )
