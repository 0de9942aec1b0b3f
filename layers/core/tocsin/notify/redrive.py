"""The way back from the dead letters: read them, and send their notifications again or give them up.

An operator decides which letters; the notification's record decides what may be done with each. Asking the
operator and printing are the console's part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from tocsin.notify.content import ERASED, WITHHELD, Withheld
from tocsin.notify.letters import (
    UNREADABLE,
    Letter,
    Record,
    Standing,
    is_within,
    may_fail_yet,
    standing,
    superfluous,
    was_left_waiting,
)
from tocsin.notify.malformed import UnreadableRecord, read_record
from tocsin.notify.notification import Notification, State, mismatch, was_erased
from tocsin.notify.store.notifications import Notifications
from tocsin.settings.declared import NOTIFICATION_EXPIRY_SECONDS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.timestamps import from_seconds

UNREADABLE_RECORD = "its record can't be read"
UNREACHABLE = (
    "it has nowhere to go: correct the number or group in the ticketing system and let that send the event "
    "again, then drop this letter"
)
"""Why a letter of a recipient without a usable number is not redriven."""

RECIPIENT_ERASED = "its recipient was erased"

_AT_ONCE = 10
"""Letters whose records are read together: as many as SQS gives at a time."""

_READERS = 8

Result = Literal["redriven", "dropped", "kept"]


@dataclass(frozen=True)
class Selection:
    """Which letters are meant. None means "any". `among`: those of these notifications; `recipients`: those
    to one of these, as letters name them; `since`, `until`: given up in this time (ms; `until` itself isn't
    in it). A letter that doesn't say when is in no time."""

    notification: str | None = None
    reason: str | None = None
    among: Collection[str] | None = None
    recipients: Collection[str] | None = None
    since: int | None = None
    until: int | None = None

    def matches(self, letter: Letter) -> bool:
        return (
            self.notification in (None, letter.notification)
            and self.reason in (None, letter.reason)
            and (self.among is None or letter.notification in self.among)
            and (self.recipients is None or letter.recipient in self.recipients)
            and is_within(letter.failed_at, self.since, self.until)
        )


@dataclass(frozen=True)
class Box:
    """The letters that are `open`, one of each notification, and the records of all that were read, by
    notification. `passed`: letters in the queue that ask for nothing; `hidden`: those that can't be read now,
    approximately."""

    open: tuple[Letter, ...]
    records: Mapping[str, Notification | UnreadableRecord]
    passed: int = 0
    hidden: int = 0

    @property
    def stuck(self) -> frozenset[str]:
        """The notifications of open letters that are kept whenever they are to be redriven."""
        return frozenset(one.notification for one in self.open if self._is_stuck(one))

    def _is_stuck(self, letter: Letter) -> bool:
        record = self.records.get(letter.notification)
        if letter.reason == UNREADABLE or isinstance(record, UnreadableRecord):
            return True
        return record is not None and not record.recipient and not was_erased(record)


@dataclass(frozen=True)
class Done:
    """What was done with one letter, and why if it was not simply done as asked. `would`: of a rehearsal,
    what would be done."""

    letter: Letter
    result: Result
    why: str = ""
    would: Result | None = None


class Look(Protocol):
    """Messages that are hidden from others while we look at them. Those that were not removed come back."""

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Each message that can be received, once."""

    def remove(self, message_id: str) -> None:
        """Delete a message of this look."""

    def discard(self, message_id: str) -> bool:
        """Delete a message of this look that nobody needs; whether it is gone. Who may only look leaves
        it."""


class ReadableQueue(Protocol):
    """A queue whose messages can be looked at, without taking them."""

    def look(self) -> AbstractContextManager[Look]: ...

    def count(self) -> int:
        """How many messages it holds, those that somebody is looking at included. May be approximate."""


T = TypeVar("T")


def selected(
    queue: ReadableQueue,
    parse: Callable[[Mapping[str, Any]], T],
    matches: Callable[[T], bool],
    identity: Callable[[T], str],
) -> Iterator[tuple[T, Look]]:
    """What of a queue `matches`, with the look that can remove it. The first of those with one `identity`."""
    handled: set[str] = set()
    with queue.look() as look:
        for message in look.messages():
            one = parse(message)
            if matches(one) and identity(one) not in handled:
                handled.add(identity(one))
                yield one, look


class OrdersQueue(Protocol):
    """Where a notification is put that is to be sent (`NotificationsQueue`)."""

    def send(self, notification: Notification) -> None: ...


class Redriver:
    """Reads the dead letters, redrives them and drops them.

    `settings`: how long a redriven notification may wait before it is too late to send it. `clock`: seconds.
    """

    def __init__(
        self,
        store: Notifications,
        letters: ReadableQueue,
        orders: OrdersQueue,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._letters = letters
        self._orders = orders
        self._settings = settings
        self._clock = clock

    def count(self) -> int:
        """How many letters there are, approximately, those that can't be read now included, and those that
        ask for nothing."""
        return self._letters.count()

    def count_open(self) -> int:
        """How many notifications ask for somebody, approximately: what can't be read now is counted, too."""
        box = self.box()
        return len(box.open) + box.hidden

    def read(self) -> list[Letter]:
        """Return the open letters that can be read now, for each recipient the oldest first. They stay."""
        return list(self.box().open)

    def box(self, *, tidy: bool = False) -> Box:
        """Read all letters that can be read now. `tidy`: discard what is settled, where that is allowed."""
        now = from_seconds(self._clock())
        records: dict[str, Notification | UnreadableRecord] = {}
        opened: list[Letter] = []
        passed: list[Letter] = []
        # Before anything is discarded: for up to a minute SQS counts what is gone.
        total, seen = self._letters.count(), 0
        with self._letters.look() as look:
            messages = look.messages()
            # Some at a time: those behind the ones that go come to light.
            while letters := [Letter.parse(message) for message in islice(messages, _AT_ONCE)]:
                seen += len(letters)
                records |= self._records(letters)
                for letter in letters:
                    stands = standing(letter, records.get(letter.notification), now)
                    stays = stands is not Standing.SETTLED or not tidy
                    if stays or not look.discard(letter.message_id):
                        (opened if stands is Standing.OPEN else passed).append(letter)
            latest = {letter.notification: letter for letter in sorted(opened, key=_age)}
            repeated = [letter for letter in opened if letter is not latest[letter.notification]]
            passed += [one for one in repeated if not (tidy and look.discard(one.message_id))]
        found = tuple(letter for letter in opened if letter is latest[letter.notification])
        return Box(found, records, len(passed), max(total - seen, 0))

    def _records(self, letters: Iterable[Letter]) -> dict[str, Notification | UnreadableRecord]:
        """The records of these letters that still exist, by notification."""
        ids = list(dict.fromkeys(letter.notification for letter in letters if letter.reason != UNREADABLE))
        with ThreadPoolExecutor(_READERS) as readers:
            found = zip(ids, readers.map(self._record, ids), strict=True)
            return {identity: record for identity, record in found if record is not None}

    def _record(self, notification_id: str) -> Record:
        try:
            return read_record(self._store, notification_id)
        except UnreadableRecord as odd:
            return odd

    def find(self, notification_id: str) -> Letter | None:
        """Return the letter of one notification; None if it can't be read now."""
        with self._letters.look() as look:
            letters = (Letter.parse(message) for message in look.messages())
            return next((letter for letter in letters if letter.notification == notification_id), None)

    def redrive(self, selection: Selection, *, dry_run: bool = False) -> Generator[Done, None, None]:
        """Put the selected ones back to be sent, with new deduplication ids and the full number of retries.

        A letter is dropped, not sent, if its message arrived meanwhile (a late receipt): nobody is told
        twice. The letter is deleted last, so that after a crash in between it can be redriven again. A letter
        that is named but can't be read, because more than ten of its recipient come before it, is redriven
        from its record; it stays in the queue, and a later redrive drops it. Raises UnreadableRecord for one
        of these whose record can't be read.
        """
        found = False
        for letter, look in self._selected(selection):
            found = True
            done = self._rehearse(letter) if dry_run else self._redrive(letter)
            if done.result != "kept":
                look.remove(letter.message_id)
            yield done
        if selection.notification and not found:
            yield from self._redrive_hidden(selection.notification, dry_run)

    def drop(self, selection: Selection, *, dry_run: bool = False) -> Generator[Done, None, None]:
        """Delete the selected ones. Their notifications stay `failed` until their records expire. What is on
        its way keeps its letter unless it is named: nobody was shown it."""
        for letter, look in self._selected(selection):
            if selection.notification is None and self._is_on_its_way(letter):
                yield Done(letter, "kept", "it is on its way", would="kept" if dry_run else None)
                continue
            if dry_run:
                yield Done(letter, "kept", "would be dropped", would="dropped")
                continue
            look.remove(letter.message_id)
            yield Done(letter, "dropped")

    def _is_on_its_way(self, letter: Letter) -> bool:
        if letter.reason == UNREADABLE:
            return False
        now = from_seconds(self._clock())
        return standing(letter, self._record(letter.notification), now) is Standing.ON_ITS_WAY

    def _selected(self, selection: Selection) -> Iterator[tuple[Letter, Look]]:
        """Each notification once: one that is redriven may fail and have a new letter while we still look."""
        return selected(self._letters, Letter.parse, selection.matches, lambda letter: letter.notification)

    def _rehearse(self, letter: Letter) -> Done:
        """What a redrive would do, without doing it."""
        done = self._not_redriven(letter)
        if done is None:
            return Done(letter, "kept", "would be sent again", would="redriven")
        if done.result == "kept":
            return replace(done, would="kept")
        return Done(letter, "kept", f"would be dropped: {done.why}", would="dropped")

    def _redrive(self, letter: Letter) -> Done:
        if done := self._not_redriven(letter):
            return done
        now = from_seconds(self._clock())
        waits_seconds = self._settings().value(
            NOTIFICATION_EXPIRY_SECONDS, account=letter.account, audience=letter.audience
        )
        step = self._store.reset_for_redrive(
            letter.notification,
            at=now,
            expires_at=now + waits_seconds * 1000,
            from_waiting=letter.was_unread,
        )
        if not step.applied:
            return Done(letter, "dropped", superfluous(step.notification))
        self._orders.send(step.notification)
        return Done(letter, "redriven")

    def _not_redriven(self, letter: Letter) -> Done | None:
        """What becomes of a letter that can't be redriven or need not be; None if it is to be redriven."""
        if letter.reason == UNREADABLE:
            return Done(letter, "kept", letter.detail)
        try:
            record = read_record(self._store, letter.notification)
        except UnreadableRecord:
            return Done(letter, "kept", UNREADABLE_RECORD)
        if record is None:
            return Done(letter, "dropped", superfluous(record))
        now = from_seconds(self._clock())
        is_left = was_left_waiting(letter, record, now)
        if not is_left and may_fail_yet(letter, record, now):
            return Done(letter, "kept", f"{superfluous(record)}; whether that lasts is known in ten minutes")
        if was_erased(record):
            return Done(letter, "dropped", RECIPIENT_ERASED)
        if not record.recipient:
            return Done(letter, "kept", UNREACHABLE)
        if record.content == Withheld(ERASED):
            return Done(letter, "dropped", WITHHELD[ERASED])
        if differs := mismatch(letter, record):
            return Done(letter, "dropped", f"it names another {differs} than its notification")
        why = "" if is_left else superfluous(record)
        return Done(letter, "dropped", why) if why else None

    def _redrive_hidden(self, notification_id: str, dry_run: bool) -> Iterator[Done]:
        notification = read_record(self._store, notification_id)
        if notification is None or notification.state is not State.FAILED:
            return
        letter = Letter.of(notification)
        yield self._rehearse(letter) if dry_run else self._redrive(letter)


def _age(letter: Letter) -> tuple[int, int]:
    """Sorts the letters of one notification by when they were written."""
    return letter.generation or 0, letter.failed_at_ms or 0
