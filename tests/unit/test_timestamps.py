"""Moments as text."""

from __future__ import annotations

import pytest

from tocsin.timestamps import CLOCKS_APART_SECONDS, is_recent, iso


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


@pytest.mark.parametrize(
    ("at", "recent"),
    [
        (940, False),
        (941, True),
        (1000, True),
        (1000 + CLOCKS_APART_SECONDS, True),
        (1001 + CLOCKS_APART_SECONDS, False),
    ],
)
def test_what_a_clock_wrote_that_was_far_ahead_is_not_recent(at: int, recent: bool) -> None:
    assert is_recent(at, now=1000, lasts=60) is recent
