"""Everything between the queues and the socket, with real peers: orders in, stanzas in."""

from __future__ import annotations

import base64
import json
import os
import zlib
from dataclasses import replace
from typing import Any

from tests.support.fake_aws import Cloud
from tests.support.fake_whatsapp import NOW, Device, Person, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification, an_id
from tests.support.paired_account import ACCOUNT, PairedAccount, paired_on
from tests.support.settings import chosen
from tocsin.connector.forwarding.stanza import Origin, pack_receipts
from tocsin.dynamo.read_ahead import ReadAheadTable
from tocsin.multidevice.inbound.dispatch import Inbound
from tocsin.multidevice.inbound.envelope import Envelope, Report
from tocsin.multidevice.inbound.receipt_messages import BatchReport, ReceiptMessages
from tocsin.multidevice.inbound.receipts import ReceiptRecorder
from tocsin.multidevice.receipt_accounts import ReceiptAccounts
from tocsin.multidevice.retries import RetryReceiptHandler
from tocsin.notify.content import Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.notification import Notification
from tocsin.notify.planning import spellings_of
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, Order
from tocsin.notify.receipts import Receipts
from tocsin.notify.replies import Replies
from tocsin.notify.store.stores import Stores
from tocsin.notify.verdict import Verdict
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.receipts import is_report


class WiredFunctions:
    """Delivery and reception as the functions wire them, over one clock."""

    receipts_apart = False
    """Whether receipts come through the queue of their own, or, as from an old connector, with all else."""

    def __init__(self, aws: Cloud | MemoryAws) -> None:
        self.aws = aws
        self.paired, self.stores = self._paired_on(aws)
        self.network = self.paired.network
        self.siti = self.paired.siti
        self.dead_letters = DeadLetters(self.stores, DeadLettersQueue(aws.sqs, aws.queues["dead-letters"]))
        self.queue = NotificationsQueue(aws.sqs, aws.queues["notifications"])
        self.restart()

    def _paired_on(self, aws: Cloud | MemoryAws) -> tuple[PairedAccount, Stores]:
        return paired_on(aws)

    def restart(
        self, *, recoveries_per_hour: int = 30, read_receipts: bool = False, thanks: str = "", **more: Any
    ) -> None:
        """Throw the containers away: nothing that they remember may matter."""
        settings = chosen(
            recoveries_per_hour=recoveries_per_hour,
            read_receipts=read_receipts,
            acknowledge_replies=thanks,
            outcome_events=("sent", "delivered", "read"),
            **more,
        )
        clock = lambda: self.paired.now  # noqa: E731
        self.transport = self.paired.new_transport()
        self.delivery = Delivery(
            self.stores,
            self.dead_letters,
            self.transport,
            self.queue,
            settings=settings,
            clock=clock,
        )
        receipts = Receipts(self.stores, self.dead_letters)
        receiving = self.paired.new_transport()
        self.retry_receipts = RetryReceiptHandler(
            self.stores,
            receipts,
            receiving.socket,
            settings=settings,
            random=os.urandom,
            clock=clock,
        )
        self.handed_over: list[Envelope] = []
        ahead = ReadAheadTable(self.paired.table)
        accounts = ReceiptAccounts(lambda account: self.paired.open_keys(account, ahead))
        recorder = ReceiptRecorder(self.stores)
        self.receipts = ReceiptMessages(self.stores, accounts, ahead, recorder, self.handed_over.append)
        replies = Replies(self.stores, self.queue, settings=settings, clock=clock)
        self.inbound = Inbound(
            self.stores,
            receiving,
            self.retry_receipts,
            replies,
            settings=settings,
            clock=clock,
            random=os.urandom,
        )

    # -- going out -----------------------------------------------------------------------------------

    def plan(self, number: int = 1, *, audience: str = "customer", text: str | None = None) -> Notification:
        """Write a notification to Siti, as the planner does."""
        [person] = self.stores.people.address(ACCOUNT, [spellings_of(self.siti.phone)])
        planned = a_notification(
            id=an_id(ACCOUNT, f"TCK-{number}", "TicketCreated", 1, audience, self.siti.phone),
            account=ACCOUNT,
            ticket_id=f"TCK-{number}",
            audience=audience,
            recipient=self.siti.phone,
            content=Text(text or f"Tiket {number}"),
            created_at=int(self.paired.now * 1000),
            expires_at=int(self.paired.now + 86400) * 1000,
            person=person.id,
            lane=person.lane,
        )
        self.stores.notifications.put_new(planned)
        return planned

    def deliver(self, notification: Notification, receives: int = 1, **changes: object) -> Verdict:
        return self.delivery.deliver(replace(Order.of(notification), **changes), receives)  # type: ignore[arg-type]

    def tell(self, number: int = 1, **changes: object) -> Notification:
        """Plan a notification and deliver it."""
        planned = self.plan(number, **changes)  # type: ignore[arg-type]
        verdict = self.deliver(planned)
        assert verdict.outcome == "sent", verdict
        return planned

    def stored(self, notification: Notification) -> Notification:
        stored = self.stores.notifications.get(notification.id)
        assert stored is not None
        return stored

    # -- coming in -----------------------------------------------------------------------------------

    def envelope(self, node: Node, **changes: object) -> str:
        """The stanza as the connector enqueues it."""
        packed = base64.b64encode(zlib.compress(encode(node))).decode()
        value = {
            "account": ACCOUNT,
            "incarnation": self.paired.profile.incarnation,
            "epoch": 1,
            "received_at": int(self.paired.now * 1000),
            "stanza": packed,
        }
        return json.dumps({**value, **changes})

    def receive(self, node: Node, **changes: object) -> Report:
        if self.receipts_apart and is_report(node):
            return self._receive_apart(node, **changes)
        return self.inbound.handle(self.envelope(node, **changes))

    def _receive_apart(self, node: Node, **changes: object) -> Report:
        """What becomes of a receipt in record_receipts; where it can't tell, in receive_stanza behind it."""
        origin = Origin(ACCOUNT, self.paired.profile.incarnation, 1)
        body = json.loads(pack_receipts([(encode(node), int(self.paired.now * 1000))], origin).body)
        told = {"received_at": [changes["received_at"]]} if "received_at" in changes else {}
        told |= {"stanzas": changes.pop("stanza")} if "stanza" in changes else {}
        body |= {**changes, **told}
        self.handed_over.clear()
        report = self.receipts.handle({"m": json.dumps(body)})
        for error in report.failed.values():
            raise error
        for other in self.handed_over:
            return self.inbound.handle(other.to_body())
        for odd in report.odd:
            return odd
        moved = list(report.recorded.moved)
        kind = str(node.attrs.get("type") or "")
        facts = {"moved": report.recorded.moved.total(), "healed": report.recorded.healed}
        return Report("receipt", str(moved[-1]) if moved else "ignored", kind, facts)

    def answer_retries(self) -> list[Report]:
        """Hand over every retry receipt that devices have sent, until they send none."""
        reports = []
        while self.network.retries:
            reports.append(self.receive(self.network.retries.pop(0)))
            assert len(reports) < 50, "two peers go round in circles"
        return reports

    def reply(self, text: str, stanza_id: str = "R1", device: Device | None = None) -> Report:
        """Siti writes to us."""
        return self.receive(message_from(device or self.siti.devices[0], self.siti, stanza_id, text))

    def receipts_together(self, notification: Notification, incarnation: int) -> BatchReport:
        """Siti's phone has a message, and she reads it at once."""
        nodes = [receipt_of(self.siti, notification.message_id, kind) for kind in (None, "read")]
        origin, at = Origin(ACCOUNT, incarnation, 1), int(self.paired.now * 1000)
        return self.receipts.handle({"m": pack_receipts([(encode(one), at) for one in nodes], origin).body})

    def receipt(self, notification: Notification, kind: str | None = None, device: int = 0) -> Report:
        return self.receive(receipt_of(self.siti, notification.message_id, kind, device))


def receipt_of(person: Person, message_id: str, kind: str | None = None, device: int = 0) -> Node:
    """A delivery receipt (no kind), or a read one."""
    attrs = {"id": message_id, "from": person.devices[device].jid, "t": str(NOW), "sender_pn": person.pn}
    return Node("receipt", {**attrs, **({"type": kind} if kind else {})})


def texts(device: Device) -> list[str]:
    return [text for _, text in device.shown]
