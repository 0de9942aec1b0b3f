"""How an account stands at this moment, and what the Lambdas may ask of it (the endpoint's `Accounts`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tocsin.accounts.limits import FIRST_CONTACTS, MESSAGES, Limit
from tocsin.connector.gateway.acks import Acks
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.media import Uploader, UploadFailed, UploadRefused
from tocsin.connector.socket import Line, LineClosed, LineLost
from tocsin.connector_client import protocol
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

T = TypeVar("T")


async def unlimited(error: str) -> None:
    """Nobody minds what the server refuses."""


@dataclass
class AccountStatus:
    """`state`: as the lease says it. `ready`: after login, prekeys and backlog, messages may go out.

    `line` is set while logged in. `until`: Unix seconds, when the server keeps the account away.
    `limit(kind)`: what the server keeps it from at this moment. `on_refused`: hears the error of every
    message that was refused, before the Lambda does. `token` is kept when the lease is lost, so that a Lambda
    that comes late is told so. `leaving`: the account is about to move; what is under way ends here.
    """

    account: str
    token: str | None = field(default=None, repr=False)
    incarnation: int = 0
    state: str = "connecting"
    line: Line | None = None
    ready: bool = False
    until: float | None = None
    holds: Callable[[], bool] = lambda: False
    on_resumed: Callable[[], None] = lambda: None
    limit: Callable[[str], Limit | None] = lambda kind: None
    on_refused: Callable[[str], Awaitable[None]] = unlimited
    acks: Acks = field(default_factory=Acks)
    uploader: Uploader = field(default_factory=Uploader)
    leaving: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """As long as somebody waits for an answer of the server's; `idle` is set while nobody does."""
        self._under_way += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.idle.set()


class Desk:
    """Serves the endpoint from the standings of all accounts."""

    def __init__(self, standings: Mapping[str, AccountStatus]) -> None:
        self._standings = standings

    def token(self, account: str) -> str | None:
        standing = self._standings.get(account)
        return standing.token if standing is not None else None

    async def request(self, account: str, incarnation: int, node: Node, seconds: int) -> Node:
        standing, line = self._line(account, incarnation)
        with standing.busy():
            return await _answered(standing, protocol.REQUEST_TIMEOUT, line.request(node, seconds))

    async def message(self, account: str, incarnation: int, node: Node, body: bytes, how: Handling) -> Node:
        standing, _ = self._line(account, incarnation)

        async def hand_over() -> Node:
            # Asked again here: another message under this id may have been waited for.
            _, line = self._line(account, incarnation)
            self._check_ready(standing, how.resumed)
            self._check_limits(standing, how.first_contact)
            return await _answered(standing, protocol.ACK_TIMEOUT, line.message(node))

        with standing.busy():
            ack = await standing.acks.handed_over(str(node.attrs["id"]), body, hand_over)
            error = ack.attrs.get("error")
            if isinstance(error, str):
                await standing.on_refused(error)
            return ack

    async def stanza(self, account: str, incarnation: int, node: Node) -> None:
        standing, line = self._line(account, incarnation)
        try:
            line.write(node)
        except LineClosed as exc:
            raise _not_connected(standing) from exc

    async def upload(self, account: str, incarnation: int, kind: str, blob: bytes) -> tuple[str, str]:
        standing, line = self._line(account, incarnation)

        async def ask(node: Node) -> Node:
            with standing.busy():
                return await _answered(standing, protocol.REQUEST_TIMEOUT, line.request(node))

        try:
            async with asyncio.timeout(protocol.UPLOAD_TIMEOUT):
                return await standing.uploader.upload(ask, kind, blob)
        except UploadRefused as exc:
            raise Refusal(protocol.UPLOAD_REFUSED, str(exc)) from exc
        except (UploadFailed, TimeoutError) as exc:
            raise Refusal(protocol.UPLOAD_FAILED, str(exc) or "no host took it in time") from exc

    async def resumed(self, account: str, incarnation: int) -> None:
        standing = self._held(account, incarnation)
        standing.on_resumed()

    def _held(self, account: str, incarnation: int) -> AccountStatus:
        """The standing, if this process may act for the account, and in this incarnation."""
        standing = self._standings[account]  # its token was checked, so it is there
        if not standing.holds() or standing.leaving:
            raise Refusal(protocol.LEASE, "this connector doesn't hold the account; read the lease")
        if incarnation != standing.incarnation:
            detail = f"the account's incarnation is {standing.incarnation}, not {incarnation}"
            raise Refusal(protocol.INCARNATION_REFUSED, detail)
        return standing

    def _line(self, account: str, incarnation: int) -> tuple[AccountStatus, Line]:
        standing = self._held(account, incarnation)
        if standing.line is None:
            raise _not_connected(standing)
        return standing, standing.line

    @staticmethod
    def _check_ready(standing: AccountStatus, resumed: bool) -> None:
        if not standing.ready:
            raise Refusal(protocol.RESUMING, "logged in; what waited at the server comes first")
        if standing.state == "resuming" and not resumed:
            raise Refusal(protocol.RESUMING, "parked notifications go first")

    @staticmethod
    def _check_limits(standing: AccountStatus, first_contact: bool) -> None:
        """Each attempt against a limit would make it longer."""
        limit = standing.limit(MESSAGES) or (standing.limit(FIRST_CONTACTS) if first_contact else None)
        if limit is not None:
            detail = f"{limit.kind}: {limit.cause}"
            raise Refusal(protocol.RESTRICTED, detail, until=limit.until, limit=limit.kind)


async def _answered(standing: AccountStatus, timeout_code: str, answer: Awaitable[Node]) -> Node:
    try:
        return await answer
    except TimeoutError as exc:
        raise Refusal(timeout_code, "WhatsApp didn't answer in time") from exc
    except (LineLost, LineClosed) as exc:
        raise _not_connected(standing, str(exc)) from exc


def _not_connected(standing: AccountStatus, detail: str = "") -> Refusal:
    if standing.state == "restricted" and standing.line is None:
        detail = detail or "the server keeps the account away"
        return Refusal(protocol.RESTRICTED, detail, until=standing.until)
    state = "connecting" if standing.line is not None else standing.state
    return Refusal(protocol.NOT_CONNECTED, detail or f"the account is {standing.state}", state=state)
