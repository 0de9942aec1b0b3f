"""The connections of devices: who is online, and what goes out to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.audit import Audit
from tocsin_whatsapp_server.directory import Device
from tocsin_whatsapp_server.disturbances import Disturbances
from tocsin_whatsapp_server.events import EventLog


class Link(Protocol):
    """A connected device, as the switchboard sees it."""

    def send(self, stanza: Node) -> None:
        """Put a stanza on its way; in order, never blocking."""

    def send_plain(self, plain: bytes, *, sealed: bool = True) -> None:
        """The same with a frame's plaintext as it is, be it a stanza or not. Not `sealed`: unencrypted."""

    def end(self, last: Node | None) -> None:
        """Send `last`, if there is something left to say, and close."""

    def drop(self) -> None:
        """Be gone at once, as if the network had failed; what was on its way is lost."""


class Links:
    """At most one link for each device."""

    def __init__(self, disturbances: Disturbances, audit: Audit, events: EventLog) -> None:
        self._disturbances = disturbances
        self._audit = audit
        self._events = events
        self._links: dict[Device, Link] = {}

    def __contains__(self, device: object) -> bool:
        return device in self._links

    def __iter__(self) -> Iterator[Device]:
        return iter(self._links)

    def add(self, device: Device, link: Link) -> Link | None:
        """Return the one that it replaces."""
        before = self._links.pop(device, None)
        self._disturbances.connected(device)
        self._links[device] = link
        return before

    def get(self, device: Device) -> Link | None:
        return self._links.get(device)

    def remove(self, device: Device) -> Link | None:
        return self._links.pop(device, None)

    def lost(self, device: Device, link: Link) -> None:
        """The connection is gone. Does nothing if the device is connected anew already."""
        if self._links.get(device) is link:
            del self._links[device]
            self._events.add("logout", account=device.account.number, device=device.number)

    def send(self, device: Device, stanza: Node) -> None:
        """Send a stanza, or what faults make of it. Who is offline doesn't get it."""
        link = self._links.get(device)
        if link is None or self._disturbances.is_deaf(device):
            return
        for due in self._disturbances.outgoing(device, stanza):
            self._audit.stanza_out(device, due.tag)
            link.send(due)

    def drop(self, device: Device) -> None:
        """Cut the connection, as if the network had failed."""
        link = self._links.get(device)
        if link is not None:
            link.drop()
            self.lost(device, link)

    def end(self, device: Device, last: Node) -> None:
        """End the connection with a last stanza."""
        link = self._links.get(device)
        if link is not None:
            link.end(last)
            self.lost(device, link)
