"""The process: startup, run, shutdown. Signals only set a flag.

startup    environment, clients, sealing key, certificate, endpoint, heartbeat
run        each account's life, the heartbeat, a metrics line a minute
shutdown   door closed, requests and stanzas under way ended, sockets closed, leases released
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any, Final

from tocsin.connector.account import Account
from tocsin.connector.aws import Aws
from tocsin.connector.certificate import make_certificate
from tocsin.connector.config import Config
from tocsin.connector.endpoint import Endpoint
from tocsin.connector.logs import metrics_line
from tocsin.connector.outside import Outside
from tocsin.connector.standing import Desk
from tocsin.connector.stanza_queue import StanzaQueue
from tocsin.connector.surroundings import Surroundings
from tocsin.connector.tenure import Leases
from tocsin.keys.lease import LeaseKeeper
from tocsin.keys.seal import Sealer
from tocsin.keys.table import DynamoTable

log = logging.getLogger(__name__)

METRICS_SECONDS: Final = 60.0

REQUEST_GRACE: Final = 5.0
STANZA_GRACE: Final = 3.0
"""Seconds that requests, then stanzas, under way get to end when the process is told to stop."""

CONNECTED: Final = frozenset({"connected", "resuming", "restricted"})


class Connector:
    """One connector process. `run` returns the exit code."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stopping = asyncio.Event()
        self._aws = Aws()

    def stop(self) -> None:
        """Ask for the end, as SIGTERM does."""
        self._stopping.set()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self._startup()
        tasks = [asyncio.create_task(work) for work in self._works()]
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done()]
        for task in failed:
            log.error("the connector ends", exc_info=task.exception())
        await self._shutdown(tasks)
        stopping.cancel()
        return 1 if failed else 0

    async def _startup(self) -> None:
        config, aws = self._config, self._aws
        table = DynamoTable(aws.client("dynamodb"), config.keys_table)
        secret = await aws.call(
            aws.client("secretsmanager").get_secret_value, SecretId=config.sealing_secret_arn
        )
        sealer = Sealer.from_secret(secret["SecretString"])
        certificate = make_certificate(config.host, datetime.datetime.now(datetime.UTC))
        queue = StanzaQueue(aws.client("sqs"), config.stanzas_queue_url, aws.threads)

        # The door opens before the lease is taken, for the lease says where it is; no token fits it yet.
        standings: dict[str, Any] = {}
        self._endpoint = Endpoint(Desk(standings))
        port = await self._endpoint.start(config.bind, config.port, certificate.server_context())
        name = f"{int(time.time())}-{secrets.token_hex(8)}"
        url = f"https://{config.host}:{port}"
        lease_table = DynamoTable(aws.impatient_client("dynamodb"), config.keys_table)
        keeper = LeaseKeeper(lease_table, name, url=url, certificate=certificate.pem)
        self._leases = Leases(keeper)
        around = Surroundings(config, aws, table, sealer, self._leases, Outside(aws, config), queue.send)
        self._meters = around.meters
        self._accounts = [Account(account, around) for account in config.accounts]
        standings.update({account.name: account.standing for account in self._accounts})
        log.info("connector started", extra={"connector": name, "url": url, "accounts": config.accounts})

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the process; the end of any one is the end of all."""
        return [self._leases.run(), self._report(), *(account.run() for account in self._accounts)]

    async def _shutdown(self, tasks: list[asyncio.Task[None]]) -> None:
        log.info("stopping")
        await self._endpoint.close(REQUEST_GRACE)
        async with asyncio.TaskGroup() as draining:
            for account in self._accounts:
                draining.create_task(account.drain(STANZA_GRACE))
        # The heartbeat goes on until the sockets are closed, and the leases are released after that.
        beating, *others = tasks
        await _end(others)
        await _end([beating])
        try:
            async with asyncio.timeout(5):
                await self._leases.stop()
        except Exception as exc:  # noqa: BLE001  the successor then waits until the heartbeat is dead
            log.error("the leases were not released: %s", exc)
        self._print_metrics()
        self._aws.close()
        log.info("stopped")

    async def _report(self) -> None:
        while True:
            self._print_metrics()
            await asyncio.sleep(METRICS_SECONDS)

    def _print_metrics(self) -> None:
        """One line in the embedded metric format. A standby has no accounts and counts none."""
        config, meters = self._config, self._meters
        held = [account for account in self._accounts if account.held]
        connected = sum(account.standing.state in CONNECTED for account in held)
        metrics: dict[str, tuple[float, str]] = {
            "AccountsConnected": (connected, "Count"),
            "Reconnects": (meters.reconnects, "Count"),
            "StanzasForwarded": (meters.stanzas.forwarded, "Count"),
            "StanzasWaiting": (sum(account.waiting for account in self._accounts), "Count"),
            "StanzasTooLarge": (meters.stanzas.too_large, "Count"),
            "StanzaFailures": (meters.stanzas.failures, "Count"),
            "ResidentMemory": (resident_bytes(), "Bytes"),
        }
        if held:
            metrics["AccountsDisconnected"] = (len(held) - connected, "Count")
        dimensions = {"service": config.service, "stack": config.stack}
        print(metrics_line(config.namespace, dimensions, metrics, time.time()), flush=True)  # noqa: T201
        meters.reconnects = 0
        meters.stanzas.reset()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the kernel doesn't tell."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def exit_now(code: int) -> None:
    """End without waiting for threads: a call that hangs in one must not keep a stopped process alive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
