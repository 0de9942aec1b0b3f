"""What can go wrong at the console. The text of each is printed to the operator as it stands."""

from __future__ import annotations


class ConsoleError(Exception):
    """Something the operator can act on: the message says what is wrong and what to do."""

    exit_code = 1


class Usage(ConsoleError):
    """The command can't be meant like that. Nothing was done."""

    exit_code = 2


class NotFound(ConsoleError):
    """The thing asked for isn't there."""

    exit_code = 3


class TimedOut(ConsoleError):
    """What was waited for didn't happen in time. Nothing was undone."""

    exit_code = 4


class NeedsAttention(ConsoleError):
    """The look succeeded, and what it saw isn't as it should be (`tocsin status --check`)."""

    exit_code = 5


class Interrupted(ConsoleError):
    """The operator stopped it (Ctrl-C); the message says what goes on without them."""

    exit_code = 130
