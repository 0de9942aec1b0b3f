"""Phone numbers: what people write, what comes out, what is refused and why."""

from __future__ import annotations

import pytest

from tocsin.people.numbers import InvalidPhone, mask_phone, normalise_phone


@pytest.mark.parametrize(
    ("written", "region", "digits"),
    [
        ("0812-3456-7890", "ID", "6281234567890"),
        ("+62 813 1111 2222", "ID", "6281311112222"),
        ("(0812) 3456.7890", "ID", "6281234567890"),
        ("6281234567890", "ID", "6281234567890"),
        ("0062 812 3456 7890", "ID", "6281234567890"),
        ("+34 612 345 678", "ID", "34612345678"),
        ("612 345 678", "ES", "34612345678"),
        ("0034 612345678", "ES", "34612345678"),
        ("+1 (415) 555-2671", "ID", "14155552671"),
        ("\u202a+62\u00a0812\u20113456\u20117890\u202c", "ID", "6281234567890"),
        ("+62/812/34567890 ", "ES", "6281234567890"),
    ],
)
def test_what_people_write_becomes_e164_digits(written: str, region: str, digits: str) -> None:
    assert normalise_phone(written, region) == digits


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no digits"),
        ("+", "no digits"),
        ("call me", "something else than digits"),
        ("0812345678 ext 5", "something else than digits"),
        ("٠٨١٢٣٤٥٦٧٨٩٠", "something else than digits"),
        ("+62+8123456789", "something else than digits"),
        ("+0812 3456 7890", "0 where the country code"),
        ("+999 123 456 789", "no country code that exists"),
        ("+62 81", "too few or too many digits"),
        ("34612345678", "no valid number of the region ID"),
        ("0812", "no valid number of the region ID"),
        ("+1 313 555 0002", "a bot"),
        ("1" * 41, "longer than 40"),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(written: str, reason: str) -> None:
    with pytest.raises(InvalidPhone, match=reason):
        normalise_phone(written, "ID")


def test_a_refusal_never_repeats_the_number() -> None:
    with pytest.raises(InvalidPhone) as refusal:
        normalise_phone("34612345678", "ID")
    assert "346123" not in str(refusal.value)


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
