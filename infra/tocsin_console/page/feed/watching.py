"""Who watches the feed: while somebody does, one request a second; while nobody does, none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tocsin.dynamo.writes import Key
from tocsin.tables.notifications import notification_key
from tocsin_console.feed.history import History
from tocsin_console.feed.line import Line
from tocsin_console.feed.stream import Behind, Stream
from tocsin_console.page.feed.recent import Recent

EACH_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 10.0
"""After an error: the other pages say it as well, so there is no hurry."""

PATIENCE_SECONDS: Final = 0.3
"""How long a page waits for the newest before it shows what is known."""

_FRESH_SECONDS: Final = 5.0
_LARGE_PAGE: Final = 1_000
_REREAD: Final = 100
_QUEUED: Final = 1_000

Told = tuple[str, Line | str]
"""What a listener gets: `line` and a line; `trouble` and words (empty: it passed); `over`, and no more."""


class Listener:
    """Somebody who watches, on the loop of the server. What they can't keep up with is left out."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.news: asyncio.Queue[Told] = asyncio.Queue(_QUEUED)

    def tell(self, told: Told) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._put, told)

    def _put(self, told: Told) -> None:
        if not self.news.full():
            self.news.put_nowait(told)


class Watching:
    """The feed of one deployment. `trouble`: what keeps the stream away; `unread`: what kept the table
    away. `words`: an error as the operator reads it. `clock`: seconds, of any
    beginning."""

    def __init__(
        self,
        history: History,
        stream: Stream,
        recent: Recent,
        words: Callable[[Exception], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._stream = stream
        self._words = words
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._woken = threading.Condition()
        self._looked_at = 0.0
        self._refreshed_at: float | None = None
        self._refreshing = threading.Lock()
        self._newest = threading.Event()
        self._grown = threading.Condition()
        self._places: dict[str, int] = {}
        self._waiting: Iterator[list[Line]] = iter(())
        self._loading: threading.Thread | None = None
        self._following: threading.Thread | None = None
        self._closed = False
        self.recent = recent
        self.complete = False
        self.trouble = ""
        self.unread = ""

    # -- pages ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Somebody opens the feed: the newest are read, and older ones on and on while they look. Waits for
        the
        newest no longer than a page may take; what is known then is shown."""
        self._looked_at = self._clock()
        with self._woken:
            stale = self._stale
            busy = self._loading is not None and self._loading.is_alive()
            if not busy and (stale or not self.complete):
                if stale:
                    self._newest.clear()
                self._loading = threading.Thread(target=self._load, args=(stale,), daemon=True)
                self._loading.start()
        self._newest.wait(PATIENCE_SECONDS)

    def more(self, enough: Callable[[], bool]) -> None:
        """Wait until enough is known, or all; no longer than a page may take."""
        with self._grown:
            self._grown.wait_for(lambda: enough() or self.complete or bool(self.unread), PATIENCE_SECONDS)

    @property
    def begun(self) -> bool:
        """Whether the newest were read once."""
        return self._refreshed_at is not None

    @contextmanager
    def listener(self, loop: asyncio.AbstractEventLoop) -> Iterator[Listener]:
        """Follow what changes, for as long as this is open."""
        one = Listener(loop)
        with self._woken:
            self._listeners.add(one)
            if self._following is None or not self._following.is_alive():
                self._following = threading.Thread(target=self._follow, daemon=True)
                self._following.start()
        try:
            if self.trouble:
                one.tell(("trouble", self.trouble))
            yield one
        finally:
            with self._woken:
                self._listeners.discard(one)
                self._woken.notify_all()

    def close(self) -> None:
        """Nobody looks any more; whoever does is told that it is over."""
        self._tell(("over", ""))
        with self._woken:
            self._closed = True
            self._listeners.clear()
            self._woken.notify_all()

    # -- what was ------------------------------------------------------------------------------------------

    @property
    def _stale(self) -> bool:
        """Whether what is known may be behind: nobody follows, and it was read a while ago."""
        at = self._refreshed_at
        return at is None or (not self._live and self._clock() - at > _FRESH_SECONDS)

    @property
    def _live(self) -> bool:
        following = self._following
        return following is not None and following.is_alive() and not self.trouble

    def _begin(self) -> None:
        first = self._history.first()
        self.recent.put((*first.lines, *first.waits))
        self._waiting = first.waiting
        self._places = {} if first.whole else self._history.sources()
        self.complete = first.whole and not self._read_waiting()
        self._refreshed_at = self._clock()

    def _read_waiting(self) -> bool:
        """The next page of what waits; whether there was one."""
        page = next(self._waiting, None)
        self.recent.put(page or ())
        return page is not None

    def _refresh(self) -> None:
        """What came since, and what became of those that may have changed."""
        first = self._history.first()
        if not first.whole and not any(self.recent.get(line.id) for line in first.lines):
            # More came than a page shows: what lies between is read as at the beginning.
            self._places = self._history.sources()
            self.complete = False
        self.recent.put((*first.lines, *first.waits))
        self._waiting = first.waiting
        fresh = {line.id for line in (*first.lines, *first.waits)}
        unsettled = self.recent.newest(lambda line: not line.settled and line.id not in fresh, _REREAD)
        self.recent.put(self._history.read([_key(line) for line in unsettled]))
        self._refreshed_at = self._clock()

    def _load(self, stale: bool) -> None:
        """Read the newest, then on, while somebody looks. What goes wrong is said; the next look tries
        again."""
        try:
            if stale:
                with self._refreshing:
                    (self._refresh if self.begun else self._begin)()
            self.unread = ""
            self._newest.set()
            while not self._closed and not self.recent.full and (self._listeners or self._just_looked):
                more = self._read_waiting()
                if self._places:
                    lines, self._places = self._history.step(self._places, _LARGE_PAGE)
                    self.recent.put(lines)
                elif not more:
                    self.complete = True
                    return
                self._tell_of_more()
            self.complete = self.complete or self.recent.full
        except Exception as error:  # noqa: BLE001  said on the page; the next look goes on
            # Where everybody goes, threads end under it: that is nobody's trouble.
            self.unread = "" if self._closed else self._words(error)
        finally:
            self._newest.set()
            self._tell_of_more()

    def _tell_of_more(self) -> None:
        with self._grown:
            self._grown.notify_all()

    @property
    def _just_looked(self) -> bool:
        return self._clock() - self._looked_at < 30

    # -- what happens --------------------------------------------------------------------------------------

    def _follow(self) -> None:
        begun = False
        while self._wait(0):
            try:
                if not begun:
                    self._stream.begin()
                    with self._refreshing:
                        if self._refreshed_at is not None:
                            self._refresh()
                    begun = True
                self._take()
                self._say("")
            except Behind:
                begun = False
            except Exception as error:  # noqa: BLE001  whatever keeps the stream away is told, and tried again
                begun = False
                if not self._closed:
                    self._say(self._words(error))
                self._wait(AGAIN_SECONDS)
            self._wait(EACH_SECONDS)

    def _take(self) -> None:
        found = {
            line.id: line for item in self._stream.read() if (line := self._history.line(item)) is not None
        }
        self.recent.put(found.values())
        for line in found.values():
            self._tell(("line", line))

    def _wait(self, seconds: float) -> bool:
        """Pause, unless everybody goes; whether anybody is there."""
        with self._woken:
            self._woken.wait_for(lambda: not self._listeners, seconds)
            return bool(self._listeners)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._tell(("trouble", trouble))

    def _tell(self, told: Told) -> None:
        with self._woken:
            listeners = list(self._listeners)
        for one in listeners:
            one.tell(told)


def _key(line: Line) -> Key:
    return notification_key(line.id)
