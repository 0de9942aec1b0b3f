"""Faults that stanzas meet on their way: doubled, mixed up, spoilt, left out."""

from __future__ import annotations

from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import stanzas
from tocsin_whatsapp_server.directory import Device, Directory
from tocsin_whatsapp_server.faults import Faults
from tocsin_whatsapp_server.routing import Delivery


class Disturbances:
    """Each of them asks `faults` whether one lies in wait here."""

    def __init__(self, faults: Faults, directory: Directory) -> None:
        self._faults = faults
        self._directory = directory
        self._held: dict[Device, list[Node]] = {}

    def connected(self, device: Device) -> None:
        """What was held back for an earlier connection comes out of the mailbox."""
        self._held.pop(device, None)

    def outgoing(self, device: Device, stanza: Node) -> list[Node]:
        """What goes out in place of a stanza: itself, unless a fault doubles it or mixes it with others."""
        account = device.account.number
        if device.number == 0:
            return [stanza]
        if self._faults.take("duplicate", account, device.number):
            return [stanza, stanza]
        if stanza.tag not in ("message", "receipt"):
            return [stanza]
        fault = self._faults.take("reorder", account, device.number)
        if fault is None:
            return [stanza]
        held = self._held.setdefault(device, [])
        held.append(stanza)
        if len(held) < fault.params["size"]:
            return []
        del self._held[device]
        return held[::-1]

    def is_deaf(self, device: Device) -> bool:
        """A fault: the socket is open, and nothing goes in or out. Phones have no socket."""
        return (
            device.number > 0 and self._faults.take("deaf", device.account.number, device.number) is not None
        )

    def with_spoilt_bundles(self, answer: Node) -> Node:
        """The answer to a request for keys, with those bundles spoilt that a fault is aimed at."""
        listed = answer.child("list")
        if listed is None or not listed.children("user"):
            return answer
        users = tuple(self._maybe_spoilt(user) for user in listed.children("user"))
        return Node(answer.tag, answer.attrs, (Node("list", listed.attrs, users),))

    def _maybe_spoilt(self, user: Node) -> Node:
        target = self._directory.device(user.attr_jid("jid"))
        fault = target and self._faults.take("bundle", target.account.number, target.number)
        return stanzas.spoilt_bundle(user, fault.params["what"]) if fault else user

    def noted(self, ack: Node, device: Device, to: str | None) -> Node:
        """The ack of a message, with what a fault has the server say in it."""
        account, notes = device.account.number, dict(ack.attrs)
        if self._faults.take("phash", account, device.number, to=to):
            notes["phash"] = "2:AAAAAAAA"
        if self._faults.take("refresh-lid", account, device.number, to=to):
            notes["refresh_lid"] = "true"
        return Node(ack.tag, notes, ack.content)

    def wants_token(self, device: Device, message: Node, to: str | None) -> bool:
        """A fault, which meets a message to another person: no resend, and nothing to a group."""
        account, contact = device.account, self._directory.account(message.attr_jid("to"))
        if contact in (None, account) or message.attrs.get("device_fanout") == "false":
            return False
        return self._faults.take("want-token", account.number, device.number, to=to) is not None

    def maybe_without_copy(self, delivery: Delivery) -> Node:
        """A fault: the device gets the message without a copy for it."""
        device = delivery.device
        peer = delivery.stanza.attrs.get("category") == "peer"
        if (
            device.number
            and not peer
            and self._faults.take("unavailable", device.account.number, device.number)
        ):
            return stanzas.without_copy(delivery.stanza)
        return delivery.stanza
