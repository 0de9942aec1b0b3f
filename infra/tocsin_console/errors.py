"""The errors of the console. Their text is printed to the operator as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done",
    1: "it failed (`doctor`: a fault was found)",
    2: "the command line is wrong, or nobody could be asked: nothing was done",
    3: "what it names does not exist",
    4: "what it waited for did not happen in time; what it did before stays done",
    5: "something needs attention (`status --check`, `explain` of a record that is damaged, "
    "`dead-letters redrive` of what failed again, `adopt` of keys that were set back)",
    130: "interrupted by Ctrl-C (not `tail`: that is how it ends)",
}
"""With what a command ends."""


class ConsoleError(Exception):
    """The message says what is wrong and what to do about it."""

    exit_code = 1


class Usage(ConsoleError):
    """The command line is wrong. Nothing was done."""

    exit_code = 2


class NotFound(ConsoleError):
    """What the command names does not exist."""

    exit_code = 3


class TimedOut(ConsoleError):
    """What the command waited for did not happen in time. What it did before stays done."""

    exit_code = 4


class NeedsAttention(ConsoleError):
    """Something was found that needs attention."""

    exit_code = 5


class Interrupted(ConsoleError):
    """The operator stopped the command (Ctrl-C). The message says what still goes on."""

    exit_code = 130
