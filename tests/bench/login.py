"""From the start of a process to live delivery: the connector with one account, Baileys with its stored keys.

Both are started cold and in turn, log in with what they stored, and ask for live delivery when they are ready
for it; the server tells when. The connector opens its door, takes its lease and reads its account on the
emulator meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.whatsapp.control_client import ControlClient
from tests.bench.measure import Sheet
from tests.bench.surroundings import Surroundings, tell
from tests.e2e.stage import DESK
from tests.interop.baileys_client import Baileys, missing

ROUNDS = 7
COMPANION = "6281999000002"


def measure(bench: Surroundings) -> Iterator[Sheet]:
    rounds = ROUNDS * 3 if bench.thorough else ROUNDS
    world, phones = bench.stage.world, bench.stage.phones
    bench.stop_connector()
    tell("logins")
    problem, folder = missing(), bench.folder / "baileys-login"
    if not problem:
        link_baileys(bench, folder)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(until_active(phones, DESK, world.connector))
        if not problem:
            theirs.append(until_active(phones, COMPANION, lambda: Baileys.start(world.whatsapp_url, folder)))
    bench.start_connector()
    sheet = Sheet("From the start of the process to live delivery", ("median", "fastest"))
    met = median(ours) <= median(theirs) if theirs else None
    sheet.add("connector", *cells(ours), aim="≤ Baileys", met=met)
    if problem:
        sheet.notes.append(f"Baileys: {problem}")
    else:
        sheet.add("Baileys", *cells(theirs))
    yield sheet


def link_baileys(bench: Surroundings, folder: Path) -> None:
    phones = bench.stage.phones
    phones.add_phone(COMPANION, "Companion")
    with Baileys.start(bench.stage.world.whatsapp_url, folder) as client:
        client.link(phones, COMPANION)
        client.command("disconnect")
        time.sleep(1)  # it writes its keys to files by and by, and tells nobody when that is done


def until_active(
    phones: ControlClient, number: str, start: Callable[[], AbstractContextManager[Any]]
) -> float:
    """Milliseconds until the server was asked for live delivery. Server and we have one clock."""
    _, last = phones.events()
    began = time.time()
    with start():
        return (phones.wait_for_event("active", after=last, account=number)["at"] - began) * 1000


def cells(values: list[float]) -> tuple[str, str]:
    return f"{median(values):.0f} ms", f"{min(values):.0f} ms"
