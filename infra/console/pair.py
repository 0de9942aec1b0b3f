"""`tocsin pair`: link a WhatsApp account by QR code, read through the keys table: no door is needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import segno

from infra.console.deployment import Deployment
from infra.console.errors import ConsoleError, TimedOut
from infra.console.output import Output
from tocsin.keys.control import Control, read_control, request
from tocsin.keys.lease import LeaseInfo, read_lease

POLL_SECONDS = 0.5
# How long a connector may take to answer before we say that there is none.
SILENCE_SECONDS = 45

# Paired already: to link another phone over it would leave the first one's messages behind.
_PAIRED = {"connecting", "resuming", "connected", "restricted"}
_LOGGED_IN = {"resuming", "connected", "restricted"}


@dataclass(frozen=True)
class Code:
    """A QR code to be scanned before `expires_at` (seconds since the epoch)."""

    text: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class Hint:
    """Something the operator must know while pairing goes on."""

    text: str


def pair(deployment: Deployment, account: str, *, wait_seconds: float, output: Output) -> None:
    """Show QR codes until the phone has scanned one and the account is logged in.

    Raises ConsoleError, TimedOut.
    """
    output.say(f"asking the connector for a QR code for the account '{account}' …")
    for code in codes(deployment, account, wait_seconds=wait_seconds):
        if isinstance(code, Hint):
            output.record({"account": account, "hint": code.text})
            output.say(code.text)
            continue
        output.record({"account": account, "qr": code.text, "expires_at": code.expires_at})
        if not output.as_json:
            segno.make(code.text, error="l").terminal(out=output.stream or sys.stdout, compact=True)
        left = max(code.expires_at - int(time.time()), 0)
        output.say("On the phone: WhatsApp → Linked devices → Link a device, and scan this.")
        output.say(f"It is replaced in {left} s; the newest one counts.")
    output.say("scanned; logging in …")
    _wait_until(
        lambda: connected(deployment, account),
        60,
        "the account was linked but did not log in; see 'tocsin status'",
    )
    output.say(f"the account '{account}' is linked and connected")
    output.record({"account": account, "state": "connected"})


def codes(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[Code | Hint]:
    """Ask for pairing and yield each new code or hint; ends when a code was scanned.

    Raises ConsoleError, TimedOut.
    """
    table = deployment.keys_table
    _refuse_if_paired(read_lease(table, account), account)
    request(table, account, "pair", int(clock()))
    began, shown, hinted = clock(), None, ""
    while True:
        control, lease = read_control(table, account), read_lease(table, account)
        if control.state in _PAIRED or (lease is not None and lease.state in _LOGGED_IN):
            return
        if control.state == "unpaired" and control.message:
            raise ConsoleError(f"the account wasn't linked: {control.message}")
        if control.message and control.message != hinted:
            hinted = control.message
            yield Hint(control.message)
        if control.qr and control.qr != shown:
            shown = control.qr
            yield Code(control.qr, control.qr_expires_at)
            continue
        waited = clock() - began
        if shown is None and waited > SILENCE_SECONDS:
            raise ConsoleError(_silence(control, lease, account))
        if waited > wait_seconds:
            raise TimedOut(f"nobody scanned a code within {wait_seconds:.0f} s; run 'tocsin pair' again")
        sleep(POLL_SECONDS)


def connected(deployment: Deployment, account: str) -> bool:
    """Whether the account is logged in and may send."""
    lease = read_lease(deployment.keys_table, account)
    return lease is not None and lease.connector is not None and lease.state == "connected"


def _refuse_if_paired(lease: LeaseInfo | None, account: str) -> None:
    if lease is not None and lease.connector is not None and lease.state in _PAIRED:
        raise ConsoleError(
            f"the account '{account}' is linked already ({lease.state}). To link another phone, first "
            "remove it there: WhatsApp → Linked devices"
        )


def _silence(control: Control, lease: LeaseInfo | None, account: str) -> str:
    if control.request is None:
        return "the connector took the request up but shows no code; its log says why"
    if lease is None or lease.connector is None:
        return f"no connector serves the account '{account}': is the service running? (see 'tocsin status')"
    return (
        f"the connector {lease.connector} doesn't answer; if it died, another takes over in 20 s: try again"
    )


def _wait_until(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimedOut(otherwise)
        time.sleep(POLL_SECONDS)
