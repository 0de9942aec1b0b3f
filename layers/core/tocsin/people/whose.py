"""Which stored records are one person's: by the names that are theirs, and the time in which they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.writes import Item
from tocsin.people.people import People
from tocsin.people.person import Person, joined
from tocsin.tables.names import is_group, is_lid, user_of


@dataclass(frozen=True)
class Whose:
    """One person of one account. `names`: the bare JIDs under which records of theirs may lie. `lost`: those
    that went to somebody else, and when (ms): what is younger than that isn't theirs."""

    account: str
    id: str
    names: frozenset[str]
    lost: Mapping[str, int]

    @classmethod
    def of(cls, account: str, person: Person, told: Iterable[str] = ()) -> Whose:
        """`told`: names of theirs that WhatsApp told, which the record may not hold."""
        lost = {name.jid: name.until for name in person.names.values() if name.until is not None}
        return cls(account, person.id, frozenset({*person.ids, *person.names, *told}), lost)

    @property
    def present(self) -> frozenset[str]:
        """The names that are nobody else's."""
        return self.names - self.lost.keys()

    def owns(self, name: str, at: int) -> bool:
        """Whether a record under a name, about the moment `at` (ms), is theirs."""
        return name in self.names and at < self.lost.get(name, at + 1)

    def owns_notification(self, item: Item) -> bool:
        """Whether a notification, as it is stored, is to them. Who it went to decides, not for whom it was
        planned; of one that was erased before, what a send or a receipt added since."""
        values: Mapping[str, Any] = item
        if values["account"] != self.account or is_group(values["recipient"]):
            return False
        if not values["recipient"]:
            return any(name in self.present for name in _traces(values))
        lid = values.get("recipient_lid")
        name = lid or values.get("person") or user_of(values["recipient"])
        return self.owns(name, values["created_at"])

    def owns_recovery(self, item: Item) -> bool:
        """Whether a recovery, as it is stored, is about a message to them or of theirs."""
        values: Mapping[str, Any] = item
        at = values.get("first_at", 0)
        return any(self.owns(name, at) for name in (values.get("user", ""), bare(values.get("device", ""))))


def identify(
    people: People, account: str, spellings: Iterable[str], told: Callable[[str], frozenset[str]]
) -> tuple[Person, Whose]:
    """Return who is meant by a name (a bare JID, in all its `spellings`, the usual one first), and which
    records are theirs. Nothing is changed.

    `told(name)`: all names of the same person that WhatsApp told, as it is kept sealed. That decides where it
    disagrees with a record; what lies under two names that no join has reached is put together. A name that
    leads to another person is left to that one.
    """
    written = list(spellings)
    names = {*written, *(name for one in written for name in told(one))}
    first = next((one for one in sorted(names) if is_lid(one)), None)
    first = first or next((one for one in written if people.is_known(account, one)), written[0])
    person = people.find(account, first)
    theirs = {person.id}
    for other in sorted((names | told(person.id)) - {person.id}):
        if is_lid(other) and is_lid(person.id):
            continue
        found = people.find(account, other)
        if found.id not in (other, person.id):
            continue
        theirs.add(other)
        if found.id == other != person.id and found != Person.unknown(other):
            person = joined(person, found)
    return person, Whose.of(account, person, theirs)


def bare(jid: str) -> str:
    """The user of a device's full JID."""
    user, at, server = jid.partition("@")
    return user.partition(":")[0] + at + server


def _traces(values: Mapping[str, Any]) -> Iterable[str]:
    """Who got copies of a notification and who gave receipts, as far as its record tells."""
    for attempt in values.get("attempts", ()):
        yield from attempt.get("numbers", {})
        yield from map(bare, attempt.get("copies", {}))
    yield from map(bare, values.get("recoveries", {}))
    for receipt in values.get("receipts", {}):
        yield bare(receipt.partition(" ")[0])
