"""The process: startup, run, shutdown. Signals only set a flag.

startup    environment, clients, sealing key, certificate, endpoint, heartbeat
run        the heartbeat, the accounts that are ours, a metrics line a minute
shutdown   door closed, requests and stanzas under way ended, sockets closed, leases released
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime
import gc
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from tocsin.accounts.lease import LeaseKeeper
from tocsin.accounts.served_accounts import ServedAccounts
from tocsin.connector.account_runner import REQUEST_GRACE, Account
from tocsin.connector.aws import Aws
from tocsin.connector.config import Config
from tocsin.connector.context import ConnectorContext
from tocsin.connector.forwarding.stanza_queue import StanzaQueue
from tocsin.connector.gateway.endpoint import Endpoint
from tocsin.connector.gateway.status import AccountGateway, AccountStatus
from tocsin.connector.held_lease import Leases
from tocsin.connector.notices import Notices
from tocsin.connector.operator import RequestPoller
from tocsin.connector.placement import Placement
from tocsin.connector_client import protocol
from tocsin.dynamo.table import DynamoTable
from tocsin.metrics import Tally, embedded
from tocsin.sealing import Sealer
from tocsin.settings.reader import SettingsReader

log = logging.getLogger(__name__)

METRICS_SECONDS: Final = 60.0

SETTINGS_SECONDS: Final = 0.7
"""How often the settings are read, for half a read unit: a pause must hold within a second."""

TIDY_SECONDS: Final = 5.0
"""After the start."""


class Connector:
    """One connector process. `run` returns the exit code."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stopping = asyncio.Event()
        self._aws = Aws()
        self._settings: SettingsReader | None = None
        self._accounts: dict[str, Account] = {}
        self._statuses: dict[str, AccountStatus] = {}
        self._endpoint = Endpoint(AccountGateway(self._statuses))

    def stop(self) -> None:
        """Ask for the end, as SIGTERM does."""
        self._stopping.set()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self._startup()
        gc.freeze()
        gc.enable()
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
        table = self._table(config.keys_table)
        # What is looked at all day whether something is new: each of these looks again before it acts.
        glanced_table = self._table(config.keys_table, consistent=False)
        secret = asyncio.create_task(
            aws.call(aws.client("secretsmanager").get_secret_value, SecretId=config.sealing_secret_arn)
        )
        roster = None
        if config.notifications_table is not None:
            roster = self._table(config.notifications_table, consistent=False)
            self._settings = SettingsReader(roster, fresh_seconds=0)
        served = ServedAccounts(config.accounts, roster, clock=time.monotonic)
        # The placement asks for this first, and needn't wait then.
        known = asyncio.create_task(aws.call(served.latest))
        await asyncio.sleep(0)
        # While these are on their way: clients and the certificate take as long as the answers.
        send = self._queue(config.stanzas_queue_url).send
        send_receipts = self._queue(config.receipts_queue_url).send if config.receipts_queue_url else None
        url, certificate = await self._open_door()
        name = f"{int(time.time())}-{secrets.token_hex(8)}"
        sealer = Sealer.from_secret((await secret)["SecretString"])
        keeper = self._lease_keeper(name, url, certificate, sealer)
        self._leases = Leases(keeper)
        latest = partial(aws.call, served.latest)
        self._poller = RequestPoller(aws, glanced_table)
        self._context = ConnectorContext(
            config,
            aws,
            table,
            sealer,
            self._leases,
            Notices(aws, config),
            send,
            self._poller,
            send_receipts=send_receipts,
            served=latest,
            note_clock=keeper.note_clock,
        )
        if self._settings is not None:
            self._context.settings = self._settings.latest
        await known
        self._placement = Placement(self._leases, latest, self._open_account)
        log.info("connector started", extra={"connector": name, "url": url, "accounts": config.accounts})

    async def _open_door(self) -> tuple[str, str]:
        """Open the endpoint; return its URL and its certificate (PEM). The lease, which is taken later, says
        where it is; no token fits it yet."""
        from tocsin.connector.certificate import make_certificate

        config = self._config
        certificate = make_certificate(config.host, datetime.datetime.now(datetime.UTC))
        port = await self._endpoint.start(config.bind, config.port, certificate.server_context())
        return config.url(port), certificate.pem

    def _lease_keeper(self, name: str, url: str, certificate: str, sealer: Sealer) -> LeaseKeeper:
        client, keys_table = self._aws.impatient_client("dynamodb"), self._config.keys_table
        return LeaseKeeper(
            DynamoTable(client, keys_table),
            name,
            url=url,
            certificate=certificate,
            sealer=sealer,
            protocol=protocol.VERSION,
            terms=self._config.lease_terms,
            members_table=DynamoTable(client, keys_table, consistent=False),
        )

    def _table(self, name: str, *, consistent: bool = True) -> DynamoTable:
        return DynamoTable(self._aws.client("dynamodb"), name, consistent=consistent)

    def _queue(self, url: str) -> StanzaQueue:
        return StanzaQueue(self._aws.client("sqs"), url, self._aws.threads)

    def _open_account(self, name: str) -> Account:
        """The account, made when it is first ours and kept when it goes: its token still tells who asks."""
        if name not in self._accounts:
            account = self._accounts[name] = Account(name, self._context)
            self._statuses[name] = account.status
        return self._accounts[name]

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as the process; the end of any one is the end of all."""
        works = [self._leases.run(), self._report(), self._poller.run(), self._placement.run()]
        return works if self._settings is None else [*works, self._follow(self._settings)]

    async def _follow(self, settings: SettingsReader) -> None:
        """Read the settings again and again. While the table is away, those last read stay in force."""
        said = ""
        while True:
            try:
                await self._aws.call(settings)
                said = ""
            except Exception as exc:  # noqa: BLE001  before they were ever read the defaults hold
                if said != type(exc).__name__:
                    said = type(exc).__name__
                    log.warning("the settings can't be read: %s", said)
            await asyncio.sleep(SETTINGS_SECONDS)

    async def _shutdown(self, tasks: list[asyncio.Task[None]]) -> None:
        log.info("stopping")
        beating, *others = tasks
        await _end(others)
        await self._say_goodbye()
        await self._endpoint.close(REQUEST_GRACE)
        async with asyncio.TaskGroup() as draining:
            for account in self._accounts.values():
                draining.create_task(account.drain())
        # The heartbeat goes on until the sockets are closed, and the leases are released after that.
        await self._placement.stop()
        await _end([beating])
        try:
            async with asyncio.timeout(5):
                await self._leases.stop()
        except Exception as exc:  # noqa: BLE001  the successor then waits until the heartbeat is dead
            log.error("the leases were not released: %s", exc)
        self._print_metrics()
        self._aws.close()
        log.info("stopped")

    async def _say_goodbye(self) -> None:
        """A standby that knows of it looks for our leases without pause."""
        try:
            async with asyncio.timeout(1):
                await self._leases.leave()
        except Exception as exc:  # noqa: BLE001  it finds them all the same, a little later
            log.warning("the others don't know that we go: %s", exc)

    async def _report(self) -> None:
        self._print_metrics()
        await asyncio.sleep(TIDY_SECONDS)
        give_back()
        await asyncio.sleep(METRICS_SECONDS - TIDY_SECONDS)
        while True:
            self._print_metrics()
            await asyncio.sleep(METRICS_SECONDS)

    def _print_metrics(self) -> None:
        """Tell what the last minute brought, in the embedded metric format: mostly nothing. maintain_sessions
        tells which accounts are disconnected, by the leases: it sees, too, that no connector runs."""
        config, meters = self._config, self._context.meters
        tally = Tally()
        tally.count("AccountsUnserved", self._placement.unserved)
        tally.count("Reconnects", meters.reconnects)
        tally.count("StanzasWaiting", sum(account.waiting for account in self._accounts.values()))
        tally.count("StanzasTooLarge", meters.stanzas.too_large)
        tally.count("StanzaFailures", meters.stanzas.failures)
        tally.count("StanzasUnstored", meters.stanzas.unstored)
        self._tally_health(tally)
        dimensions = {"service": config.service, "stack": config.stack}
        for more, metrics in tally.take():
            line = embedded(config.namespace, dimensions | dict(more), metrics, time.time())
            print(line, flush=True)  # noqa: T201
        meters.reconnects = 0
        meters.cold.clear()
        meters.stanzas.reset()

    def _tally_health(self, tally: Tally) -> None:
        """What WhatsApp keeps accounts from: once for the alarm, once by cause."""
        for account in self._accounts.values():
            causes = account.restrictions
            tally.count("AccountsRestricted", bool(causes))
            for cause in causes:
                tally.count("AccountsRestricted", 1, {"cause": cause})
            if (used := account.new_chats_used) is not None:
                tally.measure("NewChatsUsed", used, "Percent")
        for name, number in self._context.meters.cold.items():
            tally.count("ColdRecipients", number, {"account": name})


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def give_back() -> None:
    """Return to the kernel what the start left behind: garbage that nobody looked for, there being something
    better to do, and the services' descriptions as text."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def exit_now(code: int) -> None:
    """End without waiting for threads: a call that hangs in one must not keep a stopped process alive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
