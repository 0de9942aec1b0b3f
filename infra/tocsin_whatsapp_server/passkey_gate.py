"""The passkey gate: what server and phone say in place of pair-success, until the companion proved itself.

    scan ─▶ challenge ─▶ ref ─▶ prologue ─▶ the phone's half ─▶ nonce ─▶ pairing request ─▶ pair-success

One gate belongs to one unpaired connection and to one phone. `FAULTS` names what it can do wrong on purpose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.passkey_pb2 import PrimaryEphemeralIdentity
from tocsin_whatsapp_server import pairing, stanzas
from tocsin_whatsapp_server.events import EventLog
from tocsin_whatsapp_server.pairing import Registration
from tocsin_whatsapp_server.passkey import CeremonyRefused, Passkey, PhoneHalf, Random, options

log = logging.getLogger(__name__)

STEPS = ("options", "ref", "prologue", "nonce", "request")
"""What a companion asks for, or sends."""

SHORT_MS = 2_000
SLOW_SECONDS = 2.0

BAD_HALVES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "key-31": lambda key, nonce: _half(key[:31], nonce),
    "key-33": lambda key, nonce: _half(b"\x05" + key, nonce),
    "nonce-16": lambda key, nonce: _half(key, nonce[:16]),
    "no-nonce": lambda key, nonce: PrimaryEphemeralIdentity(public_key=key).SerializeToString(),
    "empty": lambda key, nonce: b"",
    "truncated": lambda key, nonce: _half(key, nonce)[:-1],
    "low-order": lambda key, nonce: _half(bytes(32), nonce),
}

FAULTS: dict[str, str] = {
    **{f"error-{step}": f"answer the companion's {step} with an IQ error" for step in STEPS},
    **{f"silent-{step}": f"leave the companion's {step} unanswered" for step in STEPS},
    **{f"close-{step}": f"close the socket at the companion's {step}" for step in STEPS},
    **{f"restart-{step}": f"send <stream:error> 515 at the companion's {step}" for step in STEPS},
    **{f"half-{name}": f"the phone's half is wrong: {name}" for name in BAD_HALVES},
    "options-missing": "a challenge without options: they must be fetched",
    "options-garbled": "a challenge whose options are no JSON: they must be fetched",
    "second-challenge": "a second challenge right after the first; only the second one counts",
    "second-late": "a second challenge when the companion asks for a ref; only the second one counts",
    "short-challenge": "a challenge for two seconds",
    "early-half": "the phone's half before the prologue",
    "other-half": "a second, different half once the nonce is out",
    "slow-half": "the owner takes two seconds to press Continue",
    "no-half": "the phone's half never comes: the owner doesn't press Continue",
    "other-code": "somebody stands between: the phone shows another code",
    "refresh-early": "companion_reg_refresh after the challenge",
    "refresh-late": "companion_reg_refresh after the prologue",
    "early-success": "<success> before the pairing is complete",
    "old-secret": "pair-success under the secret of the scanned code",
    "no-success": "pair-success never comes",
    "bare-before": "a typed code: primary_hello without the phone's key, then the challenge",
    "bare-after": "a typed code: the challenge, then primary_hello without the phone's key",
}
"""What → meaning."""

TYPED = ("bare-before", "bare-after")


def _half(key: bytes, nonce: bytes) -> bytes:
    return PrimaryEphemeralIdentity(public_key=key, nonce=nonce).SerializeToString()


class Companion(Protocol):
    """Who waits to be linked."""

    def send(self, stanza: Node) -> None: ...
    def end(self, last: Node | None) -> None: ...
    def drop(self) -> None: ...


@dataclass
class Shown:
    """What the phone shows of the ceremony, for scripts. `step`: `challenged`, `continue`, `compare`,
    `linking`, `refused`. `code`: to be compared if the handoff wasn't proven."""

    step: str = ""
    code: str = ""
    proven: bool = False
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"step": self.step, "code": self.code, "proven": self.proven, "why": self.why}


@dataclass
class PasskeyGate:
    """`scanned`: the secret in the code that the phone scanned, None if it has none. `vouch`: called with the
    secret of the pairing request. `fault`: one of FAULTS, or none."""

    number: str
    companion: Companion
    registration: Registration
    passkey: Passkey
    scanned: bytes | None = field(repr=False)
    vouch: Callable[[bytes], None]
    events: EventLog
    new_id: Callable[[], str]
    random: Random
    clock: Callable[[], float]
    fault: str = ""
    shown: Shown = field(default_factory=Shown)

    def __post_init__(self) -> None:
        self._challenge = b""
        self.options = b""
        self._expires_at = 0.0
        self._used = False
        self._ref = ""
        self._pending: bytes | None = None
        known = self.registration
        self._phone = PhoneHalf(known.noise_key, known.identity, self.scanned, self.random, known.device_type)

    # What the server begins with

    def begin(self) -> None:
        if self.fault == "bare-before":
            self._hello_without_key()
        self._challenged()
        if self.fault == "second-challenge":
            self._challenged()
        follow: dict[str, Callable[[], None]] = {
            "bare-after": self._hello_without_key,
            "refresh-early": self._refresh,
            "early-success": lambda: self.companion.send(Node("success", {"t": str(self._now())})),
            "early-half": lambda: self._send_half(_half(self.random(32), self.random(32))),
            "old-secret": lambda: self.vouch(self.scanned or bytes(32)),
        }
        if self.fault in follow:
            follow[self.fault]()

    def _challenged(self) -> None:
        self._challenge, self._used = self.random(32), False
        timeout = SHORT_MS if self.fault == "short-challenge" else 600_000
        self._expires_at = self.clock() + timeout / 1000
        self.options = options(self._challenge, timeout)
        content = {"options-missing": None, "error-options": None, "options-garbled": b"{"}.get(
            self.fault, self.options
        )
        if self.fault.endswith("-options"):
            content = None
        child = () if content is None else (Node("passkey_request_options", {}, content),)
        self._notify("passkey_prologue_request", *child)
        self._show("challenged")

    def _hello_without_key(self) -> None:
        reg = Node("link_code_companion_reg", {"stage": "primary_hello"})
        self._notify("link_code_companion_reg", reg)

    def _refresh(self) -> None:
        self._notify("companion_reg_refresh", Node("companion_reg_refresh"))

    def _notify(self, kind: str, *children: Node) -> None:
        attrs: dict[str, str | JID] = {
            "from": SERVER,
            "type": kind,
            "id": self.new_id(),
            "t": str(self._now()),
        }
        self.companion.send(Node("notification", attrs, children or None))

    def _now(self) -> int:
        return int(self.clock())

    # What the companion says

    def acknowledged(self, ack: Node) -> None:
        """The companion has a notification of ours."""
        kind = ack.optional_str("type")
        self.events.add("passkey-acked", account=self.number, notification=kind)

    def take(self, iq: Node) -> bool:
        """Whether the request belongs to the ceremony; then it is answered, or not, on purpose."""
        for step, tag in _TAGS.items():
            child = iq.child(tag)
            if child is not None:
                self.events.add("passkey-asked", account=self.number, what=step)
                if not self._goes_wrong(iq, step):
                    self._answer(iq, step, child)
                return True
        return False

    def _goes_wrong(self, iq: Node, step: str) -> bool:
        how, _, where = self.fault.partition("-")
        if where != step or how not in ("error", "silent", "close", "restart"):
            return False
        if how == "error":
            self.companion.send(stanzas.iq_error(iq, 400, "bad-request"))
        elif how == "close":
            self.companion.drop()
        elif how == "restart":
            self.companion.end(stanzas.stream_error(515))
        return True

    def _answer(self, iq: Node, step: str, child: Node) -> None:
        try:
            _STEPS[step](self, iq, child)
        except (CeremonyRefused, InvalidStanza) as error:
            log.info("the passkey ceremony of a companion is refused: %s", error)
            self._show("refused", why=str(error))
            self.companion.send(stanzas.iq_error(iq, 400, "bad-request"))

    def _on_options(self, iq: Node, child: Node) -> None:
        del child
        self.companion.send(stanzas.result(iq, Node("passkey_request_options", {}, self.options)))

    def _on_ref(self, iq: Node, child: Node) -> None:
        del child
        if self.fault == "second-late" and not self._ref:
            self._ref = "-"
            self._challenged()
            return
        [self._ref] = pairing.new_refs(self.random)[:1]
        self.companion.send(stanzas.result(iq, Node("ref", {}, self._ref.encode())))

    def _on_prologue(self, iq: Node, child: Node) -> None:
        tags = [part.tag for part in child.children()]
        wanted = ["credential_id", "webauthn_assertion", "prologue_payload", "pairing_handoff_proof"]
        if tags not in (wanted, wanted[:3]):
            raise CeremonyRefused("the prologue has other parts, or in another order")
        if not self._ref:
            raise CeremonyRefused("a prologue without a fresh ref")
        if self._used or self.clock() >= self._expires_at:
            raise CeremonyRefused("the challenge is used or too old")
        self._used = True
        content = [part.bytes() for part in child.children()]
        self.passkey.verified(content[0], content[1], self._challenge)
        half = self._phone.begin(content[2], content[3] if len(content) > 3 else None, self._ref)
        self.companion.send(stanzas.result(iq))
        self._show("continue")
        if self.fault == "refresh-late":
            self._refresh()
        self._continue(half)

    def _continue(self, half: bytes) -> None:
        """The owner presses Continue, unless that is the fault."""
        if self.fault == "no-half":
            return
        if self.fault == "slow-half":
            self._pending = half
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self.press)
            return
        if self.fault.startswith("half-"):
            read = PrimaryEphemeralIdentity.FromString(half)
            half = BAD_HALVES[self.fault.removeprefix("half-")](read.public_key, read.nonce)
        self._send_half(half)

    def press(self) -> None:
        """The owner presses Continue, if that is still to be done."""
        half, self._pending = self._pending, None
        if half is not None:
            self._send_half(half)

    def _send_half(self, half: bytes) -> None:
        self._notify("crsc_continuation", Node("primary_ephemeral_identity", {}, half))

    def _on_nonce(self, iq: Node, child: Node) -> None:
        self._phone.open_nonce(child.bytes())
        if self.fault == "other-half":
            self._send_half(_half(self.random(32), self.random(32)))
        if self.fault == "other-code":
            self._phone.code = "1111-1111"
        self._show("linking" if self._phone.skipped else "compare")
        self.companion.send(stanzas.result(iq))

    def _on_request(self, iq: Node, child: Node) -> None:
        secret = self._phone.open_request(child.bytes())
        self.companion.send(stanzas.result(iq))
        self._show("linking")
        if self.fault != "no-success":
            self.vouch(secret)

    def refused(self, why: str) -> None:
        """The companion wasn't linked after all."""
        self._show("refused", why=why)

    def _show(self, step: str, *, why: str = "") -> None:
        """The phone's screen, and an event for whoever waits."""
        self.shown.step, self.shown.why = step, why
        self.shown.code, self.shown.proven = self._phone.code, self._phone.skipped
        self.events.add("passkey", account=self.number, **self.shown.as_json())


_TAGS = {
    "options": "passkey_request_options",
    "ref": "ref",
    "prologue": "passkey_prologue",
    "nonce": "companion_nonce",
    "request": "encrypted_pairing_request",
}
_STEPS: dict[str, Callable[[PasskeyGate, Node, Node], None]] = {
    "options": PasskeyGate._on_options,
    "ref": PasskeyGate._on_ref,
    "prologue": PasskeyGate._on_prologue,
    "nonce": PasskeyGate._on_nonce,
    "request": PasskeyGate._on_request,
}
