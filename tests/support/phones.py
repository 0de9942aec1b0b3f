"""Phone numbers of every country, from the metadata of phonenumbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import phonenumbers
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)

REPLACED = re.compile(r"241.*|55\d\d7\d{7}")
"""Gabon's numbers of before 2019, Brazil's radios of before 2018: valid to the library, gone in the world."""


@cache
def examples() -> list[PhoneNumber]:
    """A mobile and a fixed line of each region that has them."""
    found = [
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in KINDS
    ]
    return [number for number in found if number is not None]


def national(number: PhoneNumber) -> str:
    """What follows the country code."""
    return phonenumbers.national_significant_number(number)


def digits(number: PhoneNumber) -> str:
    """E.164, without "+"."""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164).removeprefix("+")


def formatted(form: int) -> Callable[[PhoneNumber], str]:
    return lambda number: phonenumbers.format_number(number, form)


def in_thai(number: PhoneNumber) -> str:
    return "+" + "".join(chr(0x0E50 + int(digit)) for digit in digits(number))


FORMS: dict[str, Callable[[PhoneNumber], str]] = {
    "E.164": formatted(PhoneNumberFormat.E164),
    "international": formatted(PhoneNumberFormat.INTERNATIONAL),
    "national": formatted(PhoneNumberFormat.NATIONAL),
    "tel": formatted(PhoneNumberFormat.RFC3966),
    "bare": national,
    "without +": digits,
    "wa.me": lambda number: "https://wa.me/" + digits(number),
    "Thai digits": in_thai,
    "with marks": lambda number: "\u200e+" + "\u200b".join(digits(number)),
    "extension": lambda number: formatted(PhoneNumberFormat.INTERNATIONAL)(number) + " ext. 123",
}
"""How people write a number, in its own country or anywhere."""


@st.composite
def real_numbers(draw: st.DrawFn) -> PhoneNumber:
    """A valid number of any region: an example whose last digits are drawn, where that leaves it valid."""
    example = draw(st.sampled_from(examples()))
    count = draw(st.integers(0, len(national(example)) - 3))
    tail = draw(st.text("0123456789", min_size=count, max_size=count))
    whole = digits(example)
    drawn = phonenumbers.parse("+" + whole[: len(whole) - count] + tail)
    return drawn if phonenumbers.is_valid_number(drawn) else example
