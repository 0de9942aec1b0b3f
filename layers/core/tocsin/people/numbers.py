"""Phone numbers: from what people write to what WhatsApp can be asked about.

A normalised number is only a *candidate*: the server's lookup may answer with different digits, or with
nobody.
"""

from __future__ import annotations

import re
import unicodedata

from tocsin.people.national import in_normal_form, without_marks

MAX_CHARACTERS = 40
"""A written number is never longer, and a hostile one is refused before it costs time."""

_SEPARATORS = re.compile(r"[\s\-.()/]")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))

# E.164 allows 15 digits; WhatsApp refuses fewer than 7 and a leading 0, and no number starts with 10.
_CANDIDATE = re.compile(r"(?!10)[1-9][0-9]{6,14}")

# Numbers of WhatsApp's AI bots.
_BOT = re.compile(r"1313555[0-9]{4}|131655500[0-9]{2}")

_SHOWN_BEFORE = 4
_SHOWN_AFTER = 2


class InvalidPhone(ValueError):
    """What was written is no phone number a notification could go to. `reason` says why, without the
    number."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


def normalise_phone(text: str, default_region: str) -> str:
    """Return the digits of `text` in E.164, without "+". Raises InvalidPhone.

    `default_region`: two letters (ISO 3166) of the country that a number without a country code belongs to.
    """
    written = _stripped(text)
    digits = written.removeprefix("+")
    if not digits:
        raise InvalidPhone("holds no digits")
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidPhone("holds something else than digits, one leading + and separators")
    international = written.startswith("+") or digits.startswith("00")
    if international:
        candidate = digits.lstrip("0")
        if written.startswith("+") and candidate != digits:
            raise InvalidPhone("has a 0 where the country code should begin")
        _demand_possible("+" + candidate, None)
    else:
        candidate = _of_region(digits, default_region)
    if not _CANDIDATE.fullmatch(candidate):
        raise InvalidPhone("is not a number of 7 to 15 digits with a country code")
    if _BOT.fullmatch(candidate):
        raise InvalidPhone("belongs to a bot, not to a person")
    return candidate


def _stripped(text: str) -> str:
    """Without separators, and without the invisible marks that come along when a number is copied."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidPhone(f"is longer than {MAX_CHARACTERS} characters")
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return _SEPARATORS.sub("", visible.translate(_DASHES))


def _demand_possible(number: str, region: str | None) -> None:
    """Length fits the country. Whether the range is in use isn't asked: tables of ranges age, the server
    knows."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as exc:
        raise InvalidPhone("has no country code that exists") from exc
    if not phonenumbers.is_possible_number(parsed):
        raise InvalidPhone("has too few or too many digits for its country")


def _of_region(digits: str, region: str) -> str:
    """A number written as at home. It must be valid there: foreign digits that lost their "+" would otherwise
    be taken for somebody's number here, and the message would go to a stranger."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as exc:
        raise InvalidPhone(f"is no number of the region {region}") from exc
    if not phonenumbers.is_valid_number(parsed):
        raise InvalidPhone(
            f"is no valid number of the region {region} (a foreign one needs + and its country code)"
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def same_person_key(digits: str) -> str:
    """The one spelling of a number (E.164 digits, without "+") under which all its spellings meet: with and
    without Mexico's 1, Argentina's 9, Brazil's ninth digit or a trunk prefix, and before and after a
    renumbering that follows a rule.

    It names whoever has the number; it isn't what WhatsApp is asked for. Asks nobody; idempotent.
    """
    return without_marks(in_normal_form(digits))


def mask_phone(text: str) -> str:
    """For logs: the first four and the last two digits of a number or of a JID's user. Too short to keep
    anything hidden: nothing of it."""
    user, at, server = text.partition("@")
    user = user.removeprefix("+")
    if len(user) < _SHOWN_BEFORE + _SHOWN_AFTER + 3:
        return "…" + at + server
    return user[:_SHOWN_BEFORE] + "…" + user[-_SHOWN_AFTER:] + at + server
