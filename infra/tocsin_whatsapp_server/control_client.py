"""Drive a local WhatsApp server from Python: the control API in methods, and the server as a process.

Standard library only, so that a demo or a test in any environment can use it.

    with LocalWhatsApp.start() as whatsapp:
        whatsapp.control.add_phone("6281200000001", "Siti")
        ...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tocsin
import tocsin_whatsapp_server

Json = dict[str, Any]

POLL_SECONDS = 10.0
"""How long one request waits at the server before it is put anew."""
LOOK_AGAIN_SECONDS = 1.0
"""For what changes without an event, such as a queue that an ack empties."""


class ControlError(Exception):
    """The server refused: `status`, and the text that says what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class WaitedTooLong(AssertionError):
    """What was waited for didn't happen in time."""


class ControlClient:
    """One method for each entry of the control API. Every one raises ControlError if the server refuses."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def health(self) -> Json:
        return self._call("GET", "/health")

    def audit(self) -> Json:
        return self._call("GET", "/audit")

    def events(self, after: int = 0, *, kind: str | None = None, wait: float = 0) -> tuple[list[Json], int]:
        """Events later than `after`, and the number to pass next time."""
        answer = self._call("GET", "/events", query={"after": after, "kind": kind, "wait": wait})
        return answer["events"], answer["last"]

    def follow(self, after: int = 0, *, seconds: float) -> Iterator[Json]:
        """Events as they happen, until `seconds` have passed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            found, after = self.events(after, wait=min(left, POLL_SECONDS))
            yield from found

    # -- phones ------------------------------------------------------------------------------------------

    def phones(self) -> list[Json]:
        phones: list[Json] = self._call("GET", "/phones")["phones"]
        return phones

    def add_phone(
        self, number: str, name: str, *, reads: bool = False, business: bool = False, passkey: bool = False
    ) -> Json:
        """`passkey`: companions are linked with the account's passkey only."""
        body = {"number": number, "name": name, "reads": reads, "business": business, "passkey": passkey}
        return self._call("POST", "/phones", body)

    def phone(self, number: str) -> Json:
        return self._call("GET", f"/phones/{number}")

    def link(self, number: str, qr: str) -> Json:
        """The phone scans a code; returns when the companion is linked, or its passkey is wanted first."""
        return self._call("POST", f"/phones/{number}/link", {"qr": qr})

    def link_by_code(self, number: str, code: str) -> Json:
        """The owner types the code that a companion shows, such as ABCD-EFGH."""
        return self._call("POST", f"/phones/{number}/link", {"code": code})

    def passkey(self, number: str) -> Json:
        """What the phone shows of the last passkey ceremony: `step`, `code`, `proven`, `why`."""
        return self._call("GET", f"/phones/{number}/passkey")

    def use_passkey(self, number: str, options: Json, **more: Any) -> Json:
        """What a browser with the account's passkey makes of the options. `origin`, `flags`: made wrong."""
        return self._call("POST", f"/phones/{number}/passkey", {"options": options, **more})

    def add_companion(self, number: str, *, hosted: bool = False) -> int:
        """One more device of the account, in the server's process; its number. `hosted`: Meta's own."""
        body = {"hosted": True} if hosted else None
        device: int = self._call("POST", f"/phones/{number}/companions", body)["device"]
        return device

    def unlink(self, number: str, device: int) -> Json:
        return self._call("DELETE", f"/phones/{number}/devices/{device}")

    def mailbox(self, number: str, *, companion: int | None = None) -> Json:
        """Everything about the messages on a phone (or one of its companions in the server's process):
        `messages`, `waiting`, `from_own_devices`, `sent`."""
        return self._call("GET", f"/phones/{number}/messages", query={"companion": companion})

    def messages(self, number: str, *, after: int = 0, wait: float = 0) -> list[Json]:
        """What the phone shows, without the first `after`; waits up to `wait` seconds for one to come."""
        found: list[Json] = self._call(
            "GET", f"/phones/{number}/messages", query={"after": after, "wait": wait}
        )["messages"]
        return found

    def write(self, number: str, to: str, text: str, *, quote: str | None = None) -> Json:
        """`to`: a number, or the JID of a group."""
        body = {"to": to, "text": text} | ({"quote": quote} if quote else {})
        return self._call("POST", f"/phones/{number}/messages", body)

    def read(self, number: str, message_id: str) -> Json:
        return self._call("POST", f"/phones/{number}/read", {"id": message_id})

    def set_timer(self, number: str, to: str, seconds: int) -> Json:
        """The owner sets after how long messages in the chat with `to` disappear; 0 for never."""
        return self._call("POST", f"/phones/{number}/timer", {"to": to, "seconds": seconds})

    def break_phone(
        self,
        number: str,
        kind: str,
        *,
        contact: str | None = None,
        device: int | None = None,
        companion: int | None = None,
    ) -> Json:
        """`kind`: forget-session, corrupt-session, forget-sender-keys, corrupt-sender-keys, reinstall,
        offline or online. `contact` and `device` name
        the sessions that are meant, `companion` whose they are, if not the phone's."""
        aim = {"contact": contact, "device": device}
        body = {"kind": kind} | {name: value for name, value in aim.items() if value is not None}
        return self._call("POST", f"/phones/{number}/faults", body, {"companion": companion})

    # -- groups ------------------------------------------------------------------------------------------

    def groups(self) -> list[Json]:
        groups: list[Json] = self._call("GET", "/groups")["groups"]
        return groups

    def add_group(self, subject: str, members: list[str], *, addressing_mode: str = "lid") -> str:
        """A group of these numbers, the first its creator and admin; its JID."""
        body = {"subject": subject, "members": members, "addressing_mode": addressing_mode}
        group: str = self._call("POST", "/groups", body)["id"]
        return group

    def group(self, group: str) -> Json:
        return self._call("GET", f"/groups/{group}")

    def set_group(self, group: str, **settings: Any) -> Json:
        """`addressing_mode`, `announcement`, `suspended`, `expiration` (seconds)."""
        return self._call("POST", f"/groups/{group}", settings)

    def add_members(self, group: str, *numbers: str, admin: bool | None = None) -> Json:
        body: Json = {"numbers": list(numbers)} | ({} if admin is None else {"admin": admin})
        return self._call("POST", f"/groups/{group}/members", body)

    def remove_member(self, group: str, number: str, *, leave: bool = False) -> Json:
        """The creator removes them, or they leave by themselves."""
        return self._call("DELETE", f"/groups/{group}/members/{number}", query={"leave": int(leave)})

    # -- faults ------------------------------------------------------------------------------------------

    def faults(self) -> Json:
        return self._call("GET", "/faults")

    def inject(self, kind: str, **parameters: Any) -> Json:
        return self._call("POST", "/faults", {"kind": kind, **parameters})

    def clear_faults(self, fault_id: int | None = None) -> int:
        path = "/faults" if fault_id is None else f"/faults/{fault_id}"
        cleared: int = self._call("DELETE", path)["cleared"]
        return cleared

    # -- waiting -----------------------------------------------------------------------------------------

    def wait_until(self, found: Callable[[], Any], what: str, *, seconds: float = 30) -> Any:
        """The first true answer of `found`, asked again after each event and each second.

        Raises WaitedTooLong.
        """
        end = time.monotonic() + seconds
        last = 0
        while True:
            _, last = self.events(last)
            if result := found():
                return result
            left = end - time.monotonic()
            if left <= 0:
                raise WaitedTooLong(f"after {seconds:g} s: {what}")
            self.events(last, wait=min(left, LOOK_AGAIN_SECONDS))

    def wait_for_event(self, kind: str, *, after: int = 0, seconds: float = 30, **facts: Any) -> Json:
        """The first event of this kind with these facts. Raises WaitedTooLong."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            found, after = self.events(after, kind=kind, wait=min(left, POLL_SECONDS))
            for event in found:
                if all(event.get(name) == value for name, value in facts.items()):
                    return event
        raise WaitedTooLong(f"no event {kind} {facts or ''} in {seconds:g} s")

    def wait_for_text(self, number: str, text: str, *, seconds: float = 30) -> Json:
        """The message with this text, once the phone shows it. Raises WaitedTooLong."""
        shown: Json = self.wait_until(
            lambda: next((entry for entry in self.messages(number) if entry["text"] == text), None),
            f"{number} doesn't show {text!r}",
            seconds=seconds,
        )
        return shown

    def wait_for_message(self, number: str, message_id: str, *, seconds: float = 30) -> Json:
        """The message with this id, once the phone shows it. Raises WaitedTooLong."""
        shown: Json = self.wait_until(
            lambda: next((entry for entry in self.messages(number) if entry["id"] == message_id), None),
            f"{number} doesn't show {message_id}",
            seconds=seconds,
        )
        return shown

    def file(self, number: str, message_id: str) -> bytes:
        """The file of a message that the phone shows. Raises ControlError."""
        url = self.url + urllib.parse.quote(f"/phones/{number}/files/{message_id}")
        try:
            with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310
                body: bytes = response.read()
        except urllib.error.HTTPError as error:
            raise ControlError(error.code, _error_text(error)) from None
        return body

    def _call(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> Json:
        named = {name: value for name, value in (query or {}).items() if value is not None}
        url = self.url + urllib.parse.quote(path) + (f"?{urllib.parse.urlencode(named)}" if named else "")
        request = urllib.request.Request(  # noqa: S310
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=POLL_SECONDS + 60) as response:  # noqa: S310
                answer: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise ControlError(error.code, _error_text(error)) from None
        return answer


def _error_text(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


class ServerFailed(RuntimeError):
    """The server process ended before it was ready; the text is what it said."""


@dataclass
class LocalWhatsApp:
    """A running server: `url` and `root_public_key` (hex) for clients, `control` for scripts.

    `media_certificate`: the file that a client trusts to reach the media hosts.
    """

    process: subprocess.Popen[str]
    url: str
    root_public_key: str
    control: ControlClient
    media_certificate: str = ""

    @classmethod
    def start(
        cls,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        root_key_file: Path | None = None,
        log_file: Path | None = None,
        log_level: str = "warning",
        bad_day: int | None = None,
    ) -> Self:
        """Start the server and wait until it is ready. Without `root_key_file` it gets a root key of its own
        in a temporary folder. Raises ServerFailed."""
        root_key_file = root_key_file or Path(tempfile.mkdtemp(prefix="tocsin-whatsapp-")) / "root.key"
        command = [sys.executable, "-m", "tocsin_whatsapp_server"]
        command += ["--host", host, "--port", str(port), "--control-port", str(control_port)]
        command += ["--root-key-file", str(root_key_file), "--log-level", log_level, "--stop-with-stdin"]
        command += ["--bad-day", str(bad_day)] if bad_day is not None else []
        log = log_file.open("ab") if log_file else None
        try:
            process = subprocess.Popen(
                command,
                # It ends with us, even if we are killed: our end of this pipe closes.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()
        assert process.stdout is not None  # noqa: S101
        line = process.stdout.readline()
        if not line:
            raise ServerFailed(f"the local WhatsApp server didn't start; it ended with {process.wait()}")
        ready = json.loads(line)
        control = ControlClient(ready["control"])
        return cls(process, ready["url"], ready["root_public_key"], control, ready["media_certificate"])

    def stop(self, seconds: float = 5) -> None:
        stop_process(self.process, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def stop_process(process: subprocess.Popen[str], seconds: float) -> None:
    """SIGTERM, and SIGKILL if it doesn't end in time; its pipes are closed."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _environment() -> dict[str, str]:
    """Ours, with the packages that we run on: they need not be installed."""
    roots = [str(Path(str(module.__file__)).parents[1]) for module in (tocsin_whatsapp_server, tocsin)]
    path = os.pathsep.join([*roots, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
