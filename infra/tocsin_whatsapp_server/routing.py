"""Which device gets what. Pure: a stanza and the directory in, deliveries out.

A message names each device it is for and carries one ciphertext for each. It is delivered in the address form
that its sender used, phone number or LID, so that the answer finds the same session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, LID, PN, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account, Device, Directory
from tocsin_whatsapp_server.stanzas import other_address

UNKNOWN_RECIPIENT = 404
SCHEMA_VIOLATION = 479


class Refused(Exception):
    """The message isn't routed; its ack carries `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Ciphertext:
    """One `<enc>` of a message, for the device at `jid`; `device` is None if no such device is linked."""

    jid: JID
    device: Device | None
    enc: Node


@dataclass(frozen=True)
class Delivery:
    device: Device
    stanza: Node


@dataclass(frozen=True)
class Routed:
    """`phash`: set if the sender left out a device of the recipient or of its own account."""

    recipient: Account
    deliveries: tuple[Delivery, ...]
    phash: str | None


def ciphertexts(message: Node, directory: Directory) -> tuple[Ciphertext, ...]:
    """Every ciphertext of a message with its addressee. Raises InvalidStanza.

    A resend bears one outside the list, for the device in `to`, and some clients repeat it inside: the outer
    one, which has the count, is what is delivered.
    """
    outer = message.child("enc")
    if outer is not None:
        jid = message.attr_jid("to")
        return (Ciphertext(jid, directory.device(jid), outer),)
    return tuple(
        Ciphertext(jid, directory.device(jid), entry.require_child("enc"))
        for entry, jid in _addressees(message)
    )


def _addressees(message: Node) -> Iterator[tuple[Node, JID]]:
    participants = message.child("participants")
    for entry in participants.children("to") if participants else ():
        yield entry, entry.attr_jid("jid")


def route_message(message: Node, sender: Device, directory: Directory, now: int) -> Routed:
    """Raises Refused if no account has the address, or the addressing is one that a server refuses."""
    to = message.attr_jid("to")
    recipient = directory.account(to)
    if recipient is None:
        raise Refused(UNKNOWN_RECIPIENT, "nobody has this address")
    addressed = ciphertexts(message, directory)
    _check_addressing(to, addressed, sender, recipient, directory)
    deliveries = tuple(
        Delivery(entry.device, _forwarded(message, entry, sender, recipient, now))
        for entry in addressed
        if entry.device is not None and entry.device is not sender
    )
    return Routed(recipient, deliveries, _missing_devices(message, addressed, sender, recipient))


def _check_addressing(
    to: JID, addressed: tuple[Ciphertext, ...], sender: Device, recipient: Account, directory: Directory
) -> None:
    if to.server not in (PN, LID):
        raise Refused(SCHEMA_VIOLATION, "neither a phone number nor a LID")
    for entry in addressed:
        if entry.jid.chat.server != to.server:
            raise Refused(SCHEMA_VIOLATION, "phone numbers and LIDs mixed in one message")
        if directory.account(entry.jid) not in (recipient, sender.account):
            raise Refused(SCHEMA_VIOLATION, "a ciphertext for a third account")


def _missing_devices(
    message: Node, addressed: tuple[Ciphertext, ...], sender: Device, recipient: Account
) -> str | None:
    """The hash of all devices of both sides, if the sender left one out; a resend to one device may."""
    if message.optional_str("device_fanout") == "false" or message.child("participants") is None:
        return None
    everybody = {*recipient.devices.values(), *sender.account.devices.values()}
    if everybody <= {sender, *(entry.device for entry in addressed if entry.device)}:
        return None
    server = message.attr_jid("to").server
    return phash(device.address(server) for device in everybody)


def _forwarded(message: Node, entry: Ciphertext, sender: Device, recipient: Account, now: int) -> Node:
    server = entry.jid.chat.server
    name, other = other_address(sender.account, server)
    attrs: dict[str, str | JID] = {
        "from": sender.address(server),
        "id": message.attr_str("id"),
        "type": message.optional_str("type") or "text",
        "t": str(now),
        "notify": sender.account.name,
        "addressing_mode": "lid" if server == LID else "pn",
    }
    for kept in ("category", "edit"):
        if value := message.optional_str(kept):
            attrs[kept] = value
    if entry.device is not None and entry.device.account is sender.account and "category" not in attrs:
        # No address of the sender's: Baileys would take it for the other name of the recipient.
        attrs |= _own_copy(message.attr_jid("to"), recipient)
    else:
        attrs[name] = other
    children = [entry.enc]
    identity = message.child("device-identity")
    if identity is not None and entry.enc.optional_str("type") == "pkmsg":
        children.append(identity)
    return Node("message", attrs, tuple(children))


def _own_copy(to: JID, recipient: Account) -> dict[str, JID]:
    """What tells the account's other devices whom the message was for, in both address families."""
    if to.server == LID:
        return {"recipient": to.bare, "peer_recipient_pn": recipient.pn}
    return {"recipient": to.bare, "peer_recipient_lid": recipient.lid}


def route_receipt(receipt: Node, reader: Device, directory: Directory, now: int) -> tuple[Delivery, ...]:
    """A receipt goes to every device of the message's sender, a retry receipt only to the one it names."""
    to, kind = receipt.attr_jid("to"), receipt.optional_str("type")
    account = directory.account(to)
    if account is None:
        raise InvalidStanza("a receipt for nobody")
    recipient = receipt.optional_jid("recipient")
    if kind == "sender" and recipient is not None and directory.account(recipient) is account:
        # A message to one's own chat: nobody but the own phone tells the device that sent it how it fared.
        exact = account.devices.get(to.device)
        return (_receipt(receipt, exact, reader, to, now),) if exact else ()
    if kind in ("sender", "peer_msg", "hist_sync"):
        return ()
    if kind == "read-self":
        own = [device for device in reader.account.devices.values() if device is not reader]
        return tuple(_receipt(receipt, device, reader, to, now) for device in own)
    if kind == "retry":
        exact = account.devices.get(to.device)
        return (_receipt(receipt, exact, reader, to, now),) if exact else ()
    return tuple(_receipt(receipt, device, reader, to, now) for device in account.devices.values())


def _receipt(receipt: Node, device: Device, reader: Device, to: JID, now: int) -> Delivery:
    name, other = other_address(reader.account, to.server)
    attrs: dict[str, str | JID] = {
        "from": reader.address(to.server),
        "id": receipt.attr_str("id"),
        "t": str(now),
        name: other,
    }
    for kept in ("type", "category"):
        if value := receipt.optional_str(kept):
            attrs[kept] = value
    if device.account is reader.account:
        attrs["recipient"] = receipt.optional_jid("recipient") or to.bare
    return Delivery(device, Node("receipt", attrs, receipt.content))
