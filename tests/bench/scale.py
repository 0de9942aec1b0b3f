"""How much one, ten and a hundred accounts can send in a minute, and what stops them first: computed.

What is put in are figures that other benchmarks measure, and AWS's quotas with their date. No seconds are
measured here.

    python -m tests.bench scale         prints the table
    python -m tests.bench.scale         writes it into layers/core/tocsin/SCALE.md
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext

PAGE = Path(__file__).parents[2] / "layers" / "core" / "tocsin" / "SCALE.md"
BEGIN, END = "<!-- computed by tests/bench/scale.py -->", "<!-- end of what is computed -->"
ACCOUNTS = (1, 10, 100)

VCPU_MEGABYTES = 1769
"""Memory at which Lambda gives a function one processor."""


@dataclass(frozen=True)
class Measured:
    """Of one notification with a known session. `write_units` in the notifications table and `key_units` in
    the keys table, from plan to read, by `requests`. Milliseconds of one full processor: of the sender, our
    code (1.1) and four requests to AWS (0.6 each), rounded up; of the connector, an estimate until `messages`
    has measured it. `ack_seconds`: what WhatsApp takes, assumed.
    """

    write_units: float = 7
    key_units: float = 2.06
    send_cpu_ms: float = 6.0
    connector_cpu_ms: float = 2.0
    ack_seconds: float = 0.5
    overhead_seconds: float = 0.06


@dataclass(frozen=True)
class Quotas:
    """AWS's, as documented in 2026-11 for us-east-1. `fifo_calls`: of each API of a queue in high-throughput
    mode, in a second; 2,400 in the smallest regions."""

    partition_writes: int = 1000
    table_writes: int = 40_000
    concurrent_executions: int = 1000
    fifo_calls: int = 70_000


@dataclass(frozen=True)
class Deployment:
    """`concurrency`: `SendConcurrency`. `connectors`: `ConnectorCount`, of `vcpu` each. `people`: how many
    are written to in that minute, in each account; a person's messages keep their order."""

    accounts: int = 1
    concurrency: int = 4
    connectors: int = 1
    vcpu: float = 0.25
    memory: int = 384
    lanes: int = 10
    people: int = 1000


@dataclass(frozen=True)
class Limit:
    """`per_minute`: notifications of all accounts together. `raised_by`: what the operator does about it."""

    what: str
    per_minute: float
    raised_by: str


@dataclass(frozen=True)
class Model:
    measured: Measured = field(default_factory=Measured)
    quotas: Quotas = field(default_factory=Quotas)

    def limits(self, to: Deployment) -> list[Limit]:
        """All limits of a deployment, the lowest first. WhatsApp's own isn't among them: nobody knows it."""
        measured, quotas = self.measured, self.quotas
        order = measured.ack_seconds + measured.overhead_seconds
        # What several lanes wait for, they wait for together; what they compute, one after the other.
        share = to.memory / VCPU_MEGABYTES
        batch = max(order, to.lanes * measured.send_cpu_ms / 1000 / share)
        found = [
            (
                "SendConcurrency",
                to.concurrency * to.lanes / batch,
                "the parameter, up to the quota of Lambda",
            ),
            (
                "Lambda's concurrent executions",
                quotas.concurrent_executions * to.lanes / batch,
                "a higher quota of Lambda",
            ),
            ("one lane for each person", to.accounts * to.people / order, "nothing: it keeps the order"),
            (
                "the account's own counter (one DynamoDB item)",
                to.accounts * quotas.partition_writes,
                "more accounts",
            ),
            (
                "the notifications table",
                quotas.table_writes / measured.write_units,
                "a higher quota of DynamoDB",
            ),
            ("the FIFO queue", quotas.fifo_calls, "a region with a higher quota"),
            (
                "the connector's processor",
                to.connectors * to.vcpu / (measured.connector_cpu_ms / 1000),
                "ConnectorMemory, ConnectorCount (for several accounts)",
            ),
        ]
        limits = [Limit(what, 60 * per_second, raised_by) for what, per_second, raised_by in found]
        return sorted(limits, key=lambda limit: limit.per_minute)

    def raised(self, to: Deployment) -> Deployment:
        """The same deployment with everything that its operator may turn up: a connector for each four
        accounts with one processor, and Lambda's whole quota."""
        return replace(
            to,
            concurrency=self.quotas.concurrent_executions,
            connectors=max(math.ceil(to.accounts / 4), 1),
            vcpu=1,
        )


def table(model: Model) -> str:
    """The Markdown table of the page."""
    rows = [
        "| accounts | deployed | a minute | the first limit | raised by | the next one |",
        "|-|-|-|-|-|-|",
    ]
    for accounts in ACCOUNTS:
        plain = Deployment(accounts=accounts)
        for name, to in (("as by default", plain), ("turned up", model.raised(plain))):
            first, second = model.limits(to)[:2]
            rows.append(
                f"| {accounts} | {name} | {rounded(first.per_minute)} | {first.what} | {first.raised_by} "
                f"| {second.what}, {rounded(second.per_minute)} |"
            )
    return "\n".join(rows)


def inputs(model: Model) -> str:
    """What was put in, as Markdown."""
    measured, quotas = model.measured, model.quotas
    return "\n".join(
        [
            "| put in | |",
            "|-|-|",
            f"| write units, notifications table, plan to read | {measured.write_units:g} |",
            f"| write units, keys table | {measured.key_units:g} |",
            f"| processor of `send_notification`, a message | {measured.send_cpu_ms:g} ms |",
            f"| processor of the connector, a message (estimated) | {measured.connector_cpu_ms:g} ms |",
            f"| WhatsApp's ack (assumed) | {measured.ack_seconds:g} s |",
            f"| writes of one DynamoDB partition | {quotas.partition_writes:,} units a second |",
            f"| writes of one table, default quota | {quotas.table_writes:,} units a second |",
            f"| Lambda, default quota | {quotas.concurrent_executions:,} executions; new accounts have 10 |",
            f"| FIFO queue, high throughput, us-east-1 | {quotas.fifo_calls:,} calls a second of each API |",
        ]
    )


def rounded(value: float) -> str:
    """Two figures: more would pretend."""
    digits = 1 - math.floor(math.log10(value))
    return f"{round(value, digits):,.0f}"


def page(text: str, model: Model) -> str:
    """The page with what is computed put in."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(model)}\n\n{inputs(model)}\n{END}{after}"


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    model = Model()
    sheet = Sheet("Notifications a minute, computed", ("first limit", "by"))
    for accounts in ACCOUNTS:
        plain = Deployment(accounts=accounts)
        for name, to in (("as by default", plain), ("turned up", model.raised(plain))):
            first = model.limits(to)[0]
            sheet.add(f"{accounts} accounts, {name}", rounded(first.per_minute), first.what)
    yield sheet


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), Model()), encoding="utf-8")
