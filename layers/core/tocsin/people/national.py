"""What a country does to its numbers: trunk prefixes, marks of mobiles, renumberings.

One line can be written in several ways behind its country code. The rules here lead all of them to one, by
the digits alone. They need no metadata of phonenumbers, which takes long to load; the tests hold them to it.

Sources: the numbering plans that ITU publishes (T0202), libphonenumber's metadata, and for each renumbering
the announcement of the country's regulator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

COUNTRY_CODE = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[0578]|9[679])\d"
)
"""E.164's country codes: no one is the beginning of another."""

ZERO_BELONGS = frozenset(
    {"39", "47", "225", "226", "227", "229", "241", "242", "247", "250", "267", "268"}
    | {"378", "501", "676", "679", "687", "800", "853", "881", "888", "992"}
)
"""Country codes behind which a number may begin with 0. Everywhere else a 0 there is a trunk prefix that
stayed by mistake, as in +44 (0)7911 123456."""


class Rule(NamedTuple):
    """`found` is looked for at the beginning of what follows the country code, and replaced."""

    found: re.Pattern[str]
    replacement: str


def _rules(*pairs: tuple[str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(re.compile(found), replacement) for found, replacement in pairs)


_NONE: tuple[Rule, ...] = ()
_TRUNK_ZERO = _rules((r"0+", ""))

# Vietnam, 2018: mobiles of eleven digits (with their 0) lost one.
_VIETNAM = {
    "120": "70",
    "121": "79",
    "122": "77",
    "126": "76",
    "128": "78",
    "123": "83",
    "124": "84",
    "125": "85",
    "127": "81",
    "129": "82",
    **{f"16{digit}": f"3{digit}" for digit in range(2, 10)},
    "186": "56",
    "188": "58",
    "199": "59",
}

# Gabon, 2019: one digit for the operator came before the old one.
_GABON = {"1": "11", "2": "62", "4": "74", "5": "65", "6": "66", "7": "77"}

SPELLINGS: Mapping[str, tuple[Rule, ...]] = {
    # National prefixes that are no 0.
    "1": _rules((r"1(?=\d{10}$)", "")),
    "7": _rules((r"8(?=\d{10}$)", "")),
    "36": _rules((r"06(?=\d{8,9}$)", "")),
    "250": _rules((r"0(?=\d{9}$)", "")),
    "370": _rules((r"8(?=\d{8}$)", "")),
    "375": _rules((r"80?(?=[1-4]\d{8}$)", "")),
    "692": _rules((r"1(?=\d{7}$)", "")),
    "993": _rules((r"8(?=\d{8}$)", "")),
    # Mexico: since August 2019 a number is ten digits, whoever calls. Before, callers from abroad put a 1
    # before those of mobiles, and callers at home 01, 044 or 045. WhatsApp's addresses still hold the 1.
    "52": _rules((r"(?:01|044|045|1)(?=\d{10}$)", "")),
    # Argentina: callers at home put 15 between the area code and the number of a mobile, those from abroad 9
    # before the area code.
    "54": _rules(
        (r"[09]*(11)15(?=\d{8}$)", r"9\1"),
        (r"[09]*([23]\d\d)15(?=\d{7}$)", r"9\1"),
        (r"[09]*([23]\d{3})15(?=\d{6}$)", r"9\1"),
        (r"(?=0*9)[09]+(?=[1-3]\d{9}$)", "9"),
    ),
    # Brazil: 0 and the two digits of a carrier before a call to another area. From 2012 to 2016 a 9 came
    # before the eight digits of mobiles, which began with 6 to 9; WhatsApp's addresses often lack it. Radios
    # of Nextel kept their eight digits (7…), till their network was shut in 2018.
    "55": _rules((r"0(?:\d\d)?(?=[1-9]\d{9,10}$)", ""), (r"([1-9][1-9])(?=[6-9]\d{7}$)", r"\g<1>9")),
    # Colombia: 03, 05, 07, 09 chose a carrier. In 2021 60 came before the area code of fixed lines.
    "57": _rules((r"0[3579](?=\d{10}$)", ""), (r"(?=[1245678]\d{7}$)", "60")),
    "84": _rules(*((rf"0?{old}(?=\d{{7}}$)", new) for old, new in _VIETNAM.items())),
    # Côte d'Ivoire, 2021: the prefix of the operator came before mobiles; their second digit had told it.
    "225": _rules(
        (r"(?=[04-9][0-3]\d{6}$)", "01"), (r"(?=[04-9][4-6]\d{6}$)", "05"), (r"(?=[04-9][7-9]\d{6}$)", "07")
    ),
    # Benin, November 2024: 01 came before fixed lines and mobiles.
    "229": _rules((r"(?=(?:2[0-4]|[4-69]\d)\d{6}$)", "01")),
    "241": _rules(
        (r"0(?=(?:11|6[0-2567]|7[467])\d{6}$)", ""),
        *((rf"0?{old}(?=\d{{6}}$)", new) for old, new in _GABON.items()),
    ),
}
"""Country code → its rules, of which the first that fits is taken, again and again until none fits."""


def split(digits: str) -> tuple[str, str]:
    """The country code and what follows it. The code is empty where no country has one like it."""
    code = COUNTRY_CODE.match(digits)
    return ("", digits) if code is None else (code[0], digits[code.end() :])


def in_normal_form(digits: str, *, at_home: bool = False) -> str:
    """The number's normal spelling: without trunk prefixes, in the plan of today.

    Mobiles of Argentina keep their 9, which callers from abroad need, and WhatsApp. `at_home`: no country
    code was written. Then a 0 is dropped by the rules of the country alone: where it has none, the number may
    be that of another country.
    """
    code, rest = split(digits)
    if not code:
        return digits
    keeps_zero = at_home or code in ZERO_BELONGS
    for rule in SPELLINGS.get(code, _NONE) + (_NONE if keeps_zero else _TRUNK_ZERO):
        changed = rule.found.sub(rule.replacement, rest, count=1) if rule.found.match(rest) else rest
        if changed != rest:
            return in_normal_form(code + changed, at_home=at_home)
    return digits


def as_mobile(digits: str) -> str:
    """A normal spelling with the mark that mobiles have in Argentina. No fixed line there has the ten digits
    of a mobile, so it tells nobody from anybody."""
    return re.sub(r"^54(?=[1-3]\d{9}$)", "549", digits)


_ON_WHATSAPP = (
    (re.compile(r"52(?=[2-9]\d{9}$)"), "521"),
    (re.compile(r"549(?=[1-3]\d{9}$)"), "54"),
    (re.compile(r"54(?=[1-3]\d{9}$)"), "549"),
    (re.compile(r"(55[1-9][1-9])9(?=[6-9]\d{7}$)"), r"\1"),
)


def spellings_on_whatsapp(digits: str) -> tuple[str, ...]:
    """The digits under which WhatsApp may know a number, its normal form first. An account keeps the digits
    of the day it was made: Mexico's 1, Argentina's 9 or none, Brazil's eight digits."""
    others = (form.sub(other, digits, count=1) for form, other in _ON_WHATSAPP if form.match(digits))
    return (digits, *others)
