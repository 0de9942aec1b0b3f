"""`tocsin pair` leads through the passkey ceremony: what to open, what to paste, what to press and to
compare.

The operator's answers go to the connector through the keys table, sealed. Of the ceremony nothing is written
anywhere else, and a paste isn't shown.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tocsin.accounts import passkey as steps
from tocsin.accounts.operator_requests import give_passkey_answer
from tocsin.accounts.passkey import CHALLENGED, COMPARE, PasskeyAnswer, PasskeyStep
from tocsin.timestamps import from_seconds
from tocsin_console import passkey_code
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output, json_moment, time_of_day
from tocsin_console.passkey_code import NotOptions
from tocsin_console.paste import AppearingFile, Descriptor, Source, unseen

LISTEN_SECONDS = 0.5
_YES = frozenset({"y", "yes"})
_NO = frozenset({"n", "no"})

NO_SOURCE = (
    "WhatsApp wants the passkey of this account, and there is no terminal to paste its answer into: run"
    " 'tocsin pair' in one, or add --assertion FILE (or - for standard input)"
)
NO_COMPARISON = (
    "the code on the phone must be compared with this one, and there is no terminal to ask on: run"
    " 'tocsin pair' in one, or add --assertion - and answer with a second line, yes or no"
)
BUSY = "an answer is on its way already; wait for what WhatsApp says to it"
PROMPT = "Paste the answer here and press Enter (nothing of it is shown):"

STEPS = """\
WhatsApp wants the passkey of this account. You have until {until}. Keep WhatsApp open on the phone.
If nobody scanned the code just now, somebody else did: press Ctrl-C, and nothing is linked.

1. On a computer that has the passkey, or next to the phone that has it, open {page} in a new tab.
   Don't scan the code that you see there. (If the browser shows a QR code of its own to reach the phone's
   passkey, scan that one with the phone's camera; Bluetooth must be on.)
2. Open the browser's console: F12 or Ctrl+Shift+J, on a Mac Cmd+Option+J.
3. Browsers warn against pasting there, and they are right: a stranger's text could take over an account.
   Paste only what this tool shows you, and read it: it asks for your passkey and copies the answer, nothing
   else. If the browser wants it, type "allow pasting" first.
4. Paste this line there, and use the passkey:
"""
LONGER = "   In Safari, or if that fails: press Enter here, and a longer one with a button follows."
NO_PASSKEY = (
    "   No passkey, or NotAllowedError: on the phone, WhatsApp → Settings → Account → Passkeys → create one,"
    " then pair anew."
)


@dataclass(frozen=True)
class Sources:
    """Where the browser's answer comes from, and where yes and no do. None: from nowhere."""

    paste: Source | None = None
    comparison: Source | None = None

    @classmethod
    def of(cls, assertion: str | None, output: Output) -> Sources:
        """`assertion`: a file, - for standard input, None for the terminal. Raises Usage for what no
        browser's answer will ever be in."""
        asked = assertion == "-" or output.can_ask
        lines = Descriptor((output.answers or sys.stdin).fileno()) if asked else None
        if assertion is not None and assertion != "-":
            file = Path(assertion)
            if file.exists() and not file.is_file():
                raise Usage(
                    "--assertion: name a file that appears once there is an answer, or - for standard input"
                )
            return cls(AppearingFile(file), lines)
        return cls(lines, lines)


class Guide:
    """Shows each step once, and hands over what the operator answers."""

    def __init__(
        self,
        deployment: Deployment,
        account: str,
        output: Output,
        sources: Sources,
    ) -> None:
        self._deployment = deployment
        self._account = account
        self._output = output
        self._sources = sources
        self._terminal = contextlib.ExitStack()
        self._shown: tuple[str, str] | None = None
        self._refusal = ""
        self._given = False
        self._longer = False
        self._current: PasskeyStep | None = None

    @property
    def running(self) -> bool:
        return self._current is not None

    def over(self) -> None:
        """The ceremony is no longer shown: a code is, or the end. The terminal shows again what is typed."""
        self._current = self._shown = None
        self._terminal.close()

    def follow(self, step: PasskeyStep) -> None:
        """Show the step if it is new, and take what the operator has to say to it. Raises ConsoleError."""
        self._current = step
        if (step.ceremony, step.step) != self._shown:
            self._shown, self._given, self._longer = (step.ceremony, step.step), False, False
            self._show(step)
        if step.refusal != self._refusal:
            self._refusal = step.refusal
            if step.refusal:
                self._given = False
                self._say(step.refusal)
        if step.step in (CHALLENGED, COMPARE):
            self._listen(step)

    def stop(self) -> None:
        """The operator ends it: nothing is to be linked."""
        if self._current is not None:
            self._give(PasskeyAnswer(self._current.ceremony))
            self.over()

    # What is shown

    def _show(self, step: PasskeyStep) -> None:
        told = {
            "account": self._account,
            "passkey": step.step,
            "expires_at": json_moment(from_seconds(step.expires_at)),
        }
        until = time_of_day(from_seconds(step.expires_at))
        match step.step:
            case steps.CHALLENGED:
                self._challenge(step, until)
                return
            case steps.FETCHING:
                self._say("WhatsApp wants the passkey of this account; asking it for its question …")
            case steps.CONTINUE:
                self._say(
                    f"Accepted. On the phone, press Continue, before {until}. Keep WhatsApp open there."
                )
            case steps.COMPARE:
                told["code"] = step.code or ""
                self._say("", f"    {step.code}", "", f"The phone shows a code. Compare it, before {until}.")
                self._say("Does the phone show the same one? [yes/no]")
            case steps.PAIRING:
                told["code"] = step.code or ""
                self._say(f"The phone links the account … (its code, if it shows one, is {step.code})")
        self._output.record(told)

    def _challenge(self, step: PasskeyStep, until: str) -> None:
        """Raises ConsoleError for what must not become code, or if nobody can bring the answer."""
        try:
            options = passkey_code.checked(step.options or "")
        except NotOptions as refused:
            self.stop()
            raise ConsoleError(f"what is to be signed isn't shown: {refused}; nothing was linked") from None
        if self._sources.paste is None:
            self.stop()
            raise ConsoleError(NO_SOURCE)
        if self._output.can_ask:
            self._terminal.enter_context(unseen(self._output.answers or sys.stdin))
        line = passkey_code.one_line(step.options or "")
        self._output.record(
            {
                "account": self._account,
                "passkey": step.step,
                "expires_at": json_moment(from_seconds(step.expires_at)),
                "options": options,
                "line": line,
                "button": passkey_code.with_button(step.options or ""),
            }
        )
        self._say(*STEPS.format(until=until, page=passkey_code.PAGE).split("\n"))
        self._output.say_whole(line)
        self._say("", LONGER, NO_PASSKEY, f"5. {PROMPT}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._output.say(line)

    # What is answered

    def _listen(self, step: PasskeyStep) -> None:
        source = self._sources.comparison if step.step == COMPARE else self._sources.paste
        if source is None:
            self.stop()
            raise ConsoleError(NO_COMPARISON)
        text = source.line(LISTEN_SECONDS)
        if text is None:
            if source.ended:
                self.stop()
                raise ConsoleError("the input ended before the answer came; nothing was linked")
            return
        if step.step == COMPARE:
            self._on_comparison(step, text)
        else:
            self._on_paste(step, text)

    def _on_paste(self, step: PasskeyStep, text: str) -> None:
        from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
        from tocsin.whatsapp.passkey import parse_options

        if not text.strip():
            self._on_empty_line(step)
            return
        if self._given:
            self._refuse(BUSY)
            return
        try:
            check_assertion(text, parse_options((step.options or "").encode()).challenge)
        except AssertionRefused as refused:
            self._refuse(str(refused))
            return
        self._given = True
        self._give(PasskeyAnswer(step.ceremony, assertion=text))
        self._say("That answers the question, as far as can be seen here. Bringing it to WhatsApp …")

    def _on_empty_line(self, step: PasskeyStep) -> None:
        if self._longer or self._given:
            return
        self._longer = True
        self._say("")
        for line in passkey_code.with_button(step.options or "").split("\n"):
            self._output.say_whole(line)
        self._say("", PROMPT)

    def _on_comparison(self, step: PasskeyStep, text: str) -> None:
        answer = text.strip().lower()
        if answer not in _YES | _NO:
            self._refuse("yes or no? If you can't tell: no, and nothing is linked")
            return
        self._say("yes" if answer in _YES else "no")
        self._give(PasskeyAnswer(step.ceremony, same=answer in _YES))

    def _refuse(self, why: str) -> None:
        self._output.record({"account": self._account, "refused": why})
        self._say(why)

    def _give(self, given: PasskeyAnswer) -> None:
        deployment = self._deployment
        give_passkey_answer(deployment.keys_table, deployment.sealer, self._account, given, os.urandom(12))
