"""Memory of a connector that has one account and nothing to do, with Baileys beside it.

Both are linked to the local WhatsApp server, then started anew with what they stored; the second figure is
theirs right after linking, when keys were made and uploaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from time import sleep

from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext, descendant, tell
from tests.interop.baileys_client import Baileys, missing

AIM_MEGABYTES = 90
IDLE_SECONDS = 4
COMPANION = "6281999000001"

# What a connector would hold for each of its AWS clients and for WhatsApp: a context with all authorities.
TLS = """
import ssl
from pathlib import Path
from botocore.httpsession import get_cert_path
def pages(): return int(Path("/proc/self/statm").read_text().split()[1])
before = pages()
held = [ssl.create_default_context(cafile=get_cert_path(True)) for _ in range(6)]
print(pages() - before)
"""


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    linked = connector_megabytes(bench)
    bench.restart_connector()
    idle = connector_megabytes(bench)
    problem = missing()
    theirs = None if problem else baileys_megabytes(bench)
    sheet = Sheet("Resident memory, one account, idle", ("idle", "after linking"))
    sheet.add(
        "connector",
        megabytes(idle),
        megabytes(linked),
        aim=f"< {AIM_MEGABYTES} MB and ≤ Baileys",
        met=idle < AIM_MEGABYTES and (theirs is None or idle <= theirs[0]),
    )
    if theirs is not None:
        sheet.add("Baileys", *map(megabytes, theirs))
    tls = tls_megabytes()
    more = "more, unmeasured" if tls is None else f"{tls:.0f} MB more"
    sheet.notes.append(f"AWS and WhatsApp are reached without TLS here; it takes {more}")
    if problem:
        sheet.notes.append(f"Baileys: {problem}")
    yield sheet


def megabytes(value: float) -> str:
    return f"{value:.0f} MB"


def connector_megabytes(bench: ConnectorContext) -> float:
    bench.deployed.wait_for_account("connected")
    tell("memory of an idle connector")
    sleep(IDLE_SECONDS)
    return descendant("-m tocsin.connector").megabytes


def baileys_megabytes(bench: ConnectorContext) -> tuple[float, float]:
    """Logged in anew; right after linking."""
    tell("memory of an idle Baileys")
    world, folder = bench.deployed.world, bench.folder / "baileys-memory"
    world.phones.add_phone(COMPANION, "Companion")
    with Baileys.start(world.whatsapp_url, folder) as client:
        client.link(world.phones, COMPANION)
        sleep(IDLE_SECONDS)
        linked = descendant("baileys-client.mjs").megabytes
    with Baileys.start(world.whatsapp_url, folder) as client:
        client.wait("open")
        sleep(IDLE_SECONDS)
        return descendant("baileys-client.mjs").megabytes, linked


def tls_megabytes() -> float | None:
    """What TLS to AWS and to WhatsApp takes; None where that can't be measured."""
    done = subprocess.run([sys.executable, "-c", TLS], capture_output=True, text=True, check=False)
    return int(done.stdout) * os.sysconf("SC_PAGE_SIZE") / 1e6 if done.returncode == 0 else None
