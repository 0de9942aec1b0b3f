"""`tocsin recoveries`: by cause, how many recoveries succeeded, and how long they took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.notify.store.recoveries import THEIRS, RecoveryRecord
from tocsin.timestamps import from_seconds
from tocsin_console import masking
from tocsin_console.deployment import Deployment
from tocsin_console.errors import Usage
from tocsin_console.output import Output, json_moment, moment

MAX_NAMED = 20

WHO = {THEIRS: "recipient could not read", "ours": "we could not read"}


@dataclass(frozen=True)
class Tally:
    """The recoveries of one side and cause ("" for all causes). `seconds`: times to heal, sorted."""

    side: str
    cause: str
    healed: int
    failed: int
    open: int
    rebuilt: int
    requests: int
    seconds: tuple[float, ...]

    @classmethod
    def of(cls, side: str, cause: str, episodes: Sequence[RecoveryRecord]) -> Tally:
        healed = [one for one in episodes if one.healed]
        failed = sum(one.failed for one in episodes)
        return cls(
            side,
            cause,
            len(healed),
            failed,
            len(episodes) - len(healed) - failed,
            sum(bool(one.rebuilt) for one in episodes),
            sum(one.requests for one in episodes),
            tuple(sorted(one.seconds_to_heal or 0.0 for one in healed)),
        )

    @property
    def total(self) -> int:
        return self.healed + self.failed + self.open

    @property
    def success(self) -> float | None:
        """The share of ended recoveries that healed, 0 to 1; None if none has ended."""
        ended = self.healed + self.failed
        return self.healed / ended if ended else None

    def percentile(self, share: float) -> float | None:
        """The time to heal, in seconds, that `share` of them did not exceed (nearest rank)."""
        if not self.seconds:
            return None
        return self.seconds[max(math.ceil(share * len(self.seconds)) - 1, 0)]

    def to_json(self) -> dict[str, Any]:
        success = self.success
        return {
            "side": self.side,
            "cause": self.cause or "all",
            "recoveries": self.total,
            "healed": self.healed,
            "failed": self.failed,
            "open": self.open,
            "new_sessions": self.rebuilt,
            "requests": self.requests,
            "success": None if success is None else round(success, 4),
            "seconds_p50": self.percentile(0.5),
            "seconds_p99": self.percentile(0.99),
        }


def tallies(episodes: Iterable[RecoveryRecord]) -> list[Tally]:
    """One tally for each side and cause, the most frequent first, then one for each side."""
    groups: dict[tuple[str, str], list[RecoveryRecord]] = {}
    for one in episodes:
        groups.setdefault((one.side, one.cause), []).append(one)
    found = [Tally.of(side, cause, group) for (side, cause), group in groups.items()]
    found.sort(key=lambda one: (one.side != THEIRS, -one.total, one.cause))
    sides = dict.fromkeys(one.side for one in found)
    totals = {
        side: [one for (whose, _), group in groups.items() if whose == side for one in group]
        for side in sides
    }
    return [*found, *(Tally.of(side, "", group) for side, group in totals.items())]


def show_recoveries(
    deployment: Deployment,
    account: str,
    *,
    days: int,
    output: Output,
    clock: Callable[[], float] = time.time,
) -> None:
    """Print the recoveries that began in the last `days` days. Raises Usage."""
    most = deployment.retention_days
    if not 1 <= days <= most:
        raise Usage(f"--days: 1 to {most}; recoveries are kept that long")
    with output.progress("recoveries read") as progress:
        read = deployment.stores.recoveries.of_days(account, days, from_seconds(clock()))
        episodes = list(progress.over(iter(read)))
    found = tallies(episodes)
    unhealed = sorted((one for one in episodes if not one.healed), key=lambda one: -one.last_at)
    output.record(
        {
            "account": account,
            "days": days,
            "recoveries": [one.to_json() for one in found],
            "unhealed": [_named(one) for one in unhealed[:MAX_NAMED]],
        }
    )
    if not episodes:
        output.say(f"no recoveries in {days} days: every message could be read the first time")
        return
    output.table(
        ["WHO", "CAUSE", "RECOVERIES", "HEALED", "FAILED", "OPEN", "NEW SESSIONS", "SUCCESS", "P50", "P99"],
        [_row(one) for one in found],
    )
    if unhealed:
        output.say()
        output.say("not healed (the last ones):")
    for one in unhealed[:MAX_NAMED]:
        told = _named(one)
        end = one.failure if one.failed else "open"
        output.say(f"  {moment(one.last_at)}  {told['device']}  {one.cause}  {end}  {told['hint']}".rstrip())


def _row(one: Tally) -> tuple[object, ...]:
    success = "-" if one.success is None else f"{one.success:.1%}"
    times = (one.percentile(0.5), one.percentile(0.99))
    return (
        WHO[one.side],
        one.cause or "ALL",
        one.total,
        one.healed,
        one.failed,
        one.open,
        one.rebuilt,
        success,
        *("-" if seconds is None else f"{seconds:.2f} s" for seconds in times),
    )


def _named(one: RecoveryRecord) -> dict[str, Any]:
    """A recovery that did not heal, and the command that explains it."""
    theirs = one.side == THEIRS
    return {
        "side": one.side,
        "device": masking.key(one.device),
        "cause": one.cause,
        "last_at": json_moment(one.last_at),
        "requests": one.requests,
        "failure": one.failure or None,
        "notification": one.about if theirs else None,
        "hint": f"tocsin explain {one.about}" if theirs else "",
    }
