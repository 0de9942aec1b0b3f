"""What looks through all that commands record in these tests (conftest.py) notices odd times."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.json_times import odd_times


@pytest.mark.parametrize(
    "odd",
    [
        {"since": 1_795_000_000},
        {"accounts": [{"limits": [{"until": 1_795_000_000_000}]}]},
        {"used": 1_795_000_000.5},
        {"failed_at": 0},
        {"kept_until": "2026-11-18 11:06:40 UTC"},
        {"opted_out_at": "2026-11-18T18:06:40+07:00"},
        {"asked_at": "2026-11-18T11:06:40"},
        {"refused_at": "-"},
    ],
)
def test_a_time_that_is_no_iso_in_utc_is_named(odd: dict[str, Any]) -> None:
    assert len(list(odd_times(odd))) == 1


def test_all_else_is_let_through() -> None:
    fine = {
        "at": "2026-11-18T11:06:40.000Z",
        "until": None,
        "number": "6281234567890",
        "state": 3,
        "registration_id": 1_795_000_000,
        "well": True,
    }
    assert list(odd_times(fine)) == []
