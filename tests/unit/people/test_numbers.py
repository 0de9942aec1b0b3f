"""Phone numbers: what people write, what comes out, what is refused and why."""

from __future__ import annotations

import contextlib
import re

import phonenumbers
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber

from tests.support.phones import FORMS, REPLACED, digits, national, real_numbers
from tocsin.people.numbers import InvalidPhone, mask_phone, normalise_phone, own_phone, same_person_key


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("0812-3456-7890", "ID", "6281234567890"),
        ("+62 813 1111 2222", "ID", "6281311112222"),
        ("(0812) 3456.7890", "ID", "6281234567890"),
        ("6281234567890", "ID", "6281234567890"),
        ("62812345678", "ID", "62812345678"),
        ("812 3456 7890", "ID", "6281234567890"),
        ("0062 812 3456 7890", "ID", "6281234567890"),
        ("+34 612 345 678", "ID", "34612345678"),
        ("612 345 678", "ES", "34612345678"),
        ("0034 612345678", "ES", "34612345678"),
        ("+1 (415) 555-2671", "ID", "14155552671"),
        ("+62/812/34567890 ", "ES", "6281234567890"),
    ],
)
def test_what_people_write_becomes_e164_digits(written: str, region: str, normal: str) -> None:
    assert normalise_phone(written, region) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+44 (0)7911 123456", "447911123456"),
        ("+62 0812 3456 7890", "6281234567890"),
        ("0044 07911 123456", "447911123456"),
        ("+34 (0) 612 345 678", "34612345678"),
        ("+7 (8) 912 345-67-89", "79123456789"),
        ("+36 06 20 123 4567", "36201234567"),
        ("+39 (0)6 1234 5678", "390612345678"),
        ("+225 07 01 23 45 67", "2250701234567"),
    ],
)
def test_a_trunk_prefix_behind_the_country_code_is_dropped_where_it_is_no_digit_of_the_number(
    written: str, normal: str
) -> None:
    assert normalise_phone(written, "ID") == normal


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("+52 1 55 1234 5678", "ID", "525512345678"),
        ("044 55 1234 5678", "MX", "525512345678"),
        ("01 55 1234 5678", "MX", "525512345678"),
        ("+54 11 15 2345 6789", "ID", "5491123456789"),
        ("011 15-2345-6789", "AR", "5491123456789"),
        ("+54 9 11 2345 6789", "ID", "5491123456789"),
        ("+54 11 2345 6789", "ID", "541123456789"),
        ("+55 11 8123-4567", "ID", "5511981234567"),
        ("11 8123-4567", "BR", "5511981234567"),
        ("0 15 11 98123-4567", "BR", "5511981234567"),
        ("(11) 3234-5678", "BR", "551132345678"),
        ("+229 90 01 12 34", "ID", "2290190011234"),
        ("0120 123 4567", "VN", "84701234567"),
    ],
)
def test_numbers_of_an_older_plan_become_those_of_today(written: str, region: str, normal: str) -> None:
    assert normalise_phone(written, region) == normal


@pytest.mark.parametrize(
    ("written", "region", "area", "normal"),
    [
        ("555 1234", "ID", "021", "62215551234"),
        ("555 1234", "ID", "21", "62215551234"),
        ("1234 5678", "MX", "55", "525512345678"),
        ("15-2345-6789", "AR", "011", "5491123456789"),
        ("98123-4567", "BR", "11", "5511981234567"),
        ("8123-4567", "BR", "11", "5511981234567"),
        ("0812 3456 7890", "ID", "21", "6281234567890"),
        ("812 3456 7890", "ID", "21", "6281234567890"),
        ("+1 415 555 2671", "ID", "21", "14155552671"),
    ],
)
def test_the_default_area_is_put_before_what_has_none(
    written: str, region: str, area: str, normal: str
) -> None:
    assert normalise_phone(written, region, area) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("٠٨١٢٣٤٥٦٧٨٩٠", "6281234567890"),
        ("۰۸۱۲۳۴۵۶۷۸۹۰", "6281234567890"),
        ("०८१२ ३४५६ ७८९०", "6281234567890"),
        ("＋６２　８１２－３４５６－７８９０", "6281234567890"),
        ("\u202a+62\u00a0812\u20113456\u20117890\u202c", "6281234567890"),
        ("0\ufe0f\u20e38\ufe0f\u20e312 3456 7890", "6281234567890"),
        ("\ufeff0812\u200b3456\u20607890", "6281234567890"),
    ],
    ids=["Arabic", "Persian", "Devanagari", "full width", "direction marks", "emoji", "without width"],
)
def test_digits_of_every_script_count_and_invisible_marks_do_not(written: str, normal: str) -> None:
    assert normalise_phone(written, "ID") == normal


@pytest.mark.parametrize(
    "written",
    [
        "tel:+62-812-3456-7890",
        "tel:+6281234567890;ext=5",
        "tel:0812-3456-7890;phone-context=+62",
        "TEL:+62%20812%203456%207890",
        "https://wa.me/6281234567890",
        "https://wa.me/6281234567890?text=" + "Halo%20" * 50,
        "wa.me/+6281234567890",
        "\u202ahttps://wa.me/6281234567890\u202c",
        "https://wa.me/c/6281234567890",
        "https://api.whatsapp.com/send?phone=6281234567890&text=Halo",
        "https://api.whatsapp.com/send/?phone=%2B6281234567890",
        "whatsapp://send?phone=6281234567890",
        "whatsapp:+6281234567890",
        "+62 812 3456 7890 ext. 12",
        "+62 812 3456 7890 x12",
        "+62 812 3456 7890, extensión 12",
        "+62 812 3456 7890 доб. 12",
        "+62 812 3456 7890 #12",
    ],
)
def test_links_and_extensions_name_the_number_that_they_hold(written: str) -> None:
    assert normalise_phone(written, "ES") == "6281234567890"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no digits"),
        ("+", "no digits"),
        ("call me", "holds letters"),
        ("1-800-FLOWERS", "holds letters"),
        ("0812 3456 789O", "holds letters"),
        ("0812 3456 789²", "something else than digits"),
        ("0812\x1b3456", "something else than digits"),
        ("*100#", "something else than digits"),
        ("+62+8123456789", "something else than digits"),
        ("0812-3456-7890 / 0813-1111-2222", "more than one number"),
        ("0812-3456-7890, 0813-1111-2222", "more than one number"),
        ("https://wa.me/message/ABCDEFGHIJKL", "link that names no number"),
        ("https://api.whatsapp.com/send?text=0812", "link that names no number"),
        ("whatsapp://[0812", "link that names no number"),
        ("whatsapp://\u2100", "link that names no number"),
        ("+0812 3456 7890", "0 where the country code"),
        ("00 0812 3456 7890", "0 where the country code"),
        ("wa.me/081234567890", "0 where the country code"),
        ("+999 123 456 789", "no country code that exists"),
        ("+62 81", "too few or too many digits"),
        ("+1 555 2671", "lacks its area code"),
        ("34612345678", "no valid number of the region ID"),
        ("0812", "no valid number of the region ID"),
        ("00 81 90 1234 5678", "two different numbers"),
        ("+1 313 555 0002", "a bot"),
        ("1" * 41, "longer than 40"),
        ("wa.me/" + "1" * 2000, "longer than 40"),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(written: str, reason: str) -> None:
    with pytest.raises(InvalidPhone, match=reason):
        normalise_phone(written, "ID")


@pytest.mark.parametrize(
    ("written", "region", "area", "reason"),
    [
        ("5552671", "US", "", "lacks its area code"),
        ("30123456", "DE", "30", "two different numbers"),
        ("0612345678", "ES", "", "no valid number of the region ES"),
        ("0612345678", "ES", "91", "no valid number of the region ES"),
        ("0812 3456 7890", "ZZ", "", "no number of the region ZZ"),
    ],
    ids=["no area", "area given or part of it", "France's, not Spain's", "with an area", "no region"],
)
def test_a_local_number_that_may_be_somebody_else_s_is_refused(
    written: str, region: str, area: str, reason: str
) -> None:
    with pytest.raises(InvalidPhone, match=reason):
        normalise_phone(written, region, area)


@given(st.text(max_size=45), st.sampled_from(["ID", "AR", "US", "DE", "MX"]), st.sampled_from(["", "11"]))
def test_whatever_is_written_ends_in_digits_or_a_refusal(text: str, region: str, area: str) -> None:
    with contextlib.suppress(InvalidPhone):
        assert re.fullmatch("[1-9][0-9]{6,14}", normalise_phone(text, region, area))


@pytest.mark.parametrize(
    "written", ["34612345678", "+62 81", "00 81 90 1234 5678", "wa.me/0812345678", "0812x"]
)
def test_a_refusal_never_repeats_the_number(written: str) -> None:
    with pytest.raises(InvalidPhone) as refusal:
        normalise_phone(written, "ID")
    assert re.findall(r"[0-9]{3,}", str(refusal.value)) == []


# -- the library as judge ------------------------------------------------------------------------------------


def region_of(number: PhoneNumber) -> str:
    return str(phonenumbers.region_code_for_number(number))


@given(real_numbers(), st.sampled_from(sorted(FORMS)))
def test_every_form_of_any_country_s_number_has_one_normal_form(number: PhoneNumber, form: str) -> None:
    assume(not REPLACED.fullmatch(digits(number)))
    assert normalise_phone(FORMS[form](number), region_of(number)) == digits(number)


@given(real_numbers())
def test_a_normal_form_stays_and_has_the_same_person(number: PhoneNumber) -> None:
    normal = normalise_phone("+" + digits(number), "ID")
    assert normalise_phone("+" + normal, "ID") == normal
    assert same_person_key(normal) == same_person_key(digits(number))


@st.composite
def local_numbers(draw: st.DrawFn) -> tuple[PhoneNumber, str, str]:
    """A number, its area code (with the trunk prefix or not), and what people there dial without it."""
    has_area = phonenumbers.length_of_geographical_area_code
    number = draw(real_numbers().filter(lambda one: has_area(one) and not REPLACED.fullmatch(digits(one))))
    length = has_area(number)
    trunk = phonenumbers.ndd_prefix_for_region(region_of(number), True) or ""
    area = draw(st.sampled_from(["", trunk])) + national(number)[:length]
    return number, area, national(number)[length:]


@given(local_numbers())
def test_a_local_number_is_found_by_its_area_or_refused_but_never_taken_for_another(
    local: tuple[PhoneNumber, str, str],
) -> None:
    number, area, written = local
    try:
        assert normalise_phone(written, region_of(number), area) == digits(number)
    except InvalidPhone as refusal:
        event(str(refusal))


@given(real_numbers())
def test_foreign_digits_without_their_plus_are_refused_unless_they_are_a_number_here(
    number: PhoneNumber,
) -> None:
    here = phonenumbers.parse(digits(number), "ES")
    try:
        normal = normalise_phone(digits(number), "ES")
    except InvalidPhone:
        normal = ""
    assert normal == (digits(here) if phonenumbers.is_valid_number(here) else "")


def digits_alone(written: str, region: str) -> str:
    """A twin: what most senders do."""
    found = "".join(character for character in written if character in "0123456789")
    if found.startswith("0"):
        return str(phonenumbers.country_code_for_region(region)) + found[1:]
    return found


def area_before_everything(written: str, region: str, area: str) -> str:
    """A twin: what has no country code gets the area code."""
    return normalise_phone(area + written, region)


def test_an_area_code_before_what_has_one_would_be_somebody_else_s_number() -> None:
    assert area_before_everything("30 123456", "DE", "030") == "493030123456"
    with pytest.raises(InvalidPhone, match="two different numbers"):
        normalise_phone("30 123456", "DE", "030")


@pytest.mark.parametrize(
    "written", ["+44 (0)7911 123456", "0044 7911 123456", "+44 7911 123456 ext. 5", "٠٧٩١١١٢٣٤٥٦"]
)
def test_taking_the_digits_alone_would_miss_the_number(written: str) -> None:
    assert normalise_phone(written, "GB") == "447911123456"
    assert digits_alone(written, "GB") != "447911123456"


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("+52 1 55 1234 5678", "5215512345678"),
        ("+52 55 1234 5678", "525512345678"),
        ("+55 31 8123-4567", "553181234567"),
        ("+55 31 98123-4567", "5531981234567"),
        ("+54 9 11 2345 6789", "5491123456789"),
        ("+44 (0)7911 123456", "447911123456"),
        ("0812-3456-7890", "6281234567890"),
    ],
)
def test_the_number_of_an_own_account_keeps_the_plan_in_which_it_was_made(written: str, digits: str) -> None:
    assert own_phone(written, "ID") == digits


@pytest.mark.parametrize(
    ("whole", "masked"),
    [
        ("6281234567890", "6281…90"),
        ("+6281234567890", "6281…90"),
        ("6281234567890@s.whatsapp.net", "6281…90@s.whatsapp.net"),
        ("120363000000000000@g.us", "1203…00@g.us"),
        ("12345678", "…"),
        ("", "…"),
    ],
)
def test_logs_show_the_first_four_and_last_two_digits(whole: str, masked: str) -> None:
    assert mask_phone(whole) == masked
