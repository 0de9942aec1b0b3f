"""What the notifications table holds of one person, for the operator: found in one walk, and erased.

Replies, threads and changes of identity lie in partitions of the person's names. A notification lies under
its own id, and no index leads from a person to theirs: all are looked at, page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tocsin.dynamo.attributes import key_of
from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Absent, Delete, Equals, Item, Key, OneOf, Update
from tocsin.notify.malformed import MALFORMED
from tocsin.notify.notification import State
from tocsin.notify.store.table import NotificationsTable
from tocsin.notify.store.texts import SEALED
from tocsin.notify.store.transition import OF_A_WAIT, untold
from tocsin.people.person import pointer_of
from tocsin.people.whose import Whose
from tocsin.tables.notifications import (
    identity_changes_pk,
    notification_key,
    notification_of,
    person_key,
    recoveries_pk,
    reply_key,
    thread_key,
)

_MS_PER_DAY = 86_400_000
_NOTIFICATIONS_PREFIX, STATE = notification_key("")
_MIN_DAYS_OF_RECOVERIES = 90
"""Versions before the parameter for it kept recoveries so long."""

UNENDED = (State.PLANNED, State.WAITING)

_WORDS = (
    SEALED,
    # Records from before texts were sealed, and from before contents had kinds.
    *("content", "recipient_name", "refused_address"),
    *("text", "quote", "preview", "attachment", "edits", "reacts_to", "reacts_to_author"),
)
_WHO = ("recipient_lid", "person", "lane", "last_error", "watching", "watch_due", *OF_A_WAIT)
# What still waits, or lies in the queue, is ended first.
ENDED = (OneOf("state", tuple(state for state in State if state not in UNENDED)),)

# They didn't opt out since their record was read, or that would be lost.
OPT_OUT_UNSAID = (Absent("opted_out_at"),)

LookedAt = Callable[[int], None]
"""Hears after each page how many records were looked at so far."""


class OptedOutMeanwhile(Exception):
    """They opted out while they were erased. Erase them again: then the opt-out is kept."""


@dataclass(frozen=True)
class Held:
    """The items of one person, as they are stored. `counters`: of recoveries and questions in an hour.
    `unreadable`: keys of records that have another form than Tocsin writes: nobody can tell whose they are.
    """

    notifications: list[Item] = field(default_factory=list)
    replies: list[Item] = field(default_factory=list)
    threads: list[Item] = field(default_factory=list)
    identity_changes: list[Item] = field(default_factory=list)
    recoveries: list[Item] = field(default_factory=list)
    counters: list[Item] = field(default_factory=list)
    unreadable: list[Key] = field(default_factory=list)

    @property
    def told(self) -> dict[str, list[Item]]:
        """By kind, what a person would call theirs."""
        return {kind: items for kind, items in vars(self).items() if kind not in ("counters", "unreadable")}

    @property
    def ids(self) -> list[str]:
        """Of the notifications."""
        return [id_ for item in self.notifications if (id_ := notification_of(key_of(item)))]

    @property
    def unended(self) -> list[Item]:
        """The notifications that still may be sent."""
        return [item for item in self.notifications if item.get("state") in UNENDED]

    def counts(self) -> dict[str, int]:
        return {kind: len(items) for kind, items in self.told.items()}

    def kept_until(self) -> dict[str, int]:
        """By kind, when the last one's time to live is over (seconds)."""
        ends = {kind: [item.get("expire_at") for item in items] for kind, items in self.told.items()}
        known = {kind: [end for end in found if isinstance(end, int)] for kind, found in ends.items()}
        return {kind: max(found) for kind, found in known.items() if found}


class Belongings:
    """The items of the notifications table that belong to people."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def of(self, whose: Whose, now: int, looked_at: LookedAt = lambda count: None) -> Held:
        """All that is held of a person. `now`: ms. Reads every notification in the table."""
        account, odd = whose.account, _Odd()
        return Held(
            list(filter(odd.sparing(whose.owns_notification), self._notifications(looked_at))),
            list(self._under_names(whose, lambda name: reply_key(account, name)[0], "received_at")),
            list(self._under_names(whose, lambda name: thread_key(account, name, "")[0], "last_at")),
            list(self._under_names(whose, lambda name: identity_changes_pk(account, name), "changed_at")),
            list(filter(odd.sparing(whose.owns_recovery), self._recoveries(account, now))),
            list(self._counters(whose)),
            odd.keys,
        )

    def _notifications(self, looked_at: LookedAt) -> Iterator[Item]:
        after: Key | None = None
        count = 0
        while True:
            page = self._table.table.scan(after, prefix=_NOTIFICATIONS_PREFIX, sk=STATE)
            yield from page.items
            count += len(page.items)
            looked_at(count)
            after = page.following
            if after is None:
                return

    def _under_names(self, whose: Whose, pk: Callable[[str], str], moment: str) -> Iterator[Item]:
        for name in sorted(whose.names):
            for item in self._table.walk(pk(name)):
                at = item.get(moment)
                if whose.owns(name, at if isinstance(at, int) else 0):
                    yield item

    def _recoveries(self, account: str, now: int) -> Iterator[Item]:
        for back in range(max(self._table.retention_days, _MIN_DAYS_OF_RECOVERIES) + 1):
            yield from self._table.walk(recoveries_pk(account, now - back * _MS_PER_DAY))

    def _counters(self, whose: Whose) -> Iterator[Item]:
        for name in sorted(whose.present):
            record = person_key(whose.account, name)
            yield from (item for item in self._table.walk(record[0]) if item["sk"] != record[1])

    # -- erasing -------------------------------------------------------------------------------------------

    def erase_notification(self, notification_id: str, at: int) -> bool:
        """Leave of a notification that there was one about its ticket, and what became of it. It stays, so
        that its event, come again, tells nobody once more. Return whether nothing else is left of it: one
        that isn't ended stays."""
        blank: Mapping[str, Any] = {
            "recipient": "",
            "attempts": [],
            "receipts": {},
            "recoveries": {},
            "erased_at": at,
        }
        update = Update(notification_key(notification_id), set=blank, remove=(*_WORDS, *_WHO), when=ENDED)
        try:
            self._table.update(untold(update))
        except ConditionFailed as refused:
            return refused.item is None  # its time to live took it
        return True

    def erase(self, held: Held) -> None:
        """Delete all but the notifications."""
        for items in (held.replies, held.threads, held.identity_changes, held.recoveries, held.counters):
            for item in items:
                self._table.delete(Delete(key_of(item)))

    def erase_names(self, whose: Whose, *, opt_out_kept: bool) -> int:
        """Delete the person's record, and before that every name that leads to it; how many there were. The
        record is last: whoever is cut off before finds the person again. Raises OptedOutMeanwhile."""
        when = () if opt_out_kept else OPT_OUT_UNSAID
        keys = [person_key(whose.account, name) for name in sorted(whose.present - {whose.id})]
        found = self._table.get_many(keys) if keys else {}
        pointers = {key: whose_it_is for key, item in found.items() if (whose_it_is := pointer_of(item))}
        leading_here = [key for key, id_ in pointers.items() if id_ == whose.id]
        # A record of its own under such a name is one that no join has reached yet.
        own = [key for key in found if key not in pointers]
        for key in leading_here:
            with suppress(ConditionFailed):  # it went over to somebody else meanwhile
                self._table.delete(Delete(key, when=(Equals("person", whose.id),)))
        record = person_key(whose.account, whose.id)
        records = [*own, *([record] if self._table.get(record) is not None else [])]
        for key in records:
            try:
                self._table.delete(Delete(key, when=when))
            except ConditionFailed as refused:
                if refused.item is not None:
                    raise OptedOutMeanwhile(whose.account) from None
        return len(leading_here) + len(records)


class _Odd:
    """Keeps the keys of records that can't be judged, so that one of them spoils nothing."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def sparing(self, is_theirs: Callable[[Item], bool]) -> Callable[[Item], bool]:
        def spared(item: Item) -> bool:
            try:
                return is_theirs(item)
            except MALFORMED:
                self.keys.append(key_of(item))
                return False

        return spared
