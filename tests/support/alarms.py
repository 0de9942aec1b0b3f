"""Alarms as CloudWatch evaluates them, by the rules of its user guide ("Using Amazon CloudWatch alarms").

    points → one value for each period (the statistic), → metric math, → the evaluation range, → a state

CloudWatch looks at more periods than `EvaluationPeriods`; how many more it doesn't say. If the range holds at
least `EvaluationPeriods` real values, the newest decide and missing ones don't matter. Else every real
value counts, and missing ones are filled in, as few as possible, with what `TreatMissingData` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.support.templates import resources

OBSERVABILITY = "infra/observability.yaml"
STACK = "tocsin"

OK, ALARM = "OK", "ALARM"

EXTRA_PERIODS = range(4)
"""By how many periods the range may be longer than asked for."""


@dataclass(frozen=True)
class Datapoint:
    """One value of a metric. `at`: Unix seconds."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    at: float


def datapoints(log: str) -> list[Datapoint]:
    """Return what the embedded metrics of a log hold."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{") and '"_aws"' in line]
    return [
        Datapoint(
            group["Namespace"],
            metric["Name"],
            {name: line[name] for name in names},
            value,
            line["_aws"]["Timestamp"] / 1000,
        )
        for line in lines
        for group in line["_aws"]["CloudWatchMetrics"]
        for names in group["Dimensions"]
        for metric in group["Metrics"]
        for value in _values(line[metric["Name"]])
    ]


def _values(value: Any) -> Sequence[float]:
    return value if isinstance(value, list) else [value]


STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": len,
}

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

Series = Mapping[int, float]
"""The number of a period → its value. Periods without one are missing."""


@dataclass(frozen=True)
class Alarm:
    """An alarm of infra/observability.yaml, deployed as a stack called STACK."""

    name: str
    properties: Mapping[str, Any]

    @property
    def period(self) -> int:
        if "Period" in self.properties:
            return int(self.properties["Period"])
        [period] = {one["MetricStat"]["Period"] for one in self.properties["Metrics"] if "MetricStat" in one}
        return int(period)

    @property
    def periods(self) -> int:
        return int(self.properties["EvaluationPeriods"])

    @property
    def metrics(self) -> list[tuple[str, str, Mapping[str, str]]]:
        """Namespace, name and dimensions of what it watches."""
        if "MetricName" in self.properties:
            return [_identity(self.properties)]
        return [
            _identity(one["MetricStat"]["Metric"])
            for one in self.properties["Metrics"]
            if "MetricStat" in one
        ]

    def state(self, points: Sequence[Datapoint], at: float, extra: int) -> str:
        """Return the state at `at`; `extra`: by how many periods CloudWatch's range is longer."""
        now = int(at // self.period) - 1
        """The newest whole period."""
        wanted = range(now - self.periods - extra + 1, now + 1)
        series = self._series(points, range(wanted.start - 1, wanted.stop))
        real = [series[period] for period in wanted if period in series]
        threshold, compare = self.properties["Threshold"], COMPARISONS[self.properties["ComparisonOperator"]]
        breaching = [compare(value, threshold) for value in real]
        needed = int(self.properties.get("DatapointsToAlarm", self.periods))
        if len(real) >= self.periods:
            return ALARM if sum(breaching[-self.periods :]) >= needed else OK
        treat = self.properties["TreatMissingData"]
        missing = self.periods - len(real)
        if treat == "breaching":
            return ALARM if sum(breaching) + missing >= needed else OK
        assert treat == "notBreaching", treat
        # Every real value counts, however far back in the range.
        return ALARM if sum(breaching) >= needed else OK

    def _series(self, points: Sequence[Datapoint], wanted: range) -> Series:
        if "MetricName" in self.properties:
            return self._statistic(points, _identity(self.properties), self.properties["Statistic"], wanted)
        known: dict[str, Series] = {}
        for one in self.properties["Metrics"]:
            if "MetricStat" in one:
                stat = one["MetricStat"]
                known[one["Id"]] = self._statistic(points, _identity(stat["Metric"]), stat["Stat"], wanted)
        [formula] = [one["Expression"] for one in self.properties["Metrics"] if "Expression" in one]
        return evaluated(formula, known, wanted)

    def _statistic(
        self,
        points: Sequence[Datapoint],
        metric: tuple[str, str, Mapping[str, str]],
        statistic: str,
        wanted: range,
    ) -> Series:
        values: dict[int, list[float]] = {}
        for point in points:
            period = int(point.at // self.period)
            if period in wanted and (point.namespace, point.name, point.dimensions) == metric:
                values.setdefault(period, []).append(point.value)
        return {period: STATISTICS[statistic](found) for period, found in values.items()}


def evaluated(formula: str, known: Mapping[str, Series], wanted: range) -> Series:
    """Metric math as far as our alarms use it: names, `+`, `FILL(x, number)`, `FILL(x, REPEAT)`, `DIFF(x)`.

    A sum has a value where both have one. `DIFF` has none for the first value that there is. `REPEAT` fills
    in the value before, and leaves what is before all values missing.
    """
    formula = formula.replace(" ", "")
    parts = _split(formula)
    if len(parts) > 1:
        series = [evaluated(part, known, wanted) for part in parts]
        common = set(series[0]).intersection(*series[1:])
        return {period: sum(one[period] for one in series) for period in common}
    if formula.startswith("DIFF("):
        inner = evaluated(formula[5:-1], known, wanted)
        order = sorted(inner)
        return {now: inner[now] - inner[last] for last, now in pairwise(order)}
    if formula.startswith("FILL("):
        inside, _, number = formula[5:-1].rpartition(",")
        inner = evaluated(inside, known, wanted)
        if number == "REPEAT":
            return _repeated(inner, wanted)
        return {period: inner.get(period, float(number)) for period in wanted}
    return known[formula]


def _repeated(series: Series, wanted: range) -> Series:
    filled: dict[int, float] = {}
    for period in wanted:
        if period in series:
            filled[period] = series[period]
        elif period - 1 in filled:
            filled[period] = filled[period - 1]
    return filled


def _split(formula: str) -> list[str]:
    """The summands of a formula, brackets kept whole."""
    parts, depth = [""], 0
    for sign in formula:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "+" and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _identity(written: Mapping[str, Any]) -> tuple[str, str, Mapping[str, str]]:
    pairs = [one["Fn::If"][1] if "Fn::If" in one else one for one in written["Dimensions"]]
    dimensions = {pair["Name"]: _filled(pair["Value"]) for pair in pairs}
    return written["Namespace"], written["MetricName"], dimensions


def _filled(value: Any) -> str:
    """The stack's name, or for what only a deployment knows the name of its parameter."""
    if value == {"Ref": "SystemName"}:
        return STACK
    return str(value["Ref"]) if isinstance(value, dict) else str(value)


def alarms() -> dict[str, Alarm]:
    """All of them, by logical id without `Alarm`."""
    found = resources("AWS::CloudWatch::Alarm", OBSERVABILITY)
    return {key.removesuffix("Alarm"): Alarm(key, one["Properties"]) for key, one in found.items()}


def history(
    alarm: Alarm, points: Iterable[Datapoint], since: float, until: float, extra: int
) -> list[tuple[float, str]]:
    """The changes of an alarm's state, minute by minute, with their moments."""
    known = sorted(points, key=lambda point: point.at)
    changes: list[tuple[float, str]] = []
    state, at = OK, since
    longest = alarm.period * (alarm.periods + extra + 3)
    while at <= until:
        at += 60
        seen = [point for point in known if at - longest <= point.at < at]
        new = alarm.state(seen, at, extra)
        if new != state:
            changes.append((at, new))
            state = new
    return changes
