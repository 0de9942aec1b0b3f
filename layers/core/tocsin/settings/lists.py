"""Kinds of settings that aren't one number or word: lists, hours, a place. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from tocsin.settings.kinds import InvalidValue

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Value

NONE = "none"
_LAST_SECOND = 2**32 - 1

_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_NUMBER = re.compile(r"[1-9]\d{5,14}")
_GROUP = re.compile(r"\d{5,25}(-\d{5,15})?@g\.us")


class Hours:
    """A part of the day, or nothing; typed as 22:00-07:00, or `none`."""

    wanted = "hours such as 22:00-07:00, or none"

    def parse(self, typed: str) -> str:
        text = typed.strip()
        return self.check("" if text == NONE else text)

    def check(self, stored: object) -> str:
        if not isinstance(stored, str) or (stored and not _HOURS.fullmatch(stored)):
            raise InvalidValue(f"must be {self.wanted}")
        begin, _, end = stored.partition("-")
        if stored and begin == end:
            raise InvalidValue(f"must be {self.wanted}: these are no hours, or all of them")
        return stored

    def store(self, value: str) -> Value:
        return value

    def show(self, value: str) -> str:
        return value or NONE


class TimeZone:
    """A zone of the IANA database."""

    wanted = "a time zone such as Asia/Jakarta"

    def parse(self, typed: str) -> str:
        return self.check(typed.strip())

    def check(self, stored: object) -> str:
        if not isinstance(stored, str) or len(stored) > 60 or not _ZONE.fullmatch(stored):
            raise InvalidValue(f"must be {self.wanted}")
        if not _is_known(stored):
            raise InvalidValue(f"must be {self.wanted}, and one that exists")
        return stored

    def store(self, value: str) -> Value:
        return value

    def show(self, value: str) -> str:
        return value


class Moment:
    """A minute in UTC, or none; typed as 2026-11-30T13:05Z, or `none`. The value: Unix seconds, 0: none."""

    wanted = "a time such as 2026-11-30T13:05Z, or none"

    def parse(self, typed: str) -> int:
        from datetime import UTC, datetime  # whoever has no such setting needn't load it

        text = typed.strip()
        if text == NONE:
            return 0
        try:
            at = datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        except ValueError:
            raise InvalidValue(f"must be {self.wanted}") from None
        return self.check(int(at.timestamp()))

    def check(self, stored: object) -> int:
        if isinstance(stored, bool) or not isinstance(stored, int) or not 0 <= stored <= _LAST_SECOND:
            raise InvalidValue(f"must be {self.wanted}")
        return stored

    def store(self, value: int) -> Value:
        return value

    def show(self, value: int) -> str:
        from datetime import UTC, datetime

        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%MZ}" if value else NONE


class Words:
    """Some words in lower case, with commas between them, or `none`."""

    MOST = 20
    wanted = f"up to {MOST} words, with commas between them, or none"

    def parse(self, typed: str) -> tuple[str, ...]:
        words = [word.strip().lower() for word in typed.split(",")]
        return self.check([] if words == [NONE] else words)

    def check(self, stored: object) -> tuple[str, ...]:
        if not isinstance(stored, list) or len(stored) > self.MOST:
            raise InvalidValue(f"must be {self.wanted}")
        if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in stored):
            raise InvalidValue(f"must be {self.wanted}")
        return tuple(dict.fromkeys(stored))

    def store(self, value: Collection[str]) -> Value:
        return list(value)

    def show(self, value: Collection[str]) -> str:
        return ",".join(value) or NONE


class Addressees:
    """Numbers in international form and groups, with commas between them, or `none`. Shown without the
    middle of a number."""

    MOST = 100
    wanted = f"up to {MOST} numbers such as +6281234567890, or groups, with commas between them, or none"

    def parse(self, typed: str) -> tuple[str, ...]:
        named = [_plain(part) for part in typed.split(",")]
        return self.check([] if named == [NONE] else named)

    def check(self, stored: object) -> tuple[str, ...]:
        if not isinstance(stored, list) or len(stored) > self.MOST:
            raise InvalidValue(f"must be {self.wanted}")
        if not all(
            isinstance(one, str) and (_NUMBER.fullmatch(one) or _GROUP.fullmatch(one)) for one in stored
        ):
            raise InvalidValue(f"must be {self.wanted}")
        return tuple(dict.fromkeys(stored))

    def store(self, value: Collection[str]) -> Value:
        return list(value)

    def show(self, value: Collection[str]) -> str:
        return ",".join(one if "@" in one else f"{one[:2]}…{one[-4:]}" for one in value) or NONE


def _plain(typed: str) -> str:
    text = typed.strip()
    return text if "@" in text else re.sub(r"[\s().+-]", "", text)


def _is_known(zone: str) -> bool:
    from zoneinfo import ZoneInfo  # whoever has no such setting needn't load it

    try:
        ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        return False
    return True
