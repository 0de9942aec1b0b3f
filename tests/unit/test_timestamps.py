"""Moments as text."""

from __future__ import annotations

import pytest

from tocsin.timestamps import iso


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000_123, "2027-01-15T08:00:00.123Z"),
        (1_800_000_000_123.9, "2027-01-15T08:00:00.123Z"),
    ],
)
def test_a_moment_is_utc_to_the_millisecond(milliseconds: float, text: str) -> None:
    assert iso(milliseconds) == text
