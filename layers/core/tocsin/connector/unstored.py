"""The wait for a queue that doesn't take what is under way: never without an end that somebody can bring
about.

To connect before that loses nothing and changes no order: what isn't stored wasn't acknowledged, so WhatsApp
delivers it again, behind what is still under way of its sender; the queue folds a repeat.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from tocsin.connector.forwarding.forwarder import Counters
from tocsin.connector.forwarding.ways import Ways
from tocsin.connector.operator import OperatorRequests

log = logging.getLogger(__name__)

STORED_SECONDS: Final = 600.0
"""How long an account stays away at most. Not less: each login counts with WhatsApp. Not for ever: nothing
can be sent meanwhile, and the queue may refuse one single stanza."""


async def until_stored(account: str, ways: Ways, requests: OperatorRequests, counters: Counters) -> None:
    """Stay away until the queue took what is under way, or the operator asks for something, or for
    STORED_SECONDS."""
    stored = asyncio.ensure_future(ways.drained())
    asked = asyncio.ensure_future(requests.next())
    try:
        await asyncio.wait([stored, asked], timeout=STORED_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stored, asked):
            task.cancel()
        await asyncio.gather(stored, asked, return_exceptions=True)
    if not asked.cancelled() and asked.result().request != "reconnect":
        requests.put_back(asked.result())  # whoever is connected answers it
    if stored.cancelled():
        counters.unstored += 1
        log.error(
            "connecting though stanzas can't be stored",
            extra={"account": account, "waiting": ways.waiting, "asked": not asked.cancelled()},
        )
