"""The passkey ceremony, between the operator's console and one connection to WhatsApp.

The core leads it (`whatsapp.ceremony`). Here each step is shown to the operator, and what they answer is
taken off the table and handed over. Nothing of it is logged but the step at which it ended, and the server's
code.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from tocsin.accounts.passkey import (
    CHALLENGED,
    COMPARE,
    CONTINUE,
    FETCHING,
    PAIRING,
    SENT,
    PasskeyAnswer,
    PasskeyStep,
)
from tocsin.accounts.state import AccountState
from tocsin.connector.operator import POLL_SECONDS, OperatorRequests
from tocsin.connector.socket import Line
from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
from tocsin.whatsapp.ceremony import PasskeyBusy
from tocsin.whatsapp.events import (
    PasskeyAccepted,
    PasskeyCode,
    PasskeyEnded,
    PasskeyRequested,
    PasskeySent,
    PasskeyWanted,
)
from tocsin.whatsapp.reaction import Kind, Reaction

log = logging.getLogger(__name__)

PasskeyEvent = PasskeyWanted | PasskeyRequested | PasskeySent | PasskeyAccepted | PasskeyCode | PasskeyEnded

WANTED: Final = (
    "WhatsApp wants the passkey of this account: run 'tocsin pair' of this version to bring it. If nobody"
    " scanned the code just now, somebody else did: stop it there"
)
BUSY: Final = "an answer is on its way already; wait for what WhatsApp says to it"

ENDS: Final = {
    "no-options": "WhatsApp asked for the passkey and didn't say for which one",
    "too-late": "the passkey wasn't used in time",
    "no-answer": "WhatsApp didn't answer in time",
    "refused": "WhatsApp refused the passkey's answer or a later step",
    "unreadable-answer": "WhatsApp answered what can't be read",
    "no-continuation": "nothing more came from the phone: keep WhatsApp open there and press Continue",
    "bad-continuation": "the phone's answer can't be right, so it got nothing of ours",
    "unexpected-continuation": "the phone answered before it was asked, so it got nothing of ours",
    "not-compared": "nobody said in time whether the phone shows the same code",
    "codes-differ": "the phone showed another code, so somebody may stand between it and Tocsin; nothing was"
    " linked",
    "not-vouched": "the phone had all that it needs and didn't link us",
    "too-many-challenges": "WhatsApp asked for the passkey again and again",
    "connection": "the connection to WhatsApp ended meanwhile, and the attempt with it",
    "stopped": "you stopped it; nothing was linked",
}
"""How a ceremony ended without a link, and why; by the reasons of `PasskeyEnded`, and two of ours."""

STOPPED: Final = Reaction(Kind.STOP, "passkey-stopped", AccountState.UNPAIRED)

FINAL: Final = frozenset({"codes-differ", "stopped"})
"""After these no new code is shown by itself."""


class PasskeyCeremony:
    """One request's ceremonies, one after the other. `begun`: how many there were. `ended`: how the one on
    this connection ended. `running`: the operator must see its step, not a QR code."""

    def __init__(
        self,
        requests: OperatorRequests,
        account: str,
        clock: Callable[[], float],
        *,
        always_ask: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = requests
        self._account = account
        self._clock = clock
        self._always_ask = always_ask
        self._sleep = sleep
        self._step: PasskeyStep | None = None
        self._challenge: PasskeyRequested | None = None
        self.begun = 0
        self.ended: str | None = None

    @property
    def running(self) -> bool:
        return self._step is not None

    async def on_event(self, event: PasskeyEvent) -> None:
        """Show the operator what follows from an event of the connection."""
        match event:
            case PasskeyWanted(expires_at=expires_at):
                self.begun += not self.running
                self.ended = self._challenge = None
                await self._show(FETCHING, expires_at, fresh=True)
            case PasskeyRequested(options=options, expires_at=expires_at):
                self.begun += not self.running
                self.ended, self._challenge = None, event
                await self._show(CHALLENGED, expires_at, options=options.ascii_json(), fresh=True)
            case PasskeySent():
                self._challenge = None
                await self._show(SENT, 0)
            case PasskeyAccepted(expires_at=expires_at):
                await self._show(CONTINUE, expires_at)
            case PasskeyCode(code=code, must_compare=must_compare, expires_at=expires_at):
                await self._show(COMPARE if must_compare else PAIRING, expires_at, code=code)
            case PasskeyEnded(reason=reason, state=state, detail=detail):
                where = {"account": self._account, "reason": reason, "state": state, "detail": detail}
                log.warning("passkey ceremony ended", extra=where)
                self.end(reason)

    def end(self, reason: str) -> None:
        """Forget everything of it. The next thing that the operator is shown takes it off the table, too."""
        self.ended = reason
        self._step = self._challenge = None

    def over(self) -> str | None:
        """The connection is over: how the ceremony on it ended, told once; None if there was none."""
        reason = "connection" if self.running else self.ended
        self.ended = self._step = self._challenge = None
        return reason

    async def take_answers(self, line: Line) -> None:
        """Until cancelled: hand what the operator answers over to the connection."""
        while True:
            await self._sleep(POLL_SECONDS)
            step = self._step
            if step is None:
                continue
            given = await self._requests.passkey_answer(step.ceremony)
            if given is not None and self._step is not None:
                await self._on_answer(line, given)

    async def _on_answer(self, line: Line, given: PasskeyAnswer) -> None:
        try:
            if given.assertion is not None:
                await self._on_assertion(line, given.assertion)
            elif given.same is not None:
                line.compare_codes(given.same)
                if given.same and self._step is not None:
                    await self._show(PAIRING, self._step.expires_at, code=self._step.code)
            else:
                self.end("stopped")
                line.end(STOPPED)
        except PasskeyBusy:
            await self._refuse(BUSY)
        except Exception:
            # Whoever listens for the next answer must live on.
            log.exception("the operator's answer can't be handed over", extra={"account": self._account})

    async def _on_assertion(self, line: Line, pasted: str) -> None:
        """The console checked it; here it is checked again, for it comes out of a table."""
        if self._challenge is None:
            raise PasskeyBusy("no challenge is open")
        try:
            assertion = check_assertion(pasted, self._challenge.options.challenge)
        except AssertionRefused as exc:
            await self._refuse(str(exc))
            return
        line.hand_over_assertion(assertion, always_ask=self._always_ask)

    async def _refuse(self, why: str) -> None:
        step = self._step
        if step is not None:
            again = PasskeyStep(step.ceremony, step.step, step.expires_at, step.options, step.code, why)
            await self._requests.show(AccountState.PAIRING, WANTED, passkey=again)

    async def _show(
        self,
        step: str,
        expires_at: float,
        *,
        options: str | None = None,
        code: str | None = None,
        fresh: bool = False,
    ) -> None:
        """`fresh`: a new challenge, whose answers are told from those to an earlier one."""
        name = self._step.ceremony if self._step is not None and not fresh else secrets.token_hex(8)
        self._step = PasskeyStep(name, step, int(expires_at), options, code)
        await self._requests.show(
            AccountState.PAIRING, WANTED if step == CHALLENGED else "", passkey=self._step
        )


def sentence(reason: str) -> str:
    """What the operator reads when a ceremony came to nothing, and a new code follows."""
    what = ENDS.get(reason, reason)
    return what if reason in FINAL else f"{what}; to try again, use the new code"
