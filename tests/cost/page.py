"""infra/COST.md, made from the recorded counts, the template and the price table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cost.model import ACK_SECONDS, Facts, Prices, Use, by_part, idle_uses
from tests.cost.report import BEFORE, MEASURED, VOLUMES, each, million, month, read, table
from tocsin_local.bootstrap import ROOT

PAGE = ROOT / "infra/COST.md"

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
            model.format(ack=ACK_SECONDS),
        ]
    )


def reservation(counted: Mapping[str, Any], facts: Facts) -> list[str]:
    """What the page must say if the counts are older than the code: functions of the template that nobody
    counted, because they came later."""
    seen = {
        name for phase in counted.values() if isinstance(phase, dict) for name in phase.get("functions", ())
    }
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
    text = table(
        "USD a month",
        {
            "0.1.0": by_part(was, prices),
            "now": by_part(uses, prices),
            "now, Spot": by_part(spot, prices),
        },
    )
    rows = [("0.1.0", was), ("now", uses), ("now, Spot", spot)]
    given = " | ".join(f"{total(one, prices) - prices.given(one):,.2f}" for _, one in rows)
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
    for volume in VOLUMES:
        uses, spot = month(counted, facts, volume), month(counted, facts, volume, spot=True)
        sums = (total(uses, prices), total(uses, prices) - prices.given(uses), total(spot, prices))
        lines.append(f"| {volume:,} | " + " | ".join(f"{value:,.2f}" for value in sums) + " |")
    return "\n".join(lines)


def total(uses: list[Use], prices: Prices) -> float:
    return sum(map(prices.of, uses))
