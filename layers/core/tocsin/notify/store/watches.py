"""Which sent notifications got no receipt in time.

    sent ──▶ the index `watch` holds it, by when its receipt is due, in one of a few partitions
              each minute: what became due since the last look is read, once

An entry is written with the record that a message was sent, and stays: to take it away with the receipt would
cost as much as to write it. So each look begins where the last one ended. What is due was written at least a
minute ago, so the index, which lags by moments, shows it.

Release 0.1.0 kept one partition for each account, and took entries away with the receipt. Those are still
read, and taken away where they are found, until none is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from tocsin.dynamo.table import BATCH_GET_LIMIT, ConditionFailed
from tocsin.dynamo.writes import Equals, Item, Update
from tocsin.notify.notification import State
from tocsin.notify.store.table import NotificationsTable
from tocsin.tables.notifications import WATCH, notification_of, watch_parts, watch_progress_key


class Watches:
    """The index `watch`, as far as notifications go."""

    def __init__(self, table: NotificationsTable) -> None:
        self._table = table

    def overdue(
        self, account: str, now: int, *, may_go_on: Callable[[], bool] = lambda: True
    ) -> Iterator[str]:
        """Ids of notifications that are sent, whose deadline (ms) is past, and of whom no receipt came, each
        part by deadline. `may_go_on`: asked before each page; what is left is found by the next look.

        A page counts as looked through when the next one is asked for. Ask for all that there is.
        """
        yield from self._of_earlier_release(account, now, may_go_on)
        progress = self._table.get(watch_progress_key(account)) or {}
        for part in watch_parts(account):
            looked = progress.get(part, 0)
            yield from self._in_part(account, part, looked if isinstance(looked, int) else 0, now, may_go_on)

    def _in_part(
        self, account: str, part: str, after: int, now: int, may_go_on: Callable[[], bool]
    ) -> Iterator[str]:
        due = self._table.numbered(WATCH, part, after, now)
        until = None
        while may_go_on():
            page = list(islice(due, BATCH_GET_LIMIT))
            yield from self._unreceived([key for _, key in page])
            if len(page) < BATCH_GET_LIMIT:
                # Nothing was due: that costs less to find again than to write down.
                until = now if page or until is not None else None
                break
            # Others may be due in the very moment in which this page ends.
            until = page[-1][0] - 1
        if until is not None:
            self._table.update(Update(watch_progress_key(account), set={part: until}))

    def _of_earlier_release(self, account: str, now: int, may_go_on: Callable[[], bool]) -> Iterator[str]:
        keys = self._table.indexed(WATCH, account, at_most=now, limit=BATCH_GET_LIMIT) if may_go_on() else []
        yield from self._unreceived(keys)
        for key in keys:
            try:
                gone = Update(key, remove=("watching", "watch_due"), when=(Equals("watching", account),))
                self._table.update(gone)
            except ConditionFailed:
                continue

    def _unreceived(self, keys: list[tuple[str, str]]) -> Iterator[str]:
        found = self._table.get_many(keys) if keys else {}
        for key in keys:
            item: Item = found.get(key, {})
            name = notification_of(key)
            if name and item.get("state") == State.SENT and "overdue_at" not in item:
                yield name
