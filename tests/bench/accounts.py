"""What one connector costs that has many accounts and nothing to do: memory, processor, and its start.

The accounts are linked beforehand, with a few prekeys each; then a connector finds them in the table, as
after a deployment, and logs all of them in.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext, Process, processes, tell
from tests.support.connector_processes import SECRET, RunningConnectors, world
from tocsin.accounts.served_accounts import add_account
from tocsin.connector.aws import Aws
from tocsin.connector.login import check_prekeys, device_keys
from tocsin.connector.pairing import store_pairing
from tocsin.connector.socket import Line, open_line
from tocsin.dynamo.table import DynamoTable
from tocsin.keys import prekeys
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.tables.keys import lease_key
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.events import LoggedIn, PairingSucceeded, QrOffered, StreamEnded
from tocsin_local.emulator import emulator
from tocsin_whatsapp_server.control_client import LocalWhatsApp

SIZES = (1, 10, 100)
LONG_SIZES = (300,)
AT_ONCE = 8
"""Accounts that are linked at the same time."""

PREKEYS = 20
SETTLE_SECONDS = 10
IDLE_SECONDS = 30

BASE_MEBIBYTES = 60
EACH_MEBIBYTES = 4
MEBIBYTE = 2**20 / 1e6


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    sheet = Sheet(
        "One connector, its accounts idle",
        ("memory", "for each more", "processor", "all connected after", "processor until then"),
    )
    sizes = (*SIZES, *LONG_SIZES) if bench.thorough else SIZES
    with emulator(bench.folder) as aws, LocalWhatsApp.start(log_file=bench.folder / "whatsapp.log") as server:
        base: float | None = None
        with world(aws, server, bench.folder) as built:
            for size, before in zip(sizes, (0, *sizes), strict=False):
                tell(f"linking accounts {before + 1} to {size}")
                link(built, [name_of(number) for number in range(before, size)])
                tell(f"{size} idle accounts")
                memory, cpu, start, start_cpu = idle(built, size)
                base = memory if base is None else base
                each = (memory - base) / (size - 1) if size > 1 else None
                limit = BASE_MEBIBYTES * MEBIBYTE + EACH_MEBIBYTES * MEBIBYTE * size
                sheet.add(
                    f"{size} account{'s' if size > 1 else ''}",
                    f"{memory:.0f} MB",
                    "–" if each is None else f"{each:.2f} MB",
                    f"{cpu * 100:.1f} %",
                    f"{start:.1f} s",
                    f"{start_cpu:.1f} s",
                    aim=f"≤ {BASE_MEBIBYTES} + {EACH_MEBIBYTES} MiB for each",
                    met=memory <= limit,
                )
    sheet.notes.append(
        f"processor: of one, over {IDLE_SECONDS} s; AWS and WhatsApp are reached without TLS here"
    )
    yield sheet


def name_of(number: int) -> str:
    """Account and phone have the same number; the first is the one the parameter names."""
    return f"a{number:04}" if number else "default"


def phone_of(name: str) -> str:
    return f"62815{int(name[1:]) if name != 'default' else 0:08}"


def idle(built: RunningConnectors, size: int) -> tuple[float, float, float, float]:
    """Megabytes and processor share of a connector with so many accounts; seconds and processor seconds
    until all were connected."""
    began = time.monotonic()
    with connector(built) as running:
        wait_until_connected(built, size, running)
        start, start_cpu = time.monotonic() - began, look(running).seconds
        time.sleep(SETTLE_SECONDS)
        before, at = look(running), time.monotonic()
        time.sleep(IDLE_SECONDS)
        after = look(running)
        return after.megabytes, (after.seconds - before.seconds) / (time.monotonic() - at), start, start_cpu


@contextmanager
def connector(built: RunningConnectors) -> Iterator[subprocess.Popen[bytes]]:
    process = built.start(POWERTOOLS_LOG_LEVEL="WARNING")
    try:
        yield process.popen
    finally:
        process.terminate()


def look(running: subprocess.Popen[bytes]) -> Process:
    return next(process for process in processes() if process.pid == running.pid)


def wait_until_connected(built: RunningConnectors, size: int, running: subprocess.Popen[bytes]) -> None:
    names = [name_of(number) for number in range(size)]
    deadline = time.monotonic() + 60 + size
    while time.monotonic() < deadline:
        leases = built.table.get_many([lease_key(name) for name in names])
        connected = sum(
            lease.get("state") == "connected" and "connector" in lease for lease in leases.values()
        )
        if connected == size:
            return
        if running.poll() is not None:
            break
        time.sleep(0.2)
    log = Path(built.processes[-1].log).read_text()[-2000:]
    raise TimeoutError(f"{connected} of {size} accounts are connected\n{log}")


def link(built: RunningConnectors, names: Sequence[str]) -> None:
    """Pair the accounts, and upload a few prekeys for each: what an earlier connector would have left."""
    outside = DynamoTable(built.aws.client("dynamodb"), built.environment["NOTIFICATIONS_TABLE"])
    for name in names:
        built.phones.add_phone(phone_of(name), name)
        if name != "default":
            add_account(outside, name, 1)
    asyncio.run(_link_all(built, names))


class _Threads:
    """Blocking calls in threads, as the connector makes them."""

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)


async def _link_all(built: RunningConnectors, names: Sequence[str]) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3 * AT_ONCE))
    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(_link(built, name, room))


async def _link(built: RunningConnectors, name: str, room: asyncio.Semaphore) -> None:
    keys = KeyStore(built.table, Sealer.from_secret(SECRET), name)
    async with room:
        await asyncio.to_thread(keys.account.create)
        await _pair(built, keys)
        await _upload(built, keys)


async def _pair(built: RunningConnectors, keys: KeyStore) -> None:
    scanning = None
    async with _line(built, keys) as line:
        while not isinstance(event := await line.next_event(), StreamEnded):
            match event:
                case QrOffered(text=text) if scanning is None:
                    scan = partial(built.phones.link, phone_of(keys.account.name), text)
                    scanning = asyncio.create_task(asyncio.to_thread(scan))
                case PairingSucceeded(pairing=pairing):
                    await store_pairing(cast("Aws", _Threads()), keys, pairing)
                    line.confirm_pairing()
    assert scanning is not None
    await scanning


async def _upload(built: RunningConnectors, keys: KeyStore) -> None:
    credentials = await asyncio.to_thread(keys.account.credentials)
    async with _line(built, keys) as line:
        while not isinstance(await line.next_event(), LoggedIn):
            pass
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prekeys, "FIRST_PREKEYS", PREKEYS)
            await check_prekeys(cast("Aws", _Threads()), keys, credentials, line)


@asynccontextmanager
async def _line(built: RunningConnectors, keys: KeyStore) -> AsyncIterator[Line]:
    device = device_keys(await asyncio.to_thread(keys.account.credentials))
    connection = Connection(device, Config(bytes.fromhex(built.whatsapp.root_public_key)), random=os.urandom)
    line = await open_line(built.whatsapp.url, connection, time.time)
    carrying = asyncio.create_task(line.run(lambda: True))
    try:
        yield line
    finally:
        await line.close()
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
