"""The status of an account, and what Lambdas may ask of it in each (the endpoint's `Accounts`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tocsin.accounts.lease import LeaseLost
from tocsin.accounts.limits import (
    FIRST_CONTACTS,
    KINDS,
    MESSAGES,
    Limit,
    strictest_for_first_contacts,
)
from tocsin.accounts.state import AccountState, may_follow
from tocsin.connector.gateway.acks import Acks
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.holds import Holds, unheld
from tocsin.connector.gateway.media import DownloadFailed, Uploader, UploadFailed, UploadRefused
from tocsin.connector.gateway.used_keys import UsedKeys
from tocsin.connector.socket import Line, LineClosed, LineLost
from tocsin.connector_client import protocol
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_NAMES = 50
"""Of the copies that are refused, in one answer. The next try is told of the rest."""


async def unlimited(error: str, to: str) -> Mapping[str, str]:
    """The default of `on_refused`: nothing is done about it."""
    return {}


async def unasked() -> None:
    """The default of `before_first_contact`: nobody is asked."""


class Lease(Protocol):
    """What of `connector.held_lease.HeldLease` is used here."""

    def valid(self) -> bool: ...
    async def set_state(self, state: AccountState, detail: str = "") -> None: ...


@dataclass
class AccountStatus:
    """`state`: as the lease says it; `set` is its only writer. `ready`: after login, prekeys and backlog,
    messages may go out. `lease`: None until this process first holds the account.

    `line` is set while logged in. `until`: Unix seconds, when the server keeps the account away.
    `limit(kind)`: the active WhatsApp restriction of this kind. `before_first_contact`: finds out whether one
    may go. `hold`: what we ourselves hold back. `on_refused`: hears the error of every message that was
    refused and to whom it was, before the Lambda does; what it returns goes along with the ack, as
    attributes. `token` is kept when the lease is lost, so that a Lambda that comes late is told so.
    `leaving`: the account is about to move; what is under way ends here.
    """

    account: str
    token: str | None = field(default=None, repr=False)
    incarnation: int = 0
    state: AccountState = AccountState.CONNECTING
    line: Line | None = None
    ready: bool = False
    until: float | None = None
    lease: Lease | None = None
    on_resumed: Callable[[], None] = lambda: None
    limit: Callable[[str], Limit | None] = lambda kind: None
    before_first_contact: Callable[[], Awaitable[None]] = unasked
    on_refused: Callable[[str, str], Awaitable[Mapping[str, str]]] = unlimited
    hold: Holds = field(default_factory=unheld)
    acks: Acks = field(default_factory=Acks)
    uploader: Uploader = field(default_factory=Uploader)
    leaving: bool = False
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    def begin(self, lease: Lease) -> None:
        """The account is ours: each lease begins as `connecting`."""
        self.lease, self.state, self.leaving = lease, AccountState.CONNECTING, False

    def end(self) -> None:
        """The account is ours no more, or served by nobody here."""
        self.state = AccountState.CONNECTING

    def holds(self) -> bool:
        """Return whether this process may act for the account now."""
        return self.lease is not None and self.lease.valid()

    async def set(self, state: AccountState, detail: str = "") -> None:
        """Write the state into the lease, then here. `detail`: for the operator. Raises LeaseLost; then the
        state stays as it was."""
        if self.lease is None:
            raise LeaseLost(self.account)
        if not may_follow(self.state, state):
            # The table of transitions is wrong then. The lease must tell the truth all the same.
            log.error("unexpected state", extra={"account": self.account, "from": self.state, "to": state})
        await self.lease.set_state(state, detail)
        self.state = state

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """For as long as a Lambda waits for an answer from the server. `idle` is set while none does."""
        self._under_way += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.idle.set()


class AccountGateway:
    """What the endpoint calls: carries out requests of Lambdas, as the status of their account allows."""

    def __init__(self, statuses: Mapping[str, AccountStatus]) -> None:
        self._statuses = statuses
        self._used_keys = UsedKeys()

    def token(self, account: str) -> str | None:
        status = self._statuses.get(account)
        return status.token if status is not None else None

    async def request(self, account: str, incarnation: int, node: Node, seconds: int) -> Node:
        status, line = self._line(account, incarnation)
        with status.busy():
            return await _answered(status, protocol.REQUEST_TIMEOUT, line.request(node, seconds))

    async def message(self, account: str, incarnation: int, node: Node, body: bytes, how: Handling) -> Node:
        status, _ = self._line(account, incarnation)
        how = status.hold.seen(how)

        async def hand_over() -> Node:
            # Asked again here: another message under this id may have been waited for.
            _, line = self._line(account, incarnation)
            self._check_ready(status, how.resumed)
            if how.first_contact:
                await status.before_first_contact()
                _, line = self._line(account, incarnation)
            self._check_limits(status, how)
            if delay := status.hold.admit(node, how):
                await asyncio.sleep(delay)
                # The world went on meanwhile.
                _, line = self._line(account, incarnation)
                self._check_ready(status, how.resumed)
                self._check_limits(status, how)
                status.hold.check_pause(node, how)
            self._check_keys(account, node)
            return await _answered(status, protocol.ACK_TIMEOUT, line.message(node))

        with status.busy():
            ack = await status.acks.handed_over(body, hand_over)
            error = ack.attrs.get("error")
            verdict = (
                await status.on_refused(error, str(node.attrs.get("to"))) if isinstance(error, str) else {}
            )
            return _with_verdict(ack, verdict)

    async def stanza(self, account: str, incarnation: int, node: Node) -> None:
        status, line = self._line(account, incarnation)
        try:
            line.write(node)
        except LineClosed as exc:
            raise _not_connected(status) from exc

    async def upload(self, account: str, incarnation: int, kind: str, blob: bytes) -> tuple[str, str]:
        status, line = self._line(account, incarnation)

        async def ask(node: Node) -> Node:
            with status.busy():
                return await _answered(status, protocol.REQUEST_TIMEOUT, line.request(node))

        try:
            async with asyncio.timeout(protocol.UPLOAD_TIMEOUT):
                return await status.uploader.upload(ask, kind, blob)
        except UploadRefused as exc:
            raise Refusal(protocol.UPLOAD_REFUSED, str(exc)) from exc
        except (UploadFailed, TimeoutError) as exc:
            raise Refusal(protocol.UPLOAD_FAILED, str(exc) or "no host took it in time") from exc

    async def download(self, account: str, incarnation: int, direct_path: str, digest: bytes) -> bytes:
        status, line = self._line(account, incarnation)

        async def ask(node: Node) -> Node:
            with status.busy():
                return await _answered(status, protocol.REQUEST_TIMEOUT, line.request(node))

        try:
            async with asyncio.timeout(protocol.DOWNLOAD_TIMEOUT):
                return await status.uploader.download(ask, direct_path, digest)
        except (DownloadFailed, UploadFailed, TimeoutError) as exc:
            raise Refusal(protocol.DOWNLOAD_FAILED, str(exc) or "no host gave it out in time") from exc

    async def resumed(self, account: str, incarnation: int) -> None:
        status = self._held(account, incarnation)
        status.on_resumed()

    def _held(self, account: str, incarnation: int) -> AccountStatus:
        """The status, if this process may act for the account, and in this incarnation."""
        status = self._statuses[account]  # its token was checked, so it is there
        if not status.holds() or status.leaving:
            raise Refusal(protocol.LEASE, "this connector doesn't hold the account; read the lease")
        if incarnation != status.incarnation:
            detail = f"the account's incarnation is {status.incarnation}, not {incarnation}"
            raise Refusal(protocol.INCARNATION_REFUSED, detail)
        return status

    def _line(self, account: str, incarnation: int) -> tuple[AccountStatus, Line]:
        status = self._held(account, incarnation)
        if status.line is None:
            raise _not_connected(status)
        return status, status.line

    def _check_keys(self, account: str, message: Node) -> None:
        """The last look before the message leaves: from here on its keys are used."""
        refused = self._used_keys.claim(message)
        if refused:
            log.error("message key used before", extra={"account": account, "copies": len(refused)})
            names = " ".join(refused[:MAX_NAMES])
            raise Refusal(protocol.KEY_USED, "its key went out before with other content", names=names)

    @staticmethod
    def _check_ready(status: AccountStatus, resumed: bool) -> None:
        if not status.ready:
            raise Refusal(protocol.RESUMING, "logged in; what waited at the server comes first")
        if status.state == AccountState.RESUMING and not resumed:
            raise Refusal(protocol.RESUMING, "parked notifications go first")

    @staticmethod
    def _check_limits(status: AccountStatus, how: Handling) -> None:
        """Each attempt against a limit would make it longer."""
        active = {kind: limit for kind in KINDS if (limit := status.limit(kind)) is not None}
        limit = active.get(MESSAGES)
        if limit is None and how.first_contact:
            limit = strictest_for_first_contacts(active, urgent=how.urgent)
        if limit is not None:
            # Functions of before know one kind for first contacts.
            kind = limit.kind if limit.kind == MESSAGES else FIRST_CONTACTS
            detail = f"{limit.kind}: {limit.cause}"
            raise Refusal(protocol.RESTRICTED, detail, until=limit.until, limit=kind, cause=limit.cause)


def _with_verdict(ack: Node, verdict: Mapping[str, str]) -> Node:
    """The server's ack with our word on it; a word of that name from the server is none."""
    ours = (protocol.VERDICT, protocol.VERDICT_UNTIL)
    attrs = {name: value for name, value in ack.attrs.items() if name not in ours}
    return Node(ack.tag, {**attrs, **verdict}, ack.content)


async def _answered(status: AccountStatus, timeout_code: str, answer: Awaitable[Node]) -> Node:
    try:
        return await answer
    except TimeoutError as exc:
        raise Refusal(timeout_code, "WhatsApp didn't answer in time") from exc
    except (LineLost, LineClosed) as exc:
        raise _not_connected(status, str(exc)) from exc


def _not_connected(status: AccountStatus, detail: str = "") -> Refusal:
    if status.state == AccountState.RESTRICTED and status.line is None:
        detail = detail or "the server keeps the account away"
        return Refusal(protocol.RESTRICTED, detail, until=status.until)
    state = AccountState.CONNECTING if status.line is not None else status.state
    return Refusal(protocol.NOT_CONNECTED, detail or f"the account is {status.state}", state=state)
