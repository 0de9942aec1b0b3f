"""To forget a person: their words, their numbers, and that they ever were told anything.

    keep the opt-out, hashed ─ end what waits ─ erase notifications ─ delete the rest ─ (their keys) ─▶ the
    record

The record is the last, so that whoever is cut off finds the person again and goes on. What stays is named in
`notify/PRIVACY.md`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tocsin.notify.failure import Permanent
from tocsin.notify.notification import Problem, State
from tocsin.notify.store.belongings import Held
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.transition import NotificationMissing
from tocsin.people.forgotten import OptOut
from tocsin.people.person import Person
from tocsin.people.whose import Whose

FORGOTTEN = "forgotten"
"""The code of what was ended because its recipient was erased."""


@dataclass(frozen=True)
class Erased:
    """`hashes`: of names whose opt-out is kept. `ended`: notifications that still waited. `in_flight`: those
    that lay in the queue, so that a send may add to what was erased. `left`: those that could not be erased,
    since nobody can tell whether they ended."""

    hashes: int = 0
    ended: int = 0
    in_flight: int = 0
    left: int = 0


class Forgetting:
    """Erases people from the notifications table. `at`: ms."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def forget(self, whose: Whose, person: Person, held: Held, at: int) -> Erased:
        """Erase all but the names, which `forget_names` does when their keys are gone. Raises TextWithheld
        where an opt-out must be kept and its key can't be had: then nothing was done."""
        hashes = self._keep_opt_out(whose, person)
        in_flight = sum(item["state"] == State.PLANNED for item in held.unended)
        self._end(whose, held, at)
        belongings = self._stores.belongings
        left = sum(not belongings.erase_notification(notification_id, at) for notification_id in held.ids)
        belongings.erase(held)
        return Erased(hashes, len(held.unended), in_flight, left)

    def forget_names(self, whose: Whose, erased: Erased) -> int:
        """Delete the record and every name that leads to it; how many there were. Raises
        OptedOutMeanwhile."""
        return self._stores.belongings.erase_names(whose, opt_out_kept=erased.hashes > 0)

    def _keep_opt_out(self, whose: Whose, person: Person) -> int:
        if person.opted_out_at is None:
            return 0
        opt_out = OptOut(person.opted_out_at, person.opt_out_word, person.confirmed_at)
        return self._stores.people.forgotten.keep(whose.account, whose.present, opt_out)

    def _end(self, whose: Whose, held: Held, at: int) -> None:
        """Suppress what waits or lies in the queue: nothing more is sent to them. Then its rows go."""
        problem = Problem(FORGOTTEN, Permanent.kind, "the recipient was erased")
        for notification_id in Held(held.unended).ids:
            with suppress(NotificationMissing):  # its time to live took it
                self._stores.notifications.suppress(notification_id, problem, at)
        theirs = set(held.ids)
        for row in list(self._stores.parking.waiting(whose.account)):
            if row.notification in theirs:
                self._stores.parking.drop_waiting(row)
