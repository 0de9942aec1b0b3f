"""Phone numbers: from what people write to what WhatsApp can be asked about.

A normalised number is only a *candidate*: the server's lookup may answer with different digits, or with
nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tocsin.people.national import as_mobile, in_normal_form, spellings_on_whatsapp
from tocsin.people.written import InvalidPhone, read

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

__all__ = ["InvalidPhone", "mask_phone", "normalise_phone", "own_phone", "same_person_key"]

# E.164 allows 15 digits; WhatsApp refuses fewer than 7 and a leading 0, and no number starts with 10.
_CANDIDATE = re.compile(r"(?!10)[1-9][0-9]{6,14}")

# Numbers of WhatsApp's AI bots.
_BOT = re.compile(r"1313555[0-9]{4}|131655500[0-9]{2}")

_SHOWN_BEFORE = 4
_SHOWN_AFTER = 2

_NO_COUNTRY = "has no country code that exists"
_LENGTH = "has too few or too many digits for its country"
_LEADING_ZERO = "has a 0 where the country code should begin"
_NO_AREA = "lacks its area code"
_TWO_READINGS = "could be two different numbers: + and the country code would tell which"


def normalise_phone(text: str, default_region: str, default_area: str = "") -> str:
    """Return the digits of `text` in E.164, without "+": one form for all ways to write a number. Raises
    InvalidPhone.

    `default_region`: two letters (ISO 3166) of the country that a number without a country code belongs to;
    `default_area`: the area code there of a number without one, empty if such numbers are refused.
    """
    written = read(text)
    if written.international:
        candidate = _with_country_code(written.digits)
    elif written.digits.startswith("00"):
        candidate = _dialled_abroad(written.digits, default_region)
    else:
        candidate = _of_region(written.digits, default_region, default_area)
    if not _CANDIDATE.fullmatch(candidate):
        raise InvalidPhone("is not a number of 7 to 15 digits with a country code")
    if _BOT.fullmatch(candidate):
        raise InvalidPhone("belongs to a bot, not to a person")
    return candidate


def own_phone(text: str, default_region: str, default_area: str = "") -> str:
    """As `normalise_phone`, for the number of an account of one's own, typed as WhatsApp shows it: digits
    behind a + stay those of the numbering plan in which the account was made."""
    normal, written = normalise_phone(text, default_region, default_area), read(text)
    kept = written.international and written.digits in spellings_on_whatsapp(normal)
    return written.digits if kept else normal


def _with_country_code(digits: str) -> str:
    """Length fits the country. Whether the range is in use isn't asked: tables of ranges age, the server
    knows."""
    import phonenumbers
    from phonenumbers import ValidationResult

    if digits.startswith("0"):
        raise InvalidPhone(_LEADING_ZERO)
    number = _parsed("+" + in_normal_form(digits), None)
    if number is None:
        raise InvalidPhone(_NO_COUNTRY)
    fit = phonenumbers.is_possible_number_with_reason(number)
    if fit == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise InvalidPhone(_NO_AREA)
    if fit != ValidationResult.IS_POSSIBLE:
        raise InvalidPhone(_LENGTH)
    return _e164(number)


def _dialled_abroad(digits: str, region: str) -> str:
    """Behind 00, or behind what this region dials before a country code (009 in Indonesia). Those are hard
    to tell apart: what makes a valid number counts, unless both do."""
    from phonenumbers import CountryCodeSource

    readings = [in_normal_form(digits[2:])]
    dialled = _parsed(digits, region)
    if dialled is not None and dialled.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD:
        readings.append(in_normal_form(_e164(dialled)))
    return _the_one(_valid(readings)) or _with_country_code(digits[2:])


def _of_region(digits: str, region: str, area: str) -> str:
    """A number written as at home. It must be valid there: foreign digits that lost their "+" would otherwise
    be taken for somebody's number here, and the message would go to a stranger."""
    import phonenumbers

    code = str(phonenumbers.country_code_for_region(region))
    lost_plus = _valid([in_normal_form(digits)]) if digits.startswith(code) else []
    if lost_plus:
        # Far more common than a lost trunk prefix before the same digits.
        return lost_plus[0]
    number = _parsed(digits, region)
    readings = [] if number is None else [in_normal_form(_e164(number), at_home=True)]
    if area and not digits.startswith("0"):
        readings.append(in_normal_form(code + _without_trunk(area, region) + digits))
    found = _the_one(_valid(readings))
    if not found:
        raise InvalidPhone(_why_not(number, region))
    return found


def _without_trunk(area: str, region: str) -> str:
    import phonenumbers

    prefix = phonenumbers.ndd_prefix_for_region(region, True)
    return area.removeprefix(prefix) if prefix else area


def _why_not(number: PhoneNumber | None, region: str) -> str:
    import phonenumbers
    from phonenumbers import ValidationResult

    if number is None:
        return f"is no number of the region {region}"
    if phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        return _NO_AREA
    return f"is no valid number of the region {region} (a foreign one needs + and its country code)"


# -- the library -------------------------------------------------------------------------------------------


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers

    try:
        return phonenumbers.parse(text, region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: PhoneNumber) -> str:
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _valid(readings: Iterable[str]) -> list[str]:
    """Those (E.164 digits) that a country has given out, each once, in their normal form."""
    import phonenumbers

    normal = [_parsed("+" + digits, None) for digits in readings]
    valid = [number for number in normal if number is not None and phonenumbers.is_valid_number(number)]
    return list(dict.fromkeys(map(_e164, valid)))


def _the_one(numbers: list[str]) -> str:
    """Empty if there is none. Raises InvalidPhone if there are two."""
    if len(numbers) > 1:
        raise InvalidPhone(_TWO_READINGS)
    return "".join(numbers)


# -- one number, one person --------------------------------------------------------------------------------


def same_person_key(digits: str) -> str:
    """The one spelling of a number (E.164 digits, without "+") under which all its spellings meet: with and
    without Mexico's 1, Argentina's 9, Brazil's ninth digit or a trunk prefix, and before and after a
    renumbering that follows a rule.

    It names whoever has the number; it isn't what WhatsApp is asked for. Asks nobody; idempotent.
    """
    return as_mobile(in_normal_form(digits))


def mask_phone(text: str) -> str:
    """For logs: the first four and the last two digits of a number or of a JID's user. Too short to keep
    anything hidden: nothing of it."""
    user, at, server = text.partition("@")
    user = user.removeprefix("+")
    if len(user) < _SHOWN_BEFORE + _SHOWN_AFTER + 3:
        return "…" + at + server
    return user[:_SHOWN_BEFORE] + "…" + user[-_SHOWN_AFTER:] + at + server
