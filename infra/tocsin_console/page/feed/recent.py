"""All lines that are known, in order of time, and no more than fit."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import islice
from operator import itemgetter
from typing import Final

from tocsin_console.feed.line import Line

MOST: Final = 100_000
MOST_SOURCES: Final = 50


class Recent:
    """Lines by id, and their order. Threads may read while another adds."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lines: dict[str, Line] = {}
        self._order: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        self._sources: set[str] = set()

    @property
    def sources(self) -> list[str]:
        """Whose events there were, no more than fit into a choice."""
        with self._lock:
            return sorted(self._sources)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        return len(self._lines) >= self._most

    def get(self, identity: str) -> Line | None:
        return self._lines.get(identity)

    def put(self, lines: Iterable[Line]) -> None:
        """Add lines, or what is known of them now. When there is no room, the oldest goes."""
        with self._lock:
            before = len(self._order)
            for line in lines:
                if line.id not in self._lines:
                    self._order.append(line.place)
                self._lines[line.id] = line
                if line.source and len(self._sources) < MOST_SOURCES:
                    self._sources.add(line.source)
            if len(self._order) > before:
                # Mostly in order already: this costs little beside putting each in its place.
                self._order.sort()
            for _, identity in self._order[: max(len(self._order) - self._most, 0)]:
                self._lines.pop(identity, None)
            del self._order[: max(len(self._order) - self._most, 0)]

    def newest(
        self,
        wanted: Callable[[Line], bool],
        most: int,
        *,
        before: tuple[int, str] | None = None,
        since: int = 0,
    ) -> list[Line]:
        """Those that are wanted, the newest first. `before`: only what is older than this place; `since`
        (ms): only what isn't older."""
        with self._lock:
            begin = bisect_left(self._order, (since, "")) if since else 0
            end = len(self._order) if before is None else bisect_left(self._order, before)
            places = islice(reversed(self._order), len(self._order) - end, len(self._order) - begin)
            lines = map(self._lines.__getitem__, map(_identity, places))
            return list(islice(filter(wanted, lines), most))


_identity = itemgetter(1)
