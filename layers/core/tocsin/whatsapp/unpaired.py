"""What a connection without login does: the server offers to pair, codes are shown, one pairing is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tocsin.whatsapp import pairing, reaction
from tocsin.whatsapp.ceremony import Ceremony
from tocsin.whatsapp.device_keys import DeviceKeys
from tocsin.whatsapp.errors import PairingRefused
from tocsin.whatsapp.events import Event, PairingFailed, PairingSucceeded
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.linking import Linking
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.steps import Then


class Unpaired:
    """Idle until the server offers to pair. `random(n)` gives n random bytes."""

    def __init__(self, keys: DeviceKeys, *, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._random = random
        self._linking: Linking | None = None
        self._made: pairing.Pairing | None = None

    @property
    def is_wanted(self) -> bool:
        """True if an offer to pair may be accepted: we have no login, and none was made."""
        return self._keys.login is None and self._made is None

    @property
    def is_offered(self) -> bool:
        return self._linking is not None

    @property
    def ceremony(self) -> Ceremony | None:
        return None if self._linking is None else self._linking.ceremony

    @property
    def next_tick(self) -> float | None:
        return None if self._linking is None else self._linking.next_tick

    @property
    def confirmation(self) -> Node | None:
        """What tells the server that the pairing is stored; None before there is one."""
        return None if self._made is None else self._made.reply

    def offered(self, node: Node, now: float) -> Linking:
        """Return what the offer `<pair-device>` allows. Raises `InvalidStanza`."""
        refs = tuple(ref.bytes() for ref in node.require_child("pair-device").children("ref"))
        return Linking(self._keys, refs, now, random=self._random)

    def begin(self, linking: Linking, now: float) -> list[Event]:
        """Accept an offer: show its first code."""
        self._linking = linking
        return linking.tick(now)

    def tick(self, now: float) -> Then:
        if self._linking is None:
            return Then()
        events = self._linking.tick(now)
        return Then(events, end=reaction.QR_EXPIRED if self._linking.exhausted else None)

    def ask_code(self, phone: JID, now: float) -> Then | None:
        """Ask for a pairing code; None before the server offered to pair. Raises `InvalidJid`."""
        return None if self._linking is None else Then(ask=self._linking.ask_code(phone, now))

    def on_notification(self, node: Node, now: float) -> Then:
        """React to a notification, which is acknowledged already."""
        if self._linking is None or self._made is not None:
            return Then()
        return self._linking.on_notification(node, now)

    def on_pair_success(self, node: Node) -> Then:
        """The phone vouches for us, which is checked. Nothing is sent before the pairing is stored."""
        if self._linking is None or self._made is not None:
            return Then()
        secret = self._linking.adv_secret
        try:
            made = pairing.verify_pair_success(node, self._keys.identity, secret, self._random(64))
        except PairingRefused as exc:
            return Then(
                [PairingFailed(exc.code, exc.text)],
                send=pairing.refusal(node, exc),
                end=replace(reaction.PAIRING_REFUSED, detail=str(exc)),
            )
        self._made = made
        self._linking.finished = True
        return Then([PairingSucceeded(made)])
