"""What a function's log holds: what is worth its bytes, by the stack, whatever the end of the invocation."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.support.handlers import Context
from tocsin.telemetry import Telemetry

Lines = list[dict[str, Any]]

# Powertools keeps one logger for each name, and with it the stream that it was made for.
_names = count(1)


@pytest.fixture
def telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"function_{next(_names)}")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("STACK_NAME", "one")
    yield Telemetry()
    logging.getLogger("tocsin").handlers = []
    logging.getLogger("tocsin").propagate = True


def loud(telemetry: Telemetry) -> Telemetry:
    """Have it log to where the test looks: pytest replaces stdout between a fixture and its test."""
    for handler in telemetry.logger.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(sys.stdout)
    return telemetry


def printed(capsys: pytest.CaptureFixture[str]) -> Lines:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_metric_bears_the_stack(telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.count("Sent")
    telemetry.count("DeadLetters", 1, {"class": "retry"})
    telemetry.flush()
    assert [line["stack"] for line in printed(capsys)] == ["one", "one"]


def test_what_was_counted_is_one_record_of_the_invocation(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    @telemetry.handler
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.count("Sent", 2)
        telemetry.count("Parked")

    handler({}, Context())  # type: ignore[arg-type]
    [line] = printed(capsys)
    assert (line["Sent"], line["Parked"]) == ([2.0], [1.0])


def test_it_is_told_if_the_handler_raises(telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.handler
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.count("Bugs")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        handler({}, Context())  # type: ignore[arg-type]
    assert printed(capsys)[0]["Bugs"] == [1.0]


def test_an_invocation_that_counts_nothing_writes_nothing(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.handler(lambda event, context: None)({}, Context())  # type: ignore[arg-type]
    assert printed(capsys) == []


def test_a_line_says_what_a_start_took_in_the_first_invocation_only(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = loud(telemetry).handler(lambda event, context: telemetry.logger.info("done"))
    handler({}, Context())  # type: ignore[arg-type]
    handler({}, Context())  # type: ignore[arg-type]
    first, second = printed(capsys)
    assert first["cold_start_ms"] > 0
    assert "cold_start_ms" not in second


def test_a_line_holds_nothing_that_the_log_group_says_already(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = loud(telemetry).handler(lambda event, context: telemetry.logger.info("done"))
    handler({}, Context())  # type: ignore[arg-type]
    [line] = printed(capsys)
    assert set(line) == {"level", "message", "timestamp", "service", "function_request_id", "cold_start_ms"}


def test_the_layers_own_lines_come_out_in_the_same_form(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    loud(telemetry)
    logging.getLogger("tocsin.notify.parking").warning("late", extra={"notification": "0f3c"})
    [line] = printed(capsys)
    assert (line["message"], line["notification"]) == ("late", "0f3c")


def test_a_metric_that_can_not_be_told_undoes_nothing(
    telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    @loud(telemetry).handler
    def handler(event: dict[str, Any], context: Any) -> str:
        telemetry.measure("SecondsToHeal", event.get("seconds", 1.0), "Seconds", {"side": "ours"})
        return "done"

    assert handler({"seconds": "soon"}, Context()) == "done"  # type: ignore[arg-type]
    [line] = printed(capsys)
    assert line["message"] == "the metrics could not be told"
    handler({}, Context())  # type: ignore[arg-type]
    [line] = printed(capsys)
    assert line["SecondsToHeal"] == [1.0]


@pytest.mark.parametrize(("in_lambda", "seen"), [(True, []), (False, ["once"])])
def test_a_line_of_the_layer_is_not_told_again_by_the_runtimes_own_handler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, in_lambda: bool, seen: list[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"function_{next(_names)}")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    if in_lambda:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "send")
    else:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    layer = logging.getLogger("tocsin")
    try:
        loud(Telemetry())
        logging.getLogger("tocsin.keys").warning("once")
        assert [record.message for record in caplog.records] == seen
    finally:
        layer.handlers, layer.propagate = [], True
