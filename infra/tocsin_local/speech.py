"""How the demo and the trial speak: to terminals of any encoding, and as long as somebody listens."""

from __future__ import annotations

import io
import os
import sys


class NobodyListens(Exception):
    """Whoever read our output has enough of it (`| head`)."""


def speak_any_language() -> None:
    """Have a terminal that can't show a character show "?" instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print a line, at once. Raises `NobodyListens`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise NobodyListens from None


def hang_up() -> int:
    """End after `NobodyListens`, without a word of Python's about the pipe. Returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
