"""One account's life in this process: its lease, its pairing, one connection after the other.

lease ────▶ unpaired ─request─▶ pairing ──▶ connecting ──▶ resuming ──▶ connected
               ▲                              ▲   │
               │            after a delay     └───┤ the connection ended: see the reaction
               └── logged_out · replaced · stopped ┘ reported, until a person acts
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from tocsin.accounts.lease import LeaseLost
from tocsin.accounts.limits import KINDS, LOGIN
from tocsin.accounts.operator_requests import Asked
from tocsin.accounts.state import LOGGED_IN, PENDING, AccountState
from tocsin.connector import disconnection, version
from tocsin.connector.context import ConnectorContext
from tocsin.connector.fence import Fenced
from tocsin.connector.forwarding.forwarder import SendBatch
from tocsin.connector.forwarding.stanza import Packed
from tocsin.connector.forwarding.ways import Ways
from tocsin.connector.gateway.holds import Holds, StoredCounts
from tocsin.connector.gateway.limits import Limits
from tocsin.connector.gateway.status import AccountStatus
from tocsin.connector.halts import Halts
from tocsin.connector.health import AccountHealth
from tocsin.connector.held_lease import HeldLease
from tocsin.connector.operator import OperatorRequests
from tocsin.connector.pacing import Pace, Unhealable
from tocsin.connector.pairing import Pairer
from tocsin.connector.session import OVERFLOW, UNLINKED, Session
from tocsin.connector.stored_keys import RETRY_SECONDS, StoredKeys
from tocsin.connector.unstored import until_stored
from tocsin.keys.account import Credentials
from tocsin.keys.errors import KeysBehind
from tocsin.keys.high_water_mark import is_behind
from tocsin.keys.store import KeyStore
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

STOPPED_SECONDS: Final = 6 * 3600.0
"""After an unknown refusal, the seconds until one more try. There is none after `replaced`."""

REQUEST_GRACE: Final = 5.0
STANZA_GRACE: Final = 3.0
"""Seconds that requests, then stanzas, under way get to end when the account leaves this process."""

SET_BACK: Final = Reaction(Kind.STOP, "keys-set-back", AccountState.STOPPED, alert=True)
"""A backup was restored: message keys would be used a second time."""

HANDSHAKE_FAILURES: Final = frozenset({"handshake-failed", "handshake-timeout"})


class Account:
    """`status` is shared with the endpoint, which sees in it what may be asked of the account."""

    def __init__(self, name: str, context: ConnectorContext) -> None:
        self.name = name
        self.status = AccountStatus(name)
        self._context = context
        table = Fenced(context.table, name, self.status.holds)
        self._keys = KeyStore(table, context.sealer, name)
        self._stored = StoredKeys(context, self._keys, self.status, self._report)
        self._requests = OperatorRequests(context.aws, table, context.sealer, name, context.poller)
        self._limits = Limits(context.aws, self._keys, name)
        self._health = AccountHealth(
            context.aws,
            context.notices,
            self._keys,
            name,
            self._limits,
            on_cold=self._count_cold,
            settings=lambda: context.settings(),
        )
        self.status.limit = self._limits.active
        self.status.hold = Holds(name, lambda: context.settings(), uniform=context.uniform)
        self._counts = StoredCounts(context.aws, table, name, self.status.hold)
        send_receipts = context.send_receipts and self._while_held(context.send_receipts)
        self._ways = Ways(self._while_held(context.send_batch), send_receipts, context.meters.stanzas)
        self._pace = Pace(context.uniform)
        self._halts = Halts(context.aws, self._keys, name)
        self._halted: Reaction | None = None
        self._alerted = False
        self._number: str | None = None
        self._failed_handshakes = 0

    @property
    def works(self) -> bool:
        """True if it is ours and logged in."""
        return self.status.holds() and self.status.state in LOGGED_IN

    @property
    def settled(self) -> bool:
        """True unless connecting or pairing."""
        return self.status.state not in PENDING

    @property
    def restrictions(self) -> tuple[str, ...]:
        """The causes of the active WhatsApp restrictions."""
        return tuple(limit.cause for kind in KINDS if (limit := self._limits.active(kind)) is not None)

    @property
    def new_chats_used(self) -> float | None:
        """Percent of the new chats of this cycle; `None` unless WhatsApp warns."""
        quota = self._health.quota
        if quota is None or not quota.is_warning(time.time()) or quota.used is None or not quota.total:
            return None
        return min(100.0 * quota.used / quota.total, 100.0)

    def _count_cold(self) -> None:
        self._context.meters.cold[self.name] += 1

    @property
    def waiting(self) -> int:
        """Stanzas on their way to the queue."""
        return self._ways.waiting

    async def serve(self, held_lease: HeldLease) -> None:
        """Until cancelled, which the loss of the lease does too. Raises `pace.Unhealable`."""
        self.status.begin(held_lease)
        try:
            await self._serve(held_lease)
        finally:
            self.status.end()

    async def leave(self) -> None:
        """Take nothing more, and let what is under way end: the account moves to another connector."""
        self.status.leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REQUEST_GRACE):
                await self.status.idle.wait()
        await self.drain(STANZA_GRACE)

    def _while_held(self, send: SendBatch) -> SendBatch:
        """Send to a queue if the account is still ours. Its next holder gets the same from WhatsApp."""

        async def send_held(messages: Sequence[Packed]) -> Mapping[int, bool]:
            if not self.status.holds():
                raise LeaseLost(self.name)
            return await send(messages)

        return send_held

    async def drain(self, seconds: float = STANZA_GRACE) -> None:
        """Give the counts, and the stanzas under way, a last chance to be stored and acknowledged."""
        for last in (self._counts.save(), self._ways.drained()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await last

    async def _serve(self, held_lease: HeldLease) -> None:
        """Live, with the forwarder beside it. The end of either ends the other: a socket that is read while
        nothing is stored would look healthy from outside."""
        tasks = [
            asyncio.ensure_future(work)
            for work in (self._live(held_lease), self._ways.run(), self._counts.keep())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._counts.end()

    async def _live(self, held_lease: HeldLease) -> None:
        limits = asyncio.ensure_future(self._remember_limits())
        counts = asyncio.ensure_future(self._counts.load())
        first = True
        try:
            while True:
                # The reads run side by side; the socket is opened after all of them.
                credentials, mark, _ = await _side_by_side(
                    self._stored.credentials(), self._stored.high_water_mark(), limits
                )
                await self._drop_limits_of_other_numbers(credentials)
                if first and (self._halted is None or self._halted.kind is Kind.STOP):
                    # Also in place of one of an earlier lease: another connector may have ended it since.
                    self._halted = self._halts.holding(credentials.incarnation, time.time())
                    self._pace.deaf_before = self._halts.deaf_before
                first = False
                if credentials.jid is None or self._halted is not None:
                    await self._idle(held_lease, credentials)
                elif is_behind(credentials, mark):
                    # Unless the mark was read after the credentials, and both have moved on meanwhile.
                    if await self._stored.are_set_back():
                        await self._halt(replace(SET_BACK, detail=str(KeysBehind(self.name))))
                else:
                    number = JID.parse(credentials.jid).user
                    self._counts.begin(await counts, number, is_new=not credentials.login_counter)
                    await self._connect(held_lease, credentials)
        finally:
            counts.cancel()

    async def _remember_limits(self) -> None:
        """Read which limits were heard of before, and whether it was halted. A ban that still holds is waited
        for."""
        while True:
            try:
                await asyncio.gather(self._limits.load(), self._halts.load())
                break
            except Exception as exc:  # noqa: BLE001  the table is away; so is the account's item
                log.warning("the limits can't be read: %s", exc, extra={"account": self.name})
            await asyncio.sleep(RETRY_SECONDS)
        ban = self._limits.active(LOGIN)
        if self._halted is not None and self._halted.kind is Kind.WAIT and self._halted.seconds is not None:
            # Of an earlier lease: part of it is over, or all.
            self._halted = self.status.until = None
        if ban is not None and self._halted is None:
            self._halted = Reaction(
                Kind.WAIT,
                "banned-temporarily",
                AccountState.RESTRICTED,
                seconds=ban.until - time.time(),
                detail=ban.cause,
            )
            self.status.until = ban.until

    async def _drop_limits_of_other_numbers(self, credentials: Credentials) -> None:
        """Drop the limits of the number that was linked here before: they don't hold for another one."""
        if credentials.jid is None:
            return
        number = JID.parse(credentials.jid).user
        if self._number not in (None, number):
            for kind in KINDS:
                if self._limits.active(kind) is not None:
                    await self._limits.hear(kind, "another-number", 0)
        self._number = number

    # Connected

    async def _connect(self, held_lease: HeldLease, credentials: Credentials) -> None:
        await self.status.set(AccountState.CONNECTING)
        session = Session(
            self._context, self._keys, held_lease, self.status, self._ways, self._requests, self._health
        )
        routing = self._failed_handshakes < 2
        ended = await session.run(credentials, routing=routing)
        self._failed_handshakes = self._failed_handshakes + 1 if ended.reason in HANDSHAKE_FAILURES else 0
        if session.connected:
            self._alerted = False
        since = session.stable_since
        lasted = self._context.clock() - since if since is not None else None
        log.warning(
            "connection ended",
            extra={"account": self.name, "reason": ended.reason, "detail": ended.detail, "lasted": lasted},
        )
        self._context.meters.reconnects += 1
        await self._react(ended, lasted)

    async def _react(self, ended: Reaction, lasted: float | None) -> None:
        if ended.kind in (Kind.STOP, Kind.WAIT):
            await self._halt(ended)
            return
        try:
            delay = self._pace.delay(ended, lasted)
        except Unhealable:
            await self._halts.note_deaf()
            raise
        if ended.alert and not self._alerted:
            self._alerted = True
            await self._report(ended)
        if ended.kind is Kind.REFRESH_VERSION:
            await version.refresh(self._context)
        if ended is OVERFLOW:
            await until_stored(self.name, self._ways, self._requests, self._context.meters.stanzas)
        await asyncio.sleep(delay)

    async def _halt(self, ended: Reaction) -> None:
        """Stop trying. Void keys are replaced, so that nothing logs in with them again."""
        if ended.kind is Kind.WAIT and ended.seconds is not None:
            # Written before it is told: whoever hears of it may stop us, and the next one must sit it out.
            until = time.time() + ended.seconds
            await self._limits.hear(LOGIN, ended.detail or ended.reason, until, guessed=ended.guessed)
        if ended.stanza is not None:
            await disconnection.keep_refusal(self._context, self._keys, self.name, ended, ended.stanza)
        if ended is UNLINKED:
            log.info("unlinked by the operator", extra={"account": self.name})
        else:
            await self._report(ended)
        if ended.wipe or ended is UNLINKED:
            await self._stored.renew()
        if ended is UNLINKED:
            await self._requests.show(AccountState.UNPAIRED)
            return
        self._halted = ended
        # Keys that were set back are looked at anew each time.
        if ended.kind is Kind.STOP and ended.reason != SET_BACK.reason:
            patience = self._patience()
            until = int(time.time() + patience) if patience is not None else 0
            await self._halts.note(ended, until, (await self._stored.credentials()).incarnation)

    async def _report(self, ended: Reaction) -> None:
        await disconnection.report(self._context, self.status, ended)

    # Not connected

    async def _idle(self, held_lease: HeldLease, credentials: Credentials) -> None:
        """Until the operator asks for something, or a halt has lasted long enough."""
        halted = self._halted
        if halted is not None:
            await self.status.set(AccountState(halted.state), disconnection.detail_of(halted))
            self.status.until = time.time() + halted.seconds if halted.seconds else self.status.until
        else:
            await self.status.set(AccountState.UNPAIRED, "link it: tocsin pair")
        try:
            async with asyncio.timeout(self._patience()):
                asked = await self._requests.next()
        except TimeoutError:
            self._halted = None
            self.status.until = None
            await self._halts.clear()
            return
        self.status.until = None
        await self._halts.clear()
        await self._carry_out(held_lease, credentials, asked)

    def _patience(self) -> float | None:
        """Seconds until a halted account tries again by itself; None: never."""
        if self._halted is None or self._halted.wipe or self._halted.state == AccountState.REPLACED:
            return None
        return self._halted.seconds or STOPPED_SECONDS

    async def _carry_out(self, held_lease: HeldLease, credentials: Credentials, asked: Asked) -> None:
        """Pair with fresh keys where the old ones were in use. A newer request replaces this one."""
        following: Asked | None = asked
        while following is not None:
            if following.request == "reconnect":
                self._halted = None
                return
            if credentials.jid is not None:
                await self._stored.renew()
                credentials = await self._stored.credentials()
            self._halted = None
            if following.request == "unpair":
                await self._requests.show(
                    AccountState.UNPAIRED, "nothing was linked here; look on the phone as well"
                )
                return
            following = await self._pair(held_lease, credentials, following)

    async def _pair(self, held_lease: HeldLease, credentials: Credentials, asked: Asked) -> Asked | None:
        """Carry out one request. Return the newer one that interrupted it, if one did."""
        await self.status.set(AccountState.PAIRING)
        pairer = Pairer(self._context, self._keys, held_lease, self._requests, asked)
        pairing = asyncio.ensure_future(pairer.run(credentials))
        newer = asyncio.ensure_future(self._requests.next())
        try:
            await asyncio.wait([pairing, newer], return_when=asyncio.FIRST_COMPLETED)
            if newer.done() and not pairer.committed:
                return newer.result()
            await pairing
            if newer.done():
                # It came while the pairing was being stored: whoever logs in answers it.
                self._requests.put_back(newer.result())
            return None
        finally:
            for task in (pairing, newer):
                task.cancel()
            await asyncio.gather(pairing, newer, return_exceptions=True)


async def _side_by_side(first: Awaitable[A], second: Awaitable[B], third: Awaitable[C]) -> tuple[A, B, C]:
    """The results of all; the failure of one ends the others."""
    one, two, three = (
        asyncio.ensure_future(first),
        asyncio.ensure_future(second),
        asyncio.ensure_future(third),
    )
    try:
        return await asyncio.gather(one, two, three)
    finally:
        for task in (one, two, three):
            task.cancel()
