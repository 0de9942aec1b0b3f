"""What is masked of other people, and `--reveal`, which shows it whole to who must correct it.

A look at whole values is written down before the first of them is shown, and at its end how many it were.
Words are no values: those of sensitive messages nobody is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tocsin.people.numbers import mask_phone

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Key
    from tocsin_console.deployment import Deployment

_LEAST_DIGITS = 7
_SHOWN_BEFORE = 4
_SHOWN_AFTER = 2


class Reveal:
    """One look. `what`: what is looked at, without whole numbers."""

    def __init__(self, deployment: Deployment, what: str, *, clock: Callable[[], float] = time.time) -> None:
        self._deployment = deployment
        self._what = what
        self._clock = clock
        self._seen: set[str] = set()
        self._line: Key | None = None

    def show(self, whole: str) -> str:
        """The value, which counts as seen. Raises Unwritten."""
        from tocsin_console import audit

        if self._line is None:
            self._line = audit.looked(self._deployment, self._what, clock=self._clock)
        self._seen.add(whole)
        return whole

    def end(self) -> None:
        """Write down how many values were seen."""
        from tocsin_console import audit

        if self._line is not None and len(self._seen) > 1:
            audit.recount(self._deployment, self._line, len(self._seen))


_REVEAL: ContextVar[Reveal | None] = ContextVar("reveal", default=None)


@contextmanager
def lifted(reveal: Reveal) -> Iterator[None]:
    """Show whole what is masked else, as long as this is open."""
    token = _REVEAL.set(reveal)
    try:
        yield
    finally:
        _REVEAL.reset(token)
        reveal.end()


def phone(text: str) -> str:
    """A number or a JID for people, its middle masked."""
    return either(mask_phone(text), text)


def key(text: str) -> str:
    """Any text, with the middle of each long run of digits masked: a device, a key of a table."""
    from tocsin.sealing import masked  # brings cryptography, which most commands do without

    return either(masked(text), text)


def refused(text: str) -> str:
    """What an event names in place of a number. Its form stays, which says what is wrong with it."""
    return either(hidden(text), text)


def hidden(text: str) -> str:
    """Any text, with the middle of its digits as dots if they could be somebody's number, whatever stands
    between them."""
    places = [place for place, character in enumerate(text) if character.isdigit()]
    if len(places) < _LEAST_DIGITS:
        return text
    middle = set(places[min(_SHOWN_BEFORE, len(places) // 3) : -_SHOWN_AFTER])
    return "".join("•" if place in middle else character for place, character in enumerate(text))


def either(shown: str, whole: str) -> str:
    """`shown`, or where somebody asked for it, `whole`."""
    reveal = _REVEAL.get()
    return shown if reveal is None or shown == whole else reveal.show(whole)
