"""infra/COST.md, made from the recorded counts, the template and the price table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cost.model import ACK_SECONDS, Facts, Prices, Use, by_part, idle_uses
from tests.cost.report import BEFORE, MEASURED, VOLUMES, each, million, month, read, table
from tocsin_local.paths import ROOT

PAGE = ROOT / "infra/COST.md"

IDLE_AIM, MILLION_AIM = 13, 16
"""USD, in us-east-1 at list prices on demand."""
FIXED = ("Fargate", "public IPv4", "secrets")
"""What is paid before anything works."""

TEXTS = Path(__file__).with_name("page.md")
"""What stands before the tables, and behind them."""


def page() -> str:
    prices = Prices.read()
    head, model = TEXTS.read_text().split("<!-- tables -->\n")
    now, facts = read(MEASURED)
    before, facts_before = read(BEFORE)
    return "\n".join(
        [
            head.format(region="us-east-1", as_of=prices.as_of),
            *reservation(now, facts),
            "## A month in which nothing is sent\n",
            _idle((before, facts_before), (now, facts), prices),
            "\n## One million notifications, delivered and read\n",
            _million((before, facts_before), (now, facts), prices),
            "\n## A whole month\n",
            _months(now, facts, prices),
            "\n## The aims, and where they hold\n",
            _aims(now, facts, prices),
            model.format(ack=ACK_SECONDS),
        ]
    )


def reservation(counted: Mapping[str, Any], facts: Facts) -> list[str]:
    """What the page must say if the counts are older than the code: functions of the template that nobody
    counted, because they came later."""
    seen = set(counted.get("counted", ()))
    missing = sorted(facts.memory.keys() - seen)
    if not missing:
        return []
    told = ", ".join(f"`{name}`" for name in missing)
    return [
        f"**The counts are older than {told}**: what it does now was counted where it was done before. "
        "`make cost` counts again.\n"
    ]


def _idle(before, now, prices: Prices) -> str:
    was, uses = idle_uses(before[0]["idle"], before[1]), idle_uses(now[0]["idle"], now[1])
    spot = idle_uses(now[0]["idle"], now[1], spot=True)
    ipv6 = idle_uses(now[0]["idle"], now[1], ipv4=False)
    columns = {"0.1.0": was, "now": uses, "now, IPv6": ipv6, "now, Spot": spot}
    text = table("USD a month", {name: by_part(one, prices) for name, one in columns.items()})
    given = " | ".join(f"{total(one, prices) - prices.given(one):,.2f}" for one in columns.values())
    return f"{text}\n| *with what AWS gives* | {given} |"


def _million(before, now, prices: Prices) -> str:
    columns = {
        "0.1.0, one at a time": by_part(million(each(*before, "in_turn")), prices),
        "now, one at a time": by_part(million(each(*now, "in_turn")), prices),
        "0.1.0, in a burst": by_part(million(each(*before, "at_once")), prices),
        "now, in a burst": by_part(million(each(*now, "at_once")), prices),
    }
    return table("USD", columns)


def _months(counted, facts, prices: Prices) -> str:
    lines = [
        "| notifications a month | list | with what AWS gives | list, Spot |",
        "| ---: | ---: | ---: | ---: |",
    ]
    rows = [(volume, "in_turn", "one at a time") for volume in VOLUMES]
    rows.append((VOLUMES[-1], "at_once", "in bursts"))
    for volume, phase, comes in rows:
        uses = month(counted, facts, volume, phase)
        spot = month(counted, facts, volume, phase, spot=True)
        sums = (total(uses, prices), total(uses, prices) - prices.given(uses), total(spot, prices))
        lines.append(f"| {volume:,}, {comes} | " + " | ".join(f"{value:,.2f}" for value in sums) + " |")
    return "\n".join(lines)


def _aims(counted, facts, prices: Prices) -> str:
    uses, spot = idle_uses(counted["idle"], facts), idle_uses(counted["idle"], facts, spot=True)
    ipv6 = idle_uses(counted["idle"], facts, ipv4=False)
    parts = by_part(uses, prices)
    fixed = sum(parts[part] for part in FIXED)
    alone, burst = (total(million(each(counted, facts, phase)), prices) for phase in ("in_turn", "at_once"))
    rows = [
        (f"idle ≤ {IDLE_AIM} USD a month, on demand, list price", total(uses, prices), IDLE_AIM),
        ("the same, after what AWS gives", total(uses, prices) - prices.given(uses), IDLE_AIM),
        ("the same, list price, with `ConnectorNetwork=ipv6`", total(ipv6, prices), IDLE_AIM),
        ("the same, list price, on Spot", total(spot, prices), IDLE_AIM),
        (f"≤ {MILLION_AIM} USD a million, delivered and read, in a burst", burst, MILLION_AIM),
        ("the same, one at a time", alone, MILLION_AIM),
    ]
    lines = ["| aim | USD | |", "| --- | ---: | --- |"]
    lines += [
        f"| {what} | {usd:,.2f} | {'holds' if usd <= most else 'does not hold'} |" for what, usd, most in rows
    ]
    text = TEXTS.with_name("aims.md").read_text()
    shared, floor = sharing_needed(counted, alone, burst), least(counted, facts, prices)
    told = text.format(fixed=fixed, shared=shared, per=ACK_SECONDS, floor=floor)
    return "\n".join(lines) + "\n\n" + told


def least(counted, facts, prices: Prices) -> float:
    """USD of a million, one at a time, if nothing were computed or logged: what is kept, queued and told, and
    the wait for the ack at the memory that two files need."""
    parts = by_part(million(each(counted, facts, "in_turn")), prices)
    waited = ACK_SECONDS * facts.memory["send_notification"] / 1024 * 1e6
    waiting = prices.of(Use("Lambda", "lambda_gb_second", waited))
    return waiting + sum(parts[part] for part in ("DynamoDB", "SQS", "EventBridge"))


def sharing_needed(counted, alone: float, burst: float) -> float:
    """How many orders must share an invocation of `send_notification` for the aim to hold, on the straight
    line between the two that were measured: each pays for itself and its share of an invocation."""
    parts = [
        counted[phase]["functions"]["send_notification"]["invocations"] for phase in ("in_turn", "at_once")
    ]
    each_invocation = (alone - burst) / (parts[0] - parts[1])
    return each_invocation / (MILLION_AIM - (alone - each_invocation * parts[0]))


def total(uses: list[Use], prices: Prices) -> float:
    return sum(map(prices.of, uses))
