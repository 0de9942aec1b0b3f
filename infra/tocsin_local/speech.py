"""Printing for the demo and the trial, until the output is closed."""

from __future__ import annotations


class OutputClosed(Exception):
    """The reader of our output closed it (`| head`)."""


def say(text: str) -> None:
    """Print a line, at once. Raises `OutputClosed`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise OutputClosed from None
