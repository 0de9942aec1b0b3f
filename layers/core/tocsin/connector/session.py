"""One logged-in connection, from the opening of its socket to the reason of its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final

from tocsin.accounts.lease import LeaseLost
from tocsin.accounts.state import AccountState
from tocsin.connector import version
from tocsin.connector.context import ConnectorContext
from tocsin.connector.forwarding.stanza import Origin
from tocsin.connector.forwarding.ways import Ways
from tocsin.connector.gateway.limits import WORDS
from tocsin.connector.gateway.status import AccountStatus, unasked, unlimited
from tocsin.connector.health import AccountHealth
from tocsin.connector.held_lease import HeldLease
from tocsin.connector.login import (
    check_prekeys,
    count_login,
    device_keys,
    save_lid,
    served_prekeys,
)
from tocsin.connector.operator import OperatorRequests
from tocsin.connector.socket import Line, LineClosed, LineLost, OpenFailed, open_line
from tocsin.keys.account import Credentials
from tocsin.keys.prekeys import prekeys_to_add
from tocsin.keys.store import KeyStore
from tocsin.settings.declared import DECLINE_CALLS
from tocsin.timestamps import iso
from tocsin.whatsapp import iq, reaction
from tocsin.whatsapp.errors import EncodeError, WireError
from tocsin.whatsapp.events import (
    Event,
    FrameDropped,
    LoggedIn,
    OfflineDone,
    PreKeysLow,
    RoutingInfo,
    StanzaReceived,
    StreamEnded,
    VersionExpiring,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.notifications import AccountNotice, parse_notification
from tocsin.whatsapp.reaction import Kind, Reaction
from tocsin.whatsapp.receipts import ack, decline, refusal_of

log = logging.getLogger(__name__)

RESUME_SECONDS: Final = 60.0
"""After which a resume that nobody ended is looked at again."""

RESUME_ROUNDS: Final = 10
"""After so many rounds fresh notifications may pass: better out of order than never."""

RECHECK_PARKED_SECONDS: Final = 3.0
"""After which a notification is looked for that was parked just while we connected."""

ROOM_SECONDS: Final = 15.0
"""How long the socket may stay unread while the queue takes nothing; less than the time after which it
counts as deaf."""

ASKED_AGAIN_SECONDS: Final = 5.0
"""After prekeys were uploaded because the server asked: so long it isn't heard if it asks again."""

TURN_SECONDS: Final = 5.0
"""How long an account may keep others from logging in, once its socket is open."""

OVERFLOW: Final = Reaction(Kind.BACKOFF, "stanzas-not-stored", alert=True)
"""The queue is away, and too much waits: what comes now would be lost or out of order."""

SETUP_FAILED: Final = Reaction(Kind.BACKOFF, "login-setup-failed", alert=True)
RECONNECT: Final = Reaction(Kind.RECONNECT_NOW, "reconnect-by-operator")
UNLINKED: Final = Reaction(Kind.STOP, "unlinked-by-operator", AccountState.UNPAIRED)


class Session:
    """Runs one connection for a paired account. `stable_since`: when it was logged in; None before."""

    def __init__(
        self,
        context: ConnectorContext,
        keys: KeyStore,
        held_lease: HeldLease,
        status: AccountStatus,
        ways: Ways,
        requests: OperatorRequests,
        health: AccountHealth,
    ) -> None:
        self._context = context
        self._keys = keys
        self._held_lease = held_lease
        self._status = status
        self._ways = ways
        self._requests = requests
        self._health = health
        self._offline_done = asyncio.Event()
        self._resumed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._topping_up: asyncio.Task[None] | None = None
        self._unlinking = False
        self._turn = _Turn(context)
        self.stable_since: float | None = None
        self.connected = False

    async def run(self, credentials: Credentials, *, routing: bool = True) -> Reaction:
        """Until the connection ends. Raises LeaseLost."""
        await self._turn.take()
        connection = self._context.connection(device_keys(credentials, routing=routing))
        try:
            line = await open_line(self._context.config.whatsapp_url, connection, self._context.clock)
        except OpenFailed as exc:
            return replace(reaction.LOST, detail=str(exc))
        finally:
            self._turn.soon_over()
        self._held_lease.on_loss = line.abort
        carrying = asyncio.ensure_future(line.run(self._held_lease.valid))
        try:
            return await self._follow(line, credentials)
        finally:
            self._turn.over()
            self._leave()
            for task in (*self._tasks, carrying):
                task.cancel()
            await asyncio.gather(carrying, *self._tasks, return_exceptions=True)
            if self._held_lease.valid():
                await line.close()
            else:
                line.abort()

    def _leave(self) -> None:
        """No call of a Lambda reaches this line any more."""
        self._status.line = None
        self._status.ready = False
        self._status.on_resumed = lambda: None
        self._status.on_refused = unlimited
        self._status.before_first_contact = unasked
        self._health.end()
        self._ways.forget()

    async def _follow(self, line: Line, credentials: Credentials) -> Reaction:
        while True:
            event = await line.next_event()
            match event:
                case StreamEnded(reaction=ended):
                    return UNLINKED if self._unlinking and ended.wipe else ended
                case StanzaReceived(node=node):
                    self._status.hold.heard(node)
                    self._apply_account_news(line, node)
                    await self._take_patiently(line, node)
                case LoggedIn():
                    self._logged_in(line, credentials, event)
                case OfflineDone(complete=complete):
                    if not complete:
                        log.warning("no end of the queue was said", extra={"account": self._status.account})
                    self._offline_done.set()
                case _:
                    self._note(line, credentials, event)

    def _note(self, line: Line, credentials: Credentials, event: Event) -> None:
        """Handle the events that are only remembered or logged."""
        match event:
            case PreKeysLow(count=count):
                if self._topping_up is None or self._topping_up.done():
                    self._topping_up = self._spawn(line, self._give_more(line, credentials, count))
            case RoutingInfo(info=info) if info != credentials.routing_info:
                self._spawn(line, self._save_routing(credentials, info))
            case VersionExpiring(at=at):
                log.warning("the client version expires", extra={"account": self._status.account, "at": at})
                if at is not None:
                    # The next login shows the present one, before the server refuses this one.
                    self._spawn(line, version.refresh(self._context))
            case FrameDropped(reason=reason):
                log.warning("frame dropped", extra={"account": self._status.account, "reason": reason})
            case _:
                pass

    # Stanzas

    async def _take_patiently(self, line: Line, node: Node) -> None:
        """Have a stanza stored. A backlog comes faster than the queue takes it: meanwhile the socket isn't
        read, so that memory stays bounded and the server waits."""
        while not self._take(line, node):
            try:
                async with asyncio.timeout(ROOM_SECONDS):
                    await self._ways.progress()
            except TimeoutError:
                line.end(OVERFLOW)
                return

    def _take(self, line: Line, node: Node) -> bool:
        """Have a stanza stored; it is acknowledged on this very line, or comes again on the next.

        False: there is no room for it now.
        """
        origin = Origin(self._status.account, self._status.incarnation, self._held_lease.epoch)
        refusal = refusal_of(node)

        def stored() -> None:
            try:
                line.write(ack(node, refusal))
                self._decline(line, node)
            except LineClosed:
                pass  # it comes again on the next line
            except EncodeError as exc:
                # What it names can be read and not be written. It must not end the connection: it would come
                # again on the next one, and end that too.
                problem = {"account": origin.account, "problem": str(exc)}
                log.error("stanza can't be acknowledged", extra=problem)

        if refusal is not None:
            # Who sent it was told nothing of it; the server is, or it would bring it again.
            log.warning("message refused", extra={"account": origin.account, "code": refusal})
            stored()
            return True
        try:
            return self._ways.offer(node, origin, int(time.time() * 1000), stored)
        except (WireError, ValueError) as exc:
            log.warning("stanza can't be packed", extra={"account": origin.account, "problem": str(exc)})
            stored()
            return True

    def _decline(self, line: Line, node: Node) -> None:
        """Nobody sits at a notifier to take a call. The ringing ends on the owner's phone too, so this is
        done only where the operator wants it."""
        if node.tag != "call":
            return
        if not self._context.settings().value(DECLINE_CALLS, account=self._status.account):
            return
        refusal = decline(node)
        if refusal is not None:
            line.write(refusal)
            log.info("call declined", extra={"account": self._status.account})

    def _apply_account_news(self, line: Line, node: Node) -> None:
        """Apply what is told of the account at once, not when a function reads the notification."""
        if node.tag != "notification" or node.attrs.get("type") != "mex":
            return
        with contextlib.suppress(WireError):
            notice = parse_notification(node)
            if isinstance(notice, AccountNotice):
                self._spawn(line, self._hear(notice))

    async def _hear(self, notice: AccountNotice) -> None:
        if notice.unreadable:
            problem = {"account": self._status.account, "count": notice.unreadable}
            log.warning("news of the account can't be read", extra=problem)
        for news in notice.news:
            await self._health.hear(news)

    # After login

    def _logged_in(self, line: Line, credentials: Credentials, event: LoggedIn) -> None:
        self._turn.over()
        self.stable_since = self._context.clock()
        self._status.line = line
        self._status.on_resumed = self._resumed.set
        self._status.on_refused = self._health.refused
        self._status.before_first_contact = self._health.before_first_contact
        self._health.begin(line)
        self._spawn(line, self._set_up(line, credentials, event))
        self._spawn(line, self._watch_requests(line, credentials))

    async def _set_up(self, line: Line, credentials: Credentials, event: LoggedIn) -> None:
        """Everything from `<success>` to `connected`. Receipts and queries pass from the beginning."""
        account = self._status.account
        log.info("logged in", extra={"account": account, "clock_offset": event.clock_offset})
        if event.clock_offset is not None:
            self._context.note_clock(event.clock_offset)
        # Before anything is delivered: the functions read it by that.
        await save_lid(self._context.aws, self._keys, credentials, event)
        await asyncio.gather(
            self._status.set(AccountState.RESUMING, "logged in"),
            count_login(self._context.aws, self._keys, credentials),
            self._go_active(line, credentials),
        )
        await self._offline_done.wait()
        self._status.ready = True
        await self._resume()
        await self._say_open()
        self.connected = True
        await self._requests.show(AccountState.CONNECTED)
        log.info("connected", extra={"account": account, "epoch": self._held_lease.epoch})
        self._spawn(line, self._watch_limits())
        self._spawn(line, self._watch_health())
        await self._recheck_parked()

    async def _go_active(self, line: Line, credentials: Credentials) -> None:
        """Live as soon as the server has prekeys to give out. Whether we have some is looked at while it
        delivers: after a reset it has plenty, and we have none of them."""
        try:
            served = await served_prekeys(line)
        except (WireError, TimeoutError) as exc:
            log.error("prekeys not counted: %s", exc, extra={"account": self._status.account})
        else:
            if prekeys_to_add(served):
                await self._top_up(line, credentials, served)
        iq.checked(await line.go_active())
        await self._top_up(line, credentials, await self._context.aws.call(self._keys.account.prekey_count))

    async def _say_open(self) -> None:
        """The account may send: to everybody, or to some while a limit lasts, which outlives the connection
        that met it, the process, and the connector."""
        limit = self._health.limits.strictest()
        if limit is None:
            await self._status.set(AccountState.CONNECTED)
        else:
            detail = f"{WORDS[limit.kind]} ({limit.cause}) until {iso(limit.until * 1000)}"
            await self._status.set(AccountState.RESTRICTED, detail)

    async def _watch_limits(self) -> None:
        """Say how the account may send whenever that changes, as long as it is connected."""
        said = self._health.limits.strictest()
        while True:
            self._health.limits.changed.clear()
            limit = self._health.limits.strictest()
            if limit != said:
                await self._say_open()
                said = limit
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit and max(limit.until - time.time(), 0) + 0.01):
                    await self._health.limits.changed.wait()

    async def _watch_health(self) -> None:
        await self._health.look()
        await self._health.watch()

    async def _give_more(self, line: Line, credentials: Credentials, count: int) -> None:
        """The server asks for prekeys: it gets some, and then none for a moment, however often it asks."""
        await self._top_up(line, credentials, count, asked=True)
        await asyncio.sleep(ASKED_AGAIN_SECONDS)

    async def _top_up(
        self, line: Line, credentials: Credentials, count: int | None, *, asked: bool = False
    ) -> None:
        try:
            await check_prekeys(self._context.aws, self._keys, credentials, line, count=count, asked=asked)
        except (WireError, TimeoutError) as exc:
            # Connected without fresh prekeys is better than not connected; the next login asks again.
            log.error("prekeys not uploaded: %s", exc, extra={"account": self._status.account})

    async def _save_routing(self, credentials: Credentials, info: bytes) -> None:
        await self._context.aws.call(self._keys.account.save_routing_info, credentials.incarnation, info)

    async def _resume(self) -> None:
        """Let parked notifications pass first. It ends when the maintain function says so."""
        account = self._status.account
        for _ in range(RESUME_ROUNDS):
            if not await self._context.notices.has_parked(account):
                return
            log.info("resuming", extra={"account": account})
            self._resumed.clear()
            await self._context.notices.ask_resume(account)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESUME_SECONDS):
                    await self._resumed.wait()
                return
        log.error("the resume doesn't end; fresh notifications pass", extra={"account": account})

    async def _recheck_parked(self) -> None:
        """A Lambda that saw us connecting may have parked one after we had looked."""
        await asyncio.sleep(RECHECK_PARKED_SECONDS)
        if await self._context.notices.has_parked(self._status.account):
            await self._context.notices.ask_resume(self._status.account)

    # While connected

    async def _watch_requests(self, line: Line, credentials: Credentials) -> None:
        while True:
            asked = await self._requests.next()
            if asked.request == "pair":
                await self._requests.show(
                    AccountState.CONNECTED, "the account is linked already; unpair it first"
                )
            elif asked.request == "reconnect":
                line.end(RECONNECT)
                return
            elif credentials.jid is not None:
                self._unlinking = True  # the server may end the stream before we see its answer
                iq.checked(await line.request(iq.remove_device(JID.parse(credentials.jid))))
                line.end(UNLINKED)
                return

    def _spawn(self, line: Line, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(line, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, line: Line, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (LeaseLost, LineLost, LineClosed):
            pass  # the end of the line is told elsewhere
        except Exception as exc:
            log.exception("the connection can't be served", extra={"account": self._status.account})
            line.end(replace(SETUP_FAILED, detail=f"{type(exc).__name__}: {exc}"))


class _Turn:
    """This account's turn to log in, of those that may do it at the same time."""

    def __init__(self, context: ConnectorContext) -> None:
        self._context = context
        self._has = False

    async def take(self) -> None:
        await self._context.logins.acquire()
        self._has = True

    def soon_over(self) -> None:
        """However long the server takes to answer: others needn't wait for that."""
        asyncio.get_running_loop().call_later(TURN_SECONDS, self.over)

    def over(self) -> None:
        if self._has:
            self._has = False
            self._context.logins.release()
