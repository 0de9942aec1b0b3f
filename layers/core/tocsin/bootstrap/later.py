"""A part that is made when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from tocsin import aws


class Later:
    """A part that is made when it is first used: most sends need no SQS, and most starts no help desk.
    `made`: a service of AWS whose client it is, or what makes it."""

    def __init__(self, made: str | Callable[[], Any]) -> None:
        self._make = made
        self._made: Any = None
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part(), name)

    def __call__(self, *given: Any) -> Any:
        return self._part()(*given)

    def _part(self) -> Any:
        # A client serves several threads; the session that makes it serves one at a time.
        with self._lock:
            if self._made is None:
                self._made = aws.client(self._make) if isinstance(self._make, str) else self._make()
        return self._made


def heartbeat_client() -> Later:
    """SQS for a visibility heartbeat: made at the first beat, it gives each of them up within a second."""
    return Later(lambda: aws.client("sqs", aws.HEARTBEAT))
