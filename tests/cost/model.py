"""From counts and prices to a bill: pure arithmetic.

`Facts` come from the template (memory sizes, alarms, queues), counts from a run on the emulator. What a run
here can't know is a named constant below, with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOURS = 730
MINUTES = HOURS * 60

ACK_SECONDS = 0.5
"""From handing over a message to WhatsApp's ack. `send` waits for it, and Lambda bills waiting."""

FULL_PROCESSOR_MB = 1769
"""A function with this memory has one processor; with less, a part of one (Lambda's developer guide)."""

PROCESSOR_RATIO = 1.0
"""Processor time on Lambda for one second here. Taken as equal: nothing better is known without AWS."""

LATENCY_MS = {
    "dynamodb:GetItem": 3,
    "dynamodb:BatchGetItem": 4,
    "dynamodb:Query": 4,
    "dynamodb:PutItem": 5,
    "dynamodb:UpdateItem": 5,
    "dynamodb:DeleteItem": 5,
    "dynamodb:TransactWriteItems": 12,
    "dynamodb:TransactGetItems": 8,
    "sqs:SendMessage": 8,
    "sqs:SendMessageBatch": 10,
    "sqs:ChangeMessageVisibility": 6,
    "events:PutEvents": 12,
    "secretsmanager:GetSecretValue": 15,
}
"""What a call takes within the region, in ms. The emulator's own times say nothing about AWS."""
OTHER_LATENCY_MS = 8

COLD_SHARE = {1_000: 1.0, 100_000: 0.02, 1_000_000: 0.005, 10_000_000: 0.001}
"""The part of the invocations that start a container. With 1,000 a month an event finds none warm."""

PLATFORM_LOG_BYTES = 70 + 60 + 170
"""START, END and REPORT of one invocation, which Lambda writes unless its log level is WARN."""
PLATFORM_LOG_LINES = 3
LINE_BYTES = 26
"""What CloudWatch Logs adds to each line."""
LOG_COMPRESSION = 0.15
RETENTION_DAYS = 35

POLLS_AN_HOUR = 3 * 60
"""A long poll of a poller waits 20 s."""
POLLERS = {"fixed": 5, "adaptive": 2}
"""Lambda keeps five pollers on an idle queue; two where no maximum concurrency is set, on a standard queue
(developer guide, "Configuring scaling behavior for SQS event source mappings")."""

KMS_REQUESTS_IDLE = 2 * HOURS * 12
"""DynamoDB asks KMS for a table's key at most every five minutes, for each of two tables."""


@dataclass(frozen=True)
class Use:
    """So much of what has a price. `part`: the line of the bill."""

    part: str
    price: str
    amount: float


@dataclass(frozen=True)
class Prices:
    values: Mapping[str, Mapping[str, Any]]
    spot_discount: float
    as_of: str

    @classmethod
    def read(cls) -> Prices:
        found = json.loads(Path(__file__).with_name("prices.json").read_text())
        return cls(found["prices"], found["fargate_spot_discount"], found["as_of"])

    def of(self, use: Use) -> float:
        """USD by list price, nothing given away."""
        price = self.values[use.price]
        return float(use.amount * price["usd"] / price["per"])

    def given(self, uses: Iterable[Use]) -> float:
        """USD that the allowances of a month take off a month's uses."""
        amounts: dict[str, float] = {}
        for use in uses:
            amounts[use.price] = amounts.get(use.price, 0) + use.amount
        saved = 0.0
        for name, amount in amounts.items():
            price = self.values[name]
            saved += min(amount, price["free"]) * price["usd"] / price["per"]
        return saved


@dataclass(frozen=True)
class Facts:
    """What the template says. `memory`: MiB by function; `queues`: kind and pollers of each queue that a
    function reads; `platform_lines`: whether Lambda tells of each run that went well."""

    memory: Mapping[str, int]
    alarm_metrics: int
    dashboards: int
    secrets: int
    own_keys: int
    queues: Mapping[str, tuple[str, int]]
    fargate_vcpu: float
    fargate_gb: float
    platform_lines: bool = True


def billed_ms(line: Mapping[str, Any], memory: int, *, ack_waits: float = 0) -> float:
    """What Lambda bills for one invocation: processor time at this memory, and waiting for AWS and acks."""
    slower = max(FULL_PROCESSOR_MB / memory, 1) * PROCESSOR_RATIO
    waiting = sum(
        count * LATENCY_MS.get(name.removesuffix(".fifo"), OTHER_LATENCY_MS)
        for name, count in line["calls"].items()
    )
    return float(line["cpu_ms"] * slower + waiting + ack_waits * ACK_SECONDS * 1000)


def notification_uses(
    phase: Mapping[str, Any], facts: Facts, cold: Mapping[str, Any], share: float, stored_bytes: float
) -> list[Use]:
    """What one notification takes, delivered and read. `phase`: averages by function."""
    uses: list[Use] = []
    for function, one in phase["functions"].items():
        if function == "connector":
            # Its heartbeat and its looks come by the clock, and are in the idle month.
            uses += [use for use in call_uses("SQS", one) if use.part == "SQS"]
            continue
        uses += function_uses(function, one, facts, cold.get(function), share)
    # The rule puts each ticket event into the queue. The event is the ticketing system's; it counts too.
    uses.append(Use("EventBridge", "eventbridge_event", phase.get("events_in", 1)))
    uses.append(Use("SQS", "sqs_request", phase.get("events_in", 1)))
    months = stored_bytes / 1e9 * RETENTION_DAYS * 24 / HOURS
    uses.append(Use("storage", "dynamodb_gb_month", months))
    uses.append(Use("storage", "dynamodb_pitr_gb_month", months))
    return uses


def function_uses(
    function: str, one: Mapping[str, Any], facts: Facts, cold: Mapping[str, Any] | None, share: float
) -> list[Use]:
    memory = facts.memory[function]
    gb = memory / 1024
    invocations = one["invocations"]
    seconds = billed_ms(one, memory, ack_waits=one.get("ack_waits", 0)) / 1000
    if cold:
        # While it starts, a function has a whole processor.
        seconds += invocations * share * (cold["cpu_ms"] * PROCESSOR_RATIO + 100) / 1000
    platform = PLATFORM_LOG_BYTES + PLATFORM_LOG_LINES * LINE_BYTES if facts.platform_lines else 0
    log = one["log_bytes"] + one["log_lines"] * LINE_BYTES + invocations * platform
    uses = [
        Use("Lambda", "lambda_request", invocations),
        Use("Lambda", "lambda_gb_second", seconds * gb),
        Use("logs", "log_gb", log / 1e9),
        Use("logs", "log_storage_gb_month", log / 1e9 * LOG_COMPRESSION),
        *call_uses("SQS", one),
    ]
    if function in facts.queues:
        kind = "sqs_fifo_request" if facts.queues[function][0] == "fifo" else "sqs_request"
        # A receive and a delete for each batch.
        uses.append(Use("SQS", kind, 2 * invocations))
    return uses


def call_uses(part: str, one: Mapping[str, Any]) -> list[Use]:
    calls = one["calls"]
    fifo = sum(count for name, count in calls.items() if name.startswith("sqs:") and name.endswith(".fifo"))
    standard = sum(
        count for name, count in calls.items() if name.startswith("sqs:") and not name.endswith(".fifo")
    )
    secrets = sum(count for name, count in calls.items() if name.startswith("secretsmanager:"))
    invoked = calls.get("lambda:Invoke", 0)
    return [
        Use(part, "sqs_fifo_request", fifo),
        Use(part, "sqs_request", standard),
        Use("DynamoDB", "dynamodb_write_unit", one["write_units"]),
        Use("DynamoDB", "dynamodb_read_unit", one["read_units"]),
        Use("EventBridge", "eventbridge_event", one["events"]),
        Use("secrets", "secret_request", secrets),
        Use("Lambda", "lambda_request", invoked * 0),
    ]


def metric_months(per_month: float, series: int) -> float:
    """What so many metrics cost, in months of one, if each is sent with every notification of a month."""
    # Of random arrivals an hour stays without with probability e^-λ.
    hours = HOURS * (1 - math.exp(-per_month / HOURS))
    return series * hours / HOURS


def idle_uses(
    idle: Mapping[str, Any],
    facts: Facts,
    *,
    spot: bool = False,
    ipv4: bool = True,
    prices: Prices | None = None,
) -> list[Use]:
    """A month in which nothing is sent. `idle`: averages for one minute, by function. `ipv4`: whether the
    connector has an address of it (`ConnectorNetwork`); without one, a task that starts asks a function four
    times for its code, which is no cent."""
    keep = 1 - (prices or Prices.read()).spot_discount if spot else 1
    uses = [
        Use("Fargate", "fargate_vcpu_hour", HOURS * facts.fargate_vcpu * keep),
        Use("Fargate", "fargate_gb_hour", HOURS * facts.fargate_gb * keep),
        Use("public IPv4", "public_ipv4_hour", HOURS if ipv4 else 0),
        Use("alarms", "alarm_metric_month", facts.alarm_metrics),
        Use("dashboard", "dashboard_month", facts.dashboards),
        Use("metrics", "custom_metric_month", idle["metrics"]),
        Use("secrets", "secret_month", facts.secrets),
        Use("KMS", "kms_key_month", facts.own_keys),
        Use("KMS", "kms_request", KMS_REQUESTS_IDLE),
        Use(
            "Scheduler",
            "scheduler_invocation",
            idle["functions"].get("maintain_sessions", {"invocations": 0})["invocations"] * MINUTES,
        ),
    ]
    for kind, pollers in facts.queues.values():
        price = "sqs_fifo_request" if kind == "fifo" else "sqs_request"
        uses.append(Use("polling", price, pollers * POLLS_AN_HOUR * HOURS))
    for function, one in idle["functions"].items():
        if function == "connector":
            uses += [scaled(use, MINUTES, "connector's calls") for use in call_uses("SQS", one)]
            uses.append(
                Use("logs", "log_gb", (one["log_bytes"] + LINE_BYTES * one["log_lines"]) * MINUTES / 1e9)
            )
            continue
        uses += [
            scaled(use, MINUTES, "upkeep" if use.part in ("Lambda", "DynamoDB") else use.part)
            for use in function_uses(function, one, facts, None, 0)
        ]
    return uses


def scaled(use: Use, factor: float, part: str) -> Use:
    return Use(part, use.price, use.amount * factor)


def by_part(uses: Iterable[Use], prices: Prices) -> dict[str, float]:
    """USD by line of the bill, the largest first."""
    sums: dict[str, float] = {}
    for use in uses:
        sums[use.part] = sums.get(use.part, 0) + prices.of(use)
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
