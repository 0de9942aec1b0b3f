"""Where the operator's answer comes from: a terminal, a file that appears, or standard input.

A terminal in its usual mode cuts a line at 4,096 characters, and shows it. Here it hands over every
character at once, unseen, so that a line of 16 KiB fits; a file or a pipe has no such limit.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

MAX_LINE = 16_384
"""Characters; what is longer is handed over cut at one more, so that it is refused as too long."""

_ERASE = ("\x7f", "\b")
_CLEAR = "\x15"
_END = "\x04"
_BRACKETS = ("\x1b[200~", "\x1b[201~")


class Source(Protocol):
    """`line(seconds)`: the next line, or None if none came in that time. `ended`: none will come any more."""

    ended: bool

    def line(self, seconds: float) -> str | None: ...


class _Lines:
    """Characters in, lines out. What a terminal's line editor does is done here: erase, clear, end."""

    def __init__(self) -> None:
        self._text = ""
        self._done: list[str] = []

    def feed(self, text: str) -> None:
        for mark in _BRACKETS:
            text = text.replace(mark, "")
        for character in text:
            if character in "\r\n":
                self._done.append(self._text)
                self._text = ""
            elif character in _ERASE:
                self._text = self._text[:-1]
            elif character == _CLEAR:
                self._text = ""
            elif len(self._text) <= MAX_LINE:
                self._text += character

    def take(self) -> str | None:
        return self._done.pop(0) if self._done else None

    def rest(self) -> None:
        """The input ended: what stands there is the last line."""
        if self._text:
            self._done.append(self._text)
            self._text = ""


class Descriptor:
    """Lines from a file descriptor: a terminal in the mode of `unseen`, or a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = _Lines()
        self.ended = False

    def line(self, seconds: float) -> str | None:
        found = self._lines.take()
        end = time.monotonic() + seconds
        while found is None and not self.ended:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                return None
            data = os.read(self._descriptor, 65_536)
            text = data.decode("utf-8", "replace")
            if not data or text == _END:
                self.ended = True
                self._lines.rest()
            else:
                self._lines.feed(text)
            found = self._lines.take()
        return found


class AppearingFile:
    """The content of a file as one line, each time that it is written anew. It may not exist yet: what is to
    be in it is known only once WhatsApp has asked."""

    ended = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None

    def line(self, seconds: float) -> str | None:
        del seconds  # whoever waits looks again soon enough
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp == self._seen or not found.st_size:
                return None
            text = self._path.read_text("utf-8", "replace")[: MAX_LINE + 1]
        except OSError:
            return None
        self._seen = stamp
        return text


@contextlib.contextmanager
def unseen(stream: TextIO) -> Iterator[None]:
    """A terminal that shows nothing of what is typed and hands over each character. Others stay as they
    are."""
    settings = _settings(stream)
    if settings is None:
        yield
        return
    import termios

    descriptor, before = settings
    mode: list[Any] = list(before)
    mode[6] = list(before[6])
    mode[3] &= ~(termios.ICANON | termios.ECHO)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        # What was typed and not read is thrown away: it may be half an answer, for the shell's history.
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def _settings(stream: TextIO) -> tuple[int, list[Any]] | None:
    try:
        import termios

        descriptor = stream.fileno()
        return descriptor, termios.tcgetattr(descriptor)
    except (ImportError, OSError, ValueError):
        return None
    except termios.error:
        return None
