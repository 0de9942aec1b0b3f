"""Which device gets what of a group's messages. Pure: a stanza and the group in, deliveries out.

A message to a group carries one ciphertext for everybody (`skmsg`), and for each device that still needs the
sender key another one, pairwise. A resend names the one device that it is for (`participant`).
"""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, LID, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.directory import Account, Device, Directory
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.routing import SCHEMA_VIOLATION, Ciphertext, Delivery, Refused

NOT_A_MEMBER = 403
STALE_ADDRESSING = 421
EVERYBODY = "skmsg"


def group_ciphertexts(message: Node, directory: Directory) -> tuple[Ciphertext, ...]:
    """Every pairwise ciphertext of a message with its addressee. Raises InvalidStanza."""
    named = message.optional_jid("participant")
    if named is not None:
        return (Ciphertext(named, directory.device(named), message.require_child("enc")),)
    participants = message.child("participants")
    entries = participants.children("to") if participants else ()
    return tuple(
        Ciphertext(jid, directory.device(jid), entry.require_child("enc"))
        for entry in entries
        if (jid := entry.attr_jid("jid"))
    )


def shared_ciphertext(message: Node) -> Node | None:
    """The `skmsg`, if there is one."""
    return next((enc for enc in message.children("enc") if enc.optional_str("type") == EVERYBODY), None)


def route_group_message(
    message: Node, sender: Device, group: Group, directory: Directory, now: int
) -> tuple[tuple[Delivery, ...], str | None]:
    """The deliveries, and the group's participant hash if the sender's was another one. Raises Refused."""
    _check(message, sender, group)
    pairwise = group_ciphertexts(message, directory)
    for entry in pairwise:
        if entry.jid.server != group.server:
            raise Refused(SCHEMA_VIOLATION, "a ciphertext in another address form than the group's")
        if directory.account(entry.jid) not in group.members:
            raise Refused(SCHEMA_VIOLATION, "a ciphertext for somebody who isn't in the group")
    encs: dict[Device, list[Node]] = {entry.device: [entry.enc] for entry in pairwise if entry.device}
    if message.optional_jid("participant") is None:
        shared = shared_ciphertext(message)
        if shared is None:
            raise Refused(SCHEMA_VIOLATION, "no ciphertext for the group")
        encs = {device: [*encs.get(device, ()), shared] for device in group.devices}
    deliveries = tuple(
        Delivery(device, _forwarded(message, found, sender, group, now))
        for device, found in encs.items()
        if device is not sender
    )
    return deliveries, _other_phash(message, group)


def _check(message: Node, sender: Device, group: Group) -> None:
    if sender.account not in group.members:
        raise Refused(NOT_A_MEMBER, "the sender isn't in the group")
    if group.suspended:
        raise Refused(NOT_A_MEMBER, "the group is suspended")
    if group.announcement and not group.members[sender.account]:
        raise Refused(NOT_A_MEMBER, "only admins may write")
    if message.optional_jid("participant") is not None:
        return
    if (message.optional_str("addressing_mode") or "pn") != group.mode:
        raise Refused(STALE_ADDRESSING, f"the group is addressed by {group.mode}")


def _other_phash(message: Node, group: Group) -> str | None:
    told = message.optional_str("phash")
    present = phash(device.address(group.server) for device in group.devices)
    return present if told is not None and told != present else None


def _forwarded(message: Node, encs: list[Node], sender: Device, group: Group, now: int) -> Node:
    name, other = other_participant(sender.account, group.server)
    attrs: dict[str, str | JID] = {
        "from": group.jid,
        "participant": sender.address(group.server),
        name: other,
        "id": message.attr_str("id"),
        "type": message.optional_str("type") or "text",
        "t": str(now),
        "notify": sender.account.name,
        "addressing_mode": group.mode,
    }
    if edit := message.optional_str("edit"):
        attrs["edit"] = edit
    identity = message.child("device-identity")
    more = [identity] if identity and any(enc.optional_str("type") == "pkmsg" for enc in encs) else []
    return Node("message", attrs, (*encs, *more))


def other_participant(account: Account, server: str) -> tuple[str, JID]:
    """The attribute that names a member in the other family than `server`."""
    return ("participant_pn", account.pn) if server == LID else ("participant_lid", account.lid)


def route_group_receipt(
    receipt: Node, reader: Device, group: Group, directory: Directory, now: int
) -> Iterator[Delivery]:
    """To every device of the message's author, a retry receipt only to the one that it names."""
    author = receipt.attr_jid("participant")
    account = directory.account(author)
    kind = receipt.optional_str("type")
    if account is None:
        raise InvalidStanza("a receipt for nobody")
    if reader.account not in group.members or kind in ("sender", "peer_msg", "hist_sync"):
        return
    devices = account.devices.values()
    if kind == "read-self":
        devices = reader.account.devices.values()
    name, other = other_participant(reader.account, group.server)
    attrs: dict[str, str | JID] = {
        "from": group.jid,
        "participant": reader.address(group.server),
        name: other,
        "id": receipt.attr_str("id"),
        "t": str(now),
    }
    if kind:
        attrs["type"] = kind
    for device in devices:
        if device is not reader and (kind != "retry" or device.number == author.device):
            yield Delivery(device, Node("receipt", attrs, receipt.content))
