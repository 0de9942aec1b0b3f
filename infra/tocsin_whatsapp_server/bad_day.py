"""A day on which much goes wrong and nothing is lost: mishaps at random moments, the same for a seed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from random import Random
from typing import Any

from tocsin_whatsapp_server.switchboard import Switchboard

log = logging.getLogger(__name__)

MEAN_SECONDS = 1.5
"""Between one mishap and the next."""

MISHAPS: tuple[dict[str, Any], ...] = (
    {"kind": "drop"},
    {"kind": "stream-error", "code": 503},
    {"kind": "stream-error", "code": 500},
    {"kind": "stream-error", "code": 515},
    {"kind": "login-failure", "reason": 503, "n": 1},
    {"kind": "duplicate", "n": 3},
    {"kind": "lose-acks", "n": 1, "drop": True},
    {"kind": "drain-prekeys"},
)


def mishaps(seed: int) -> Iterator[tuple[float, dict[str, Any]]]:
    """Without end: seconds to wait, and then the fault to be injected."""
    dice = Random(seed)  # noqa: S311
    while True:
        yield dice.expovariate(1 / MEAN_SECONDS), dice.choice(MISHAPS)


async def live_through(seed: int, board: Switchboard) -> None:
    """Inject mishaps until cancelled."""
    for seconds, mishap in mishaps(seed):
        await asyncio.sleep(seconds)
        log.info("mishap: %s", mishap)
        board.inject(board.faults.make(mishap))
