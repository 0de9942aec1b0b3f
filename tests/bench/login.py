"""From the start of a process to live delivery: the connector with one account, Baileys with its stored keys.

Both are started cold and in turn, log in with what they stored, and ask for live delivery when they are ready
for it; the server tells when. The connector opens its door, takes its lease and reads its account on the
emulator meanwhile. The processor's time is the process's own by then, all its threads counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from shutil import copytree
from statistics import median
from typing import Any, NamedTuple

from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext, descendant, tell
from tests.interop.baileys_client import Baileys, missing
from tests.support.stack import DESK
from tocsin_whatsapp_server.control_client import ControlClient

ROUNDS = 5
COMPANION = "6281999000002"
CONNECTOR, BAILEYS = "-m tocsin.connector", "baileys-client.mjs"


class Login(NamedTuple):
    """Seconds. `processor`: the process's own."""

    took: float
    processor: float


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    rounds = ROUNDS * 3 if bench.thorough else ROUNDS
    world, phones = bench.deployed.world, bench.deployed.phones
    bench.stop_connector()
    tell("logins")
    problem, folder = missing(), bench.folder / "baileys-login"
    if not problem:
        link_baileys(bench, folder)
    ours: list[Login] = []
    theirs: list[Login] = []
    try:
        for place in range(rounds):
            ours.append(log_in(phones, DESK, CONNECTOR, world.connector))
            if not problem:
                # A copy each time: it is stopped while it may still be writing its keys.
                copy = copytree(folder, bench.folder / f"baileys-login-{place}")
                client = partial(Baileys.start, world.whatsapp_url, copy)
                theirs.append(log_in(phones, COMPANION, BAILEYS, client))
    finally:
        bench.start_connector()
    sheet = Sheet("From the start of the process to live delivery", ("median", "fastest", "processor"))
    met = typical(ours).took <= typical(theirs).took if theirs else None
    sheet.add("connector", *cells(ours), aim="≤ Baileys", met=met)
    if problem:
        sheet.notes.append(f"Baileys: {problem}")
    else:
        sheet.add("Baileys", *cells(theirs))
    yield sheet


def link_baileys(bench: ConnectorContext, folder: Path) -> None:
    phones = bench.deployed.phones
    phones.add_phone(COMPANION, "Companion")
    with Baileys.start(bench.deployed.world.whatsapp_url, folder) as client:
        client.link(phones, COMPANION)
        client.command("disconnect")
        time.sleep(1)  # it writes its keys to files by and by, and tells nobody when that is done


def log_in(
    phones: ControlClient, number: str, command: str, start: Callable[[], AbstractContextManager[Any]]
) -> Login:
    """Until the server was asked for live delivery. Server and we have one clock."""
    _, last = phones.events()
    began = time.time()
    with start():
        active = phones.wait_for_event("active", after=last, account=number)
        return Login(active["at"] - began, descendant(command).seconds)


def typical(logins: list[Login]) -> Login:
    return Login(*map(median, zip(*logins, strict=True)))


def cells(logins: list[Login]) -> tuple[str, str, str]:
    took, processor = typical(logins)
    return f"{took * 1000:.0f} ms", f"{min(logins).took * 1000:.0f} ms", f"{processor * 1000:.0f} ms"
