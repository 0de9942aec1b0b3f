"""What the table holds, the newest first: by time out of the index `watch`, and what waits in its line.

The first look reads what a page shows and no more; each step reads the next page of each source. A record
that can't be read is counted and left out: one broken record hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from heapq import nlargest
from itertools import islice
from typing import Final, NamedTuple

from tocsin.dynamo.table import IndexedTable
from tocsin.dynamo.writes import Item, Key
from tocsin.notify.malformed import MALFORMED
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import (
    WATCH,
    WATCH_ENDED,
    notification_key,
    notification_of,
    watch_parts,
)
from tocsin_console.feed.line import Line, line_of

PAGE: Final = 100
FIRST: Final = 51
"""What a page shows of the feed, and one more, which tells that there are older ones."""

_MOST_WAITING: Final = 5_000
_LATEST: Final = 2**53
_BESIDE: Final = 4


class First(NamedTuple):
    """`lines`: of what was sent and what ended; `whole`: nothing else did. `waits`: of what waits, and
    `waiting` the following pages of these."""

    lines: list[Line]
    waits: list[Line]
    waiting: Iterator[list[Line]]
    whole: bool


class History:
    """`table`: read without waiting for the last write, for half the price. `accounts`: asks which there
    are."""

    def __init__(
        self,
        table: IndexedTable,
        stores: Stores,
        accounts: Callable[[], Sequence[str]],
        read: ThreadPoolExecutor,
    ) -> None:
        self._table = table
        self._stores = stores
        self._accounts = accounts
        self._threads = read
        self.unreadable = 0

    def sources(self) -> dict[str, int]:
        """The partitions that are read, each from its newest."""
        # Release 0.1.0 had one partition for each account.
        parts = [part for account in self._accounts() for part in (*watch_parts(account), account)]
        return dict.fromkeys([*parts, WATCH_ENDED], _LATEST)

    def first(self) -> First:
        """The newest of what was sent, of what ended and of what waits, as many of each as a page shows. Of
        each source this reads one page of keys, and the records in three requests, however many there are."""
        waiting = self.waiting(FIRST)
        waits: Future[list[Line]] = self._threads.submit(lambda: next(waiting, []))
        sources = self.sources()
        pages = dict(zip(sources, self._pages(sources, FIRST), strict=True))
        # What was sent stands there by when its receipt is due, what ended by when it did: two orders.
        ended = pages.pop(WATCH_ENDED)
        sent = [one for page in pages.values() for one in page]
        keys = dict.fromkeys(key for kind in (sent, ended) for _, key in nlargest(FIRST, kind))
        whole = len(sent) < FIRST and len(ended) < FIRST
        return First(self.read(keys), waits.result(), waiting, whole)

    def step(self, places: dict[str, int], most: int = PAGE) -> tuple[list[Line], dict[str, int]]:
        """The next page of each source, of at most so many, and where they go on; sources that are at their
        end are gone."""
        keys: dict[Key, None] = {}
        following = {}
        for source, page in zip(places, self._pages(places, most), strict=True):
            keys |= dict.fromkeys(key for _, key in page)
            if len(page) == most:
                # Others may stand at the very moment at which this page ends: they come once more.
                last, first = page[-1][0], page[0][0]
                following[source] = last + 1 if last < first else last
        return self.read(keys), following

    def _pages(self, places: Mapping[str, int], most: int) -> Iterable[list[tuple[int, Key]]]:
        return self._threads.map(
            lambda at: self._table.newest(WATCH, at[0], at[1], most), list(places.items())
        )

    def waiting(self, first: int = PAGE) -> Iterator[list[Line]]:
        """What waits, page by page, of each account. `first`: how many the first page has."""
        most = first
        for account in self._accounts():
            rows = islice(self._stores.parking.waiting(account), _MOST_WAITING)
            while page := [notification_key(row.notification) for row in islice(rows, most)]:
                most = PAGE
                yield self.read(page)

    def read(self, keys: Iterable[Key]) -> list[Line]:
        """The lines of the notifications among these keys that still exist."""
        wanted = [key for key in keys if notification_of(key)]
        pages = [wanted[start : start + PAGE] for start in range(0, len(wanted), PAGE)]
        found = self._threads.map(self._table.get_many, pages)
        return [line for items in found for item in items.values() if (line := self.line(item)) is not None]

    def line(self, item: Item) -> Line | None:
        """The line of an item; None for one that can't be read."""
        try:
            return line_of(self._stores.notifications.open(item))
        except MALFORMED:
            self.unreadable += 1
            return None
