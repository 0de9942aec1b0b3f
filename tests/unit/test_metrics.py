"""Counting: told once, nothing that is zero, and as CloudWatch reads it."""

from __future__ import annotations

import json

from tocsin.metrics import Tally, Value, embedded


def taken(tally: Tally) -> dict[object, dict[str, list[float]]]:
    return {
        dimensions: {name: metric.values for name, metric in metrics.items()}
        for dimensions, metrics in tally.take()
    }


def test_a_count_is_the_sum_of_what_was_counted() -> None:
    tally = Tally()
    tally.count("Sent")
    tally.count("Sent", 2)
    assert taken(tally) == {(): {"Sent": [3]}}


def test_zero_is_not_told() -> None:
    tally = Tally()
    tally.count("Failed", 0)
    assert taken(tally) == {}


def test_measurements_are_kept_one_by_one() -> None:
    tally = Tally()
    tally.measure("SecondsToHeal", 1.5, "Seconds")
    tally.measure("SecondsToHeal", 1.5, "Seconds")
    assert taken(tally) == {(): {"SecondsToHeal": [1.5, 1.5]}}


def test_each_set_of_dimensions_is_counted_for_itself() -> None:
    tally = Tally()
    tally.count("Recoveries", 1, {"cause": "bad-mac", "side": "theirs"})
    tally.count("Recoveries", 1, {"side": "theirs", "cause": "bad-mac"})
    tally.count("Recoveries", 1, {"side": "ours", "cause": "bad-mac"})
    assert taken(tally) == {
        (("cause", "bad-mac"), ("side", "theirs")): {"Recoveries": [2]},
        (("cause", "bad-mac"), ("side", "ours")): {"Recoveries": [1]},
    }


def test_what_was_taken_is_not_told_again() -> None:
    tally = Tally()
    tally.count("Sent")
    assert taken(tally)
    assert taken(tally) == {}


def test_a_line_is_in_the_embedded_format() -> None:
    line = embedded(
        "Tocsin", {"service": "connector", "stack": "one"}, {"Reconnects": Value("Count", [2])}, 1.5
    )
    assert json.loads(line) == {
        "_aws": {
            "Timestamp": 1500,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Tocsin",
                    "Dimensions": [["service", "stack"]],
                    "Metrics": [{"Name": "Reconnects", "Unit": "Count"}],
                }
            ],
        },
        "service": "connector",
        "stack": "one",
        "Reconnects": [2],
    }
