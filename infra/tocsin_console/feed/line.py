"""What is shown of a notification as time passes: on the page's feed, and by `tocsin tail`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tocsin.notify.content import Edit, File, Reaction, Withheld
from tocsin.notify.notification import Notification, State
from tocsin_console import masking
from tocsin_console.dead_letters import shown_recipient

_TEXT = 140
_NAME = 40
_WORDS = 600
"""Characters of a text that are looked through for words. A hundred thousand lines shall fit in memory."""


class Stage(NamedTuple):
    """A step that it made. `at`: ms."""

    word: str
    at: int | None
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One notification. Moments in ms. `name`: what the event calls them; `digits`: the whole number, to be
    looked for and shown masked; `source`: whose event it is of; `words`: in small letters, of the text, the
    name and the ticket."""

    id: str
    account: str
    ticket: str
    event: str
    audience: str
    name: str
    digits: str
    state: State
    text: str
    words: str
    created_at: int
    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    ended_at: int | None = None
    reason: str = ""
    source: str = ""

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands in order of time."""
        return self.created_at, self.id

    @property
    def whom(self) -> str:
        """For people, the number masked."""
        return f"{self.name} {masking.phone(self.digits)}".strip() if self.digits else shown_recipient("")

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.state in (State.READ, State.FAILED, State.SUPPRESSED)

    @property
    def stages(self) -> Iterator[Stage]:
        yield Stage("planned", self.created_at)
        for word, at in (("sent", self.sent_at), ("delivered", self.delivered_at), ("read", self.read_at)):
            if at:
                yield Stage(word, at)
        if self.state is State.FAILED:
            yield Stage(f"given up: {self.reason}", self.ended_at, bad=True)
        elif self.state is State.SUPPRESSED:
            yield Stage(f"not sent: {self.reason}", self.ended_at)
        elif self.state is State.WAITING:
            yield Stage(f"waits: {self.reason}", None)


def line_of(one: Notification) -> Line:
    """What is shown of a notification."""
    text = one.text[: 4 * _WORDS]
    name = one.recipient_name[:_NAME]
    return Line(
        id=one.id,
        account=one.account,
        ticket=one.ticket_id,
        event=one.event_type,
        audience=one.audience,
        name=name,
        digits=one.recipient,
        state=one.state,
        text=_first_line(one, text),
        words=f"{text[:_WORDS]} {name} {one.ticket_id}".casefold(),
        created_at=one.created_at,
        sent_at=one.sent_at,
        delivered_at=one.delivered_at,
        read_at=one.read_at,
        ended_at=one.failed_at or one.suppressed_at,
        reason=one.last_error.code if one.last_error else "",
        source=one.came_from,
    )


def _first_line(one: Notification, text: str) -> str:
    first = _saying(text)[:_TEXT]
    match one.content:
        case Withheld(why):
            return f"(text not shown: {why})"
        case File(file):
            return f"📎 {file.file_name[:60]} {first}".strip()
        case Edit():
            return f"✎ {first}"
        case Reaction(_, emoji):
            return f"reaction {emoji}"
    return first


def _saying(text: str) -> str:
    """The first line that says something: one that only greets is left out."""
    lines = (part.strip() for part in text.split("\n") if part.strip())
    first = next(lines, "")
    return next(lines, first) if first.endswith(",") else first
