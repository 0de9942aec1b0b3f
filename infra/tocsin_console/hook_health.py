"""How it goes with outcome webhooks, as `status` and `doctor` tell it.

No URL, no secret: what stands in their records for everybody who may read the table, and whether a record
counts, for who has the key to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tocsin.hooks.delivery import DAMAGED
from tocsin.hooks.endpoint import ACTIVE, GONE, PAUSED, Health, health_of
from tocsin.hooks.schedule import FAILURES_TO_CLOSE
from tocsin.hooks.store import EARLIER, LOCKED, HookStore
from tocsin.tables.notifications import HOOKS
from tocsin.versions import hook_versions
from tocsin_console.deployment import Deployment
from tocsin_console.output import counted, json_moment, moment
from tocsin_console.unnoted import tell_unnoted

ODD: Final = {
    LOCKED: "can't be opened: you lack the right to the texts' secret",
    DAMAGED: "is damaged and hears of nothing: remove it, and add it anew",
    EARLIER: "is a record of earlier, put back or restored, and hears of nothing: remove it, and add it anew "
    "if it is wanted",
}
"""Why a webhook's record doesn't count."""


@dataclass(frozen=True)
class HookHealth:
    """One webhook. `state`: as its record has it. `odd`: why that doesn't count, one of `ODD`; empty if it
    does, and if nobody here can tell."""

    id: str
    state: str
    health: Health
    odd: str = ""

    @property
    def well(self) -> bool:
        return not self.odd and self.state == ACTIVE and self.health.failures < FAILURES_TO_CLOSE

    @property
    def sentence(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if self.odd:
            return f"{self.id} {ODD[self.odd]}"
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
        if self.odd:
            return f"tocsin hooks remove {self.id}"
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
            "record": self.odd or None,
        }


def hooks_of(deployment: Deployment) -> list[HookHealth] | None:
    """All webhooks; None where the stack has none by its parameters."""
    if "HooksQueueUrl" not in deployment.outputs:
        return None
    _, odd = store_of(deployment).endpoints()
    known = {identity: why for identity, why in odd.items() if why != LOCKED}
    return [
        HookHealth(
            (identity := str(item["sk"])),
            str(item.get("state", ACTIVE)),
            health_of(item),
            known.get(identity, ""),
        )
        for item in deployment.outside_table.query(HOOKS)
    ]


def store_of(deployment: Deployment) -> HookStore:
    """The webhooks of a stack that has them."""
    versions = hook_versions(deployment.keys_table, tell_unnoted)
    return HookStore(deployment.outside_table, deployment.stores.texts, versions)
