"""`tocsin people`: who somebody is, what is kept of them, and whose a number is that went to somebody else.

Numbers are masked, but the one that the operator typed. No byte of a key and no word of a text is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tocsin.keys.addresses import KnownAddress
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.keys.forgetting import KeysHeld
from tocsin.keys.store import KeyStore
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
from tocsin_console.output import Output, moment


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
