"""A recorded session of `tocsin pair` with a passkey: the real command in a terminal, the connector, the
local WhatsApp server, and an operator who types. The table is in memory; nothing else is faked.

    python -m tests.support.passkey_session     writes it into PASSKEY.md
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from tests.support.connector_fakes import HeldLease
from tests.support.fake_cloud import ACCOUNT, memory_cloud
from tests.support.fake_deployment import NOW, Connector, FakeDeployment
from tests.support.passkey_world import OWNER, Context
from tocsin.accounts.operator_requests import read_control
from tocsin.connector.operator import OperatorRequests, RequestPoller
from tocsin.connector.pairing import Pairer
from tocsin.keys.store import KeyStore
from tocsin.signal.curve import key_pair
from tocsin_console import pair
from tocsin_console.output import Output
from tocsin_whatsapp_server.browser import options_in
from tocsin_whatsapp_server.server import WhatsAppServer

PAGE = Path(__file__).parents[2] / "layers/core/tocsin/connector/PASSKEY.md"
BEGIN = "<!-- session: recorded by tests/support/passkey_session.py -->\n"
END = "<!-- end of session -->\n"

_REWIND = re.compile(r"\x1b\[(\d+)A\x1b\[J")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PROGRESS = re.compile(r"\r\x1b\[K(?:[^\r\n]*(?=\r\x1b\[K))?")
_CHALLENGE = re.compile(r'("challenge":")[A-Za-z0-9_-]{43}"')
_CLOCK = re.compile(r"\b\d\d:\d\d\b")
_BLOCKS = re.compile(r"^[ █▀▄]*$")


class Screen:
    """What is on the operator's terminal. `sees` waits for it."""

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self._text = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._keyboard, 65_536)
            except OSError:  # the other side is closed
                return
            with self._changed:
                self._text += data.decode("utf-8", "replace")
                self._changed.notify_all()

    def sees(self, found: Callable[[str], bool], seconds: float = 60) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: found(self._text), seconds), self._text[-2000:]
            return self._text

    def types(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._keyboard, data) :]

    def lines(self) -> list[str]:
        """Without colours, as they stand after what was taken back."""
        shown: list[str] = []
        rest = _PROGRESS.sub("", self._text).replace("\r\n", "\n")
        while rewind := _REWIND.search(rest):
            shown += rest[: rewind.start()].split("\n")[:-1]
            del shown[-int(rewind.group(1)) :]
            rest = rest[rewind.end() :]
        return [_COLOURS.sub("", line).rstrip() for line in [*shown, *rest.split("\n")]]


class Service:
    """Connector and WhatsApp, in a loop of their own."""

    def __init__(self, fake: FakeDeployment, connector: Connector, clock: Callable[[], float]) -> None:
        self._fake, self._connector, self._clock = fake, connector, clock
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.server = WhatsAppServer(key_pair(bytes(range(32))), clock=clock)
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def join(self) -> None:
        self._thread.join(60)

    async def _serve(self) -> None:
        await self.server.start()
        self.server.add_phone(OWNER, "Budi").account.gated = True
        self.server.switchboard.faults.make({"kind": "passkey-fault", "what": "slow-half"})
        deployment = self._fake.deployment
        context: Any = Context(server=self.server)
        context.clock, context.table, context.sealer = self._clock, deployment.keys_table, deployment.sealer
        keys = KeyStore(deployment.keys_table, deployment.sealer, ACCOUNT)
        keys.account.create()
        poller = RequestPoller(context.aws, deployment.keys_table)
        requests = OperatorRequests(
            context.aws, deployment.keys_table, deployment.sealer, ACCOUNT, poller, clock=self._clock
        )
        ringing = asyncio.create_task(poller.run())
        self._ready.set()
        try:
            asked = await requests.next()
            pairer = Pairer(context, keys, cast("Any", HeldLease()), requests, asked)
            if await pairer.run(keys.account.credentials()):
                self._connector.says("connected")
        finally:
            ringing.cancel()
            await self.server.stop()


def recorded(**wishes: Any) -> list[str]:
    """The lines of the terminal at the end, from the first to the last."""
    began = time.monotonic()

    def clock() -> float:
        return NOW + time.monotonic() - began

    with memory_cloud() as cloud:
        fake = FakeDeployment.on(cloud)
        connector = fake.connector()
        connector.says("unpaired", "link it: tocsin pair")
        service = Service(fake, connector, clock)
        service.start()
        keyboard, terminal = os.openpty()
        with os.fdopen(os.dup(terminal), "w") as stream, os.fdopen(terminal) as answers:
            screen = Screen(keyboard)
            command = threading.Thread(
                target=pair.pair,
                args=(fake.deployment, ACCOUNT),
                kwargs={
                    "wait_seconds": 60,
                    "output": Output(stream=stream, answers=answers),
                    "wishes": pair.Wishes(**wishes),
                    "clock": clock,
                },
            )
            command.start()
            _operate(fake, service, screen, **wishes)
            command.join(60)
            service.join()
            screen.sees(lambda text: "is linked and connected" in text)
        return screen.lines()


def _operate(
    fake: FakeDeployment, service: Service, screen: Screen, *, always_ask_code: bool = False, **_: Any
) -> None:
    """The owner with the phone, the browser that has the passkey, and the keyboard."""
    deployment = fake.deployment
    screen.sees(lambda text: "scan this" in text)
    qr = read_control(deployment.keys_table, ACCOUNT, deployment.sealer).qr
    service.call(service.server.link(OWNER, str(qr)))
    shown = screen.sees(lambda text: "5. Paste the answer here" in text)
    line = next(line for line in shown.splitlines() if line.startswith("copy("))
    screen.types(json.dumps(service.server.phone(OWNER).passkey.answer(options_in(line))) + "\n")
    screen.sees(lambda text: "press Continue" in text)
    service.call(_press(service.server))
    if always_ask_code:
        screen.sees(lambda text: "Does the phone show the same one?" in text)
        screen.types("yes\n")


async def _press(server: WhatsAppServer) -> None:
    gate = server.phone(OWNER).at_gate
    assert gate is not None
    gate.press()


def in_window(**wishes: Any) -> list[str]:
    """The same, in a window that is large enough for the code."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "LINES")}
    os.environ.update(COLUMNS="120", LINES="60")
    try:
        return recorded(**wishes)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def as_text(lines: list[str]) -> str:
    """As it stands in the page: the same for each recording."""
    text = "\n".join(line for line in lines if not _BLOCKS.match(line) or not line)
    text = _CHALLENGE.sub(r'\1Zm9…43 characters…c0E"', text)
    code = re.compile(r"\b[1-9A-HJKLMNPQRSTVWXYZ]{4}-[1-9A-HJKLMNPQRSTVWXYZ]{4}\b")
    text = code.sub("K7QM-3VXT", _CLOCK.sub("14:32", text))
    return f"```console\n$ tocsin pair\n{text.strip()}\n```\n"


def page_with(session: str) -> str:
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return before + BEGIN + session + END + after


def main() -> int:
    PAGE.write_text(page_with(as_text(in_window())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
