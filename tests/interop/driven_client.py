"""A linked client as a test sees it, and one that nobody here wrote, in a process of its own.

`node/baileys-client.mjs` and `whatsmeow_driver.py` are the drivers: JSON objects, one a line, commands in and
events out, with the same names and facts.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tocsin_whatsapp_server.control_client import ControlClient, stop_process

Json = dict[str, Any]

QUIT_SECONDS = 5


class ClientFailed(AssertionError):
    """It refused a command, crashed, or didn't do what was waited for; the text has what it said last."""


class Companion:
    """A linked client. `events`: everything it said, oldest first.

    open {jid, lid}, message {id, text, quoted_id, from_me, …}, status {id, status}, closed {code}, and more.
    """

    def __init__(self) -> None:
        self.events: list[Json] = []
        self._arrived = threading.Condition()

    def wait(
        self, kind: str, found: Callable[[Json], bool] = lambda _: True, *, seconds: float = 60, **facts: Any
    ) -> Json:
        """The first event of this kind with these facts, past or to come. Raises ClientFailed."""
        end = time.monotonic() + seconds
        with self._arrived:
            while True:
                for event in self.events:
                    if event["event"] == kind and facts.items() <= event.items() and found(event):
                        return event
                if not self._arrived.wait(end - time.monotonic()) or time.monotonic() > end:
                    raise ClientFailed(f"no {kind} {facts or ''} in {seconds:g} s; last: {self.events[-5:]}")

    def text(self, text: str, *, seconds: float = 60) -> Json:
        """The message with this text, once it shows it."""
        return self.wait("message", text=text, seconds=seconds)

    def texts(self) -> list[str]:
        """What it showed of others, in order."""
        shown = [event for event in self.events if event["event"] == "message"]
        return [event["text"] for event in shown if event["text"] and not event["from_me"]]

    def forget_events(self) -> None:
        with self._arrived:
            self.events.clear()

    def tell(self, event: Json) -> None:
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()


class DrivenClient(Companion):
    """Its process ends with the test's. `session_name`: how it files the session with a device."""

    session_name = "{user}_1.{device}"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__()
        self._requests = 0
        self._attend(process)

    def _attend(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    @staticmethod
    def launch(
        command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a driver in `folder`."""
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def link(self, control: ControlClient, number: str) -> Json:
        """Have the phone scan the code that it shows, and wait until it is logged in."""
        control.link(number, self.wait("qr")["qr"])
        return self.wait("open")

    def link_by_code(self, control: ControlClient, number: str) -> Json:
        """Have the phone's owner type the code that it shows, and wait until it is logged in."""
        self.wait("qr")
        _, before = control.events()
        code = self.command("pairing-code", number=number)["code"]
        # A client may return the code before the server knows of it.
        control.wait_for_event("code-asked", after=before, account=number)
        control.link_by_code(number, code)
        return self.wait("open")

    def command(self, name: str, **arguments: Any) -> Json:
        """Raises ClientFailed with its own reason."""
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
            raise ClientFailed(f"{name}: {answer['reason'] if answer else 'no answer in 60 s'}")
        return answer

    def send(self, to: str, text: str, *, quoted: Json | None = None) -> str:
        """Send a text to a number or JID; the message id. `quoted`: the message event that it answers."""
        return str(self.command("send", to=to, text=text, quoted=quoted)["id"])

    def read(self, message: Json) -> None:
        """Its owner looks at a message (an event)."""
        self.command("read", messages=[message["key"]])

    def corrupt_session(self, lid: str) -> None:
        """Garble the secrets of the stored session with a device (its LID, `user:device@lid`)."""
        user, _, device = lid.partition("@")[0].partition(":")
        name = self.session_name.format(user=user, device=device)
        assert self.command("corrupt-sessions", only=name)["sessions"] == [name]

    def leave(self) -> None:
        """Close the socket and stay away."""
        self.command("disconnect")

    def come_back(self) -> None:
        self.command("connect")

    def stop(self) -> None:
        stop_process(self.process, QUIT_SECONDS)

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

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.tell(json.loads(line))
