"""A count over the last minute, hour or day, in buckets.

The sum goes over one bucket more than the span has, so no span of that length, wherever it begins, ever holds
more than the sum said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """`width`: seconds of a bucket; `buckets`: how many make up the span."""

    width: int
    buckets: int

    @property
    def seconds(self) -> int:
        return self.width * self.buckets


MINUTE = Span(5, 12)
HOUR = Span(60, 60)
DAY = Span(900, 96)


class Window:
    """What was counted within a span. Times are Unix seconds; a clock that steps back counts as standing.
    What was counted further ahead than a span, by a clock that was wrong then, is forgotten."""

    def __init__(self, span: Span, counts: Mapping[int, int] | None = None) -> None:
        self._span = span
        self._counts: dict[int, int] = dict(sorted((counts or {}).items()))

    @property
    def counts(self) -> Mapping[int, int]:
        """Number of each bucket (its beginning divided by the width) → its count."""
        return self._counts

    def add(self, now: float) -> None:
        bucket = self._bucket(now)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def total(self, now: float) -> int:
        """How many were counted within the span before `now`, or a little more."""
        self._forget(now)
        return sum(self._counts.values())

    def free_at(self, now: float, limit: int) -> float:
        """When one more fits below `limit` (1 at least): `now`, or the end of the bucket in the way."""
        over = self.total(now) - max(limit, 1) + 1
        for bucket, count in self._counts.items():
            if over <= 0:
                break
            over -= count
            free = (bucket + self._span.buckets + 1) * self._span.width
            if over <= 0:
                return max(float(free), now)
        return now

    def _forget(self, now: float) -> None:
        latest = int(now // self._span.width) + self._span.buckets
        while self._counts and (last := next(reversed(self._counts))) > latest:
            del self._counts[last]
        oldest = self._bucket(now) - self._span.buckets
        while self._counts and (first := next(iter(self._counts))) < oldest:
            del self._counts[first]

    def _bucket(self, now: float) -> int:
        bucket = int(now // self._span.width)
        last = next(reversed(self._counts), bucket) if self._counts else bucket
        return max(bucket, last)
