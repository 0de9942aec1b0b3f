"""More receipts at once than may wait, from the socket to the table: none is lost, what waits is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from tests.proofs.scale import scaled
from tests.support.memory_aws import MemoryAws
from tests.support.notifications import a_notification
from tests.support.paired_account import ACCOUNT, PairedAccount, paired_on
from tests.support.sealed_texts import TEXTS
from tocsin.connector.forwarding.forwarder import Counters
from tocsin.connector.forwarding.room import MAX_WAITING
from tocsin.connector.forwarding.stanza import BILLED_BYTES, Origin, Packed
from tocsin.connector.forwarding.ways import Ways
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.read_ahead import ReadAheadTable
from tocsin.dynamo.writes import Item, Put, Update
from tocsin.multidevice.inbound.receipt_messages import ReceiptMessages
from tocsin.multidevice.inbound.receipts import ReceiptRecorder
from tocsin.multidevice.receipt_accounts import ReceiptAccounts
from tocsin.notify.notification import State
from tocsin.notify.store.codec import item_of_notification
from tocsin.notify.store.stores import Stores
from tocsin.tables.names import message_id_of
from tocsin.tables.notifications import notification_key
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node

RECEIPTS = scaled(2 * MAX_WAITING)
NOW = 1_800_000_000_000
MESSAGES_IN_A_BATCH = 100


class CountingTable(MemoryTable):
    """Counts its updates."""

    updates = 0

    def update(self, update: Update) -> Item:
        self.updates += 1
        return super().update(update)


def ids() -> list[str]:
    return [f"{number:018x}" for number in range(RECEIPTS // 2)]


def person(notification_id: str) -> str:
    return f"{7_000_000 + int(notification_id, 16)}@{LID}"


def sent_to_everybody(table: MemoryTable) -> None:
    """As many notifications as receipts by twos, each to somebody else."""
    item = item_of_notification(
        a_notification(account=ACCOUNT, state=State.SENT, created_at=NOW, sent_at=NOW), 1, TEXTS
    )
    for one in ids():
        names = {"id": one, "recipient_lid": person(one), "person": person(one)}
        table.put(Put(notification_key(one), {**item, **names}))


def receipts() -> list[Node]:
    """Everybody has it, and then everybody reads it."""
    return [
        Node(
            "receipt",
            {
                "id": message_id_of(one),
                "from": JID.parse(person(one)),
                "t": str(NOW // 1000),
                **({"type": kind} if kind else {}),
            },
        )
        for kind in (None, "read")
        for one in ids()
    ]


class Queue:
    """Takes a request after a while, as SQS does."""

    def __init__(self) -> None:
        self.messages: list[Packed] = []

    async def send(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        await asyncio.sleep(0)
        self.messages += messages
        return {}


async def forwarded(paired: PairedAccount, queue: Queue) -> tuple[int, int]:
    """Offer them as fast as a socket can. Return how many were acknowledged, and waited at the most."""
    ways = Ways(queue.send, queue.send, Counters())
    running = asyncio.create_task(ways.run())
    origin, acked, most = Origin(ACCOUNT, paired.profile.incarnation, 1), 0, 0

    def accepted() -> None:
        nonlocal acked
        acked += 1

    for node in receipts():
        while not ways.offer(node, origin, NOW + 5, accepted):
            await ways.progress()
        most = max(most, ways.waiting)
    await ways.drained()
    running.cancel()
    return acked, most


def test_none_is_lost_and_what_waits_is_bounded() -> None:
    aws = MemoryAws(notifications_table=CountingTable())
    paired, stores = paired_on(aws)
    sent_to_everybody(aws.notifications_table)
    queue = Queue()
    acked, most = asyncio.run(forwarded(paired, queue))
    assert acked == RECEIPTS
    assert most <= MAX_WAITING
    assert len(queue.messages) <= RECEIPTS // 50
    assert max(len(message.body) for message in queue.messages) <= BILLED_BYTES
    handler = recording(paired, stores)
    for start in range(0, len(queue.messages), MESSAGES_IN_A_BATCH):
        batch = queue.messages[start : start + MESSAGES_IN_A_BATCH]
        report = handler.handle({str(at): message.body for at, message in enumerate(batch)})
        assert not report.failed
    found = aws.notifications_table.get_many([notification_key(one) for one in ids()])
    assert [item["state"] for item in found.values()] == [State.READ] * len(ids())
    assert isinstance(aws.notifications_table, CountingTable)
    # Two writes of a notification at the most, and one of its person.
    assert aws.notifications_table.updates <= 3 * len(ids())


def recording(paired: PairedAccount, stores: Stores) -> ReceiptMessages:
    ahead = ReadAheadTable(paired.table)
    accounts = ReceiptAccounts(lambda account: paired.open_keys(account, ahead))
    return ReceiptMessages(stores, accounts, ahead, ReceiptRecorder(stores), lambda _: None)
