"""The bill: from counts and prices to USD, by AWS's rules, without an emulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cost import page, report
from tests.cost.counter.sitecustomize import named
from tests.cost.facts import facts, is_capped, kept_by_default, metrics_of
from tests.cost.measure import FUNCTIONS
from tests.cost.model import (
    HOURS,
    Facts,
    Prices,
    Use,
    billed_ms,
    by_part,
    call_uses,
    function_uses,
    idle_uses,
    metric_months,
    notification_uses,
)
from tests.cost.reduce import averages, series
from tests.support.templates import resources
from tocsin_local.paths import ROOT

PRICES = Prices.read()
FACTS = Facts(
    memory={"send_notification": 512},
    alarm_metrics=12,
    dashboards=0,
    secrets=2,
    own_keys=0,
    queues={"send_notification": ("fifo", 5)},
    fargate_vcpu=0.25,
    fargate_gb=0.5,
)


def counts(**more: Any) -> dict[str, Any]:
    nothing = {"invocations": 0, "cpu_ms": 0, "calls": {}, "read_units": 0, "write_units": 0}
    return {**nothing, "events": 0, "log_bytes": 0, "log_lines": 0, **more}


def amount(uses: list[Use], price: str) -> float:
    return sum(use.amount for use in uses if use.price == price)


def test_every_price_has_a_source() -> None:
    assert all(price["source"].startswith("https://aws.amazon.com/") for price in PRICES.values.values())


def test_a_million_write_units_cost_what_the_list_says() -> None:
    assert PRICES.of(Use("DynamoDB", "dynamodb_write_unit", 1e6)) == pytest.approx(0.625)


def test_what_aws_gives_is_taken_off_once_for_all_parts() -> None:
    uses = [Use("a", "sqs_request", 800_000), Use("b", "sqs_request", 800_000)]
    assert PRICES.given(uses) == pytest.approx(0.40)


def test_half_the_memory_is_half_the_price_of_waiting_and_no_less_of_the_processor() -> None:
    line = counts(invocations=1, cpu_ms=10)
    large, small = billed_ms(line, 1024, ack_waits=1), billed_ms(line, 512, ack_waits=1)
    assert (large - 500) * 2 == pytest.approx(small - 500)


def test_a_batch_waits_for_its_acks_once() -> None:
    ten = counts(invocations=0.1, ack_waits=0.1)
    assert billed_ms(ten, 512, ack_waits=0.1) == pytest.approx(50)


def test_a_batch_is_received_and_deleted_once() -> None:
    uses = function_uses("send_notification", counts(invocations=0.1), FACTS, None, 0)
    assert amount(uses, "sqs_fifo_request") == pytest.approx(0.2)


def test_a_queue_of_either_kind_has_its_price() -> None:
    uses = call_uses("SQS", counts(calls={"sqs:SendMessage": 2, "sqs:SendMessageBatch.fifo": 1}))
    assert (amount(uses, "sqs_request"), amount(uses, "sqs_fifo_request")) == (2, 1)


@pytest.mark.parametrize(("queue", "counted"), [("orders.fifo", ".fifo"), ("receipts", "")])
def test_a_call_is_counted_by_the_kind_of_its_queue(queue: str, counted: str) -> None:
    params = {"QueueUrl": f"http://127.0.0.1:4566/000000000000/{queue}", "Entries": []}
    assert named("sqs", "SendMessageBatch", params) == f"sqs:SendMessageBatch{counted}"
    assert named("dynamodb", "GetItem", {"TableName": "keys"}) == "dynamodb:GetItem"


def test_an_empty_queue_is_polled_all_month() -> None:
    uses = idle_uses({"functions": {}, "metrics": 0}, FACTS)
    assert amount([use for use in uses if use.part == "polling"], "sqs_fifo_request") == 5 * 180 * HOURS


def test_a_standard_queue_without_a_cap_has_two_pollers_and_every_other_one_five() -> None:
    pollers = {name: number for name, (_, number) in facts().queues.items()}
    assert pollers == {
        "plan_notifications": 2,
        "send_notification": 5,
        "receive_stanza": 5,
        "record_receipts": 2,
    }
    cap = {"MaximumConcurrency": 2}
    assert is_capped(cap)
    assert is_capped({"Fn::If": ["Fargate", cap, {"Ref": "AWS::NoValue"}]})
    assert not is_capped({"Fn::If": ["PlanCapped", cap, {}]})
    assert not is_capped({"Fn::If": ["PlanCapped", cap, {"Ref": "AWS::NoValue"}]})


def test_spot_takes_off_the_task_and_not_its_address() -> None:
    bill = by_part(idle_uses({"functions": {}, "metrics": 0}, FACTS), PRICES)
    spot = by_part(idle_uses({"functions": {}, "metrics": 0}, FACTS, spot=True), PRICES)
    assert spot["Fargate"] == pytest.approx(bill["Fargate"] * 0.3)
    assert spot["public IPv4"] == bill["public IPv4"] == pytest.approx(3.65)


def test_a_connector_without_ipv4_pays_for_no_address_and_for_all_else() -> None:
    bill = by_part(idle_uses({"functions": {}, "metrics": 0}, FACTS), PRICES)
    without = by_part(idle_uses({"functions": {}, "metrics": 0}, FACTS, ipv4=False), PRICES)
    assert without == bill | {"public IPv4": 0}


def test_a_metric_costs_in_the_hours_in_which_it_is_told() -> None:
    assert metric_months(1, 1) == pytest.approx(1 / HOURS, rel=0.01)
    assert metric_months(1e6, 3) == pytest.approx(3)


def test_an_alarm_costs_by_the_metrics_it_reads() -> None:
    one = {"Properties": {"MetricName": "M"}}
    two = {"Properties": {"Metrics": [{"Expression": "a + b"}, {"MetricStat": {}}, {"MetricStat": {}}]}}
    assert (metrics_of(one), metrics_of(two)) == (1, 2)


def test_averages_are_of_one_notification() -> None:
    line = {"function": "f", "ready": False, "records": 2, "cpu_ms": 3.0, "calls": {"sqs:SendMessage": 2}}
    line |= {"read_units": 1.0, "write_units": 4.0, "event_bytes": [70_000], "log": "a\nb\n"}
    found = averages([line, line], 4)["f"]
    assert (found["invocations"], found["records"], found["write_units"]) == (0.5, 1.0, 2.0)
    assert found["events"] == 1.0  # each event has two chunks of 64 KB
    assert found["log_lines"] == 1.0


def test_metrics_are_told_apart_by_their_dimensions() -> None:
    def log(cause: str) -> str:
        directive = {"Dimensions": [["cause"]], "Metrics": [{"Name": "Recoveries"}]}
        return json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, "cause": cause}) + "\n"

    assert len(series([{"log": log("a") + log("b") + log("a")}])) == 2


def test_every_function_is_measured() -> None:
    services = {
        one["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for one in resources("AWS::Serverless::Function").values()
        if kept_by_default(one)
    }
    assert set(FUNCTIONS.values()) == services


# -- the page ----------------------------------------------------------------------------------------------


def test_the_record_has_the_templates_facts() -> None:
    _, recorded = report.read(report.MEASURED)
    assert recorded == facts(), "make cost ARGS=page"


def test_no_alarm_needs_a_metric_of_ours_in_each_minute_of_a_quiet_month() -> None:
    """If an alarm takes silence for the worst, its metric is always told: ours would cost all month."""
    always = {
        one["Properties"]["Namespace"]
        for one in resources("AWS::CloudWatch::Alarm", "infra/observability.yaml").values()
        if one["Properties"].get("TreatMissingData") == "breaching"
    }
    assert always == {"AWS/Lambda"}


def test_a_million_that_comes_alone_misses_the_aim_by_what_is_kept_told_and_waited_for() -> None:
    """The page says that neither cheaper code nor fewer log lines would bring it there."""
    counted, told = report.read(report.MEASURED)
    alone = page.total(report.million(report.each(counted, told, "in_turn")), PRICES)
    assert page.MILLION_AIM < page.least(counted, told, PRICES) < alone


def test_a_function_that_nobody_counted_is_told_on_the_page() -> None:
    """Else the page would call "now" what was counted before the function was there."""
    told = facts()
    counted = sorted(told.memory)
    assert page.reservation({"counted": counted}, told) == []
    counted.remove("record_receipts")
    [line] = page.reservation({"counted": counted}, told)
    assert "older than `record_receipts`" in line


def test_what_the_connector_does_by_the_clock_is_no_part_of_a_notification() -> None:
    connector = counts(
        calls={"dynamodb:PutItem": 12, "sqs:SendMessageBatch": 1}, write_units=12, read_units=9
    )
    phase = {"functions": {"connector": connector}, "events_in": 0}
    uses = notification_uses(phase, FACTS, {}, 0, 0)
    assert (amount(uses, "dynamodb_write_unit"), amount(uses, "sqs_request")) == (0, 1)


def test_what_is_written_at_the_end_of_a_window_is_not_counted_for_each_batch() -> None:
    line = {
        "function": "publish_outcomes",
        "ready": False,
        "records": 1,
        "cpu_ms": 1,
        "read_units": 0,
        "event_bytes": [],
        "log": "",
        "calls": {"dynamodb:UpdateItem": 2, "events:PutEvents": 1},
        "write_units": 3,
        "units_of": {"hours/498901 ×1": 1, "notification/state ×1": 2},
    }
    one = averages([line], 1)["publish_outcomes"]
    assert (one["write_units"], one["calls"]["dynamodb:UpdateItem"]) == (2, 1)


def test_how_many_must_share_an_invocation_follows_from_both_measurements() -> None:
    def sends(invocations: float) -> dict[str, Any]:
        return {"functions": {"send_notification": {"invocations": invocations}}}

    # 10 USD each for itself and 10 for an invocation: 16 with 0.6 of one each.
    counted = {"in_turn": sends(1), "at_once": sends(0.1)}
    assert page.sharing_needed(counted, 20, 11) == pytest.approx(1 / 0.6)


def test_the_readme_says_what_the_page_says() -> None:
    counted, recorded = report.read(report.MEASURED)
    usd = {
        spot: page.total(idle_uses(counted["idle"], recorded, spot=spot), PRICES) for spot in (False, True)
    }
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"(about {usd[False]:.0f} US dollars a month when idle, {usd[True]:.0f} on Fargate Spot" in told


def test_the_page_is_made_from_the_record() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "make cost ARGS=page"
