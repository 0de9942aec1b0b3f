"""One key for one number, however it is spelled. phonenumbers is the judge: its metadata, not ours."""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber

from tests.support.phones import REPLACED, digits, examples, national, real_numbers
from tocsin.people.national import ZERO_BELONGS, spellings_on_whatsapp, split
from tocsin.people.numbers import normalise_phone, same_person_key

SPELLINGS = [
    ("447911123456", "4407911123456"),
    ("6281234567890", "62081234567890"),
    ("525512345678", "5215512345678", "52015512345678", "520445512345678", "520455512345678"),
    ("5491123456789", "541123456789", "54111523456789", "540111523456789", "5490111523456789"),
    ("5492234567890", "542234567890", "54223154567890", "5490223154567890", "549223154567890"),
    ("5492966123456", "542966123456", "54296615123456", "540296615123456"),
    ("5511981234567", "551181234567", "55011981234567", "5501511981234567"),
    ("14155552671", "114155552671"),
    ("79123456789", "789123456789"),
    ("36201234567", "3606201234567"),
    ("37061234567", "370861234567", "370061234567"),
    ("375291234567", "37580291234567", "3750291234567"),
    ("6281234567890", "620081234567890"),
    ("573211234567", "57033211234567"),
    ("576011234567", "5711234567"),
    ("2250748123456", "22548123456"),
    ("2250504123456", "22504123456"),
    ("2290190011234", "22990011234"),
    ("24166031234", "24106031234", "241066031234", "2416031234"),
    ("84701234567", "841201234567", "8401201234567"),
    ("84391234567", "841691234567"),
    ("250788123456", "2500788123456"),
]


@pytest.mark.parametrize("spellings", SPELLINGS)
def test_every_spelling_of_a_number_has_one_key(spellings: tuple[str, ...]) -> None:
    assert {same_person_key(digits) for digits in spellings} == {spellings[0]}


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("390612345678", "39612345678"),
        ("2250123456789", "225123456789"),
        ("551132345678", "5511932345678"),
        ("5213312345678", "5213312345679"),
        ("14155552671", "1415555267"),
    ],
    ids=[
        "Italy's 0 belongs",
        "so does Côte d'Ivoire's",
        "Brazil's fixed lines have no 9",
        "digits",
        "length",
    ],
)
def test_different_numbers_have_different_keys(one: str, another: str) -> None:
    assert same_person_key(one) != same_person_key(another)


@given(st.text(alphabet="0123456789", max_size=17))
def test_a_key_is_its_own_key(digits: str) -> None:
    assert same_person_key(same_person_key(digits)) == same_person_key(digits)


@given(st.text(max_size=20))
def test_what_is_no_number_is_no_error(text: str) -> None:
    assert isinstance(same_person_key(text), str)


def key_by_the_library(number: PhoneNumber) -> str:
    """What the key of a valid number must be: its own digits, in Argentina as those of a mobile."""
    return re.sub(r"^54(?=[1-3])", "549", digits(number))


@given(real_numbers())
def test_a_number_of_any_country_keeps_its_digits(number: PhoneNumber) -> None:
    assume(not REPLACED.fullmatch(digits(number)))
    assert same_person_key(digits(number)) == key_by_the_library(number)


@pytest.mark.parametrize("prefix", ["0", "8", "80", "1", "06"])
def test_a_prefix_that_the_library_drops_behind_a_country_code_changes_no_key(prefix: str) -> None:
    spelled = {f"+{number.country_code}{prefix}{national(number)}": number for number in examples()}
    dropped = {
        written: number
        for written, number in spelled.items()
        if digits(phonenumbers.parse(written)) == digits(number)
    }
    assert dropped
    for written, number in dropped.items():
        assert same_person_key(written.removeprefix("+")) == same_person_key(digits(number))


@pytest.mark.parametrize(
    ("number", "others"),
    [
        ("525512345678", ["5215512345678"]),
        ("5491123456789", ["541123456789"]),
        ("541123456789", ["5491123456789"]),
        ("5511981234567", ["551181234567"]),
        ("551132345678", []),
        ("6281234567890", []),
    ],
)
def test_a_number_is_looked_for_under_the_digits_that_its_account_may_have(
    number: str, others: list[str]
) -> None:
    assert spellings_on_whatsapp(number) == (number, *others)


@given(real_numbers())
def test_all_spellings_that_are_looked_for_are_one_person(number: PhoneNumber) -> None:
    normal = normalise_phone("+" + digits(number), "ID")
    assert {same_person_key(one) for one in spellings_on_whatsapp(normal)} == {same_person_key(normal)}


def test_country_codes_are_those_of_the_library() -> None:
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        assert split(f"{code}5550100") == (str(code), "5550100")


def test_where_the_library_s_numbers_begin_with_0_it_belongs_to_them() -> None:
    begin = {str(number.country_code) for number in examples() if national(number).startswith("0")}
    assert begin - ZERO_BELONGS == set()
    assert {"39", "225", "229"} <= begin


# -- twins: what a simpler rule would do ------------------------------------------------------------------


def without_any_zero(digits: str) -> str:
    code, rest = split(digits)
    return code + rest.lstrip("0")


def with_a_nine_for_all_of_brazil(digits: str) -> str:
    return re.sub(r"^55(\d\d)(\d{8})$", r"55\g<1>9\2", digits)


def without_every_one_of_mexico(digits: str) -> str:
    return re.sub(r"^521", "52", digits)


@pytest.mark.parametrize(
    ("twin", "number"),
    [
        (without_any_zero, "390612345678"),
        (with_a_nine_for_all_of_brazil, "551132345678"),
        (without_every_one_of_mexico, "521234567890"),
    ],
)
def test_a_simpler_rule_would_change_a_number(twin: Callable[[str], str], number: str) -> None:
    assert twin(number) != number
    assert same_person_key(number) == number
