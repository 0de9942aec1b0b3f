"""The question before anything is destroyed: asked on a terminal, answered by `--yes` in scripts."""

from __future__ import annotations

from collections.abc import Callable

from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output

_YES = frozenset({"y", "yes"})


def confirm(what: Callable[[], str], *, yes: bool, output: Output) -> None:
    """Return if the operator agrees to `what`: a sentence that says what is destroyed, how much and of whom;
    empty if there is nothing to destroy. It is made only where somebody is asked.

    Raises Usage where nobody can be asked, ConsoleError if the answer isn't yes. Nothing was done then.
    """
    if yes:
        return
    if not output.can_ask:
        raise Usage("nobody can be asked here, so nothing was done: add --yes to go on without a question")
    sentence = what()
    if sentence and output.ask(f"{sentence}. Go on? [y/N] ").strip().lower() not in _YES:
        raise ConsoleError("nothing was done")
