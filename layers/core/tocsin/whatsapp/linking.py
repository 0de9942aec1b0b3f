"""While a device isn't paired: which QR code to show now, the exchange behind a pairing code, and the passkey
ceremony where the account is under that gate. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.signal.errors import SignalError
from tocsin.whatsapp import link_code
from tocsin.whatsapp.ceremony import Ceremony
from tocsin.whatsapp.errors import InvalidJid, InvalidStanza
from tocsin.whatsapp.events import Event, PairingCodeOffered, PairingCodeRefused, PasskeyEnded, QrOffered
from tocsin.whatsapp.iq import IqRefused, checked
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.pairing import qr_text
from tocsin.whatsapp.passkey import CONTINUATION, PROLOGUE_REQUEST
from tocsin.whatsapp.steps import Ask, Then

FIRST_QR_SECONDS: Final = 60.0
QR_SECONDS: Final = 20.0
FINISH_SECONDS: Final = 60.0
"""From the phone's answer to pair-success; longer means that it couldn't open our bundle."""
MAX_HELLOS: Final = 3
MAX_REFS: Final = 32
MAX_REF_BYTES: Final = 512
"""Six refs of 44 bytes are usual. A QR code can't hold longer refs, and no operator waits for more of
them."""


class _Keys(Protocol):
    @property
    def noise(self) -> KeyPair: ...
    @property
    def identity(self) -> KeyPair: ...
    @property
    def adv_secret(self) -> bytes: ...


@dataclass(slots=True)
class _Attempt:
    """One pairing code. `ref`: None until the server knows of it. `valid_until`: when it may no longer be
    typed in; `deadline`: when it is void, which may be later, if it was typed in late."""

    phone: JID
    code: str = field(repr=False)
    ephemeral: KeyPair
    valid_until: float
    deadline: float
    ref: bytes | None = field(default=None, repr=False)
    hellos: int = 0


def _can_be_shown(ref: bytes) -> bool:
    return 0 < len(ref) <= MAX_REF_BYTES and ref.isascii()


class Linking:
    """The refs the server gave, one shown at a time, and at most one pairing code.

    `adv_secret`: what pair-success is checked with; it changes when the server asks for a fresh QR code and
    when a pairing code is used. `finished`: pair-success came; nothing is shown any more. `ceremony`:
    WhatsApp asked for a passkey; from then on the codes are void, refs that run out end nothing, and stanzas
    about codes are ignored.
    """

    def __init__(
        self, keys: _Keys, refs: tuple[bytes, ...], now: float, *, random: Callable[[int], bytes]
    ) -> None:
        """Raises `InvalidStanza` for refs that no QR code can show."""
        if not 0 < len(refs) <= MAX_REFS or not all(_can_be_shown(ref) for ref in refs):
            raise InvalidStanza("no usable pairing refs")
        self._keys = keys
        self._random = random
        self._refs = list(refs)
        self._ref: bytes | None = None
        self._ref_deadline = now
        self._lifetime = FIRST_QR_SECONDS
        self._attempt: _Attempt | None = None
        self._finishing = False
        self._adv_secret = keys.adv_secret
        self.ceremony: Ceremony | None = None
        self.finished = False

    def __repr__(self) -> str:
        return f"Linking({len(self._refs)} refs left)"

    @property
    def adv_secret(self) -> bytes:
        return self._adv_secret if self.ceremony is None else self.ceremony.secret

    @property
    def exhausted(self) -> bool:
        """True if no code is left to show and none is being typed in."""
        busy = self.finished or self.ceremony is not None
        return not busy and self._ref is None and self._attempt is None

    @property
    def next_tick(self) -> float | None:
        if self.finished:
            return None
        if self.ceremony is not None:
            return self.ceremony.next_tick
        times = [self._ref_deadline] if self._ref is not None or self._refs else []
        if self._attempt is not None:
            times.append(self._attempt.deadline)
        return min(times, default=None)

    def tick(self, now: float) -> list[Event]:
        if self.finished:
            return []
        if self.ceremony is not None:
            return self.ceremony.tick(now)
        events: list[Event] = []
        if self._attempt is not None and now >= self._attempt.deadline:
            self._attempt = None
            self._finishing = False
            events.append(PairingCodeRefused(0, "expired"))
        if now >= self._ref_deadline:
            self._ref = self._refs.pop(0) if self._refs else None
            self._ref_deadline = now + self._lifetime
            self._lifetime = QR_SECONDS
            events += self._show()
        return events

    def _show(self) -> list[Event]:
        if self._ref is None:
            return []
        text = qr_text(self._ref, self._keys.noise.public, self._keys.identity.public, self.adv_secret)
        return [QrOffered(text, self._ref_deadline)]

    # The pairing code

    def ask_code(self, phone: JID, now: float) -> Ask:
        """Make a code for `phone`. An earlier one is void from now on. Raises `InvalidJid` for what is no
        phone number."""
        if not phone.is_recipient:
            raise InvalidJid("a pairing code needs a phone number")
        code = link_code.make_code(self._random(5))
        ephemeral = key_pair(self._random(32))
        until = now + link_code.VALID_SECONDS
        attempt = self._attempt = _Attempt(phone, code, ephemeral, until, until)
        wrapped = link_code.wrap_ephemeral(code, ephemeral.public, self._random(32), self._random(16))
        question = link_code.companion_hello(phone, self._keys.noise.public, wrapped)
        return Ask(question, lambda answer, _: Then(self._on_code_answer(attempt, answer)))

    def _on_code_answer(self, attempt: _Attempt, answer: Node) -> list[Event]:
        """The server knows of the code, or refused it. Only a known one is shown."""
        if attempt is not self._attempt:
            return []
        try:
            attempt.ref = link_code.parse_ref(checked(answer))
        except IqRefused as exc:
            self._attempt = None
            return [PairingCodeRefused(exc.code, exc.text)]
        except InvalidStanza as exc:
            self._attempt = None
            return [PairingCodeRefused(500, exc.reason)]
        return [PairingCodeOffered(link_code.shown(attempt.code), attempt.deadline)]

    def on_notification(self, node: Node, now: float) -> Then:
        """React to a notification, which is acknowledged already."""
        kind = node.attrs.get("type")
        if kind in (PROLOGUE_REQUEST, CONTINUATION):
            return self._on_passkey(kind, node, now)
        if kind == "companion_reg_refresh":
            return Then(self._rotate_secret(node))
        reg = node.child("link_code_companion_reg")
        if kind == "link_code_companion_reg" and reg is not None and self.ceremony is None:
            return self._on_registration(reg, now)
        return Then()

    def _on_passkey(self, kind: object, node: Node, now: float) -> Then:
        if self.finished or node.optional_jid("from") != SERVER:
            return Then()
        if kind == PROLOGUE_REQUEST:
            if self.ceremony is None:
                self.ceremony = self._begun(now)
            return self.ceremony.on_challenge(node, now)
        if self.ceremony is None:
            return Then([PasskeyEnded("unexpected-continuation", "offering")])
        return self.ceremony.on_continuation(node, now)

    def _begun(self, now: float) -> Ceremony:
        """From here on no code is shown. The phone has our secret if it scanned a QR code, or if it answered
        to a typed code; if it only got the code typed in so far, it has none."""
        typing = self._attempt is not None and not self._finishing
        scanned = None if typing else self._adv_secret
        self._attempt, self._ref = None, None
        self._refs.clear()
        return Ceremony(self._keys.noise, self._keys.identity, scanned, now, random=self._random)

    def _rotate_secret(self, node: Node) -> list[Event]:
        """The server retired our ADV secret: the same ref under a new one, for the time it has left."""
        asked = node.child("companion_reg_refresh") or node.child("pair-device-rotate-qr")
        if asked is None or self._finishing or self.finished:
            return []
        if self.ceremony is not None:
            self.ceremony.on_refresh()
            return []
        self._adv_secret = self._random(32)
        return self._show()

    def _on_registration(self, reg: Node, now: float) -> Then:
        attempt = self._attempt
        if attempt is None or attempt.ref is None:
            return Then()
        stage = reg.attrs.get("stage")
        if stage == "refresh_code" and self._names(reg, attempt.ref):
            self._attempt = None
            return Then([PairingCodeRefused(0, "refresh")])
        if stage != "primary_hello" or attempt.hellos >= MAX_HELLOS or now >= attempt.valid_until:
            return Then()
        try:
            finish = self._finish(attempt, attempt.ref, link_code.parse_primary_hello(reg), now)
        except (InvalidStanza, SignalError):
            return Then()  # incomplete ones are seen on some accounts: keep waiting
        return (
            Then() if finish is None else Then(ask=Ask(finish, lambda answer, _: self._on_finished(answer)))
        )

    def _on_finished(self, answer: Node) -> Then:
        """The server has our part, or refused it: then no pair-success will come."""
        if self.ceremony is not None:
            return Then()
        try:
            checked(answer)
        except IqRefused as exc:
            self._attempt, self._finishing = None, False
            return Then([PairingCodeRefused(exc.code, exc.text)])
        return Then()

    @staticmethod
    def _names(reg: Node, ref: bytes) -> bool:
        named = reg.child("link_code_pairing_ref")
        return named is not None and named.content == ref

    def _finish(
        self, attempt: _Attempt, ref: bytes, hello: link_code.PrimaryHello, now: float
    ) -> Node | None:
        if hello.ref != ref:
            return None
        attempt.hellos += 1
        primary = link_code.unwrap_ephemeral(attempt.code, hello.wrapped_ephemeral)
        bundle = link_code.key_bundle(
            attempt.ephemeral,
            self._keys.identity,
            primary,
            hello.identity,
            secret=self._random(32),
            salt=self._random(32),
            nonce=self._random(12),
        )
        self._adv_secret = bundle.adv_secret
        self._finishing = True
        attempt.deadline = now + FINISH_SECONDS
        return link_code.companion_finish(attempt.phone, self._keys.identity.public, bundle, ref)
