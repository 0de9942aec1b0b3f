"""Which lines are wanted. The filter stands in the address, so that it can be kept and sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
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
                tests.append(_is(attrgetter(name), value))
        if self.ticket:
            ticket = self.ticket.casefold()
            tests.append(lambda line: line.ticket.casefold() == ticket)
        if since := self.since(now):
            tests.append(lambda line: line.created_at >= since)
        if self.like:
            like = find(self.like)
            tests.append(lambda line: like is not None and line.digits == like.digits)
        if self.person:
            tests.append(_person(self.person))
        tests += [_says(word) for word in self.words.casefold().split()]
        return _all(tests)

    def since(self, now: int) -> int:
        """The moment (ms) before which no line is wanted; 0: there is none."""
        return now - SPANS[self.time][0] if self.time else 0


def _is(part: Callable[[Line], str], value: str) -> Callable[[Line], bool]:
    return lambda line: part(line) == value


def _says(word: str) -> Callable[[Line], bool]:
    return lambda line: word in line.words


def _all(tests: Sequence[Callable[[Line], bool]]) -> Callable[[Line], bool]:
    """Whether a line passes each of these, with few calls: there are a hundred thousand lines."""
    if not tests:
        return lambda _: True
    first, *others = tests
    if not others:
        return first
    rest = _all(others)
    return lambda line: first(line) and rest(line)


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
