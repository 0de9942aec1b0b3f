"""Quiet hours: until when nobody is to be woken, by the clock of the place where they are. Pure.

A number tells the place where its country has one time; else the setting `time-zone` does.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from tocsin.pace.zones import zone_of_number


class Hours(NamedTuple):
    """Minutes of the day, from `begin` until `end`; they may go past midnight."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Of a form such as 22:00-07:00. Raises ValueError."""
        begin, end = (time.fromisoformat(part) for part in text.split("-"))
        return cls(begin.hour * 60 + begin.minute, end.hour * 60 + end.minute)

    def holds(self, minute: int) -> bool:
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def zone_for(recipient: str, setting: str) -> str:
    """Return the zone of a recipient: E.164 digits, or anything else, whose zone is the setting's."""
    return zone_of_number(recipient) or setting


def quiet_until(now: float, hours: str, zone: str) -> float | None:
    """Return when the quiet hours end that hold now (Unix seconds); None: they don't hold.

    `hours`: such as 22:00-07:00, empty for none. `zone`: an IANA name. Raises ZoneInfoNotFoundError.
    """
    if not hours:
        return None
    from zoneinfo import ZoneInfo

    place = ZoneInfo(zone)
    quiet = Hours.parse(hours)
    local = datetime.fromtimestamp(now, UTC).astimezone(place)
    if not quiet.holds(local.hour * 60 + local.minute):
        return None
    end = time(quiet.end // 60, quiet.end % 60)
    for days in range(3):
        day = local.date() + timedelta(days=days)
        # A time that the clocks skip is read by the offset of before; of one that comes twice, both count.
        first = datetime.combine(day, end, place)
        for at in (first.timestamp(), first.replace(fold=1).timestamp()):
            if at > now:
                return at
    return None
