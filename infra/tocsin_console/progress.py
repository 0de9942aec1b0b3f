"""A line of the terminal that tells how far something is that takes long.

It is the last line. Whoever prints something hides it first, and the next step draws it again below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self, TextIO, TypeVar

from tocsin_console import layout

SECONDS_BETWEEN: Final = 0.1
"""More often nobody reads it."""

_ERASE: Final = "\r\x1b[K"

T = TypeVar("T")


@dataclass
class Live:
    """The line as it stands on the terminal; none if `stream` is None."""

    stream: TextIO | None = None

    def show(self, text: str, stream: TextIO) -> None:
        self.stream = stream
        print(f"{_ERASE}{text}", end="", file=stream, flush=True)

    def hide(self) -> None:
        if self.stream is not None:
            print(_ERASE, end="", file=self.stream, flush=True)
            self.stream = None


@dataclass
class Progress:
    """How far `what` is, in steps or in seconds. To be used in a `with`; at its end the line is gone.
    `stream`: None draws nothing. `columns`: of the terminal, because a line that breaks can't be erased."""

    what: str
    total: int | None
    live: Live
    stream: TextIO | None
    columns: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    _began: float = field(default=0.0, init=False)
    _drawn: float = field(default=float("-inf"), init=False)

    def __enter__(self) -> Self:
        self._began = self.clock()
        self._draw(f"{self.what} …")
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Draw nothing more: somebody types there, or it is over."""
        self.live.hide()
        self.stream = None

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        self.at(self.done + count)

    def at(self, done: int) -> None:
        """So many are done."""
        self.done = done
        of = f" of {self.total}" if self.total is not None else ""
        self._draw(f"{self.what}: {done}{of}", is_last=done == self.total)

    def wait(self) -> None:
        """Nothing is done yet, but time passed."""
        self._draw(f"{self.what} … {self.clock() - self._began:.0f} s")

    def around(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """The same `sleep`, which tells afterwards how long it has been."""

        def sleeping(seconds: float) -> None:
            sleep(seconds)
            self.wait()

        return sleeping

    def over(self, each: Iterator[T]) -> Iterator[T]:
        """The same things, a step for each."""
        for one in each:
            self.step()
            yield one

    def _draw(self, text: str, *, is_last: bool = False) -> None:
        now = self.clock()
        if self.stream is None or (now - self._drawn < SECONDS_BETWEEN and not is_last):
            return
        self._drawn = now
        self.live.show(layout.cut(text, self.columns - 1), self.stream)
