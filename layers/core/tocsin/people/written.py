"""What people write where a phone number belongs: any script's digits, links, extensions, invisible marks.

Nothing here knows a country. It ends in ASCII digits, and in whether a country code stands before them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_CHARACTERS = 40
"""A written number is never longer, and a hostile one is refused before it costs time."""

MAX_LINK_CHARACTERS = 2000
"""A link may bring a text along."""


class InvalidPhone(ValueError):
    """What was written is no phone number a notification could go to. `reason` says why, without the
    number."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Written:
    """The digits of a number (ASCII, at least one). `international`: they begin with a country code, for a +
    stands before them, or it is a link that only takes such numbers."""

    digits: str
    international: bool


def read(text: str) -> Written:
    """Raises InvalidPhone where there is no number, or more than one."""
    if len(text) > MAX_LINK_CHARACTERS:
        raise InvalidPhone(f"is longer than {MAX_CHARACTERS} characters")
    number = _in_link(_visible(text).strip())
    if len(number) > MAX_CHARACTERS:
        raise InvalidPhone(f"is longer than {MAX_CHARACTERS} characters")
    plain = _EXTENSION.sub("", _plain(number))
    if len([part for part in _SEVERAL.split(plain) if sum(map(str.isdigit, part)) >= _MIN_DIGITS]) > 1:
        raise InvalidPhone("holds more than one number")
    compact = _SEPARATORS.sub("", plain)
    digits = compact.removeprefix("+")
    if not digits:
        raise InvalidPhone("holds no digits")
    if any(map(str.isalpha, digits)):
        raise InvalidPhone("holds letters, not only digits, one leading + and separators")
    if not _DIGITS.fullmatch(digits):
        raise InvalidPhone("holds something else than digits, one leading + and separators")
    return Written(digits, compact.startswith("+"))


_DIGITS = re.compile(r"[0-9]+")
_SEPARATORS = re.compile(r"[ \t\r\n\-.()\[\]/~·•]")
_SEVERAL = re.compile(r"[/,;|&\n]")
_MIN_DIGITS = 7

# How an extension of a switchboard is written, as libphonenumber knows it. WhatsApp knows what stands before.
_EXTENSION = re.compile(
    r"[ ,;]*(?:;ext=|(?:ext(?:ensi[oó]n|n)?|anexo|ramal|interno|int|доб|x|#)[.:]?) *[0-9]{1,7} *#?$",
    re.IGNORECASE,
)

# Marks without width: they come along when a number is copied, and make emoji of digits.
_INVISIBLE = frozenset({"Cf", "Me", "Mn"})
_DASHES = frozenset("\u2212\u30fc")


def _visible(text: str) -> str:
    """Without what has no width. (A letter with an accent is one character first.)"""
    composed = unicodedata.normalize("NFC", text)
    return "".join(one for one in composed if unicodedata.category(one) not in _INVISIBLE)


def _plain(text: str) -> str:
    """With ASCII digits and ASCII separators."""
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    decimal = unicodedata.decimal(character, None)
    category = unicodedata.category(character)
    if decimal is not None:
        return str(decimal)
    if category == "Pd" or character in _DASHES:
        return "-"
    if category == "Zs":
        return " "
    if unicodedata.decomposition(character).startswith(("<wide>", "<small>")):
        return unicodedata.normalize("NFKC", character)
    return character


# -- links ---------------------------------------------------------------------------------------------------

_NO_NUMBER = "is a link that names no number"
_DIALLED = re.compile(r"(?:tel|callto|sms|smsto|whatsapp):(?://)?(?=[^a-z/])", re.IGNORECASE)
_WA_ME = re.compile(r"/(?:c/)?([^/?]+)/?")
_OF_WHATSAPP = re.compile(
    r"(?:https?://)?(?:www\.)?(?:wa\.me|(?:api\.|web\.)?whatsapp\.com)/|whatsapp://", re.I
)


def _in_link(text: str) -> str:
    """The number that a link names, with + where the link takes no other; what is no link, as it is."""
    if _OF_WHATSAPP.match(text):
        return "+" + _of_whatsapp(text).strip().removeprefix("+")
    dialled = _DIALLED.match(text)
    return text if dialled is None else _of_tel(text[dialled.end() :])


def _of_tel(text: str) -> str:
    """RFC 3966: `+62-812-…;ext=5`, or `0812…;phone-context=+62`."""
    from urllib.parse import unquote

    number, *parameters = unquote(text.partition("?")[0]).split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "phone-context" and value.startswith("+") and not number.startswith("+"):
            return value + number
    return number


def _of_whatsapp(text: str) -> str:
    """`wa.me/NUMBER`, or `…/send?phone=NUMBER`. Raises InvalidPhone for those that name none."""
    from urllib.parse import parse_qs, unquote, urlsplit

    try:
        parts = urlsplit(text if "://" in text else "https://" + text)
    except ValueError as odd:
        raise InvalidPhone(_NO_NUMBER) from odd
    if (parts.hostname or "").removeprefix("www.") == "wa.me":
        path = _WA_ME.fullmatch(unquote(parts.path))
        named = "" if path is None else path[1]
    else:
        named = parse_qs(parts.query).get("phone", [""])[0]
    if not re.search(r"\d", named):
        raise InvalidPhone(_NO_NUMBER)
    return named
