"""What became of an event that arrived, by its id of EventBridge or by its ticket: the planner's log says.

An event that told nobody leaves no record: the log is the one place that knows of it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin.timestamps import from_seconds, iso
from tocsin_console.deployment import NO_RIGHT, Deployment
from tocsin_console.output import Output, counted, moment
from tocsin_console.progress import Progress

MOST_TOLD: Final = 20
_PAGES: Final = 50
_SECONDS: Final = 20.0
_SECONDS_BESIDE: Final = 5.0
_MS_PER_DAY: Final = 86_400_000
_PLAIN: Final = re.compile(r"[^\"\\\x00-\x1f]{1,200}")


class Arrived:
    """What the planner wrote of one event. `at`: ms; `facts`: as `plan_notifications` logs them."""

    def __init__(self, at: int, facts: Mapping[str, Any]) -> None:
        self.at = at
        self._facts = facts

    def __contains__(self, wanted: str) -> bool:
        return wanted in (self.event, self.ticket)

    @property
    def event(self) -> str:
        return str(self._facts.get("event", ""))

    @property
    def ticket(self) -> str:
        return str(self._facts.get("ticket_id", ""))

    @property
    def kind(self) -> str:
        return str(self._facts.get("event_type", ""))

    @property
    def notifications(self) -> list[str]:
        """The ids of those that were planned now."""
        return self._many("notifications")

    def _many(self, name: str) -> list[str]:
        found = self._facts.get(name)
        return [str(one) for one in found] if isinstance(found, list) else []

    @property
    def is_told_elsewhere(self) -> bool:
        """Whether its notifications tell of it, or its letter, as it was refused."""
        return bool(self.notifications or self._many("violations") or self._many("unreachable"))

    @property
    def conclusion(self) -> str:
        """What became of it, in words."""
        repeated, lost = self._many("repeated"), self._many("unreachable")
        if violations := self._many("violations"):
            return f"was refused: {'; '.join(violations)}"
        if untold := self._facts.get("untold"):
            return f"told nobody: its source's mapping drops it ({untold})"
        if planned := self.notifications:
            return f"planned {counted(len(planned), 'notifications')}: {', '.join(planned)}"
        if lost:
            whom = counted(len(lost), "recipients")
            return f"told nobody: no usable phone or group of {whom} ({', '.join(lost)})"
        if repeated:
            return (
                f"told nobody anew: the same ticket, event and revision told {', '.join(repeated)} before. "
                "If its content is another, the ticketing system must count the revision up"
            )
        return "told nobody: it names nobody with a phone who is to be told of such an event"


def tell_arrived(
    deployment: Deployment,
    wanted: str,
    output: Output,
    clock: Callable[[], float] = time.time,
    *,
    untold: bool = False,
) -> bool:
    """Print what became of the events with this id, or about this ticket; whether there was any. `untold`:
    beside what their notifications tell, so only of those that have none, and nothing where the log can't
    be read."""
    if not _PLAIN.fullmatch(wanted):
        return False
    try:
        with output.progress("looking through the planner's log") as progress:
            seconds = _SECONDS_BESIDE if untold else _SECONDS
            found = list(_arrived(deployment, wanted, from_seconds(clock()), seconds, progress))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in NO_RIGHT and code != "ResourceNotFoundException":
            raise
        if untold:
            return False
        output.say("the planner's log, which knows what told nobody, can't be read: no right, or no log yet")
        return False
    found = [one for one in found if not (untold and one.is_told_elsewhere)]
    for one in found[-MOST_TOLD:]:
        output.record(
            {
                "event": one.event,
                "detail_type": one.kind,
                "ticket": one.ticket,
                "at": iso(one.at),
                "notifications": one.notifications,
                "conclusion": one.conclusion,
            }
        )
        what = ", ".join(filter(None, (one.kind, one.ticket and f"ticket {one.ticket}")))
        output.say(f"{moment(one.at)}  event {one.event}{f' ({what})' if what else ''} {one.conclusion}")
    return bool(found)


def _arrived(
    deployment: Deployment, wanted: str, now: int, seconds: float, progress: Progress
) -> Iterator[Arrived]:
    """What the log has of it, of the days that records are kept; not more than some pages, nor for long."""
    logs = deployment.client("logs")
    more: dict[str, str] = {}
    until = time.monotonic() + seconds
    for _ in range(_PAGES):
        answer = logs.filter_log_events(
            logGroupName=f"/tocsin/{deployment.stack}/plan_notifications",
            filterPattern=f'"{wanted}"',
            startTime=max(now - deployment.retention_days * _MS_PER_DAY, 0),
            **more,
        )
        progress.wait()
        for line in answer.get("events", ()):
            for facts in _facts(str(line.get("message", ""))):
                one = Arrived(int(line.get("timestamp", 0)), facts)
                if wanted in one:
                    yield one
        if "nextToken" not in answer or time.monotonic() > until:
            return
        more = {"nextToken": answer["nextToken"]}


def _facts(message: str) -> Iterator[Mapping[str, Any]]:
    """Of each event that a line of the log tells of."""
    try:
        told = json.loads(message)
    except ValueError:
        return
    if not isinstance(told, dict):
        return
    several = told.get("events")
    yield from (one for one in several if isinstance(one, dict)) if isinstance(several, list) else (told,)
