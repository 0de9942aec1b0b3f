"""Chromium with a virtual authenticator, on a stand-in page at WhatsApp's origin, driven by its DevTools
protocol.

Nothing leaves this machine: every request of the page is answered here. The page is as strict as a page can
be: its content security policy lets no script, connection or style in, and Trusted Types are enforced.
"""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.client import ClientConnection, connect

from tocsin_local.chromium import find_chromium
from tocsin_whatsapp_server.passkey import ORIGIN, RP_ID, Passkey

Json = dict[str, Any]

POLICY = (
    "default-src 'none'; connect-src 'none'; require-trusted-types-for 'script'; trusted-types 'none';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
START_SECONDS = 30
STEP_SECONDS = 20


def missing() -> str | None:
    """Why no browser can judge here, or None."""
    return None if find_chromium() else "make setup has no Chromium for this machine, nor is one on the PATH"


class Page:
    """One tab. `authenticator`: of the passkeys that it can use."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = 0
        self._session = ""
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._copied: asyncio.Queue[str] = asyncio.Queue()
        self._authenticator = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message)
            if "id" in told and (waiting := self._answers.pop(told["id"], None)) is not None:
                waiting.set_result(told)
            elif told.get("method") == "Fetch.requestPaused":
                await self._serve(told["params"]["requestId"])
            elif told.get("method") == "Runtime.inspectRequested":  # what `copy` does
                self._copied.put_nowait(str(told["params"]["object"].get("value")))

    async def _serve(self, request: str) -> None:
        page = base64.b64encode(b"<!doctype html><title>stand-in</title><p>stand-in").decode()
        headers = {"Content-Type": "text/html", "Content-Security-Policy": POLICY}
        answer = {
            "requestId": request,
            "responseCode": 200,
            "responseHeaders": [{"name": name, "value": value} for name, value in headers.items()],
            "body": page,
        }
        await self._send("Fetch.fulfillRequest", **answer)

    async def _send(self, method: str, **parameters: Any) -> int:
        self._ids += 1
        order: Json = {"id": self._ids, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        await self._socket.send(json.dumps(order))
        return self._ids

    async def call(self, method: str, **parameters: Any) -> Json:
        """Raises AssertionError with what the browser says."""
        waiting: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        number = await self._send(method, **parameters)
        self._answers[number] = waiting
        async with asyncio.timeout(STEP_SECONDS):
            told = await waiting
        assert "error" not in told, f"{method}: {told['error']}"
        result: Json = told["result"]
        return result

    async def open(self) -> None:
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        await self.call("Fetch.enable", patterns=[{"urlPattern": "*"}])
        await self.call("Page.enable")
        await self.call("Runtime.enable")
        await self.call("WebAuthn.enable")
        await self.call("Page.navigate", url=f"{ORIGIN}/")
        async with asyncio.timeout(STEP_SECONDS):
            while await self.evaluate("location.origin + document.readyState") != f"{ORIGIN}complete":  # noqa: ASYNC110  in another process
                await asyncio.sleep(0.05)

    async def owns(self, passkey: Passkey, *, verifies: bool = True) -> None:
        """An authenticator of the platform that holds this passkey. `verifies`: its owner shows a finger."""
        made = await self.call(
            "WebAuthn.addVirtualAuthenticator",
            options={
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            },
        )
        self._authenticator = made["authenticatorId"]
        private = passkey.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        credential = {
            "credentialId": base64.b64encode(passkey.credential_id).decode(),
            "isResidentCredential": True,
            "rpId": RP_ID,
            "privateKey": base64.b64encode(private).decode(),
            "userHandle": base64.b64encode(passkey.handle).decode(),
            "signCount": 0,
        }
        await self.call("WebAuthn.addCredential", authenticatorId=self._authenticator, credential=credential)

    async def evaluate(self, code: str) -> Any:
        """Run code as the console does, at its top level. Raises AssertionError for what it throws."""
        told = await self.call(
            "Runtime.evaluate",
            expression=code,
            replMode=True,
            awaitPromise=True,
            includeCommandLineAPI=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in told, (
            told["exceptionDetails"].get("exception", {}).get("description")
        )
        return told["result"].get("value")

    async def copied(self) -> str:
        """What the console's `copy` took."""
        async with asyncio.timeout(STEP_SECONDS):
            return await self._copied.get()

    async def press(self, selector: str) -> None:
        """A real press, which counts as a gesture of the user."""
        box = f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect(); "
        place = await self.evaluate(box + "return [b.x + b.width / 2, b.y + b.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    async def waits_for(self, code: str) -> Any:
        """The first true value of an expression."""
        async with asyncio.timeout(STEP_SECONDS):
            while not (found := await self.evaluate(code)):  # noqa: ASYNC110  in another process
                await asyncio.sleep(0.05)
        return found

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """A fresh browser with one tab at WhatsApp's origin."""
    program = find_chromium()
    assert program is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _address(Path(profile)), max_size=2**24) as socket:
                tab = Page(socket)
                await tab.open()
                yield tab
                await tab.close()
        finally:
            process.terminate()
            await process.wait()


async def _address(profile: Path) -> str:
    """Where the browser listens: it writes that into its profile."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_SECONDS):
        while not file.exists() or len(lines := file.read_text().split()) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
