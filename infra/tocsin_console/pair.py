"""`tocsin pair`: link a WhatsApp account, by a QR code or by one to type.

Both come through the keys table, sealed: no door into the network is needed, and nobody else who may read the
table sees them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field

from tocsin.accounts.operator_requests import (
    Control,
    Request,
    give_passkey_answer,
    read_control,
    request,
    withdraw,
)
from tocsin.accounts.passkey import LinkedPhone, PasskeyAnswer, PasskeyStep
from tocsin.accounts.state import CAN_SEND, LINK_LOST, LOGGED_IN, PAIRED, AccountState
from tocsin.timestamps import from_seconds
from tocsin_console import qr
from tocsin_console.audit import note
from tocsin_console.carrier import Carrier
from tocsin_console.connection import Connection, look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Interrupted, TimedOut
from tocsin_console.output import Output, json_moment
from tocsin_console.passkey import Guide, Sources
from tocsin_console.progress import Progress
from tocsin_console.signals import as_interrupts

POLL_SECONDS = 0.5
# How long to wait for a connector's answer before saying that there is none. A new one starts in a minute.
SILENCE_SECONDS = 90
# After which the operator is told that no connector answers yet.
PATIENCE_SECONDS = 15
# How long to wait for an account that is just connecting to reach another state.
CONNECTING_SECONDS = 20
LOGIN_SECONDS = 60
TOLD_SECONDS = 10

# From a scan that leads to the passkey ceremony: how long to go on, whatever `--wait` says.
CEREMONY_SECONDS = 900

ROWS_BELOW = 6
"""Lines of a terminal that stand below a QR code."""

STEP_SECONDS = 360
"""For each later step of it, which the connector gives five minutes at most."""

ENDLESS = "the passkey ceremony came to no end in time. Run 'tocsin pair' again"
GONE = (
    "the connector that was linking the account is gone, and the attempt with it; a code that was scanned, or"
    " an answer of the passkey, is of no use any more. Run 'tocsin pair' again"
)
STOPPED = "stopped: the connector was told to drop the attempt, and nothing is linked"
NO_CONNECTOR = "no connector is running for this account (yet); waiting for one"
_VOID = "The code that was shown is void: don't use it. A new one follows."
_SCAN = "On the phone: WhatsApp → Linked devices → Link a device, and scan this."
_TYPE = [
    "On the phone: WhatsApp → Linked devices → Link a device →",
    "Link with phone number instead, and type this.",
]


@dataclass(frozen=True)
class Code:
    """A QR code to be scanned before `expires_at` (seconds since the epoch)."""

    text: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class TypedCode:
    """A code of eight characters to be typed on the phone before `expires_at` (0: unknown)."""

    text: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class Hint:
    """Something the operator must know while pairing goes on."""

    text: str


@dataclass(frozen=True)
class Void:
    """The code that was shown is of no use any more, and no other one is there yet."""


Offer = Code | TypedCode | Hint | Void | PasskeyStep
"""A step of the passkey ceremony is yielded at each look, for the operator's answer is listened for
meanwhile."""


@dataclass(frozen=True)
class Wishes:
    """How the operator wants to link. `phone` (digits): ask for a code to type instead of a QR. The others:
    see the options of the command."""

    phone: str | None = None
    always_ask_code: bool = False
    shared_phone: bool = False
    assertion: str | None = None


def pair(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    output: Output,
    wishes: Wishes = Wishes(),
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Show codes until one was used on the phone and the account is logged in, and lead through the passkey
    ceremony where WhatsApp wants it. False if the operator says that it is the wrong phone: unlink it then.
    Raises ConsoleError, TimedOut, Interrupted."""
    what = "a code to type" if wishes.phone else "a QR code"
    output.say(f"asking the connector for {what} for the account '{account}' …")
    board = _Board(output, account)
    guide = Guide(deployment, account, output, Sources.of(wishes.assertion, output))
    try:
        with as_interrupts(), output.progress("waiting for the phone") as progress:
            offers = codes(
                deployment,
                account,
                wait_seconds=wait_seconds,
                wishes=wishes,
                sleep=progress.around(sleep),
                clock=clock,
            )
            with closing(offers):
                _show_offers(offers, board, guide, progress)
        linked = read_control(deployment.keys_table, account, deployment.sealer).linked
        output.say(_linked(linked))
        with output.progress("logging in") as progress:
            state = _logged_in(deployment, account, progress.around(sleep), clock)
        linked = linked or _phone_told(deployment, account, sleep, clock)
    except KeyboardInterrupt:
        running = guide.running
        guide.stop()
        raise Interrupted(STOPPED if running else _stopped(account)) from None
    finally:
        guide.over()
    limits = "; WhatsApp restricts it to known contacts for now" if state == AccountState.RESTRICTED else ""
    output.say(f"the account '{account}' is linked and {state}{limits}")
    meant = linked is None or _is_meant(account, linked, output)
    if meant and _is_another(linked):
        from tocsin_console.new_number import introduce  # seldom needed

        introduce(deployment, account, output, clock)
    output.record({"account": account, "state": state, **_told(linked)})
    return meant


def _show_offers(offers: Iterable[Offer], board: _Board, guide: Guide, progress: Progress) -> None:
    for offer in offers:
        if isinstance(offer, PasskeyStep):
            # Somebody types there.
            progress.end()
            board.clear()
            guide.follow(offer)
        else:
            guide.over()
            board.show(offer)
    board.clear()
    guide.over()


def codes(
    deployment: Deployment,
    account: str,
    *,
    wait_seconds: float,
    wishes: Wishes = Wishes(),
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Generator[Offer, None, None]:
    """Ask for pairing and yield each new code or hint; ends when a code was used.

    Raises ConsoleError if the account is linked already, if WhatsApp or the connector refuses, or if no
    connector answers; TimedOut if no code was used.
    """
    table, sealer = deployment.keys_table, deployment.sealer
    _refuse_if_linked(deployment, account, sleep=sleep, clock=clock)
    asked = request(
        table,
        sealer,
        account,
        "pair",
        int(clock()),
        os.urandom(12),
        phone=wishes.phone,
        always_ask_code=wishes.always_ask_code,
        shared_phone=wishes.shared_phone,
    )
    note(deployment, f"asked for a code to link the account {account}", clock=clock)
    try:
        yield from _answers(deployment, account, wait_seconds, sleep, clock)
        note(deployment, f"linked the account {account}", clock=clock)
    except BaseException:
        # Nobody looks any more, so no connector that comes later is to offer a code, and what is under way
        # with a passkey must not link behind the operator's back.
        withdraw(table, account, asked)
        _drop_ceremony(deployment, account, asked)
        raise


def _drop_ceremony(deployment: Deployment, account: str, asked: Request) -> None:
    """Tell the connector to drop the passkey ceremony, if there is one, and nobody asked since."""
    table, sealer = deployment.keys_table, deployment.sealer
    control = read_control(table, account, sealer)
    if control.passkey is not None and control.requested_at == asked.requested_at:
        given = PasskeyAnswer(control.passkey.ceremony)
        give_passkey_answer(table, sealer, account, given, os.urandom(12))


def _answers(
    deployment: Deployment,
    account: str,
    wait_seconds: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Generator[Offer, None, None]:
    """What the connector answers, as it comes. Raises as `codes`."""
    table, sealer = deployment.keys_table, deployment.sealer
    lit, carrier = False, Carrier()
    began, shown, hinted, ceremony, stage = clock(), None, "", "", ""
    give_up = began + wait_seconds
    while True:
        control, connection = read_control(table, account, sealer), look(table, account, clock)
        if control.state in PAIRED or connection.state in LOGGED_IN:
            return
        if control.state == AccountState.UNPAIRED and control.message:
            raise ConsoleError(f"the account wasn't linked: {control.message}")
        if control.request is None:
            carrier.see(connection, clock())
        if carrier.is_replaced(connection) or (control.passkey is not None and carrier.is_gone(clock())):
            raise ConsoleError(GONE)
        if (step := control.passkey) is not None:
            if (step.ceremony, step.step) != (ceremony, stage):
                seconds = CEREMONY_SECONDS if step.ceremony != ceremony else STEP_SECONDS
                give_up = max(give_up, clock() + seconds)
            shown, ceremony, stage = step.ceremony, step.ceremony, step.step
            yield step
            sleep(POLL_SECONDS)
            if clock() > give_up:
                raise TimedOut(ENDLESS)
            continue
        offer = _offer(control)
        if offer is not None and not connection.held and offer.expires_at < clock():
            offer = None  # whoever would replace it is dead
        if offer is None and lit:
            # Its connection died, or the connector did: whoever uses it now is told that it failed.
            lit = False
            yield Void()
        if control.message and control.message != hinted:
            hinted = control.message
            yield Hint(control.message)
        if offer is not None and offer.text != shown:
            shown, lit = offer.text, True
            yield offer
            continue
        waited = clock() - began
        if waited > PATIENCE_SECONDS and not connection.held and hinted != NO_CONNECTOR:
            hinted = NO_CONNECTOR
            yield Hint(NO_CONNECTOR)
        if shown is None and waited > SILENCE_SECONDS:
            raise ConsoleError(_silence(control, connection, account))
        if clock() > give_up:
            raise TimedOut(_unused(shown, wait_seconds))
        sleep(POLL_SECONDS)


def connected(deployment: Deployment, account: str, *, clock: Callable[[], float] = time.time) -> bool:
    """Whether the account is logged in and may send."""
    return look(deployment.keys_table, account, clock).state == AccountState.CONNECTED


class _Board:
    """Shows the codes. In a terminal, each replaces the one before."""

    def __init__(self, output: Output, account: str) -> None:
        self._output = output
        self._account = account
        self._rows = 0

    def show(self, offer: Code | TypedCode | Hint | Void) -> None:
        if isinstance(offer, Void):
            self._output.record({"account": self._account, "void": True})
            self.clear()
            self._output.say(_VOID)
            return
        if isinstance(offer, Hint):
            self._output.record({"account": self._account, "hint": offer.text})
            self._output.say(offer.text)
            self._rows = 0
            return
        name = "qr" if isinstance(offer, Code) else "pairing_code"
        expires_at = json_moment(from_seconds(offer.expires_at))
        self._output.record({"account": self._account, name: offer.text, "expires_at": expires_at})
        self.clear()
        if isinstance(offer, Code):
            self._draw(offer)
        else:
            self._say("", f"    {_spaced(offer.text)}", "", *_TYPE)
        self._say(_validity(offer))

    def clear(self) -> None:
        """Remove the code that was shown, because it was used or a newer one replaces it."""
        if self._rows and self._output.in_terminal:
            self._output.rewind(self._rows)
        self._rows = 0

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._rows += self._output.say(line)

    def _draw(self, offer: Code) -> None:
        code = qr.lines(offer.text, colours=self._output.has_colours)
        wide, high = len(qr.matrix(offer.text)), len(code) + ROWS_BELOW
        columns, rows = self._output.size()
        small = self._output.in_terminal and (columns < wide or rows < high)
        # One whose lines are broken can't be scanned.
        if not (small and columns < wide):
            for line in code:
                self._output.draw(line)
            self._rows += len(code)
        if small:
            self._say(
                f"This window is too small for the code: make it {wide} × {high},",
                "or link without a camera: tocsin pair --code PHONE",
            )
        self._say(_SCAN)


def _stopped(account: str) -> str:
    return (
        "stopped. If no code was used, nothing is linked, and the connector stops offering codes by "
        f"itself; 'tocsin status' shows the state of '{account}'"
    )


def _linked(linked: LinkedPhone | None) -> str:
    if linked is None:
        return "linked on the phone; logging in …"
    also = f" (it is the account {', '.join(linked.also)} as well)" if linked.also else ""
    return f"linked on the phone +{linked.number}{also}; logging in …"


def _told(linked: LinkedPhone | None) -> dict[str, str | None]:
    return {} if linked is None else {"number": linked.number, "number_before": linked.before}


def _phone_told(
    deployment: Deployment, account: str, sleep: Callable[[float], None], clock: Callable[[], float]
) -> LinkedPhone | None:
    """Which phone was linked. The connector says it beside the login, which may be over first; None if it
    doesn't say so, as the release before didn't."""
    deadline = clock() + TOLD_SECONDS
    while True:
        linked = read_control(deployment.keys_table, account, deployment.sealer).linked
        if linked is not None or clock() > deadline:
            return linked
        sleep(POLL_SECONDS)


def _is_another(linked: LinkedPhone | None) -> bool:
    """Whether it is another phone than before."""
    return linked is not None and linked.before not in (None, linked.number)


def _is_meant(account: str, linked: LinkedPhone, output: Output) -> bool:
    """Ask about a phone that is another one than before: that may be a mistake."""
    if not _is_another(linked):
        return True
    output.say(
        f"the account '{account}' was linked to +{linked.before} before; now it is to +{linked.number}"
    )
    if not output.can_ask:
        return True
    return output.ask("Is that the phone you meant? [Y/n] ").strip().lower() not in ("n", "no")


def _offer(control: Control) -> Code | TypedCode | None:
    if control.pairing_code:
        return TypedCode(control.pairing_code, control.qr_expires_at)
    return Code(control.qr, control.qr_expires_at) if control.qr else None


def _spaced(code: str) -> str:
    plain = code.replace("-", "")
    return f"{plain[:4]}-{plain[4:]}" if len(plain) == 8 else code


def _validity(offer: Code | TypedCode) -> str:
    """How long a code is valid; not said if this machine's clock differs from the connector's."""
    left = offer.expires_at - int(time.time())
    if not 0 < left <= 300:
        return "Ctrl-C stops."
    # A QR code is followed by the next one; a code to type is not.
    what = "It is replaced in" if isinstance(offer, Code) else "It can be typed in for"
    return f"{what} {left} s. Ctrl-C stops."


def _refuse_if_linked(
    deployment: Deployment,
    account: str,
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Raises ConsoleError if the account is linked. One that a connector has just taken is `connecting` for a
    moment even if it is not linked, so wait for the next state."""
    give_up = clock() + CONNECTING_SECONDS
    connection = look(deployment.keys_table, account, clock)
    while connection.state == AccountState.CONNECTING and clock() < give_up:
        sleep(POLL_SECONDS)
        connection = look(deployment.keys_table, account, clock)
    # The link stays when the connector that used it is gone.
    linked = connection.taken and connection.last_state in LOGGED_IN
    if linked or connection.state == AccountState.CONNECTING:
        raise ConsoleError(
            f"the account '{account}' is linked already ({connection.state}). To link another phone, first "
            "unlink this one: tocsin unpair, or on the phone WhatsApp → Linked devices"
        )


def _silence(control: Control, connection: Connection, account: str) -> str:
    if not connection.held:
        return (
            f"no connector serves the account '{account}': is the service running? Its log group is "
            "/tocsin/<stack>/connector; see also 'tocsin status'"
        )
    if control.request is None:
        return (
            f"the connector accepted the request but shows no code; {control.message or 'its log says why'}"
        )
    return "the connector is running but does not answer; its log says why"


def _unused(shown: str | None, wait_seconds: float) -> str:
    if shown is None:
        return f"no code came within {wait_seconds:.0f} s; see 'tocsin status', or wait longer: --wait"
    return f"no code was used within {wait_seconds:.0f} s; run 'tocsin pair' again"


def _logged_in(
    deployment: Deployment, account: str, sleep: Callable[[float], None], clock: Callable[[], float]
) -> str:
    """The state, once the linked account may send. Raises ConsoleError, TimedOut."""
    deadline = clock() + LOGIN_SECONDS
    while True:
        connection = look(deployment.keys_table, account, clock)
        detail = connection.lease.detail if connection.lease is not None else ""
        if connection.state in CAN_SEND:
            return connection.state
        if connection.state in LINK_LOST:
            raise ConsoleError(f"the account was linked, but is {connection.state}: {detail}")
        if clock() > deadline:
            raise TimedOut(
                f"the account was linked, but is still {connection.state} after {LOGIN_SECONDS} s; "
                "see 'tocsin status'"
            )
        sleep(POLL_SECONDS)
