"""One person as we know them, and what becomes of two records that turn out to be one person's.

Nothing here reads a table or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from tocsin.dynamo.writes import Item, Value
from tocsin.people.consent import CONSENTS, CONSENTS_BEFORE, ConsentChange, consents_of, last_consents
from tocsin.tables.names import is_lid, is_number, recipient_of

POINTER = "person"
"""The attribute of a name that isn't a record of its own: whose name it is."""

REVISION = "revision"
"""Counts the changes of a record, so that a join notices one that came in between."""

NAMES = "names"
FORMERLY = "formerly"
LANE = "lane"
REACHED = "reached"
MUST_WRITE_FIRST_AT = "must_write_first_at"
REFUSED = "refused"

USERNAME_SIGN = "@"
"""Before the public name that somebody chose, among their names. No JID begins with it."""


class Source(StrEnum):
    """From where a name is known. `TICKET`: the ticketing system wrote to it. `ANSWER`: WhatsApp answered a
    question of ours with it. `WROTE`: a message came under it. `OPERATOR`: an operator confirmed it."""

    TICKET = "ticket"
    ANSWER = "answer"
    WROTE = "wrote"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Name:
    """A name (bare JID, or "@" and a username) of a person. `at`: when it was first known to be theirs, of a
    username when it was last seen; `until`: when it went to somebody else, `None` if it didn't. In ms."""

    jid: str
    source: str
    at: int
    until: int | None = None

    def to_value(self) -> dict[str, Value]:
        known: dict[str, Value] = {"source": self.source, "at": self.at}
        return known if self.until is None else {**known, "until": self.until}


@dataclass(frozen=True)
class Person:
    """What is known of one person of one account. Moments in ms.

    `id`: the canonical bare JID. `lane`: what stands for the person in the queue's message groups; it never
    changes, so that a name that is learnt overtakes nothing. `names`: every name by which they were written
    to or wrote. `formerly`: earlier ids, under which some of their records still lie.
    `reached`: text that sorts by when `last_notification` reached them; 0.1.0 writes none.
    `parked`: turns of notifications that were parked, or went to the end of the queue, and not yet seen to
    come to an end. `heard_at`: when they wrote to us, of somebody whom no notification of ours had reached,
    or none from our present number.
    `must_write_first_at`: since when WhatsApp lets us write to them only after they have; `refused`: ids of
    notifications that it refused. `consents`: how consent changed, `consents_before`: how often before that
    (`consent.py`).
    """

    id: str
    lane: str
    names: Mapping[str, Name] = field(default_factory=dict)
    formerly: frozenset[str] = frozenset()
    opted_out_at: int | None = None
    opt_out_word: str | None = None
    confirmed_at: int | None = None
    recoveries: int = 0
    last_notification: str | None = None
    reached: str | None = None
    parked: frozenset[str] = frozenset()
    heard_at: int | None = None
    must_write_first_at: int | None = None
    refused: frozenset[str] = frozenset()
    consents: tuple[ConsentChange, ...] = ()
    consents_before: int = 0
    revision: int = 0

    @classmethod
    def unknown(cls, name: str) -> Person:
        """Somebody of whom nothing is stored."""
        return cls(name, lane_of(name))

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids under which records of theirs may lie, the present one first."""
        return self.id, *sorted(self.formerly)

    @property
    def present(self) -> tuple[str, ...]:
        """The names that went to nobody else."""
        return tuple(jid for jid, name in self.names.items() if name.until is None)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The bare JIDs of their present numbers, those that tickets use first."""
        present = [self.names[jid] for jid in self.present if is_number(jid)]
        return tuple(
            name.jid for name in sorted(present, key=lambda one: (one.source != Source.TICKET, one.at))
        )

    @property
    def known_at(self) -> int | None:
        """When they last got something of ours, or wrote to us, as far as is known (ms): 0 where nobody noted
        when, `None` if neither ever was."""
        if self.last_notification is None and self.heard_at is None:
            return None
        digits = (self.reached or "").partition(" ")[0]
        return max(int(digits) if digits.isdecimal() else 0, self.heard_at or 0)

    @property
    def username(self) -> str | None:
        """The public name that they were last seen under, without its sign."""
        called = [name for name in self.names.values() if name.jid.startswith(USERNAME_SIGN)]
        last = max(called, key=lambda name: name.at, default=None)
        return last.jid.removeprefix(USERNAME_SIGN) if last is not None else None


class Addressee(NamedTuple):
    """Whom something is for. `id`: the person's canonical name (bare JID); `lane`: as in `Person`."""

    id: str
    lane: str


def lane_of(name: str) -> str:
    """The lane of somebody known by one name: all spellings of a number have one, so that it makes no
    difference which of them is heard of first."""
    recipient = recipient_of(name)
    if not is_number(name):
        return recipient
    from tocsin.people.numbers import same_person_key  # who is known has a lane already

    return same_person_key(recipient)


def pointer_of(item: Item | None) -> str | None:
    """Return whose name an item is, `None` if it is a record itself, or absent."""
    whose = (item or {}).get(POINTER)
    return whose if isinstance(whose, str) else None


def person_of_item(name: str, item: Item | None) -> Person:
    """The person whose record lies under `name`; an unknown one where there is none."""
    values: Mapping[str, Any] = item or {}
    return Person(
        id=name,
        lane=values.get(LANE) or lane_of(name),
        names={
            jid: Name(jid, value["source"], value["at"], value.get("until"))
            for jid, value in values.get(NAMES, {}).items()
        },
        formerly=values.get(FORMERLY, frozenset()),
        opted_out_at=values.get("opted_out_at"),
        opt_out_word=values.get("opt_out_word"),
        confirmed_at=values.get("confirmed_at"),
        recoveries=values.get("recoveries", 0),
        last_notification=values.get("last_notification"),
        reached=values.get(REACHED),
        parked=values.get("parked", frozenset()),
        heard_at=values.get("heard_at"),
        must_write_first_at=values.get(MUST_WRITE_FIRST_AT),
        refused=values.get(REFUSED, frozenset()),
        consents=consents_of(values.get(CONSENTS)),
        consents_before=values.get(CONSENTS_BEFORE, 0),
        revision=values.get(REVISION, 0),
    )


def addressee_of_item(name: str, item: Item | None) -> Addressee:
    """Whom a name means, by its item alone: a pointer knows the lane as well."""
    lane = (item or {}).get(LANE)
    return Addressee(pointer_of(item) or name, lane if isinstance(lane, str) else lane_of(name))


def with_names(person: Person, names: Iterable[Name], lane: str | None = None) -> Person:
    """Return a person known by some more names. `lane`: of one that came from somebody else."""
    newcomer = Person(person.id, lane or person.lane)
    return joined(person, newcomer, names)


def joined(person: Person, other: Person, names: Iterable[Name] = ()) -> Person:
    """Return `person` after `other` turned out to be the same one: nothing that either knew is lost.

    Consent that was withdrawn under one name is withdrawn; where it was under both, the earlier one counts,
    with its confirmation. `names`: what else is known by now.
    """
    last = max((person, other), key=lambda one: (one.last_notification is not None, one.reached or ""))
    withdrawn = min(
        (one for one in (person, other) if one.opted_out_at is not None),
        key=lambda one: one.opted_out_at or 0,
        default=None,
    )
    consents, before = last_consents(
        (*person.consents, *other.consents), person.consents_before + other.consents_before
    )
    return Person(
        id=person.id,
        lane=_lane(person, other),
        names=known_names([*person.names.values(), *other.names.values(), *names]),
        formerly=(person.formerly | other.formerly | {other.id}) - {person.id},
        opted_out_at=withdrawn.opted_out_at if withdrawn else None,
        opt_out_word=withdrawn.opt_out_word if withdrawn else None,
        confirmed_at=_earliest(person.confirmed_at, other.confirmed_at) if withdrawn else None,
        recoveries=person.recoveries + other.recoveries,
        last_notification=last.last_notification,
        reached=last.reached,
        parked=person.parked | other.parked,
        heard_at=_latest(person.heard_at, other.heard_at),
        must_write_first_at=_latest(person.must_write_first_at, other.must_write_first_at),
        refused=person.refused | other.refused,
        consents=consents,
        consents_before=before,
        revision=person.revision,
    )


def known_names(names: Iterable[Name]) -> dict[str, Name]:
    """Each name once, with the earliest moment; a name that a ticket uses stays one. What was lost and is
    told to be theirs later is theirs."""
    known: dict[str, Name] = {}
    for name in names:
        before = known.get(name.jid)
        if before is None:
            known[name.jid] = name
            continue
        source = Source.TICKET if Source.TICKET in (before.source, name.source) else before.source
        at = (max if name.jid.startswith(USERNAME_SIGN) else min)(before.at, name.at)
        known[name.jid] = Name(name.jid, source, at, _until(before, name))
    return known


def _until(one: Name, other: Name) -> int | None:
    """When a name went to somebody else, by what two records say; `None` if it was given back since."""
    lost = max((until for until in (one.until, other.until) if until is not None), default=None)
    given_back = lost is not None and any(name.until is None and name.at >= lost for name in (one, other))
    return None if given_back else lost


def _lane(person: Person, other: Person) -> str:
    """A LID's own lane has seen answers at most; what tickets ask for goes through a number's, for good."""
    return other.lane if is_lid(person.lane) else person.lane


def _earliest(*moments: int | None) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _latest(*moments: int | None) -> int | None:
    return max((moment for moment in moments if moment is not None), default=None)
