"""What is counted, until it is told: once a batch, and nothing that is zero.

A metric costs money in each hour in which it is sent, with each set of dimensions. So a zero is never sent,
and no alarm waits for one. `stack` is a dimension of every metric: two stacks in one region don't mix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

COUNT = "Count"

WHOLE: Mapping[str, str] = MappingProxyType({"service": "tocsin"})
"""Dimension of what one alarm watches for all functions together."""

Dimensions = tuple[tuple[str, str], ...]
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Value:
    """Values of one metric, in `unit` (CloudWatch's word). A count has one, a measurement one for each."""

    unit: str
    values: list[float] = field(default_factory=list)


class Tally:
    """What was counted and measured since it was taken last."""

    def __init__(self) -> None:
        self._told: dict[Dimensions, dict[str, Value]] = {}

    def count(self, name: str, number: float = 1, dimensions: Mapping[str, str] = NONE) -> None:
        """Add to a count."""
        if not number:
            return
        values = self._of(name, COUNT, dimensions).values
        values[:] = [sum(values) + number]

    def measure(self, name: str, value: float, unit: str, dimensions: Mapping[str, str] = NONE) -> None:
        """Note one measurement. Each is kept, for percentiles."""
        self._of(name, unit, dimensions).values.append(value)

    def take(self) -> Iterator[tuple[Dimensions, Mapping[str, Value]]]:
        """What there is, by dimensions, and begin anew."""
        told, self._told = self._told, {}
        yield from told.items()

    def _of(self, name: str, unit: str, dimensions: Mapping[str, str]) -> Value:
        group = self._told.setdefault(tuple(sorted(dimensions.items())), {})
        return group.setdefault(name, Value(unit))


def embedded(namespace: str, dimensions: Mapping[str, str], metrics: Mapping[str, Value], now: float) -> str:
    """One line of CloudWatch's embedded metric format. `now`: Unix seconds."""
    directive = {
        "Namespace": namespace,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": metric.unit} for name, metric in metrics.items()],
    }
    metadata = {"_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}}
    values = {name: metric.values for name, metric in metrics.items()}
    return json.dumps(metadata | dict(dimensions) | values, separators=(",", ":"))
