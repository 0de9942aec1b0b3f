"""One person, whole: what the stores hold of them, for programs, for the command line and for the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from tocsin.keys.addresses import KnownAddress
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.keys.forgetting import KeysHeld
from tocsin.keys.views import UserView
from tocsin.notify.store.belongings import Held
from tocsin.notify.store.parking import WaitingRow
from tocsin.people.consent import GIVEN, WITHDRAWN, ConsentChange, Way
from tocsin.people.forgotten import OptOut
from tocsin.people.person import Person, Source
from tocsin.tables.names import is_lid
from tocsin.timestamps import from_seconds
from tocsin_console.errors import NotFound
from tocsin_console.output import Output, counted, how_long, json_moment, moment, with_json_moments
from tocsin_console.people import Found, People

SOURCES = {
    Source.TICKET: "a ticket wrote to it",
    Source.ANSWER: "WhatsApp answered with it",
    Source.WROTE: "they wrote under it",
    Source.OPERATOR: "an operator confirmed it",
}
WISHES = {WITHDRAWN: "took it back", GIVEN: "gave it again"}
"""What became of consent → in words."""


class Fact(NamedTuple):
    """`name`: what it says; empty where it goes on with what stands before it."""

    name: str
    words: str


def show_person(
    people: People, wanted: str, *, output: Output, clock: Callable[[], float] = time.time
) -> None:
    """Print everything that is stored of a person. Raises NotFound if that is nothing, Usage."""
    view = look_at(people, wanted, from_seconds(clock()), output)
    output.record(view.to_json())
    for name, words in view.facts(clock()):
        output.say(f"{name:<13} {words}")


def look_at(people: People, wanted: str, now: int, output: Output) -> PersonView:
    """Read everything that is stored of a person. `now`: ms. Raises NotFound if that is nothing, Usage."""
    found = people.find(wanted)
    held = people.held(found, now, output)
    keys, kept = people.keys_held(found, held), people.opt_out_kept(found)
    if not _anything(found, held, keys) and kept is None:
        raise NotFound(f"nothing is stored of {found.shown(found.asked[0])}")
    return PersonView(people, found, held, keys, kept)


def _anything(found: Found, held: Held, keys: KeysHeld) -> bool:
    return bool(any(held.counts().values()) or any(keys) or found.person != Person.unknown(found.person.id))


@dataclass(frozen=True)
class PersonView:
    """One person, for people and for programs."""

    people: People
    found: Found
    held: Held
    keys: KeysHeld
    opt_out_kept: OptOut | None

    @cached_property
    def addresses(self) -> list[tuple[str, KnownAddress]]:
        """What is sealed of each number of theirs, as far as WhatsApp told."""
        numbers = sorted(name for name in self.found.whose.names if not is_lid(name))
        known = ((number, self.people.keys.contacts.known(number)) for number in numbers)
        return [(number, address) for number, address in known if address is not None]

    @cached_property
    def sessions(self) -> UserView | None:
        keys = self.people.keys
        try:
            view = keys.upkeep.view(keys.account.profile(), self.found.person.id)
        except (NoAccount, NotPaired):
            return None
        return view if view.next is not None or view.devices else None

    @property
    def wishes(self) -> list[ConsentChange]:
        """What their record knows of consent, and of the replies that are kept those that it doesn't: of
        before it knew any, or said once more."""
        known = self.found.person.consents
        noted = {one.message for one in known}
        replies = (
            ConsentChange(at, str(item["consent"]), Way.MESSAGE, str(item.get("message_id")))
            for item in self.held.replies
            if item.get("consent") and isinstance(at := item.get("received_at"), int)
        )
        others = (one for one in replies if one.message not in noted)
        return sorted([*known, *others], key=lambda one: one.at)

    @property
    def parked(self) -> list[WaitingRow]:
        waiting = set(Held(self.held.unended).ids)
        rows = self.people.deployment.stores.parking.waiting(self.people.account)
        return [row for row in rows if row.notification in waiting]

    def to_json(self) -> dict[str, Any]:
        person, shown = self.found.person, self.found.shown
        return {
            "account": self.people.account,
            "person": shown(person.id),
            "pointer": shown(self.found.pointer) if self.found.pointer else None,
            "names": [
                {"name": shown(jid), **with_json_moments(one.to_value(), "at", "until")}
                for jid, one in sorted(person.names.items())
            ],
            "formerly": [shown(name) for name in sorted(person.formerly)],
            **self._consent_json(),
            **self._history_json(),
            "addresses": [
                {
                    "number": shown(number),
                    "lid": known.lid,
                    "asked_at": json_moment(from_seconds(known.at)),
                    "doubted": known.doubted,
                    "moved_to": known.moved_to,
                }
                for number, known in self.addresses
            ],
            "sessions": {
                "next": self.sessions.next if self.sessions else None,
                "devices": [device.device for device in self.sessions.devices] if self.sessions else [],
            },
            "kept": self.held.counts(),
            "unreadable": len(self.held.unreadable),
            "kept_until": {
                kind: json_moment(from_seconds(end)) for kind, end in self.held.kept_until().items()
            },
            "keys": self.keys._asdict(),
        }

    def _consent_json(self) -> dict[str, Any]:
        person, kept = self.found.person, self.opt_out_kept
        forgotten = kept and with_json_moments(kept.to_item(), "opted_out_at", "confirmed_at")
        return {
            "opted_out_at": json_moment(person.opted_out_at),
            "opt_out_word": person.opt_out_word,
            "wishes": [
                {
                    "at": json_moment(one.at),
                    "wish": one.wish,
                    "way": one.way,
                    "message": one.message or None,
                }
                for one in self.wishes
            ],
            "wishes_before": person.consents_before,
            "confirmed_at": json_moment(person.confirmed_at),
            "forgotten": forgotten,
        }

    def _history_json(self) -> dict[str, Any]:
        person = self.found.person
        return {
            "heard_at": json_moment(person.heard_at),
            "last_notification": person.last_notification,
            "recoveries": person.recoveries,
            "must_write_first_at": json_moment(person.must_write_first_at),
            "refused": sorted(person.refused),
            "parked": [
                {"notification": row.notification, "cause": row.cause, "due_at": json_moment(row.due_at)}
                for row in self.parked
            ],
        }

    def facts(self, now: float) -> Iterator[Fact]:
        """`now`: seconds."""
        yield Fact("person", f"{self.found.shown(self.found.person.id)}  (account {self.people.account})")
        if self.found.pointer:
            yield Fact("", f"{self.found.shown(self.found.pointer)} is another name of this person")
        yield from self._names()
        yield from self._consent()
        yield from self._history()
        yield from self._addresses()
        yield from self._sessions(now)
        yield from self._kept()

    def _names(self) -> Iterator[Fact]:
        for jid, name in sorted(self.found.person.names.items(), key=lambda one: one[1].at):
            source = SOURCES.get(Source(name.source), "") if name.source in set(Source) else name.source
            until = f"; somebody else's since {moment(name.until)}" if name.until is not None else ""
            yield Fact("name", f"{self.found.shown(jid)}  since {moment(name.at)}: {source}{until}")
        for former in sorted(self.found.person.formerly):
            yield Fact("filed before", f"under {self.found.shown(former)}")

    def _consent(self) -> Iterator[Fact]:
        person, kept = self.found.person, self.opt_out_kept
        if person.opted_out_at is not None:
            told = f"confirmed {moment(person.confirmed_at)}" if person.confirmed_at else "not confirmed yet"
            yield Fact(
                "consent", f"opted out {moment(person.opted_out_at)} by '{person.opt_out_word}', {told}"
            )
        elif kept is not None:
            yield Fact(
                "consent", f"opted out {moment(kept.at)} by '{kept.word}', then erased: kept as a hash"
            )
        else:
            yield Fact("consent", "no opt-out")
        if person.consents_before:
            yield Fact("", f"{counted(person.consents_before, 'changes')} before these")
        for one in self.wishes:
            yield Fact("", f"{moment(one.at)} they {WISHES.get(one.wish, one.wish)}{_told_by(one)}")

    def _history(self) -> Iterator[Fact]:
        person = self.found.person
        if person.heard_at is not None:
            yield Fact("first contact", f"they wrote {moment(person.heard_at)}")
        if person.last_notification is not None:
            yield Fact("last reached", f"by notification {person.last_notification}")
        if person.must_write_first_at is not None:
            since = moment(person.must_write_first_at)
            refused = counted(len(person.refused), "notifications")
            yield Fact("must write", f"first, since {since}: {refused} to send then")
        yield Fact("recoveries", f"{person.recoveries} since the last receipt")
        for row in self.parked:
            yield Fact("waits", f"notification {row.notification}: {row.cause}, due {moment(row.due_at)}")

    def _addresses(self) -> Iterator[Fact]:
        for number, known in self.addresses:
            doubt = ", doubted since" if known.doubted else ""
            said = moment(from_seconds(known.at))
            yield Fact("number", f"{self.found.shown(number)} is {known.lid}: WhatsApp said so {said}{doubt}")
            if known.moved_to is not None:
                yield Fact(
                    "",
                    f"now WhatsApp names {known.moved_to}: nothing is sent there until "
                    "'tocsin people confirm' (unless OnNumberMoved=send)",
                )

    def _sessions(self, now: float) -> Iterator[Fact]:
        if self.sessions is None:
            yield Fact("sessions", "none")
            return
        view = self.sessions
        used = f"last used {_ago(view.used_at, now)}" if view.used_at else "not used yet"
        yield Fact("sessions", f"next number {view.next}, {used}")
        for device in view.devices:
            heard = (
                f"last received from {_ago(device.heard_at, now)}"
                if device.heard_at
                else "nothing received from it yet"
            )
            ages = f"made {_ago(device.created, now)}, {heard}" if device.created else heard
            kept = f", {device.archived} archived" if device.archived else ""
            yield Fact("", f"device {device.device}: index {device.index}, {ages}{kept}")

    def _kept(self) -> Iterator[Fact]:
        until = self.held.kept_until()
        for kind, count in self.held.counts().items():
            end = f", the last one until {moment(from_seconds(until[kind]))}" if until.get(kind) else ""
            yield Fact("kept", f"{counted(count, kind.replace('_', ' '))}{end}")
        if self.held.unreadable:
            yield Fact("unreadable", f"{counted(len(self.held.unreadable), 'records')}, of whomever")
        kinds = ", ".join(counted(count, kind) for kind, count in self.keys._asdict().items() if count)
        yield Fact("keys table", kinds or "nothing")


def _told_by(change: ConsentChange) -> str:
    if change.message:
        return f" (message {change.message})"
    return " (an operator noted it)" if change.way == Way.OPERATOR else ""


def _ago(at: int, now: float) -> str:
    return f"{how_long(max(now - at, 0))} ago"
