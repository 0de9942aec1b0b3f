"""How values are shown on the page: what other people wrote, moments, spans, numbers.

Everything passes a template that escapes HTML. This is for what escaping leaves: characters that steer the
direction or the layout of what follows, and length.
"""

from __future__ import annotations

from typing import Final

from tocsin.notify.notification import State
from tocsin_console.output import how_long, json_moment, moment, plain

LINE: Final = 160
PARAGRAPH: Final = 4096
_ELLIPSIS = "…"

TONES: Final = {
    State.PLANNED: "calm",
    State.WAITING: "warn",
    State.SENT: "calm",
    State.DELIVERED: "good",
    State.READ: "good",
    State.FAILED: "bad",
    State.SUPPRESSED: "mute",
}
"""State → the tone in which it is shown."""

STATE_WORDS: Final = {
    State.PLANNED: "in the queue",
    State.WAITING: "waiting",
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    State.READ: "read",
    State.FAILED: "failed",
    State.SUPPRESSED: "not sent",
}


def line(text: object, most: int = LINE) -> str:
    """Anything on one line, cut; what would steer is shown as its escape."""
    written = str(text)
    cut = written[: most - 1] + _ELLIPSIS if len(written) > most else written
    return plain(cut)


def paragraph(text: object, most: int = PARAGRAPH) -> str:
    """The same on the lines that it has."""
    written = str(text)
    cut = written[: most - 1] + _ELLIPSIS if len(written) > most else written
    return "\n".join(plain(one) for one in cut.split("\n"))


def iso_of(milliseconds: float | None) -> str:
    """For the attribute `datetime`: the browser shows it in its own zone. Empty for what can't be a
    moment."""
    return json_moment(milliseconds) or ""


def clock_of(milliseconds: float | None) -> str:
    """The same for people, in this machine's zone, for a browser without scripts."""
    return moment(milliseconds) if milliseconds else "–"


def ago(seconds: float | None, now: float) -> str:
    """`seconds`, `now`: since 1970."""
    if not seconds:
        return "never"
    since = max(now - seconds, 0)
    return "just now" if since < 5 else f"{how_long(since)} ago"


def span(seconds: float | None) -> str:
    """A length of time; "–" for none."""
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 10 else how_long(seconds)


def number(value: int | None) -> str:
    """With thin spaces between thousands."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def plural(count: int, one: str, several: str = "") -> str:
    """ "1 account", "2 accounts"."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"
