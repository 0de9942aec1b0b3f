"""The heart of the server: takes stanzas of devices, answers them, passes them on, queues what can't be
delivered now. No sockets and no waiting here; a device is connected through a `Link`, be it a socket or a
phone in this process.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable

from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import GROUP, JID, mask
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server import account_health, stanzas
from tocsin_whatsapp_server.announcements import Announcements
from tocsin_whatsapp_server.audit import Audit
from tocsin_whatsapp_server.directory import Account, Device, Directory
from tocsin_whatsapp_server.disturbances import Disturbances
from tocsin_whatsapp_server.events import EventLog
from tocsin_whatsapp_server.faults import Fault, Faults
from tocsin_whatsapp_server.group_routing import (
    group_ciphertexts,
    route_group_message,
    route_group_receipt,
    shared_ciphertext,
)
from tocsin_whatsapp_server.groups import Change, Group, Groups
from tocsin_whatsapp_server.injections import Injections
from tocsin_whatsapp_server.links import Link, Links
from tocsin_whatsapp_server.mailbox import receipt_ids
from tocsin_whatsapp_server.media import MediaStore
from tocsin_whatsapp_server.queries import Queries
from tocsin_whatsapp_server.routing import Delivery, Refused, ciphertexts, route_message, route_receipt

log = logging.getLogger(__name__)

Random = Callable[[int], bytes]


class Switchboard:
    """Everything is done in one thread, one stanza at a time: what a stanza causes is handled after it."""

    def __init__(self, *, clock: Callable[[], float], random: Random) -> None:
        self.clock = clock
        self.random = random
        self.directory = Directory()
        self.groups = Groups()
        self.audit = Audit()
        self.events = EventLog(clock)
        self.faults = Faults()
        self.media = MediaStore(random, self.events, self.faults)
        self._queries = Queries(self.directory, self.groups, self.audit, self.media)
        self._disturbances = Disturbances(self.faults, self.directory)
        self._links = Links(self._disturbances, self.audit, self.events)
        self.unlinked: set[Link] = set()
        """Connections of clients that wait to be linked."""
        self._announcements = Announcements(
            self.directory,
            self.audit,
            self.events,
            deliver=self.deliver,
            new_id=self.new_id,
            now=lambda: self.now,
            random=random,
        )
        self._injections = Injections(
            self.directory,
            self._links,
            self.unlinked,
            self.events,
            deliver=self.deliver,
            ask_for_prekeys=self._announcements.ask_for_prekeys,
            new_id=self.new_id,
            now=lambda: self.now,
        )
        self._inbox: deque[tuple[Device, Node]] = deque()
        self._busy = False

    @property
    def now(self) -> int:
        return int(self.clock())

    def new_id(self) -> str:
        """An id for a stanza of the server's own."""
        return self.random(8).hex().upper()

    # -- connections -------------------------------------------------------------------------------------

    def connect(self, device: Device, link: Link) -> None:
        """A device logged in. It gets what waited for it, in order; an older connection of it ends."""
        before = self._links.add(device, link)
        if before is not None:
            before.end(stanzas.stream_error(conflict="replaced"))
        self.faults.freshly_connected(device.account.number, device.number)
        self.events.add("login", account=device.account.number, device=device.number)
        waiting = [letter.stanza for letter in device.mailbox.waiting()]
        tags = Counter(stanza.tag for stanza in waiting)
        link.send(stanzas.success(device, self.now))
        link.send(stanzas.offline_preview(tags["message"], tags["receipt"], tags["notification"]))
        for place, stanza in enumerate(waiting):
            self.audit.stanza_out(device, stanza.tag)
            link.send(Node(stanza.tag, {**stanza.attrs, "offline": str(place)}, stanza.content))
        if not self.faults.take("endless-queue", device.account.number, device.number):
            link.send(stanzas.offline_done(len(waiting)))

    def disconnect(self, device: Device, link: Link) -> None:
        """The connection is gone. Does nothing if the device is connected anew already."""
        self._links.lost(device, link)

    def is_online(self, device: Device) -> bool:
        return device in self._links

    @property
    def online(self) -> tuple[Device, ...]:
        return tuple(self._links)

    # -- stanzas -----------------------------------------------------------------------------------------

    def submit(self, device: Device, stanza: Node) -> None:
        """Take a stanza of a device. A phone answers while it is being delivered to: its answer waits here
        until the stanza that caused it is done with."""
        self._inbox.append((device, stanza))
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                self._take(*self._inbox.popleft())
        finally:
            self._busy = False

    def deliver(self, device: Device, stanza: Node) -> None:
        """Send a stanza that must arrive: it waits in the device's mailbox until it is confirmed."""
        device.mailbox.put(stanza)
        self._links.send(device, stanza)

    def _take(self, device: Device, stanza: Node) -> None:
        account = device.account.number
        if self._disturbances.is_deaf(device):
            return
        self.audit.stanza_in(device, stanza.tag)
        handler = HANDLERS.get(stanza.tag)
        if handler is None:
            log.info("ignored <%s> from %s", stanza.tag, mask(account))
            return
        try:
            handler(self, device, stanza)
        except InvalidStanza as error:
            log.warning("bad <%s> from %s: %s", stanza.tag, mask(account), error.reason)
            self.events.add(
                "bad-stanza", account=account, device=device.number, tag=stanza.tag, reason=error.reason
            )

    def _iq(self, device: Device, iq: Node) -> None:
        if iq.optional_str("type") not in ("get", "set"):
            return
        account, xmlns = device.account.number, iq.optional_str("xmlns") or ""
        if self.faults.take("iq-silence", account, device.number, xmlns=xmlns):
            return
        if fault := self.faults.take("iq-error", account, device.number, xmlns=xmlns):
            self._links.send(device, stanzas.iq_error(iq, fault.params["code"], "injected"))
            return
        if xmlns == "w:mex":
            self._links.send(device, self._account_question(device, iq))
            return
        counted = iq.child("count") is not None and self.faults.take("prekey-count", account, device.number)
        if counted:
            told = Node("count", {"value": str(counted.params["count"])})
            self._links.send(device, stanzas.result(iq, told))
            return
        answer = self._queries.answer(device, iq, self.now)
        if not answer.understood:
            first = iq.children()[0].tag if iq.children() else ""
            log.info("empty answer to iq %s <%s> of %s", xmlns, first, mask(account))
            self.events.add("unknown-iq", account=account, device=device.number, xmlns=xmlns, child=first)
        self._links.send(
            device,
            self._disturbances.with_spoilt_bundles(answer.stanza) if xmlns == "encrypt" else answer.stanza,
        )
        if iq.child("active") is not None:
            self.events.add("active", account=account, device=device.number)
        if answer.uploaded:
            self.events.add("prekeys", account=account, device=device.number, uploaded=answer.uploaded)
        for drained in answer.drained:
            self._announcements.ask_for_prekeys(drained)
        for contact in answer.trusted:
            self.trust(device.account, contact)
        if answer.removed is not None:
            self.unlink(answer.removed)
        if answer.change is not None:
            self.group_changed(answer.change)

    def _account_question(self, device: Device, iq: Node) -> Node:
        """The answer to a question about the account itself."""
        query = iq.child("query")
        told = device.account.health.answer(str(query.attrs.get("query_id")), self.now) if query else None
        self.events.add("account-question", account=device.account.number, known=told is not None)
        if told is None or self.faults.take("mex-errors", device.account.number, device.number):
            told = account_health.ERRORS
        return stanzas.result(iq, Node("result", {}, told))

    def _message(self, device: Device, message: Node) -> None:
        """Acknowledge first, then deliver, so that the ack comes before the receipts."""
        account, to = device.account, self._addressee(message.attr_jid("to"))
        self._audit_ciphertexts(device, message)
        if fault := self.faults.take("lose-messages", account.number, device.number, to=to):
            self._note_fault(fault, message)
            self._drop_if_asked(fault, device)
            return
        if fault := self.faults.take("ack-error", account.number, device.number, to=to):
            self._note_fault(fault, message)
            self._links.send(device, stanzas.message_ack(message, self.now, error=fault.params["code"]))
            return
        shown = self._shown_token(account, message)
        try:
            self._check_health(device, message)
            if not shown and self._disturbances.wants_token(device, message, to):
                raise Refused(463, "neither a privacy token nor a contact secret")
            deliveries, ack = self._route(device, message)
        except Refused as refused:
            self.events.add(
                "refused",
                id=message.attr_str("id"),
                account=account.number,
                code=refused.code,
                reason=refused.reason,
            )
            self._links.send(device, stanzas.message_ack(message, self.now, error=refused.code))
            return
        lost = self.faults.take("lose-acks", account.number, device.number, to=to)
        if lost is None:
            self._links.send(device, self._disturbances.noted(ack, device, to))
        else:
            self._note_fault(lost, message)
        self.events.add(
            "message",
            id=message.attr_str("id"),
            account=account.number,
            device=device.number,
            to=to,
            devices=[str(delivery.device) for delivery in deliveries],
            token=shown,
        )
        for delivery in deliveries:
            self.deliver(delivery.device, self._disturbances.maybe_without_copy(delivery))
        if lost is not None:
            self._drop_if_asked(lost, device)

    def _check_health(self, device: Device, message: Node) -> None:
        """Raise `Refused` for whom the account may not write to, and note who wrote to whom. Companions are
        meant: the phone itself may write to anybody, and opens the chat by it."""
        account, contact = device.account, self.directory.account(message.attr_jid("to"))
        if contact in (None, account) or message.attrs.get("device_fanout") == "false":
            return
        refusal = account.health.refusal(contact.number, self.now) if device.number else None
        if refusal is not None:
            raise Refused(*refusal)
        contact.health.heard(account.number)
        if not device.number:
            account.health.heard(contact.number)

    def _shown_token(self, account: Account, message: Node) -> str:
        """`token` or `secret`, as the message carries them; empty for none, or one that nobody issued."""
        token, contact = message.child("tctoken"), self.directory.account(message.attr_jid("to"))
        if token is not None and contact is not None:
            return "token" if account.tokens.get(contact.number) == token.content else ""
        return "secret" if message.child("cstoken") is not None else ""

    def _addressee(self, to: JID) -> str | None:
        """How faults and events name it: a number, or a group's JID."""
        if self.groups.find(to) is not None:
            return str(to)
        account = self.directory.account(to)
        return account.number if account else None

    def _route(self, device: Device, message: Node) -> tuple[tuple[Delivery, ...], Node]:
        """The deliveries of a message, and its ack. Raises Refused."""
        to = message.attr_jid("to")
        group = self.groups.find(to)
        if group is not None:
            deliveries, phash = route_group_message(message, device, group, self.directory, self.now)
            ack = stanzas.message_ack(message, self.now, phash=phash, addressing_mode=group.mode)
            return deliveries, ack
        routed = route_message(message, device, self.directory, self.now)
        device.account.contacts.add(routed.recipient.number)
        routed.recipient.contacts.add(device.account.number)
        return routed.deliveries, stanzas.message_ack(message, self.now, phash=routed.phash)

    def _audit_ciphertexts(self, device: Device, message: Node) -> None:
        to = message.attr_jid("to")
        in_group = to.server == GROUP
        entries = (
            group_ciphertexts(message, self.directory) if in_group else ciphertexts(message, self.directory)
        )
        for entry in entries:
            receiver = str(entry.device) if entry.device else str(entry.jid)
            self.audit.ciphertext(device, receiver, entry.enc.optional_str("type") or "", entry.enc.bytes())
        shared = shared_ciphertext(message) if in_group else None
        if shared is not None:
            self.audit.group_ciphertext(device, str(to), shared.bytes())

    def _receipt(self, device: Device, receipt: Node) -> None:
        device.mailbox.confirm(receipt)
        self._links.send(device, stanzas.receipt_ack(receipt))
        group = self.groups.find(receipt.attr_jid("to"))
        sender = self.directory.account(receipt.attr_jid("participant" if group else "to"))
        self.events.add(
            "receipt",
            ids=list(receipt_ids(receipt)),
            type=receipt.optional_str("type") or "delivered",
            account=device.account.number,
            device=device.number,
            to=sender.number if sender else None,
            **({"group": str(group.jid)} if group else {}),
        )
        for delivery in self._routed_receipt(receipt, device, group):
            self.deliver(delivery.device, delivery.stanza)

    def _routed_receipt(self, receipt: Node, device: Device, group: Group | None) -> Iterable[Delivery]:
        if group is None:
            return route_receipt(receipt, device, self.directory, self.now)
        return route_group_receipt(receipt, device, group, self.directory, self.now)

    def _ack(self, device: Device, ack: Node) -> None:
        if ack.attr_str("class") == "call":
            self._note_call(device, "ack", ack)
        if device.mailbox.confirm(ack) and ack.attr_str("class") == "message":
            # Not a receipt: the device can make nothing of it, or has read it before.
            error = ack.optional_str("error")
            self.events.add(
                "put-aside",
                id=ack.attr_str("id"),
                account=device.account.number,
                device=device.number,
                error=error,
            )

    def _call(self, device: Device, call: Node) -> None:
        """Nobody is rung up by it; what it was shows."""
        for step in call.children():
            self._note_call(device, step.tag, call, call=step.optional_str("call-id"))

    def _note_call(self, device: Device, step: str, stanza: Node, **facts: str | None) -> None:
        self.events.add(
            "call",
            account=device.account.number,
            device=device.number,
            step=step,
            id=stanza.attr_str("id"),
            to=str(stanza.attr_jid("to")),
            **facts,
        )

    def _nothing(self, device: Device, stanza: Node) -> None:
        """Presence, chat states and in-band notes need no answer."""

    # -- what the server says and does by itself ---------------------------------------------------------

    def group_changed(self, change: Change) -> None:
        """Tell the members' devices, and those of whoever is out by it."""
        self._announcements.group_changed(change)

    def bundle_taken(self, device: Device, prekey: tuple[int, bytes] | None) -> None:
        """A phone of this process took a bundle; the same audit applies to it."""
        self._announcements.bundle_taken(device, prekey)

    def linked(self, device: Device) -> None:
        """A companion was linked: tell the account's other devices and its contacts."""
        self._announcements.linked(device)

    def unlink(self, device: Device) -> None:
        """Remove a companion, whoever wanted it. Its connection ends with device_removed."""
        device.account.devices.pop(device.number, None)
        link = self._links.remove(device)
        if link is not None:
            link.end(stanzas.stream_error(401, conflict="device_removed"))
        self._announcements.unlinked(device)

    def identity_changed(self, account: Account) -> None:
        """The phone was installed anew: its companions are gone, and its contacts are told."""
        for companion in [device for device in account.devices.values() if device.number]:
            self.unlink(companion)
        self._announcements.identity_changed(account)

    def trust(self, issuer: Account, contact: Account) -> None:
        """`issuer` issued a privacy token: from now on `contact` may show it."""
        self._announcements.trust(issuer, contact)

    def inject(self, fault: Fault) -> int:
        """Do what happens at once; how many devices it hit."""
        return self._injections.inject(fault)

    def _drop_if_asked(self, fault: Fault, device: Device) -> None:
        """A phone has no socket to be cut."""
        if fault.params["drop"] and device.number:
            self._links.drop(device)

    def _note_fault(self, fault: Fault, message: Node) -> None:
        self.events.add("fault-met", fault=fault.kind, id=message.attr_str("id"))


HANDLERS: dict[str, Callable[[Switchboard, Device, Node], None]] = {
    "iq": Switchboard._iq,
    "message": Switchboard._message,
    "receipt": Switchboard._receipt,
    "ack": Switchboard._ack,
    "presence": Switchboard._nothing,
    "chatstate": Switchboard._nothing,
    "ib": Switchboard._nothing,
    "call": Switchboard._call,
}
