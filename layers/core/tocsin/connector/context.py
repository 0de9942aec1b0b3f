"""What every account of the process works with."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from tocsin.connector.aws import Aws
from tocsin.connector.config import Config
from tocsin.connector.forwarding.forwarder import Counters, SendBatch
from tocsin.connector.held_lease import Leases
from tocsin.connector.notices import Notices
from tocsin.connector.operator import RequestPoller
from tocsin.dynamo.table import Table
from tocsin.sealing import Sealer
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.whatsapp.certificate import ROOT_KEY
from tocsin.whatsapp.connection import Config as ClientConfig
from tocsin.whatsapp.connection import Connection
from tocsin.whatsapp.device_keys import DeviceKeys
from tocsin.whatsapp.payload import DEFAULT_VERSION, ClientInfo

DEVICE_NAME = "Tocsin"
"""What the phone's owner reads under "Linked devices"."""


LOGINS_AT_ONCE = 8
"""A herd of hundreds would make all of them late, at the start and after an outage."""


def steady_clock() -> Callable[[], float]:
    """Unix seconds that don't jump when somebody sets the clock."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


@dataclass
class Meters:
    """What is counted for the metrics line."""

    stanzas: Counters = field(default_factory=Counters)
    reconnects: int = 0
    cold: Counter[str] = field(default_factory=Counter)
    """By account: people who must write first."""


async def no_accounts() -> Collection[str]:
    return ()


@dataclass
class ConnectorContext:
    """Shared by all accounts. `version`: of the client we present ourselves as, learnt anew when too old.
    `send_receipts`: `None` where there is no receipts queue. `logins`: room for so many accounts between
    opening their sockets and being logged in. `settings`: as they were last read; asking for them needs no
    I/O. `served`: names the accounts of the stack. `note_clock`: is told by how many seconds WhatsApp's
    clock is ahead of ours."""

    config: Config
    aws: Aws
    table: Table
    sealer: Sealer
    leases: Leases
    notices: Notices
    send_batch: SendBatch
    poller: RequestPoller
    clock: Callable[[], float] = field(default_factory=steady_clock)
    uniform: Callable[[float, float], float] = random.uniform
    meters: Meters = field(default_factory=Meters)
    send_receipts: SendBatch | None = None
    logins: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOGINS_AT_ONCE))
    version: tuple[int, int, int] = DEFAULT_VERSION
    settings: CurrentSettings = unchanged_settings
    served: Callable[[], Awaitable[Collection[str]]] = no_accounts
    note_clock: Callable[[float], None] = lambda offset: None

    def __post_init__(self) -> None:
        if self.config.version is not None:
            self.version = self.config.version

    def connection(self, keys: DeviceKeys) -> Connection:
        client = ClientInfo(version=self.version, os_name=DEVICE_NAME)
        config = ClientConfig(self.config.root_key or ROOT_KEY, client, self.config.silence)
        return Connection(keys, config, random=os.urandom)
