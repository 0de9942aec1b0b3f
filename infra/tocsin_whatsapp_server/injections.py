"""Faults that act at once. Those that lie in wait are found when they are due."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection

from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import account_health, stanzas
from tocsin_whatsapp_server.directory import Device, Directory
from tocsin_whatsapp_server.events import EventLog
from tocsin_whatsapp_server.faults import Fault, InvalidFault
from tocsin_whatsapp_server.links import Link, Links


class Injections:
    """`unlinked`: connections of clients that wait to be linked."""

    def __init__(
        self,
        directory: Directory,
        links: Links,
        unlinked: Collection[Link],
        events: EventLog,
        *,
        deliver: Callable[[Device, Node], None],
        ask_for_prekeys: Callable[[Device], None],
        new_id: Callable[[], str],
        now: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._links = links
        self._unlinked = unlinked
        self._events = events
        self._deliver = deliver
        self._ask_for_prekeys = ask_for_prekeys
        self._new_id = new_id
        self._now = now

    def inject(self, fault: Fault) -> int:
        """Do what happens at once; how many devices it hit. Faults that lie in wait are found when due."""
        self._events.add("fault", fault=fault.as_json())
        hit = [device for device in self._links if fault.aim.meets(device.account.number, device.number)]
        companions = [device for device in hit if device.number]
        if fault.kind == "drain-prekeys":
            return self._drain_prekeys(fault)
        if fault.kind == "pile-up":
            return self._pile_up(fault)
        if fault.kind == "drop-linking":
            for link in tuple(self._unlinked):
                link.drop()
        if fault.kind in account_health.CHANGES:
            return self._change_health(fault)
        if fault.kind == "ask-prekeys":
            for device in companions:
                self._deliver(device, stanzas.prekeys_low(fault.params["count"], self._new_id(), self._now()))
        elif fault.kind == "trickle":
            for device in companions:
                news = stanzas.picture_changed("6289000000000", self._new_id(), self._now())
                self._deliver(device, Node(news.tag, {**news.attrs, "offline": "0"}, news.content))
        elif fault.kind == "say":
            plain = _plain(fault.params["plain"])
            for device in companions:
                if connected := self._links.get(device):
                    connected.send_plain(plain, sealed=fault.params["sealed"])
        elif fault.kind == "drop":
            for device in companions:
                self._links.drop(device)
        elif fault.kind == "stream-error":
            code, conflict, text = (fault.params[name] for name in ("code", "conflict", "text"))
            for device in companions:
                self._links.end(device, stanzas.stream_error(code or None, conflict or None, text or None))
        return len(companions)

    def _change_health(self, fault: Fault) -> int:
        """Change what accounts may do, and tell their companions, online or not."""
        accounts = [one for one in self._directory if fault.aim.account in (None, one.number)]
        for account in accounts:
            updates = account_health.change(
                account.health, fault.kind, fault.params, fault.aim.to, self._now()
            )
            for device in account.devices.values() if updates else ():
                if device.number:
                    self._deliver(device, account_health.notification(updates, self._new_id(), self._now()))
        return len(accounts)

    def _aimed_at(self, fault: Fault) -> list[Device]:
        """The devices that are meant, online or not."""
        return [
            device
            for account in self._directory
            for device in account.devices.values()
            if fault.aim.meets(account.number, device.number)
        ]

    def _pile_up(self, fault: Fault) -> int:
        """What nobody needs to read and everybody must acknowledge: news of strangers' pictures."""
        devices = [device for device in self._aimed_at(fault) if device.number]
        for place in range(fault.params["n"]):
            sender = str(6289000000000 + place % fault.params["senders"])
            for device in devices:
                self._deliver(device, stanzas.picture_changed(sender, self._new_id(), self._now()))
        return len(devices)

    def _drain_prekeys(self, fault: Fault) -> int:
        devices = self._aimed_at(fault)
        for device in devices:
            device.prekeys.clear()
            self._ask_for_prekeys(device)
        return len(devices)


def _plain(text: str) -> bytes:
    """Raises InvalidFault."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidFault("say: plain is base64 of a frame's plaintext, flag byte first") from error
