"""Linking an account: a code is shown to scan or type, and the pairing is stored before it is confirmed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from tocsin.accounts.operator_requests import Asked
from tocsin.accounts.passkey import LinkedPhone
from tocsin.accounts.state import AccountState
from tocsin.connector import passkey
from tocsin.connector.aws import Aws
from tocsin.connector.context import ConnectorContext
from tocsin.connector.held_lease import HeldLease
from tocsin.connector.login import device_keys
from tocsin.connector.operator import OperatorRequests
from tocsin.connector.passkey import PasskeyCeremony
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
    PasskeyAccepted,
    PasskeyCode,
    PasskeyEnded,
    PasskeyRequested,
    PasskeySent,
    PasskeyWanted,
    QrOffered,
    StreamEnded,
)
from tocsin.whatsapp.pairing import Pairing
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 300.0
"""How long codes are offered for one request, and again after a passkey ceremony; the operator may ask
again."""

CEREMONY_SECONDS: Final = 900.0
"""From a scan that leads to the passkey ceremony: how long codes are offered at least, should it fail."""

LONGEST_SECONDS: Final = 3600.0
"""From the request on, after which no code is offered and no ceremony goes on, whatever the server sends."""

MAX_CEREMONIES: Final = 5
MAX_TYPED_CODES: Final = 3
"""For one request. WhatsApp gives a number only a few codes an hour."""

NOT_STORED: Final = Reaction(Kind.BACKOFF, "pairing-not-stored", AccountState.PAIRING, alert=True)
"""Our side failed; the server wasn't told, so the phone says that linking didn't work."""

SHARED_PHONE: Final = Reaction(Kind.STOP, "phone-shared", AccountState.UNPAIRED)
"""Another account of the stack is linked to the phone. The server wasn't told, so nothing is linked."""

CUT: Final = "the connection to WhatsApp was lost; a new code follows"

HINTS: Final = {
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
        self._asked = asked
        self._phone = asked.phone
        self._typed_codes = MAX_TYPED_CODES
        self._code_wanted = True
        self._qr: dict[str, Any] = {}
        self._said = ""
        self._also: list[str] = []
        self._ceremony = PasskeyCeremony(
            requests, keys.account.name, context.clock, always_ask=asked.always_ask_code
        )
        self._give_up = context.clock() + PATIENCE_SECONDS
        self._end = context.clock() + LONGEST_SECONDS
        self.committed = False

    async def run(self, credentials: Credentials) -> bool:
        """Offer codes until one is used (True), or it has no sense any more; the operator is told which."""
        pauses = delays(self._context.uniform)
        await self._requests.show(AccountState.PAIRING)
        while self._context.clock() < min(self._give_up, self._end):
            trouble = CUT
            try:
                ended = await self._try_once(credentials)
            except OpenFailed as exc:
                ended, trouble = reaction.LOST, f"WhatsApp can't be reached: {exc}"
            if self.committed:
                return True
            log.info("pairing ended", extra={"account": self._keys.account.name, "reason": ended.reason})
            ceremony = self._ceremony.over()
            if (final := self._final(ended, ceremony)) is not None:
                await self._requests.show(AccountState.UNPAIRED, final)
                return False
            await self._take_code_away(ceremony, "" if ended is reaction.QR_EXPIRED else trouble)
            if ended.kind is Kind.BACKOFF:
                await asyncio.sleep(next(pauses))
        last = self._said or "no code was used in time"
        await self._requests.show(AccountState.UNPAIRED, f"{last}; ask again to get new ones")
        return False

    def _final(self, ended: Reaction, ceremony: str | None) -> str | None:
        """What the operator reads if no new code follows. `ceremony`: how one ended with the connection."""
        if ended is SHARED_PHONE:
            return shared_phone(self._also)
        if ceremony in passkey.FINAL:
            return passkey.sentence(ceremony)
        if ceremony is not None and self._ceremony.begun >= MAX_CEREMONIES:
            return f"{passkey.ENDS[ceremony]}; this was try {MAX_CEREMONIES}: wait before the next one"
        if ended.kind not in (Kind.BACKOFF, Kind.RECONNECT_NOW) or ended.alert:
            return _sentence(ended)
        return None

    async def _take_code_away(self, ceremony: str | None, trouble: str) -> None:
        """The code that is shown died with the connection. A new one follows, and maybe why."""
        if ceremony is not None:
            self._give_up = max(self._give_up, self._context.clock() + PATIENCE_SECONDS)
            trouble = passkey.sentence(ceremony)
        if trouble:
            self._said = trouble
        self._qr = {}
        self._code_wanted = True
        await self._requests.show(AccountState.PAIRING, self._said)

    async def _try_once(self, credentials: Credentials) -> Reaction:
        """One connection: as many codes as the server gives, and the passkey ceremony if it wants one."""
        connection = self._context.connection(device_keys(credentials))
        line = await open_line(self._context.config.whatsapp_url, connection, self._context.clock)
        self._held_lease.on_loss = line.abort
        carrying = asyncio.ensure_future(line.run(self._held_lease.valid))
        answers = asyncio.ensure_future(self._ceremony.take_answers(line))
        try:
            while True:
                try:
                    async with asyncio.timeout(None if self.committed else self._end - self._context.clock()):
                        event = await line.next_event()
                except TimeoutError:
                    return reaction.QR_EXPIRED
                if isinstance(event, StreamEnded):
                    return event.reaction
                await self._handle(line, event)
        finally:
            for task in (carrying, answers):
                task.cancel()
            await asyncio.gather(carrying, answers, return_exceptions=True)
            await line.close()

    async def _handle(self, line: Line, event: Event) -> None:
        match event:
            case QrOffered(text=text, expires_at=expires_at):
                await self._offer(line, text, int(expires_at))
            case PairingCodeOffered(code=code, expires_at=expires_at):
                await self._requests.show(
                    AccountState.PAIRING, self._said, pairing_code=code, qr_expires_at=int(expires_at)
                )
            case PairingCodeRefused(code=number, text=text):
                self._phone = None
                await self._hint(f"{why_no_code(number, text)}; scan the QR code instead")
            case (
                PasskeyWanted()
                | PasskeyRequested()
                | PasskeySent()
                | PasskeyAccepted()
                | PasskeyCode()
                | PasskeyEnded()
            ) as step:
                if isinstance(step, PasskeyWanted | PasskeyRequested):
                    self._give_up = max(self._give_up, self._context.clock() + CEREMONY_SECONDS)
                await self._ceremony.on_event(step)
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
            await self._requests.show(AccountState.PAIRING, self._said, **self._qr)
            return
        if not self._code_wanted:
            return
        self._code_wanted = False
        self._typed_codes -= 1
        if self._typed_codes < 0:
            self._phone = None
            await self._hint(f"{MAX_TYPED_CODES} codes were not used; scan the QR code instead")
            return
        try:
            line.ask_pairing_code(self._phone)
        except (InvalidJid, LineClosed) as exc:
            self._phone = None
            await self._hint(f"no code to type ({exc}); scan the QR code instead")

    async def _hint(self, message: str) -> None:
        """Say something without taking the QR away."""
        self._said = message
        if self._ceremony.running:
            return
        await self._requests.show(AccountState.PAIRING, message, **({} if self._phone else self._qr))

    async def _accept(self, line: Line, pairing: Pairing) -> None:
        """Store it durably, then tell the server: a pairing it knows and we forgot is of use to nobody."""
        self._also = await self._others_linked_to(pairing)
        if self._also and not self._asked.shared_phone:
            line.end(SHARED_PHONE)
            return
        self.committed = True
        try:
            before = await self._context.aws.call(self._keys.account.number_before)
            await store_pairing(self._context.aws, self._keys, pairing)
        except Exception as exc:
            log.exception("the pairing can't be stored", extra={"account": self._keys.account.name})
            self.committed = False
            line.end(replace(NOT_STORED, detail=str(exc)))
            return
        line.confirm_pairing()
        linked = LinkedPhone(pairing.jid.user, _digits(before), tuple(self._also))
        await self._requests.show(AccountState.CONNECTING, "linked; logging in", linked=linked)

    async def _others_linked_to(self, pairing: Pairing) -> list[str]:
        """The stack's other accounts with this phone. While the table is away it isn't known; then storing
        the pairing fails as well."""
        number = str(pairing.jid.bare)
        try:
            accounts = await self._context.served()
            return await self._context.aws.call(self._keys.account.others_linked_to, number, accounts)
        except Exception as exc:  # noqa: BLE001
            log.warning(
                "the other accounts can't be read: %s", exc, extra={"account": self._keys.account.name}
            )
            return []


def shared_phone(accounts: list[str]) -> str:
    """What the operator reads when the scanned phone has an account already."""
    names = ", ".join(f"'{name}'" for name in accounts)
    return (
        f"this phone is linked to Tocsin already, as the account {names}: nothing was linked. Scan with the"
        " phone that is meant, or add --allow-shared-phone"
    )


def _digits(jid: str | None) -> str | None:
    return jid.partition("@")[0] if jid is not None else None


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
