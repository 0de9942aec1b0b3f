"""What takes longer than a page: first shown as it would be, then done, with its progress, until it is
cancelled."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

READY: Final = "ready"
RUNNING: Final = "running"
CANCELLED: Final = "cancelled"
DONE: Final = "done"
_MOST_KEPT: Final = 20


@dataclass
class Job(Generic[T]):
    """`total`: how many it is about. `work`: does one after the other, and yields what became of it with a
    word for
    the sum. `finish`: called once with the counts, whatever the end is."""

    title: str
    total: int
    work: Callable[[], Generator[tuple[str, T], None, None]]
    finish: Callable[[Counter[str], str], None]
    identity: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: str = READY
    counts: Counter[str] = field(default_factory=Counter)
    results: list[T] = field(default_factory=list)
    trouble: str = ""
    note: str = ""
    plan: list[T] = field(default_factory=list)
    planned: Counter[str] = field(default_factory=Counter)
    facts: dict[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        return sum(self.counts.values())

    @property
    def over(self) -> bool:
        return self.state in (CANCELLED, DONE)

    def begin(self) -> bool:
        """Whether it begins by this: it does so once."""
        begins = self.state == READY
        self.state = RUNNING if begins else self.state
        return begins

    def cancel(self) -> None:
        """Stop after what is being done now."""
        if not self.over:
            self.state = CANCELLED

    def run(self, words: Callable[[Exception], str]) -> None:
        """Do it, in whatever thread this is. `words`: an error as the operator reads it."""
        self.begin()
        if self.state != RUNNING:
            return
        try:
            with closing(self.work()) as steps:
                for word, result in steps:
                    self.counts[word] += 1
                    self.results.append(result)
                    if self.over:
                        break
            self.state = CANCELLED if self.over else DONE
        except Exception as error:  # noqa: BLE001  said on the page, with what was done before
            self.state, self.trouble = DONE, words(error)
        try:
            self.finish(self.counts, self.note)
        except Exception as error:  # noqa: BLE001  what was done is done; that it isn't written down is said
            self.trouble = self.trouble or f"it was done, but not written into the audit: {words(error)}"


class Jobs:
    """The last jobs, by their id."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job[object]] = {}

    def add(self, job: Job[T]) -> Job[T]:
        kept = [one for one in self._jobs.items() if one[1].state == RUNNING]
        others = [one for one in self._jobs.items() if one[1].state != RUNNING][-_MOST_KEPT:]
        self._jobs = {**dict(others), **dict(kept), job.identity: job}  # type: ignore[dict-item]
        return job

    def get(self, identity: str) -> Job[object] | None:
        return self._jobs.get(identity)

    def cancel_all(self) -> None:
        for job in self._jobs.values():
            job.cancel()
