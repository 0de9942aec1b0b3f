"""Every alarm, fed with the metrics of a run: quiet in a good one, on in trouble, off after it, once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from tests.support.alarms import (
    ALARM,
    EXTRA_PERIODS,
    OBSERVABILITY,
    OK,
    STACK,
    Alarm,
    Datapoint,
    alarms,
    evaluated,
    history,
)
from tests.support.templates import resources

ALARMS = alarms()
START = 1_796_000_000 // 3600 * 3600
MINUTES = 180
TROUBLE = range(60, 90)
"""Minutes of the run in which something is wrong."""
NOTICED = 12
"""Minutes after its beginning by which an alarm is on."""
OVER = 25
"""Minutes after its end by which it is off."""


def metric(alarm: Alarm, number: int = 0) -> tuple[str, str, dict[str, str]]:
    namespace, name, dimensions = alarm.metrics[number]
    return namespace, name, dict(dimensions)


# name of the metric → its value in a good minute, None for no data
GOOD: dict[str, float | None] = {
    "AccountsDisconnected": None,
    "AccountsRestricted": None,
    "MemoryUtilization": 41,
    "DeadLetters": None,
    "EventsRefused": None,
    "FailedInvocations": None,
    "Bugs": None,
    "SettingsInvalid": None,
    "SelfTestFailed": None,
    "WebhooksDead": None,
    "Invocations": 1,
    "ApproximateAgeOfOldestMessage": 12,
    "ApproximateNumberOfMessagesVisible": 0,
    "IteratorAge": 900,
    "Errors": 0,
    "Throttles": 0,
    "Url5xxCount": 0,
}
# and in a bad one
BAD: dict[str, float] = {
    "AccountsDisconnected": 1,
    "AccountsRestricted": 1,
    "MemoryUtilization": 93,
    "DeadLetters": 2,
    "WebhooksDead": 1,
    "EventsRefused": 1,
    "FailedInvocations": 1,
    "Bugs": 1,
    "SettingsInvalid": 1,
    "SelfTestFailed": 1,
    "Invocations": 0,
    "ApproximateAgeOfOldestMessage": 700,
    "ApproximateNumberOfMessagesVisible": 3,
    "IteratorAge": 900_000,
    "Errors": 1,
    "Throttles": 40,
    "Url5xxCount": 3,
}


def run(alarm: Alarm, bad: range | None) -> Iterator[Datapoint]:
    """All that the alarm watches, minute by minute; in trouble is its first metric. What a dead-letter queue
    holds stays there after the trouble, for nobody has looked yet."""
    for number in range(len(alarm.metrics)):
        namespace, name, dimensions = metric(alarm, number)
        for minute in range(MINUTES):
            value = GOOD[name]
            if bad is not None and number == 0 and minute in bad:
                value = BAD[name]
            if bad is not None and number == 0 and minute >= bad.stop and "Visible" in name:
                value = BAD[name]
            if value is not None:
                yield Datapoint(namespace, name, dimensions, value, START + 60 * minute + 7)


def changes(alarm: Alarm, points: list[Datapoint], extra: int) -> list[tuple[int, str]]:
    """Minute of the run → the state that began then."""
    found = history(alarm, points, START, START + MINUTES * 60, extra)
    return [(int(at - START) // 60, state) for at, state in found]


@pytest.mark.parametrize("name", sorted(ALARMS))
@pytest.mark.parametrize("extra", EXTRA_PERIODS)
def test_it_is_quiet_in_a_good_run(name: str, extra: int) -> None:
    assert changes(ALARMS[name], list(run(ALARMS[name], None)), extra) == []


@pytest.mark.parametrize("name", sorted(ALARMS))
@pytest.mark.parametrize("extra", EXTRA_PERIODS)
def test_it_is_on_in_trouble_and_off_after_it_without_flapping(name: str, extra: int) -> None:
    alarm = ALARMS[name]
    (on, first), (off, second) = changes(alarm, list(run(alarm, TROUBLE)), extra)
    assert (first, second) == (ALARM, OK)
    late = alarm.period * alarm.periods // 60
    assert TROUBLE.start < on <= TROUBLE.start + max(NOTICED, late + 2)
    assert on < off <= TROUBLE.stop + OVER


@pytest.mark.parametrize("name", sorted(name for name in ALARMS if ALARMS[name].period == 300))
def test_a_single_event_rings_once(name: str) -> None:
    alarm = ALARMS[name]
    found = changes(alarm, list(run(alarm, range(60, 61))), extra=3)
    assert [state for _, state in found] == [ALARM, OK]


@pytest.mark.parametrize(
    "name", sorted(name for name in ALARMS if ALARMS[name].periods > 1 and ALARMS[name].period == 60)
)
def test_a_single_bad_minute_rings_nothing(name: str) -> None:
    assert changes(ALARMS[name], list(run(ALARMS[name], range(60, 61))), extra=2) == []


def test_an_upkeep_that_is_not_called_rings() -> None:
    alarm = ALARMS["MaintainErrors"]
    points = [point for point in run(alarm, None) if not 60 <= (point.at - START) / 60 < 90]
    (on, first), (_, second) = changes(alarm, points, extra=2)
    assert (first, second) == (ALARM, OK)
    assert 60 + 5 <= on <= 60 + 9


def test_an_upkeep_that_runs_no_more_rings() -> None:
    alarm = ALARMS["SelfTestSilent"]
    points = [point for point in run(alarm, None) if not 60 <= (point.at - START) / 60 < 90]
    (on, first), (_, second) = changes(alarm, points, extra=2)
    assert (first, second) == (ALARM, OK)
    assert 60 + 10 <= on <= 60 + 14


def test_alarms_of_self_tests_are_there_only_where_these_are_made() -> None:
    found = resources("AWS::CloudWatch::Alarm", OBSERVABILITY)
    conditional = {name for name, one in found.items() if one.get("Condition") == "SelfTested"}
    assert conditional == {"SelfTestFailedAlarm", "SelfTestSilentAlarm"}


def test_a_connector_that_is_replaced_rings_nothing() -> None:
    alarm = ALARMS["AccountDisconnected"]
    assert changes(alarm, list(run(alarm, range(60, 63))), extra=2) == []


def test_two_runs_in_one_minute_and_none_in_the_next_leave_it_on() -> None:
    alarm = ALARMS["AccountDisconnected"]
    points = [point for point in run(alarm, TROUBLE) if (point.at - START) // 60 not in (66, 74, 82)]
    assert [state for _, state in changes(alarm, points, extra=2)] == [ALARM, OK]


def test_a_letter_that_stays_rings_once_and_the_next_one_again() -> None:
    alarm = ALARMS["DeadQueues"]
    namespace, name, dimensions = metric(alarm)
    letters = chain(
        ((minute, 1) for minute in range(60, 100)), ((minute, 2) for minute in range(100, MINUTES))
    )
    points = [Datapoint(namespace, name, dimensions, value, START + 60 * at) for at, value in letters]
    found = changes(alarm, [*run(alarm, None), *points], extra=1)
    assert [state for _, state in found] == [ALARM, OK, ALARM, OK]


@pytest.mark.parametrize("letters", [1, 7])
def test_a_webhook_that_crashed_and_stays_rings_once(letters: int) -> None:
    alarm = ALARMS["WebhooksCrashed"]
    namespace, name, dimensions = metric(alarm)
    points = [Datapoint(namespace, name, dimensions, letters, START + 60 * at) for at in range(60, MINUTES)]
    assert [state for _, state in changes(alarm, points, extra=1)] == [ALARM, OK]


def dead_letters(minutes: range, number: int = 1) -> list[Datapoint]:
    namespace, name, dimensions = metric(ALARMS["DeadQueues"])
    return [Datapoint(namespace, name, dimensions, number, START + 60 * at + 7) for at in minutes]


@pytest.mark.parametrize("extra", EXTRA_PERIODS)
def test_a_queue_that_told_nothing_before_rings_with_its_first_letter(extra: int) -> None:
    found = changes(ALARMS["DeadQueues"], dead_letters(range(60, MINUTES)), extra)
    assert [state for _, state in found] == [ALARM, OK]


@pytest.mark.parametrize("extra", EXTRA_PERIODS[1:])
def test_letters_that_were_there_before_a_gap_in_the_metric_ring_nothing(extra: int) -> None:
    alarm = ALARMS["DeadQueues"]
    points = [*dead_letters(range(60)), *dead_letters(range(66, MINUTES))]
    assert [state for at, state in changes(alarm, points, extra) if at > 30] == []


def test_a_letter_that_is_counted_a_period_late_rings() -> None:
    alarm = ALARMS["DeadQueues"]
    # Evaluated when the newest whole period has told nothing yet, and again when it has.
    early = [*dead_letters(range(55), 0), *dead_letters(range(55, 60))]
    late = [*early, *dead_letters(range(60, 65))]
    assert alarm.state(early, START + 65 * 60, extra=1) == ALARM
    assert alarm.state(late, START + 65 * 60, extra=1) == ALARM


def test_what_another_stack_tells_rings_nothing() -> None:
    for alarm in ALARMS.values():
        others = [
            Datapoint(p.namespace, p.name, {**p.dimensions, "stack": "another"}, p.value, p.at)
            for p in run(alarm, TROUBLE)
            if p.namespace == "Tocsin"
        ]
        good = list(run(alarm, None))
        assert changes(alarm, [*good, *others], extra=1) == []


def test_every_metric_of_ours_bears_the_stack() -> None:
    for alarm in ALARMS.values():
        for namespace, _, dimensions in alarm.metrics:
            assert namespace != "Tocsin" or dimensions["stack"] == STACK


def test_alarms_cost_what_they_tell() -> None:
    """Ten metrics in alarms are free in an account, each more is 0.10 USD a month. Those of door and
    webhooks are there only with them."""
    always = [alarm for name, alarm in ALARMS.items() if not name.startswith(("Door", "Webhooks"))]
    assert sum(len(alarm.metrics) for alarm in always) <= 22
    assert sum(len(alarm.metrics) for alarm in ALARMS.values()) <= 28


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("DoorErrors", "Door"),
        ("DoorThrottles", "Door"),
        ("WebhooksDead", "Hooked"),
        ("WebhooksAge", "Hooked"),
        ("WebhooksThrottles", "Hooked"),
        ("WebhooksCrashed", "HookedOnFargate"),
    ],
)
def test_alarms_of_a_door_are_there_only_with_it(name: str, condition: str) -> None:
    assert resources("AWS::CloudWatch::Alarm", OBSERVABILITY)[f"{name}Alarm"]["Condition"] == condition


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_it_tells_its_beginning_and_its_end(name: str) -> None:
    told = ALARMS[name].properties
    assert told["AlarmActions"] == told["OKActions"]
    assert [one["Fn::If"][1] for one in told["AlarmActions"]] == [
        {"Ref": "AlarmTopicArn"},
        {"Ref": "AlarmTopic"},
    ]


# -- the evaluator itself ----------------------------------------------------------------------------------

THREE = Alarm(
    "three of three",
    {
        "Namespace": "N",
        "MetricName": "M",
        "Dimensions": [],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    },
)

# The user guide's table for three periods and a range of five: `-` missing, `X` breaching, `0` not.
GUIDE = [
    ("0-X-X", OK, OK),
    ("-----", OK, ALARM),
    ("0----", OK, OK),
    ("----X", OK, ALARM),
    ("XX--X", ALARM, ALARM),
    ("-0-0X", OK, OK),
]


@pytest.mark.parametrize(("seen", "not_breaching", "breaching"), GUIDE)
def test_it_evaluates_as_the_guide_says(seen: str, not_breaching: str, breaching: str) -> None:
    points = [
        Datapoint("N", "M", {}, float(sign == "X"), 60 * place)
        for place, sign in enumerate(seen)
        if sign != "-"
    ]
    assert THREE.state(points, 300, extra=2) == not_breaching
    other = Alarm("other", {**THREE.properties, "TreatMissingData": "breaching"})
    assert other.state(points, 300, extra=2) == breaching


def test_metric_math() -> None:
    known = {"a": {1: 2.0, 3: 5.0}, "b": {1: 1.0}}
    wanted = range(1, 4)
    assert evaluated("a + b", known, wanted) == {1: 3}
    assert evaluated("FILL(a, 0)", known, wanted) == {1: 2, 2: 0, 3: 5}
    assert evaluated("FILL(a, REPEAT)", known, wanted) == {1: 2, 2: 2, 3: 5}
    assert evaluated("FILL(FILL(a, REPEAT), 0)", known, range(4)) == {0: 0, 1: 2, 2: 2, 3: 5}
    assert evaluated("DIFF(FILL(a, 0) + FILL(b, 0))", known, wanted) == {2: -3, 3: 5}
