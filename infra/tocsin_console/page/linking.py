"""An attempt to link an account, in a thread of its own: what is to be shown now, and what the operator
answers.

What happens is `tocsin pair`'s own way (`pair.codes`); this keeps its last offer for the page.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.accounts import passkey as steps
from tocsin.accounts.operator_requests import give_passkey_answer, read_control
from tocsin.accounts.passkey import PasskeyAnswer, PasskeyStep
from tocsin_console import pair
from tocsin_console.deployment import Deployment
from tocsin_console.pair import Code, Hint, Offer, TypedCode, Void, Wishes

WAIT_SECONDS = 300.0


class Stopped(Exception):
    """The operator ended the attempt, or the console closes."""


@dataclass
class Attempt:
    """`offer`: what is to be shown now. `hint`: what the operator must know. `trouble`: why it ended
    without a link.
    `linked`: the number that results; empty if that isn't known."""

    deployment: Deployment
    account: str
    wishes: Wishes
    words: Callable[[Exception], str]
    clock: Callable[[], float] = time.time
    offer: Code | TypedCode | PasskeyStep | None = field(default=None, repr=False)
    hint: str = ""
    trouble: str = ""
    linked: str = ""
    over: bool = False
    answered: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def mark(self) -> str:
        """Another one whenever something else is to be shown; nothing can be told from it."""
        seen = (self.offer, self._text, self.hint, self.trouble, self.linked, self.over, self.answered)
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]

    @property
    def _text(self) -> str:
        return self.offer.text if isinstance(self.offer, Code | TypedCode) else ""

    def begin(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Nothing is to be linked."""
        if isinstance(self.offer, PasskeyStep):
            self._give(PasskeyAnswer(self.offer.ceremony))
        self._stop.set()

    def assertion(self, text: str) -> str:
        """Bring the browser's answer to WhatsApp; why it isn't one, or empty."""
        from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
        from tocsin.whatsapp.passkey import parse_options

        step = self.offer
        if not isinstance(step, PasskeyStep) or step.step != steps.CHALLENGED:
            return "no answer is wanted now"
        try:
            check_assertion(text, parse_options((step.options or "").encode()).challenge)
        except AssertionRefused as refused:
            return str(refused)
        self._give(PasskeyAnswer(step.ceremony, assertion=text))
        self.answered = step.ceremony
        return ""

    def compared(self, *, same: bool) -> None:
        """Whether the phone shows the same code."""
        if isinstance(self.offer, PasskeyStep) and self.offer.step == steps.COMPARE:
            self._give(PasskeyAnswer(self.offer.ceremony, same=same))

    def _give(self, answer: PasskeyAnswer) -> None:
        deployment = self.deployment
        give_passkey_answer(deployment.keys_table, deployment.sealer, self.account, answer, os.urandom(12))

    def _run(self) -> None:
        try:
            for offer in pair.codes(
                self.deployment,
                self.account,
                wait_seconds=WAIT_SECONDS,
                wishes=self.wishes,
                sleep=self._sleep,
                clock=self.clock,
            ):
                self._take(offer)
            told = read_control(self.deployment.keys_table, self.account, self.deployment.sealer).linked
            self.linked = told.number if told is not None else ""
        except Stopped:
            self.trouble = "Stopped. If no code was used, nothing is linked."
        except Exception as error:  # noqa: BLE001  said on the page
            self.trouble = self.words(error)
        finally:
            self.offer, self.over = None, True

    def _take(self, offer: Offer) -> None:
        if isinstance(offer, Hint):
            self.hint = offer.text
        elif isinstance(offer, Void):
            self.offer, self.hint = None, "That code is of no use any more; another one comes."
        else:
            self.offer = offer

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped
