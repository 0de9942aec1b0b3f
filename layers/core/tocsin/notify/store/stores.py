"""All small stores of the notifications table, and the one read of a send."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tocsin.dynamo.table import BATCH_GET_LIMIT, IndexedTable, Table
from tocsin.dynamo.writes import Item, Key
from tocsin.notify.config import RETENTION_DAYS
from tocsin.notify.notification import Notification
from tocsin.notify.store.codec import notification_of_item
from tocsin.notify.store.notifications import Notifications
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import Texts
from tocsin.people.forgotten import Forgotten
from tocsin.people.people import People
from tocsin.people.person import Person
from tocsin.tables.keys import address_key
from tocsin.tables.names import is_lid
from tocsin.tables.notifications import notification_key, person_key

if TYPE_CHECKING:
    from tocsin.notify.store.audit import Audit
    from tocsin.notify.store.belongings import Belongings
    from tocsin.notify.store.hours import Hours
    from tocsin.notify.store.identity_changes import IdentityChanges
    from tocsin.notify.store.ids import Ids
    from tocsin.notify.store.own_texts import OwnTextsStore
    from tocsin.notify.store.parking import Parking
    from tocsin.notify.store.recoveries import Recoveries
    from tocsin.notify.store.replies import Replies
    from tocsin.notify.store.self_tests import SelfTests
    from tocsin.notify.store.sensitive import SensitiveWords
    from tocsin.notify.store.threads import Threads
    from tocsin.notify.store.watches import Watches


@dataclass(frozen=True)
class SendView:
    """All that a send has to know before it reserves, from one read."""

    notification: Notification | None
    person: Person
    address: Mapping[str, Any] | None


class Stores:
    """The stores over one notifications table. What a plain send doesn't need is imported when it is used.

    `keys`: the keys table, of which a send reads the recipient's address, and the planner which texts are the
    last ones. `texts`: what seals what people
    wrote; without it texts stay locked, and no notification can be put. `clock`: seconds since the epoch;
    `random(n)`: n random bytes.
    """

    def __init__(
        self,
        table: IndexedTable,
        keys: Table | None = None,
        *,
        texts: Texts | None = None,
        retention_days: int = RETENTION_DAYS,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._keys = keys
        self._clock = clock
        self._random = random
        self._patient = NotificationsTable(
            table, texts or Texts(), retention_days, random=random, sleep=sleep
        )
        self.notifications = Notifications(self._patient)
        self.people = People(self._patient, Forgotten(self._patient, self._patient.texts, random))

    @cached_property
    def audit(self) -> Audit:
        from tocsin.notify.store.audit import Audit

        return Audit(self._patient, random=self._random)

    @cached_property
    def hours(self) -> Hours:
        from tocsin.notify.store.hours import Hours

        return Hours(self._patient)

    @cached_property
    def own_texts(self) -> OwnTextsStore:
        from tocsin.notify.store.own_texts import OwnTextsStore
        from tocsin.versions import texts_versions

        if self._keys is None:
            raise TypeError("which texts are the last ones, the keys table knows: open the stores with it")
        return OwnTextsStore(self._patient, texts_versions(self._keys))

    @cached_property
    def identity_changes(self) -> IdentityChanges:
        from tocsin.notify.store.identity_changes import IdentityChanges

        return IdentityChanges(self._patient)

    @cached_property
    def belongings(self) -> Belongings:
        from tocsin.notify.store.belongings import Belongings

        return Belongings(self._patient)

    @cached_property
    def ids(self) -> Ids:
        from tocsin.notify.store.ids import Ids

        return Ids(self._patient, clock=self._clock, random=self._random)

    @cached_property
    def parking(self) -> Parking:
        from tocsin.notify.store.parking import Parking

        return Parking(self._patient, self.people, clock=self._clock)

    @cached_property
    def replies(self) -> Replies:
        from tocsin.notify.store.replies import Replies

        return Replies(self._patient)

    @cached_property
    def self_tests(self) -> SelfTests:
        from tocsin.notify.store.self_tests import SelfTests

        return SelfTests(self._patient)

    @cached_property
    def sensitive(self) -> SensitiveWords:
        from tocsin.notify.store.sensitive import SensitiveWords

        return SensitiveWords(self._patient, self.notifications)

    @property
    def texts(self) -> Texts:
        """What seals and opens what people wrote."""
        return self._patient.texts

    @cached_property
    def threads(self) -> Threads:
        from tocsin.notify.store.threads import Threads

        return Threads(self._patient, self.people)

    @cached_property
    def watches(self) -> Watches:
        from tocsin.notify.store.watches import Watches

        return Watches(self._patient)

    @cached_property
    def recoveries(self) -> Recoveries:
        from tocsin.notify.store.recoveries import Recoveries

        return Recoveries(self._patient)

    def batch_get_for_receipts(
        self, notification_ids: Collection[str], addresses: Collection[Key]
    ) -> tuple[dict[str, Item], dict[Key, Item]]:
        """The items of notifications, by id, and items of the keys table: as many requests as there are
        hundreds. Raises Contention."""
        wanted = [(True, notification_key(one)) for one in notification_ids]
        wanted += [(False, place) for place in addresses] if self._keys is not None else []
        items: dict[Key, Item] = {}
        known: dict[Key, Item] = {}
        for start in range(0, len(wanted), BATCH_GET_LIMIT):
            part = wanted[start : start + BATCH_GET_LIMIT]
            ours = [key for is_ours, key in part if is_ours]
            others = [key for is_ours, key in part if not is_ours]
            if others and self._keys is not None:
                found, beside = self._table.get_beside(ours, self._keys, others)
                items |= found
                known |= beside
            else:
                items |= self._table.get_many(ours)
        return {one: items[key] for one in notification_ids if (key := notification_key(one)) in items}, known

    def batch_get_for_send(
        self, notification_id: str, account: str, person: str, recipient: str, *, address: bool = True
    ) -> SendView:
        """The notification, the person that it is for and, if asked for, what is known of the recipient's
        address in the keys table: one strongly consistent request, and one more if the person goes by another
        name by now. `person`, `recipient`: bare JIDs. Raises Contention."""
        notification, record = notification_key(notification_id), person_key(account, person)
        place = address_key(account, recipient)
        if address and self._keys is not None:
            found, addresses = self._table.get_beside([notification, record], self._keys, [place])
        else:
            found, addresses = self._table.get_many([notification, record]), {}
        state, known = found.get(notification), addresses.get(place)
        whose = self.people.follow(account, person, found.get(record))
        if is_lid(whose.id) and whose == Person.unknown(whose.id):
            # They were erased since it was planned: then nobody looked whether they had opted out.
            whose = self.people.recalled(account, whose.id)
        return SendView(
            notification_of_item(state, self._patient.texts) if state is not None else None,
            whose,
            None if known is None else {name: known[name] for name in known if name not in ("pk", "sk")},
        )
