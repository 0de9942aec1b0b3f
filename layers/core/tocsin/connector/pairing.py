"""Linking an account: a code is shown to scan or type, and the pairing is stored before it is confirmed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from tocsin.accounts.operator_requests import Asked
from tocsin.accounts.state import AccountState
from tocsin.connector.aws import Aws
from tocsin.connector.context import ConnectorContext
from tocsin.connector.held_lease import HeldLease
from tocsin.connector.login import device_keys
from tocsin.connector.operator import OperatorRequests
from tocsin.connector.socket import Line, LineClosed, OpenFailed, open_line
from tocsin.keys.account import Credentials
from tocsin.keys.store import KeyStore
from tocsin.whatsapp import reaction
from tocsin.whatsapp.backoff import delays
from tocsin.whatsapp.errors import InvalidJid
from tocsin.whatsapp.events import (
    Event,
    FrameDropped,
    PairingCodeOffered,
    PairingCodeRefused,
    PairingHint,
    PairingSucceeded,
    QrOffered,
    StreamEnded,
)
from tocsin.whatsapp.pairing import Pairing
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 300.0
"""How long codes are offered for one request; the operator may ask again."""

NOT_STORED: Final = Reaction(Kind.BACKOFF, "pairing-not-stored", AccountState.PAIRING, alert=True)
"""Our side failed; the server wasn't told, so the phone says that linking didn't work."""

HINTS: Final = {
    "passkey-required": "WhatsApp wants a passkey for this account, which only web.whatsapp.com can take."
    " Remove the passkey step on the phone, or link another account.",
    "multi-device-disabled": "The phone isn't enabled for linked devices: update WhatsApp on it, scan again.",
}


NO_CODE: Final = {
    0: "the code wasn't typed in in time, or mistyped",
    400: "WhatsApp gives this number no code, perhaps because of too many before: wait an hour",
    403: "WhatsApp doesn't let this number be linked by a code",
    429: "WhatsApp gives this number no more codes for now: wait an hour",
    452: "WhatsApp doesn't offer codes for this number",
}
"""By the server's code, 0 for our own end of it."""


def why_no_code(code: int, text: str) -> str:
    """What the operator reads when a code to type came to nothing."""
    if (code, text) == (0, "refresh"):
        return "WhatsApp withdrew the code"
    detail = f" ({code} {text})" if code else ""
    return NO_CODE.get(code, "WhatsApp refused the code") + detail


class Pairer:
    """Carries out one request to pair. `run` may be cancelled while `committed` is False."""

    def __init__(
        self,
        context: ConnectorContext,
        keys: KeyStore,
        held_lease: HeldLease,
        requests: OperatorRequests,
        asked: Asked,
    ) -> None:
        self._context = context
        self._keys = keys
        self._held_lease = held_lease
        self._requests = requests
        self._phone = asked.phone
        self._asked = False
        self._qr: dict[str, Any] = {}
        self.committed = False

    async def run(self, credentials: Credentials) -> bool:
        """Offer codes until one is used (True), or it has no sense any more; the operator is told which."""
        give_up = self._context.clock() + PATIENCE_SECONDS
        pauses = delays(self._context.uniform)
        await self._requests.show(AccountState.PAIRING)
        while self._context.clock() < give_up:
            try:
                ended = await self._try_once(credentials)
            except OpenFailed as exc:
                ended = reaction.LOST
                await self._requests.show(AccountState.PAIRING, f"WhatsApp can't be reached: {exc}")
            if self.committed:
                return True
            log.info("pairing ended", extra={"account": self._keys.account.name, "reason": ended.reason})
            if ended.kind not in (Kind.BACKOFF, Kind.RECONNECT_NOW) or ended.alert:
                await self._requests.show(AccountState.UNPAIRED, _sentence(ended))
                return False
            if ended.kind is Kind.BACKOFF:
                await asyncio.sleep(next(pauses))
        await self._requests.show(
            AccountState.UNPAIRED, "no code was used in time; ask again to get new ones"
        )
        return False

    async def _try_once(self, credentials: Credentials) -> Reaction:
        """One connection: as many codes as the server gives."""
        connection = self._context.connection(device_keys(credentials))
        line = await open_line(self._context.config.whatsapp_url, connection, self._context.clock)
        self._held_lease.on_loss = line.abort
        carrying = asyncio.ensure_future(line.run(self._held_lease.valid))
        try:
            while True:
                event = await line.next_event()
                if isinstance(event, StreamEnded):
                    return event.reaction
                await self._handle(line, event)
        finally:
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            await line.close()

    async def _handle(self, line: Line, event: Event) -> None:
        match event:
            case QrOffered(text=text, expires_at=expires_at):
                await self._offer(line, text, int(expires_at))
            case PairingCodeOffered(code=code, expires_at=expires_at):
                await self._requests.show(
                    AccountState.PAIRING, pairing_code=code, qr_expires_at=int(expires_at)
                )
            case PairingCodeRefused(code=number, text=text):
                self._phone = None
                await self._hint(f"{why_no_code(number, text)}; scan the QR code instead")
            case PairingHint(reason=reason):
                await self._hint(HINTS.get(reason, reason))
            case PairingSucceeded(pairing=pairing):
                await self._accept(line, pairing)
            case FrameDropped(reason=reason):
                log.warning("frame dropped", extra={"account": self._keys.account.name, "reason": reason})
            case _:
                pass

    async def _offer(self, line: Line, text: str, expires_at: int) -> None:
        """Show the QR, unless a code to type was asked for; WhatsApp is asked for that one once."""
        self._qr = {"qr": text, "qr_expires_at": expires_at}
        if self._phone is None:
            await self._requests.show(AccountState.PAIRING, **self._qr)
            return
        if self._asked:
            return
        self._asked = True
        try:
            line.ask_pairing_code(self._phone)
        except (InvalidJid, LineClosed) as exc:
            self._phone = None
            await self._hint(f"no code to type ({exc}); scan the QR code instead")

    async def _hint(self, message: str) -> None:
        """Say something without taking the QR away."""
        await self._requests.show(AccountState.PAIRING, message, **({} if self._phone else self._qr))

    async def _accept(self, line: Line, pairing: Pairing) -> None:
        """Store it durably, then tell the server: a pairing it knows and we forgot is of use to nobody."""
        self.committed = True
        try:
            await store_pairing(self._context.aws, self._keys, pairing)
        except Exception as exc:
            log.exception("the pairing can't be stored", extra={"account": self._keys.account.name})
            self.committed = False
            line.end(replace(NOT_STORED, detail=str(exc)))
            return
        line.confirm_pairing()
        await self._requests.show(AccountState.CONNECTING, "linked; logging in")


async def store_pairing(
    aws: Aws,
    keys: KeyStore,
    pairing: Pairing,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Three tries; storing it twice does no harm. Raises what the last one raised."""
    lid = pairing.lid
    for pause in (0.5, 1.0, None):
        try:
            await aws.call(keys.account.take_over, str(pairing.jid.bare))
            await aws.call(
                keys.account.save_pairing,
                jid=str(pairing.jid),
                lid=str(lid) if lid is not None else None,
                device_identity=pairing.device_identity,
                # What recipients see as our name. Only business accounts tell it at once.
                push_name=pairing.business_name or "",
                platform=pairing.platform,
                adv_secret=pairing.adv_secret,
            )
            if lid is not None:
                await aws.call(keys.contacts.learn_own, str(pairing.jid.bare), str(lid.bare))
            return
        except Exception:
            if pause is None:
                raise
            await sleep(pause)


def _sentence(ended: Reaction) -> str:
    """What the operator reads when pairing stopped."""
    detail = f" ({ended.detail})" if ended.detail else ""
    return f"WhatsApp ended the pairing: {ended.reason}{detail}"
