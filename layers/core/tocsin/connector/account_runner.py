"""One account's life in this process: its lease, its pairing, one connection after the other.

lease ────▶ unpaired ──wish──▶ pairing ──▶ connecting ──▶ resuming ──▶ connected
               ▲                              ▲   │
               │            after a delay     └───┤ the connection ended: see the reaction
               └── logged_out · replaced · stopped ┘ said loudly, until a person acts
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
from tocsin.accounts.operator_requests import Control
from tocsin.connector import version
from tocsin.connector.context import ConnectorContext
from tocsin.connector.fence import Fenced
from tocsin.connector.forwarding.forwarder import Forwarder
from tocsin.connector.forwarding.stanza import Packed
from tocsin.connector.gateway.limits import Limits
from tocsin.connector.gateway.status import AccountStatus
from tocsin.connector.held_lease import HeldLease
from tocsin.connector.operator import OperatorRequests
from tocsin.connector.pacing import Pace
from tocsin.connector.pairing import Pairer
from tocsin.connector.session import UNLINKED, Service
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.account import Credentials
from tocsin.keys.errors import KeysBehind
from tocsin.keys.high_water_mark import HighWaterMark, is_behind, read_witness
from tocsin.keys.seal import DamagedRecord
from tocsin.keys.store import KeyStore
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

RETRY_SECONDS: Final = 1.0

STOPPED_SECONDS: Final = 6 * 3600.0
"""After a refusal that nobody understands, one more try so many seconds later. Not after `replaced`."""

WITNESS_TRIES: Final = 3

REQUEST_GRACE: Final = 5.0
STANZA_GRACE: Final = 3.0
"""Seconds that requests, then stanzas, under way get to end when the account leaves this process."""

CONNECTED: Final = frozenset({"connected", "resuming", "restricted"})

SET_BACK: Final = Reaction(Kind.STOP, "keys-set-back", "stopped", alert=True)
"""A backup was restored: message keys would be used a second time."""

HANDSHAKE_FAILURES: Final = frozenset({"handshake-failed", "handshake-timeout"})


class Account:
    """`standing` is shared with the endpoint, which sees in it what may be asked of the account."""

    def __init__(self, name: str, around: ConnectorContext) -> None:
        self.name = name
        self.standing = AccountStatus(name)
        self._context = around
        table = Fenced(around.table, name, self._holds)
        self._keys = KeyStore(table, around.sealer, name)
        self._wishes = OperatorRequests(around.aws, table, name, around.bell)
        self._limits = Limits(around.aws, self._keys, name)
        self.standing.limit = self._limits.active
        self._forwarder = Forwarder(self._send_batch, around.meters.stanzas)
        self._pace = Pace(around.uniform)
        self._halted: Reaction | None = None
        self._alerted = False
        self._number: str | None = None
        self._failed_handshakes = 0
        self._tenure: HeldLease | None = None

    @property
    def held(self) -> bool:
        return self._holds()

    @property
    def works(self) -> bool:
        """Whether it is ours and logged in."""
        return self._holds() and self.standing.state in CONNECTED

    @property
    def settled(self) -> bool:
        """Whether nobody waits for it to get somewhere: it works, or waits for a person to act."""
        return self.standing.state not in ("connecting", "pairing")

    @property
    def waiting(self) -> int:
        """Stanzas on their way to the queue."""
        return self._forwarder.waiting

    async def serve(self, tenure: HeldLease) -> None:
        """Until cancelled, which the loss of the lease does too. Raises `pace.Unhealable`."""
        self._tenure = tenure
        self.standing.leaving = False
        self.standing.holds = tenure.valid
        try:
            await self._serve(tenure)
        finally:
            self.standing.state = "connecting"

    async def leave(self) -> None:
        """Take nothing more, and let what is under way end: the account moves to another connector."""
        self.standing.leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REQUEST_GRACE):
                await self.standing.idle.wait()
        await self.drain(STANZA_GRACE)

    def _holds(self) -> bool:
        return self._tenure is not None and self._tenure.valid()

    async def _send_batch(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        """To the queue, if the account is still ours: whoever has it now gets the same from WhatsApp."""
        if not self._holds():
            raise LeaseLost(self.name)
        return await self._context.send_batch(messages)

    async def drain(self, seconds: float = STANZA_GRACE) -> None:
        """Give the stanzas under way a last chance to be stored and acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._forwarder.drained()

    async def _serve(self, tenure: HeldLease) -> None:
        """Live, with the forwarder beside it. Neither goes on without the other: a socket that is read while
        nothing is stored any more would look well from outside."""
        tasks = [asyncio.ensure_future(work) for work in (self._live(tenure), self._forwarder.run())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, tenure: HeldLease) -> None:
        limits = asyncio.ensure_future(self._remember_limits())
        while True:
            # None of these reads waits for another, and the socket waits for all.
            credentials, witness, _ = await _side_by_side(self._credentials(tenure), self._witness(), limits)
            await self._forgive_other_numbers(credentials)
            if credentials.jid is None or self._halted is not None:
                await self._idle(tenure, credentials)
            elif is_behind(credentials, witness):
                # Unless the witness was read after them, and both have got further meanwhile.
                if await self._set_back(tenure):
                    await self._halt(tenure, replace(SET_BACK, detail=str(KeysBehind(self.name))))
            else:
                await self._connect(tenure, credentials)

    async def _credentials(self, tenure: HeldLease) -> Credentials:
        """The account as stored, made if it is new. Waits while it can't be read."""
        while True:
            try:
                credentials = await self._context.aws.call(self._keys.create_account)
            except DamagedRecord as exc:
                # No new identity is made in place of one that can't be read: a person must look.
                log.error("%s", exc, extra={"account": self.name})
                await self._loudly(
                    tenure, Reaction(Kind.STOP, "damaged-credentials", "stopped", detail=str(exc))
                )
                await asyncio.sleep(60)
                continue
            except Exception as exc:  # noqa: BLE001  the table is away; the lease says for how long that may be
                log.warning("the account can't be read: %s", exc, extra={"account": self.name})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.standing.token = credentials.connector_token
            self.standing.incarnation = credentials.incarnation
            return credentials

    async def _remember_limits(self) -> None:
        """What the server told this account's connectors before us. A ban is sat out here as well."""
        while True:
            try:
                await self._limits.load()
                break
            except Exception as exc:  # noqa: BLE001  the table is away; so is the account's item
                log.warning("the limits can't be read: %s", exc, extra={"account": self.name})
            await asyncio.sleep(RETRY_SECONDS)
        ban = self._limits.active(LOGIN)
        if ban is not None and self._halted is None:
            self._halted = Reaction(
                Kind.WAIT,
                "banned-temporarily",
                "restricted",
                seconds=ban.until - time.time(),
                detail=ban.cause,
            )
            self.standing.until = ban.until

    async def _forgive_other_numbers(self, credentials: Credentials) -> None:
        """What WhatsApp holds against one number isn't held against the next one that is linked here."""
        if credentials.jid is None:
            return
        number = JID.parse(credentials.jid).user
        if self._number not in (None, number):
            for kind in KINDS:
                if self._limits.active(kind) is not None:
                    await self._limits.hear(kind, "another-number", 0)
        self._number = number

    async def _witness(self) -> HighWaterMark | None:
        """How far the keys had got when that was last written down outside; None if nobody knows."""
        name = self._context.config.notifications_table
        if name is None:
            return None
        outside = DynamoTable(self._context.aws.client("dynamodb"), name)
        for _ in range(WITNESS_TRIES):
            try:
                return await self._context.aws.call(read_witness, outside, self.name)
            except Exception as exc:  # noqa: BLE001  the table is away, or its item is
                log.warning("the witness can't be heard: %s", exc, extra={"account": self.name})
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def _set_back(self, tenure: HeldLease) -> bool:
        """Whether the keys table is older than what was last used, by a witness that was read before it. If
        that can't be known, it isn't."""
        witness = await self._witness()
        return is_behind(await self._credentials(tenure), witness)

    # Connected

    async def _connect(self, tenure: HeldLease, credentials: Credentials) -> None:
        await tenure.say("connecting")
        self.standing.state = "connecting"
        service = Service(
            self._context, self._keys, tenure, self.standing, self._forwarder, self._wishes, self._limits
        )
        routing = self._failed_handshakes < 2
        ended = await service.run(credentials, routing=routing)
        self._failed_handshakes = self._failed_handshakes + 1 if ended.reason in HANDSHAKE_FAILURES else 0
        if service.connected:
            self._alerted = False
        since = service.stable_since
        lasted = self._context.clock() - since if since is not None else None
        log.warning(
            "connection ended",
            extra={"account": self.name, "reason": ended.reason, "detail": ended.detail, "lasted": lasted},
        )
        self._context.meters.reconnects += 1
        await self._react(tenure, ended, lasted)

    async def _react(self, tenure: HeldLease, ended: Reaction, lasted: float | None) -> None:
        if ended.kind in (Kind.STOP, Kind.WAIT):
            await self._halt(tenure, ended)
            return
        delay = self._pace.delay(ended, lasted)
        if ended.alert and not self._alerted:
            self._alerted = True
            await self._loudly(tenure, ended)
        if ended.kind is Kind.REFRESH_VERSION:
            await version.refresh(self._context)
        if ended.reason == "stanzas-not-stored":
            await self._forwarder.drained()
        await asyncio.sleep(delay)

    async def _halt(self, tenure: HeldLease, ended: Reaction) -> None:
        """Stop trying. Keys that are void are replaced, so that nothing logs in with them again."""
        if ended.kind is Kind.WAIT and ended.seconds is not None:
            # Written before it is told: whoever hears of it may stop us, and the next one must sit it out.
            await self._limits.hear(LOGIN, ended.detail or ended.reason, time.time() + ended.seconds)
        if ended is UNLINKED:
            log.info("unlinked by the operator", extra={"account": self.name})
        else:
            await self._loudly(tenure, ended)
        if ended.wipe or ended is UNLINKED:
            await self._renew()
        if ended is UNLINKED:
            await self._wishes.show("unpaired")
        else:
            self._halted = ended

    async def _loudly(self, tenure: HeldLease, ended: Reaction) -> None:
        """What a person must hear: in the lease, on the bus, in the log; the metric follows the state."""
        log.error(
            "account disconnected",
            extra={
                "account": self.name,
                "state": ended.state,
                "reason": ended.reason,
                "detail": ended.detail,
            },
        )
        detail = _detail(ended)
        await tenure.say(ended.state, detail)
        self.standing.state = ended.state
        self.standing.until = time.time() + ended.seconds if ended.seconds else None
        await self._context.outside.disconnected(self.name, ended.state, detail, until=self.standing.until)

    # Not connected

    async def _idle(self, tenure: HeldLease, credentials: Credentials) -> None:
        """Until the operator wishes something, or a halt has lasted long enough."""
        halted = self._halted
        state, detail = (halted.state, _detail(halted)) if halted else ("unpaired", "link it: tocsin pair")
        await tenure.say(state, detail)
        self.standing.state = state
        try:
            async with asyncio.timeout(self._patience()):
                wish = await self._wishes.next()
        except TimeoutError:
            self._halted = None
            self.standing.until = None
            return
        self.standing.until = None
        await self._fulfil(tenure, credentials, wish)

    def _patience(self) -> float | None:
        """Seconds until a halted account tries again by itself; None: never."""
        if self._halted is None or self._halted.wipe or self._halted.state == "replaced":
            return None
        return self._halted.seconds or STOPPED_SECONDS

    async def _fulfil(self, tenure: HeldLease, credentials: Credentials, wish: Control) -> None:
        """Pair with fresh keys where the old ones were in use; a newer wish takes the place of this one."""
        following: Control | None = wish
        while following is not None:
            if following.request == "reconnect":
                self._halted = None
                return
            if credentials.jid is not None:
                await self._renew()
                credentials = await self._credentials(tenure)
            self._halted = None
            if following.request == "unpair":
                await self._wishes.show("unpaired", "nothing was linked here; look on the phone as well")
                return
            following = await self._pair(tenure, credentials, following)

    async def _pair(self, tenure: HeldLease, credentials: Credentials, wish: Control) -> Control | None:
        """Carry out one wish; the newer one, if it was interrupted by that."""
        await tenure.say("pairing")
        self.standing.state = "pairing"
        pairer = Pairer(self._context, self._keys, tenure, self._wishes, wish)
        pairing = asyncio.ensure_future(pairer.run(credentials))
        newer = asyncio.ensure_future(self._wishes.next())
        try:
            await asyncio.wait([pairing, newer], return_when=asyncio.FIRST_COMPLETED)
            if newer.done() and not pairer.committed:
                return newer.result()
            await pairing
            return None
        finally:
            for task in (pairing, newer):
                task.cancel()
            await asyncio.gather(pairing, newer, return_exceptions=True)

    async def _renew(self) -> None:
        """Fresh keys in place of void ones."""
        while True:
            try:
                await self._context.aws.call(self._keys.renew_account)
                return
            except Exception as exc:  # noqa: BLE001  as long as it takes: void keys must not log in again
                log.warning("the keys can't be renewed: %s", exc, extra={"account": self.name})
                await asyncio.sleep(RETRY_SECONDS)


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


def _detail(ended: Reaction) -> str:
    return f"{ended.reason}: {ended.detail}" if ended.detail else ended.reason
