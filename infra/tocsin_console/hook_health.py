"""How it goes with outcome webhooks, as `status` and `doctor` tell it.

Only what stands in their records for everybody who may read the table: no URL, no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tocsin.hooks.endpoint import ACTIVE, GONE, PAUSED, Health, health_of
from tocsin.hooks.schedule import FAILURES_TO_CLOSE
from tocsin.tables.notifications import HOOKS
from tocsin_console.deployment import Deployment
from tocsin_console.output import counted, json_moment, moment


@dataclass(frozen=True)
class HookHealth:
    """One webhook. `state`: as its record has it."""

    id: str
    state: str
    health: Health

    @property
    def well(self) -> bool:
        return self.state == ACTIVE and self.health.failures < FAILURES_TO_CLOSE

    @property
    def sentence(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if self.state == GONE:
            return f"{self.id} answered 410 and was switched off: it hears of nothing"
        if self.state == PAUSED:
            return f"{self.id} is paused: what it would hear waits"
        if self.health.failures >= FAILURES_TO_CLOSE:
            times = counted(self.health.failures, "times")
            return (
                f"{self.id} failed {times} in a row, last {moment(self.health.last_at)}: "
                f"{self.health.last_said}"
            )
        return ""

    @property
    def mend(self) -> str:
        if self.state == ACTIVE:
            return f"mend its endpoint, and try it: tocsin hooks test {self.id}"
        return f"tocsin hooks resume {self.id}"

    def to_json(self) -> dict[str, Any]:
        return {
            "hook": self.id,
            "state": self.state,
            "failures": self.health.failures,
            "last_said": self.health.last_said or None,
            "last_at": json_moment(self.health.last_at),
            "well": self.well,
        }


def hooks_of(deployment: Deployment) -> list[HookHealth] | None:
    """All webhooks; None where the stack has none by its parameters."""
    if "HooksQueueUrl" not in deployment.outputs:
        return None
    return [
        HookHealth(str(item["sk"]), str(item.get("state", ACTIVE)), health_of(item))
        for item in deployment.outside_table.query(HOOKS)
    ]
