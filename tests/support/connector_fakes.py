"""What a connection of the connector works with, faked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from tests.support.leading_keys import GrantedTable
from tocsin.connector.context import Meters
from tocsin.connector.forwarding.stanza import Packed
from tocsin.connector.operator import RequestPoller
from tocsin.dynamo.memory import MemoryTable
from tocsin.sealing import Sealer


@dataclass
class HeldLease:
    """Ours for good."""

    epoch: int = 1
    account: str = "default"

    def valid(self) -> bool:
        return True

    async def keep(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    async def set_state(self, state: str, detail: str = "") -> None:
        pass


async def nothing_refused(messages: Sequence[Packed]) -> Mapping[int, bool]:
    return {}


@dataclass
class Aws:
    """Calls at once, in the event loop."""

    async def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def client(self, service: str) -> None:
        """None is needed: the tables are in memory."""


@dataclass
class Around:
    """As much of the surroundings as an unpaired account looks at."""

    send_batch: Callable[[Sequence[Packed]], Awaitable[Mapping[int, bool]]] = nothing_refused
    send_receipts: None = None
    table: MemoryTable = field(default_factory=GrantedTable)
    sealer: Sealer = field(default_factory=lambda: Sealer({"k": bytes(32)}, "k"))
    aws: Aws = field(default_factory=Aws)
    meters: Meters = field(default_factory=Meters)
    poller: Any = field(default_factory=lambda: RequestPoller(cast("Any", None), GrantedTable()))
    config: Any = field(default_factory=lambda: SimpleNamespace(notifications_table=None))
    notices: Any = None

    def uniform(self, low: float, high: float) -> float:
        return low
