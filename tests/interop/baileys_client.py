"""Baileys in a process of its own (`node/baileys-client.mjs`), as a test drives it."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.local.whatsapp.control_client import ControlClient

FOLDER = Path(__file__).parent / "node"

Json = dict[str, Any]


def missing() -> str | None:
    """Why Baileys can't run here, or None."""
    if shutil.which("node") is None:
        return "node is not on the PATH"
    if not (FOLDER / "node_modules" / "baileys").is_dir():
        return "Baileys is not installed: run `npm ci` in tests/interop/node (make test does)"
    return None


class BaileysFailed(AssertionError):
    """It refused a command, crashed, or didn't do what was waited for; the text has what it said last."""


@dataclass
class Baileys:
    """`events`: everything it said, oldest first. `start` returns before it is connected."""

    process: subprocess.Popen[str]
    events: list[Json] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _requests: int = 0

    @classmethod
    def start(cls, url: str, folder: Path, *, media_certificate: str = "", **options: Any) -> Self:
        """`folder`: where it keeps its keys; a linked one logs in again with the same folder.
        `media_certificate`: the file with the certificate of the media hosts."""
        settings = json.dumps({"url": url, "folder": str(folder), **options})
        process = subprocess.Popen(
            ["node", "baileys-client.mjs", settings],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NODE_EXTRA_CA_CERTS": media_certificate},
        )
        client = cls(process)
        threading.Thread(target=client._read, daemon=True).start()
        return client

    def link(self, control: ControlClient, number: str) -> Json:
        """Have the phone scan the code that it shows, and wait until it is logged in."""
        control.link(number, self.wait("qr")["qr"])
        return self.wait("open")

    def wait(
        self, kind: str, found: Callable[[Json], bool] = lambda _: True, *, seconds: float = 20, **facts: Any
    ) -> Json:
        """The first event of this kind with these facts, past or to come. Raises BaileysFailed."""
        end = time.monotonic() + seconds
        with self._arrived:
            while True:
                for event in self.events:
                    if event["event"] == kind and facts.items() <= event.items() and found(event):
                        return event
                if not self._arrived.wait(end - time.monotonic()) or time.monotonic() > end:
                    raise BaileysFailed(f"no {kind} {facts or ''} in {seconds:g} s; last: {self.events[-5:]}")

    def text(self, text: str, *, seconds: float = 20) -> Json:
        """The message with this text, once it shows it."""
        return self.wait("message", text=text, seconds=seconds)

    def command(self, name: str, **arguments: Any) -> Json:
        """Raises BaileysFailed with its own reason."""
        self._requests += 1
        request = self._requests
        line = json.dumps({"request": request, "command": name, **arguments})
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        with self._arrived:
            self._arrived.wait_for(lambda: self._answer(request) is not None, timeout=60)
        answer = self._answer(request)
        if answer is None or answer["event"] == "failed":
            raise BaileysFailed(f"{name}: {answer['reason'] if answer else 'no answer in 60 s'}")
        return answer

    def send(self, to: str, text: str) -> str:
        """Send a text to a number or JID; the message id."""
        return str(self.command("send", to=to, text=text)["id"])

    def forget_events(self) -> None:
        with self._arrived:
            self.events.clear()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(self, request: int) -> Json | None:
        return next((event for event in self.events if event.get("request") == request), None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._arrived:
                self.events.append(json.loads(line))
                self._arrived.notify_all()
