"""Until when nobody is to be woken."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import TZPATH, ZoneInfo

import phonenumbers
import pytest

from tocsin.pace.quiet import Hours, quiet_until, zone_for
from tocsin.pace.zones import ZONES, zone_of_number


def at(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("now", "hours", "until"),
    [
        ("2026-11-30T23:00", "22:00-07:00", "2026-12-01T07:00"),
        ("2026-12-01T06:59", "22:00-07:00", "2026-12-01T07:00"),
        ("2026-12-01T07:00", "22:00-07:00", None),
        ("2026-12-01T12:00", "22:00-07:00", None),
        ("2026-12-01T12:30", "12:00-13:00", "2026-12-01T13:00"),
        ("2026-12-01T13:00", "12:00-13:00", None),
        ("2026-12-01T13:00", "", None),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Jakarta", "Europe/Berlin", "America/St_Johns"])
def test_quiet_hours_go_by_the_clock_of_the_place(now: str, hours: str, until: str | None, zone: str) -> None:
    assert quiet_until(at(now, zone), hours, zone) == (at(until, zone) if until else None)


def test_a_night_in_which_the_clocks_change_ends_by_the_new_time() -> None:
    begun = at("2026-03-28T23:00", "Europe/Berlin")
    assert quiet_until(begun, "22:00-07:00", "Europe/Berlin") == begun + 7 * 3600


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("Europe/Berlin", "2026-10-25", "02:15"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45"),
        ("America/New_York", "2026-11-01", "01:45"),
    ],
)
def test_an_end_that_comes_twice_holds_nobody_until_the_next_day(zone: str, day: str, end: str) -> None:
    begun = at(f"{day}T00:00", zone)
    for minute in range(300):
        now = begun + minute * 60
        until = quiet_until(now, f"22:00-{end}", zone)
        assert until is None or until - now <= 3 * 3600


def test_hours_past_midnight_hold_both_sides_of_it() -> None:
    night = Hours.parse("22:00-07:00")
    assert [night.holds(minute) for minute in (22 * 60, 0, 7 * 60, 21 * 60)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("recipient", "zone"),
    [
        ("6581234567", "Asia/Singapore"),
        ("4915112345678", "Europe/Berlin"),
        ("6281234567890", "Asia/Makassar"),
        ("12025550123", "Asia/Makassar"),
        ("120363000000000000@g.us", "Asia/Makassar"),
        ("1234@lid", "Asia/Makassar"),
    ],
)
def test_a_number_tells_the_zone_where_its_country_has_one(recipient: str, zone: str) -> None:
    assert zone_for(recipient, "Asia/Makassar") == zone


def zones_of_countries() -> dict[str, list[str]]:
    for folder in TZPATH:
        try:
            with open(f"{folder}/zone.tab", encoding="utf-8") as lines:
                rows = [line.rstrip("\n").split("\t") for line in lines if not line.startswith("#")]
        except OSError:
            continue
        zones: dict[str, list[str]] = {}
        for country, _, zone, *_ in rows:
            zones.setdefault(country, []).append(zone)
        return zones
    pytest.skip("this machine has no zone.tab")


def test_the_table_names_a_zone_of_each_countrys_own() -> None:
    zones = zones_of_countries()
    for code, zone in ZONES.items():
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
        assert zone in [one for region in regions for one in zones.get(region, [])], code


def test_no_country_of_the_table_has_two_times_now() -> None:
    zones = zones_of_countries()
    for code in ZONES:
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
        named = [one for region in regions for one in zones.get(region, [])]
        for month in range(1, 13):
            noon = datetime(2026, month, 15, 12, tzinfo=ZoneInfo("UTC"))
            assert len({noon.astimezone(ZoneInfo(one)).utcoffset() for one in named}) == 1, code


@pytest.mark.parametrize("recipient", ["", "+6581234567", "1", "٦٥٨١٢٣٤٥٦٧"])
def test_what_is_no_number_of_the_table_tells_nothing(recipient: str) -> None:
    assert zone_of_number(recipient) is None
