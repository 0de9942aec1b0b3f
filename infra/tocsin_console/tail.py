"""`tocsin tail`: a line for each change of a notification, as it happens.

The table's own stream is read, as the page's feed reads it: nothing is written for it, and one request a
second goes out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from botocore import exceptions

from tocsin.dynamo.writes import Item
from tocsin.notify.letters import UNREADABLE
from tocsin.notify.malformed import MALFORMED
from tocsin.notify.notification import Notification, State
from tocsin.notify.redrive import UNREADABLE_RECORD
from tocsin.notify.store.notifications import Notifications
from tocsin.tables.notifications import notification_of
from tocsin.timestamps import from_seconds, iso
from tocsin_console.account_names import AccountNames
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError
from tocsin_console.feed.line import Line, line_of
from tocsin_console.feed.sifting import Sieve
from tocsin_console.feed.stream import Behind, NoStream, Stream
from tocsin_console.output import Output, moment

EACH_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 10.0
"""After the network failed."""

_MOST_KNOWN: Final = 10_000


class Change(NamedTuple):
    """What became of a notification. `what`: in words; `at`: ms."""

    line: Line
    what: str
    at: int


class _Known(NamedTuple):
    """What was told of a notification. A write that changes none of it is not told."""

    stage: tuple[str, int | None]
    attempts: int
    redriven: int


class Changes:
    """Tells what is new in an item, beside what was seen of it before. Keeps the last ten thousand."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def of(self, one: Notification) -> Change | None:
        """None if it changed in nothing that is told."""
        line = line_of(one)
        stage = list(line.stages)[-1]
        attempts = len(one.attempts) + one.attempts_dropped
        now = _Known((stage.word, stage.at), attempts, one.redriven)
        before = self._known.pop(one.id, None)
        self._known[one.id] = now
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        if now == before:
            return None
        if before is None:
            tried = one.state is State.PLANNED and bool(one.attempts)
        else:
            tried = now.stage == before.stage and attempts > before.attempts
        if tried and one.attempts:
            last = one.attempts[-1]
            return Change(line, f"tried: {last.cause}", last.at)
        if one.state is State.PLANNED and one.redriven:
            return Change(line, "sent again", one.requeued_at or self._now())
        return Change(line, stage.word, stage.at or one.waiting_since or self._now())


@dataclass(frozen=True)
class Tail:
    """`accounts`: how many are served: with one, it isn't named in each line. `names`: what they
    are called."""

    stream: Stream
    notifications: Notifications
    wanted: Callable[[Line], bool]
    changes: Changes
    accounts: int
    names: AccountNames
    output: Output

    def read(self) -> None:
        """Tell what changed since the last read. Raises Behind, NoStream, botocore's errors."""
        for item in self.stream.read():
            for change in self._changed(item):
                named = self.names.of(change.line.account)
                self.output.record(_to_json(change) | named.about())
                self.output.say(_told(change, named.label if self.accounts > 1 else ""))

    def _changed(self, item: Item) -> Iterator[Change]:
        try:
            change = self.changes.of(self.notifications.open(item))
        except MALFORMED:
            identity = notification_of((str(item["pk"]), str(item.get("sk", ""))))
            self.output.record({"notification": identity, "state": UNREADABLE})
            self.output.say(f"{identity}  {UNREADABLE_RECORD}")
            return
        if change is not None and self.wanted(change.line):
            yield change


def tail(
    deployment: Deployment,
    sieve: Sieve,
    output: Output,
    *,
    seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Tell what changes from now on, until somebody interrupts, or for so many seconds. Raises ConsoleError
    where there is no stream, and botocore's errors where it may not be read."""

    def now() -> int:
        return from_seconds(clock())

    stream = Stream(deployment.streams, deployment["NotificationsTable"])
    one = Tail(
        stream,
        deployment.stores.notifications,
        sieve.judge(now()),
        Changes(now),
        len(deployment.accounts),
        deployment.names,
        output,
    )
    end = clock() + seconds if seconds is not None else None
    try:
        _begin(stream)
        if output.in_terminal:
            output.say("what changes from now on (Ctrl-C ends it):")
        while end is None or clock() < end:
            sleep(_step(one))
    except KeyboardInterrupt:
        # The way to end it: no error.
        return


def _begin(stream: Stream) -> None:
    try:
        stream.begin()
    except NoStream as error:
        raise ConsoleError(
            f"the table {error} has no stream, so what changes can't be followed: deploy the stack again"
        ) from None


def _step(one: Tail) -> float:
    """Read once. Returns how many seconds to wait for the next time."""
    try:
        one.read()
    except Behind:
        one.output.record({"missed": True})
        one.output.say("(some changes were missed: 'tocsin console' shows all)")
        _begin(one.stream)
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        # Its text may hold a URL with more in it.
        one.output.record({"trouble": type(error).__name__})
        one.output.say(
            f"(AWS can't be reached: {type(error).__name__}; tried again in {AGAIN_SECONDS:.0f} s)"
        )
        return AGAIN_SECONDS
    return EACH_SECONDS


def _told(change: Change, account: str) -> str:
    line = change.line
    named = (f"account {account}",) if account else ()
    whom = f"{line.audience} {line.whom}"
    parts = (moment(change.at), change.what, line.ticket, line.event, whom, line.id, *named)
    return "  ".join(parts)


def _to_json(change: Change) -> dict[str, Any]:
    line = change.line
    return {
        "at": iso(change.at),
        "what": change.what,
        "state": str(line.state),
        "notification": line.id,
        "ticket": line.ticket,
        "ticket_event": line.event,
        "source": line.source or None,
        "audience": line.audience,
        "recipient": line.whom,
        "account": line.account,
    }
