"""`tocsin people`: who somebody is, what is kept of them, and whose a number is that went to somebody else.

Numbers are masked, but the one that the operator typed. No byte of a key and no word of a text is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tocsin.keys.addresses import KnownAddress
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.keys.forgetting import KeysHeld
from tocsin.keys.store import KeyStore
from tocsin.keys.views import UserView
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.notify.store.belongings import Held
from tocsin.notify.store.parking import WaitingRow
from tocsin.notify.store.texts import TextWithheld
from tocsin.people.forgotten import OptOut
from tocsin.people.national import spellings_on_whatsapp
from tocsin.people.numbers import InvalidPhone, same_person_key
from tocsin.people.person import Name, Person, Source
from tocsin.people.whose import Whose, identify
from tocsin.sealing import masked
from tocsin.tables.names import is_lid, message_id_of, recipient_of, user_of
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import InvalidJid
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted, how_long, json_moment, moment, with_json_moments

SOURCES = {
    Source.TICKET: "a ticket wrote to it",
    Source.ANSWER: "WhatsApp answered with it",
    Source.WROTE: "they wrote under it",
    Source.OPERATOR: "an operator confirmed it",
}
WISHES = {"withdrawn": "took it back", "given": "gave it again"}
"""What a reply did to consent → in words."""


def spellings(deployment: Deployment, wanted: str) -> tuple[str, ...]:
    """Return the bare JIDs that somebody may be known by who is called `wanted`: a phone number in any
    form, or a JID. Raises Usage."""
    if "@" in wanted:
        user = _person_jid(wanted)
        if is_lid(user):
            return (user,)
        wanted = f"+{recipient_of(user)}"
    try:
        phone = deployment.phone(wanted)
    except InvalidPhone as refusal:
        raise Usage(f"the number {refusal}: give a phone number, or a JID such as 1234@lid") from None
    spelled = (phone, *spellings_on_whatsapp(phone), same_person_key(phone))
    return tuple(dict.fromkeys(map(user_of, spelled)))


def recipients(deployment: Deployment, wanted: str) -> frozenset[str]:
    """The same as notifications name their recipients. Raises Usage."""
    return frozenset(recipient_of(name) for name in spellings(deployment, wanted))


@dataclass(frozen=True)
class People:
    """The people of one account of a deployment."""

    deployment: Deployment
    account: str

    @cached_property
    def keys(self) -> KeyStore:
        # What is damaged counts as absent here; the functions report it.
        return KeyStore(
            self.deployment.keys_table,
            self.deployment.sealer,
            self.account,
            on_damage=lambda damaged: None,
        )

    def spellings(self, wanted: str) -> tuple[str, ...]:
        """As the function of this name. Raises Usage."""
        return spellings(self.deployment, wanted)

    def find(self, wanted: str) -> Found:
        """Return who is meant, and which records are theirs. Raises Usage."""
        asked = self.spellings(wanted)
        person, whose = identify(self.deployment.stores.people, self.account, asked, self.keys.upkeep.names)
        return Found(asked, person, whose)

    @property
    def own_names(self) -> frozenset[str]:
        """The bare JIDs of the account itself; empty if it isn't linked."""
        try:
            profile = self.keys.account.profile()
        except (NoAccount, NotPaired):
            return frozenset()
        return frozenset(str(JID.parse(jid).chat) for jid in (profile.jid, profile.lid) if jid)

    def held(self, found: Found, now: int, output: Output) -> Held:
        """All that the notifications table holds of them. `now`: ms."""
        with output.progress("notifications looked at") as progress:
            return self.deployment.stores.belongings.of(found.whose, now, progress.at)

    def keys_held(self, found: Found, held: Held) -> KeysHeld:
        return self.keys.upkeep.held(found.whose.present, message_ids(held))

    def opt_out_kept(self, found: Found) -> OptOut | None:
        """The opt-out of somebody who was erased. Raises ConsoleError."""
        names = [*found.asked, *found.whose.present]
        with_rights = self.deployment.stores.people.forgotten
        try:
            return next(iter(with_rights.of(self.account, names).values()), None)
        except TextWithheld as refusal:
            raise needs_texts(refusal) from None


@dataclass(frozen=True)
class Found:
    """`asked`: what the operator typed, as bare JIDs in all spellings."""

    asked: tuple[str, ...]
    person: Person
    whose: Whose

    def shown(self, name: str) -> str:
        """A name for people: LIDs whole, because commands take them; numbers masked, but the one asked
        for."""
        if name in self.asked:
            return recipient_of(name)
        return name if is_lid(name) else masking.phone(recipient_of(name))

    @property
    def pointer(self) -> str | None:
        """The name asked for, if it only leads to the person."""
        return None if self.person.id in self.asked else self.asked[0]


def message_ids(held: Held) -> list[str]:
    """Of the notifications that are held: under these, files that they were sent are remembered."""
    given = [item.get("message_id") for item in held.notifications]
    return sorted({*(one for one in given if isinstance(one, str)), *map(message_id_of, held.ids)})


def needs_texts(refusal: TextWithheld) -> ConsoleError:
    return ConsoleError(
        f"whether somebody who was erased had opted out is sealed ({refusal.why}): it takes your right to "
        "the secret that the output TextsSecretArn names"
    )


def _person_jid(text: str) -> str:
    try:
        jid = JID.parse(text)
    except InvalidJid:
        raise Usage("not a valid JID: give one such as 1234@lid, or a phone number") from None
    if jid.server not in (LID, PN) or jid.device:
        raise Usage("give a person: a phone number, or a JID such as 1234@lid, without a device")
    return str(jid)


# -- show --------------------------------------------------------------------------------------------------


def show_person(
    people: People, wanted: str, *, output: Output, clock: Callable[[], float] = time.time
) -> None:
    """Print everything that is stored of a person. Raises NotFound if that is nothing, Usage."""
    found = people.find(wanted)
    held = people.held(found, from_seconds(clock()), output)
    keys, kept = people.keys_held(found, held), people.opt_out_kept(found)
    if not _anything(found, held, keys) and kept is None:
        raise NotFound(f"nothing is stored of {found.shown(found.asked[0])}")
    view = _Shown(people, found, held, keys, kept)
    output.record(view.to_json())
    for line in view.lines(clock()):
        output.say(line)


def _anything(found: Found, held: Held, keys: KeysHeld) -> bool:
    return bool(any(held.counts().values()) or any(keys) or found.person != Person.unknown(found.person.id))


@dataclass(frozen=True)
class _Shown:
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
    def wishes(self) -> list[tuple[int, str, str]]:
        """Of the replies that are kept, those that took consent back or gave it again: when (ms), which of
        both, and the message's id."""
        replies = (item for item in self.held.replies if item.get("consent"))
        found = [(item.get("received_at"), item.get("consent"), item.get("message_id")) for item in replies]
        return sorted((at, str(wish), str(message)) for at, wish, message in found if isinstance(at, int))

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
                {"at": json_moment(at), "wish": wish, "message": message} for at, wish, message in self.wishes
            ],
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

    def lines(self, now: float) -> Iterator[str]:
        yield f"person        {self.found.shown(self.found.person.id)}  (account {self.people.account})"
        if self.found.pointer:
            yield f"              {self.found.shown(self.found.pointer)} is another name of this person"
        yield from self._names()
        yield from self._consent()
        yield from self._history()
        yield from self._addresses()
        yield from self._sessions(now)
        yield from self._kept()

    def _names(self) -> Iterator[str]:
        for jid, name in sorted(self.found.person.names.items(), key=lambda one: one[1].at):
            source = SOURCES.get(Source(name.source), "") if name.source in set(Source) else name.source
            until = f"; somebody else's since {moment(name.until)}" if name.until is not None else ""
            yield f"name          {self.found.shown(jid)}  since {moment(name.at)}: {source}{until}"
        for former in sorted(self.found.person.formerly):
            yield f"filed before  under {self.found.shown(former)}"

    def _consent(self) -> Iterator[str]:
        person, kept = self.found.person, self.opt_out_kept
        if person.opted_out_at is not None:
            told = f"confirmed {moment(person.confirmed_at)}" if person.confirmed_at else "not confirmed yet"
            yield f"consent       opted out {moment(person.opted_out_at)} by '{person.opt_out_word}', {told}"
        elif kept is not None:
            yield f"consent       opted out {moment(kept.at)} by '{kept.word}', then erased: kept as a hash"
        else:
            yield "consent       no opt-out"
        for at, wish, message in self.wishes:
            yield f"              {moment(at)} they {WISHES.get(wish, wish)} (message {message})"

    def _history(self) -> Iterator[str]:
        person = self.found.person
        if person.heard_at is not None:
            yield f"first contact they wrote {moment(person.heard_at)}"
        if person.last_notification is not None:
            yield f"last reached  by notification {person.last_notification}"
        if person.must_write_first_at is not None:
            since = moment(person.must_write_first_at)
            refused = counted(len(person.refused), "notifications")
            yield f"must write    first, since {since}: {refused} to send then"
        yield f"recoveries    {person.recoveries} since the last receipt"
        for row in self.parked:
            yield f"waits         notification {row.notification}: {row.cause}, due {moment(row.due_at)}"

    def _addresses(self) -> Iterator[str]:
        for number, known in self.addresses:
            doubt = ", doubted since" if known.doubted else ""
            yield (
                f"number        {self.found.shown(number)} is {known.lid}: WhatsApp said so "
                f"{moment(from_seconds(known.at))}{doubt}"
            )
            if known.moved_to is not None:
                yield (
                    f"              now WhatsApp names {known.moved_to}: nothing is sent there until "
                    "'tocsin people confirm' (unless OnNumberMoved=send)"
                )

    def _sessions(self, now: float) -> Iterator[str]:
        if self.sessions is None:
            yield "sessions      none"
            return
        view = self.sessions
        used = f"last used {_ago(view.used_at, now)}" if view.used_at else "not used yet"
        yield f"sessions      next number {view.next}, {used}"
        for device in view.devices:
            heard = (
                f"last received from {_ago(device.heard_at, now)}"
                if device.heard_at
                else "nothing received from it yet"
            )
            ages = f"made {_ago(device.created, now)}, {heard}" if device.created else heard
            kept = f", {device.archived} archived" if device.archived else ""
            yield f"              device {device.device}: index {device.index}, {ages}{kept}"

    def _kept(self) -> Iterator[str]:
        until = self.held.kept_until()
        for kind, count in self.held.counts().items():
            end = f", the last one until {moment(from_seconds(until[kind]))}" if until.get(kind) else ""
            yield f"kept          {counted(count, kind.replace('_', ' '))}{end}"
        if self.held.unreadable:
            yield f"unreadable    {counted(len(self.held.unreadable), 'records')}, of whomever"
        kinds = ", ".join(counted(count, kind) for kind, count in self.keys._asdict().items() if count)
        yield f"keys table    {kinds or 'nothing'}"


def _ago(at: int, now: float) -> str:
    return f"{how_long(max(now - at, 0))} ago"


# -- confirm -----------------------------------------------------------------------------------------------


def confirm_number(
    people: People, wanted: str, *, output: Output, yes: bool, clock: Callable[[], float] = time.time
) -> None:
    """Confirm that what is for a number may go to who has it now. Whoever was cut off does it again: each
    step is taken once. Raises NotFound if there is nothing to confirm, Usage."""
    names = people.spellings(wanted)
    if is_lid(names[0]):
        raise Usage("give the phone number that went to somebody else, not a LID")
    addresses = {name: people.keys.contacts.known(name) for name in names}
    number, known = next(((name, found) for name, found in addresses.items() if found), (names[0], None))
    rows = _held_for(people, names)
    if known is None or (known.moved_to is None and not rows):
        raise NotFound(
            f"there is nothing to confirm: WhatsApp names nobody else for {recipient_of(names[0])}"
        )
    before, lid = known.lid, known.moved_to or known.lid
    confirm(lambda: _confirming(recipient_of(number), known, len(rows)), yes=yes, output=output)
    at = from_seconds(clock())
    # WhatsApp's digits may be others than the ticket's, and went over with them.
    for name in (number, *(one for one, found in addresses.items() if found and found.moved_to == lid)):
        people.keys.contacts.learn(name, lid)
        _join(people, name, lid, at)
    released = sum(people.deployment.stores.parking.release(row, at) for row in rows)
    note(people.deployment, "confirmed to whom a number belongs now", clock=clock)
    output.record(
        {"number": recipient_of(number), "was": masked(before), "is": masked(lid), "released": released}
    )
    output.say(
        f"{recipient_of(number)} is {masked(lid)} from now on; {released} waiting notifications go out with "
        "the next minute"
    )


def _confirming(number: str, known: KnownAddress, rows: int) -> str:
    lid = masked(known.moved_to or known.lid)
    before = f"was known as {masked(known.lid)}" if known.moved_to else "was confirmed before"
    return (
        f"the number {number} {before}; WhatsApp named {lid} for it {moment(from_seconds(known.at))}. What "
        f"is for the number, {rows} waiting notifications included, will go to {lid}"
    )


def _join(people: People, number: str, lid: str, at: int) -> None:
    """The number leads to the new person, and takes nothing of the old one's along."""
    try:
        people.deployment.stores.people.join(people.account, number, lid, [Name(number, Source.OPERATOR, at)])
    except TextWithheld as refusal:
        raise needs_texts(refusal) from None


def _held_for(people: People, names: tuple[str, ...]) -> list[WaitingRow]:
    """What is parked because this number went to somebody else."""
    same = {same_person_key(recipient_of(name)) for name in names}
    rows = people.deployment.stores.parking.waiting(people.account)
    return [row for row in rows if row.cause == NUMBER_MOVED and same_person_key(row.recipient) in same]
