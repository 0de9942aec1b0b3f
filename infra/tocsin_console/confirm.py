"""Asking before something is destroyed: on a terminal. Scripts answer by `--yes`."""

from __future__ import annotations

from collections.abc import Callable

from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output

_YES = frozenset({"y", "yes"})


def confirm(what: Callable[[], str], *, yes: bool, output: Output) -> None:
    """Return if the operator agrees. `what` is called only if somebody is asked. It returns a sentence that
    says what is destroyed, how much and whose; empty if there is nothing to destroy.

    Raises Usage if nobody can be asked, ConsoleError if the answer isn't yes.
    """
    if yes:
        return
    if not output.can_ask:
        raise Usage(
            "there is no terminal to ask on, so nothing was done: add --yes to go on without being asked"
        )
    sentence = what()
    if sentence and output.ask(f"{sentence}. Go on? [y/N] ").strip().lower() not in _YES:
        raise ConsoleError("nothing was done")
