"""Which lines are wanted. The filter stands in the address, so that it can be kept and sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import urlencode

from tocsin.notify.notification import State
from tocsin_console.feed.line import Line
from tocsin_console.output import plain

_MAX = 200

SPANS: Final[Mapping[str, tuple[int, str]]] = {
    "hour": (3_600_000, "the last hour"),
    "day": (86_400_000, "the last 24 hours"),
    "week": (7 * 86_400_000, "the last 7 days"),
}
AUDIENCES: Final = ("customer", "technician", "group")
STATES: Final = tuple(str(state) for state in State)


@dataclass(frozen=True)
class Sieve:
    """What is asked for; empty: anything. `ticket`, `event` and `source` whole, `person` a part of the number
    or of the name, `words` all of them, `time` a key of SPANS, `like` the id of a notification: those to the
    same person. So no whole number stands in an address."""

    ticket: str = ""
    person: str = ""
    state: str = ""
    audience: str = ""
    account: str = ""
    event: str = ""
    time: str = ""
    words: str = ""
    like: str = ""
    source: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Sieve:
        """Read an address. What is no choice counts as not chosen."""
        given = {one.name: _harmless(str(asked.get(one.name, ""))) for one in fields(cls)}
        for name, known in (("state", STATES), ("audience", AUDIENCES), ("time", tuple(SPANS))):
            if given[name] not in known:
                given[name] = ""
        return cls(**given)

    @property
    def chosen(self) -> dict[str, str]:
        return {name: value for name, value in vars(self).items() if value}

    @property
    def query(self) -> str:
        """The same in an address."""
        return urlencode(self.chosen)

    def judge(self, now: int, find: Callable[[str], Line | None] = lambda _: None) -> Callable[[Line], bool]:
        """What tells whether a line is wanted. `now`: ms; `find`: the line of a notification."""
        tests: list[Callable[[Line], bool]] = []
        for name in ("state", "audience", "account", "event", "source"):
            if value := getattr(self, name):
                tests.append(lambda line, name=name, value=value: getattr(line, name) == value)  # type: ignore[misc]
        if self.ticket:
            ticket = self.ticket.casefold()
            tests.append(lambda line: line.ticket.casefold() == ticket)
        if self.time:
            since = now - SPANS[self.time][0]
            tests.append(lambda line: line.created_at >= since)
        if self.like:
            like = find(self.like)
            tests.append(lambda line: like is not None and line.digits == like.digits)
        if self.person:
            tests.append(_person(self.person))
        wanted = self.words.casefold().split()
        if wanted:
            tests.append(lambda line: all(word in line.words for word in wanted))
        return lambda line: all(test(line) for test in tests)


def _harmless(text: str) -> str:
    """Without what would steer the page that shows it again."""
    return "".join(sign for sign in text[:_MAX] if plain(sign) == sign).strip()


def _person(person: str) -> Callable[[Line], bool]:
    """A number in whatever form, or a part of a name."""
    digits = "".join(sign for sign in person if sign.isdigit())
    if digits and not any(sign.isalpha() for sign in person):
        # A national number is written with a zero in front, which the international one lacks.
        part = digits.lstrip("0") or digits
        return lambda line: part in line.digits
    name = person.casefold()
    return lambda line: name in line.name.casefold() or name == line.digits
