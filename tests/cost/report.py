"""The bill as text: part by part, idle and for each million, before and now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.cost.model import (
    COLD_SHARE,
    Facts,
    Use,
    idle_uses,
    metric_months,
    notification_uses,
)

MEASURED = Path(__file__).with_name("measured.json")
BEFORE = Path(__file__).with_name("measured-0.1.0.json")
VOLUMES = (1_000, 100_000, 10_000_000)


def read(path: Path) -> tuple[dict[str, Any], Facts]:
    found = json.loads(path.read_text())
    value = found["facts"]
    queues = {name: tuple(pair) for name, pair in value.pop("queues").items()}
    return found, Facts(**value, queues=queues)


def write(path: Path, counted: Mapping[str, Any], facts: Facts) -> None:
    path.write_text(json.dumps({**counted, "facts": asdict(facts)}, indent=1) + "\n")


def each(counted: Mapping[str, Any], facts: Facts, phase: str, volume: int = 1_000_000) -> list[Use]:
    """One notification's uses. `phase`: `in_turn` or `at_once`."""
    return notification_uses(
        counted[phase], facts, counted["cold"], COLD_SHARE[volume], counted["stored_bytes"]
    )


def million(uses: Iterable[Use]) -> list[Use]:
    return [Use(use.part, use.price, use.amount * 1e6) for use in uses]


def month(
    counted: Mapping[str, Any], facts: Facts, volume: int, phase: str, *, spot: bool = False
) -> list[Use]:
    """All uses of a month with so many notifications. `phase`: how they come, as in `each`."""
    uses = idle_uses(counted["idle"], facts, spot=spot)
    uses += [Use(use.part, use.price, use.amount * volume) for use in each(counted, facts, phase, volume)]
    moving = counted[phase]["metrics"] - counted["idle"]["metrics"]
    uses.append(Use("metrics", "custom_metric_month", metric_months(volume, max(moving, 0))))
    return uses


def table(title: str, columns: Mapping[str, Mapping[str, float]]) -> str:
    parts = sorted(
        {part for column in columns.values() for part in column},
        key=lambda part: -max(c.get(part, 0) for c in columns.values()),
    )
    lines = [f"| {title} | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for part in parts:
        values = [column.get(part, 0) for column in columns.values()]
        if max(values) >= 0.005:
            lines.append(f"| {part} | " + " | ".join(f"{value:,.2f}" for value in values) + " |")
    lines.append(
        "| **sum** | " + " | ".join(f"**{sum(column.values()):,.2f}**" for column in columns.values()) + " |"
    )
    return "\n".join(lines)
