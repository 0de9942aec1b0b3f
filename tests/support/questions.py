"""What the rules of `multidevice.retries` ask, for tests that need no message."""

from __future__ import annotations

from tocsin.multidevice.retries import AskAgain, Question, answer_to
from tocsin.signal.errors import SignalError


def question_for(error: SignalError, count: int) -> Question | None:
    """What to ask the sender after the `count`-th failure of a message; `None`: nothing."""
    answer = answer_to(error)
    return answer.question(error, count) if isinstance(answer, AskAgain) else None
