"""What comes back from WhatsApp, through the queues and functions of the deployed stack: receipts.

Receipts go through the connector's own forwarding code into the emulator's queues, and from there to the
functions: of this release, and of the release before in the same run (`receiving_releases.py`). Our own
processor time is told for each besides, without the emulator's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.bench.measure import Sheet
from tests.bench.receiving_releases import compared
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.notifications import a_notification
from tests.support.sealed_texts import TEXTS
from tests.support.stack import eventually
from tocsin.bootstrap.record_receipts import receipts
from tocsin.connector.forwarding.forwarder import Counters
from tocsin.connector.forwarding.room import MAX_WAITING
from tocsin.connector.forwarding.stanza import Origin, pack_receipts
from tocsin.connector.forwarding.stanza_queue import StanzaQueue
from tocsin.connector.forwarding.ways import Ways
from tocsin.dynamo.attributes import to_item
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.store import KeyStore
from tocsin.notify.config import ReceiptsConfig, StoreConfig
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.codec import item_of_notification
from tocsin.tables.names import message_id_of
from tocsin.tables.notifications import notification_key
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node

ACCOUNT = "default"
FEW, MANY, BURST = 5, 2_000, 10_000
"""Notifications, each with two receipts."""

IN_NORMAL_RUNNING = 100
EACH_SECONDS = 0.05
MAX_OWN_MS, MAX_P50_SECONDS = 8, 2.0
_numbers = count(1)


@dataclass
class Scene:
    """The deployed stack's tables and queues, and the account that is linked there."""

    bench: ConnectorContext

    def __post_init__(self) -> None:
        deployed = self.bench.deployed
        self.outputs: Mapping[str, str] = deployed.stack.outputs
        self.dynamodb, self.sqs = deployed.stack.client("dynamodb"), deployed.stack.client("sqs")
        self.sealer = deployed.world.deployment.sealer
        self.keys = DynamoTable(self.dynamodb, self.outputs["KeysTable"])
        self.table = DynamoTable(self.dynamodb, self.outputs["NotificationsTable"])
        self.incarnation = KeyStore(self.keys, self.sealer, ACCOUNT).account.profile().incarnation
        self.origin = Origin(ACCOUNT, self.incarnation, 1)

    def sent(self, number: int) -> list[Notification]:
        """So many notifications, each to somebody else, that were just sent."""
        now = int(time.time() * 1000)
        made = [_sent(next(_numbers), now) for _ in range(number)]
        requests = [{"PutRequest": {"Item": to_item(notification_key(one.id), _item(one))}} for one in made]
        for start in range(0, len(requests), 25):
            batch = {self.outputs["NotificationsTable"]: requests[start : start + 25]}
            self.dynamodb.batch_write_item(RequestItems=batch)
        return made

    def unread(self, notifications: Sequence[Notification]) -> int:
        """How many of them aren't read yet."""
        keys = [notification_key(one.id) for one in notifications]
        found = self.table.get_many(keys)
        return sum(found[key]["state"] != State.READ for key in keys)

    def is_empty(self, output: str) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.outputs[output]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return not any(int(found[name]) for name in names)

    def forward(self, nodes: Sequence[Node]) -> int:
        """Have the connector's code put stanzas into the queues. Return how many waited at the most."""
        return asyncio.run(self._forward(nodes))

    async def _forward(self, nodes: Sequence[Node]) -> int:
        with ThreadPoolExecutor(8) as threads:
            stanzas = StanzaQueue(self.sqs, self.outputs["StanzasQueueUrl"], threads)
            apart = StanzaQueue(self.sqs, self.outputs["ReceiptsQueueUrl"], threads)
            ways = Ways(stanzas.send, apart.send, Counters())
            running = asyncio.create_task(ways.run())
            most = 0
            for node in nodes:
                while not ways.offer(node, self.origin, int(time.time() * 1000), lambda: None):
                    await ways.progress()
                most = max(most, ways.waiting)
                await asyncio.sleep(0)
            await ways.drained()
            running.cancel()
        return most


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    scene = Scene(bench)
    yield compared(bench)
    yield burst(scene)
    yield own_time(scene)
    yield latency(scene)


def burst(scene: Scene) -> Sheet:
    tell("a burst of receipts")
    rate(scene, FEW)
    found, most = rate(scene, BURST)
    sheet = Sheet(f"A burst of {2 * BURST:,} receipts", ("",))
    sheet.add("recorded, none lost", f"in {2 * BURST / found:.0f} s ({found:.0f} a second)")
    cells = (f"{most:,}",)
    met = most <= MAX_WAITING
    sheet.add("waiting in the connector, at the most", *cells, aim=f"≤ {MAX_WAITING:,}", met=met)
    return sheet


def rate(scene: Scene, number: int) -> tuple[float, int]:
    """Receipts a second, from the first one at the connector to the last one in the table; and how many
    waited in the connector at the most."""
    sent = scene.sent(number)
    began = time.monotonic()
    most = scene.forward(receipts_of(sent))
    eventually(lambda: scene.is_empty("ReceiptsQueueUrl"), "the queue doesn't empty", seconds=300)
    seconds = time.monotonic() - began
    eventually(lambda: scene.unread(sent) == 0, "a receipt is lost", seconds=60)
    return 2 * number / seconds, most


def own_time(scene: Scene) -> Sheet:
    """Our own processor time for a receipt: what the function's code and its AWS client spend in this
    process, and what the connector's code spends on packing."""
    tell("processor time of receipts")
    packed = per_receipt(lambda: handle_together(scene, packed_bodies(scene, MANY)), 2 * MANY)
    forwarded = per_receipt(lambda: pack_all(scene, MANY), 2 * MANY)
    sheet = Sheet("Own processor time for a receipt, in one process", ("",))
    sheet.add("recorded", f"{packed:.2f} ms", aim=f"≤ {MAX_OWN_MS} ms", met=packed <= MAX_OWN_MS)
    sheet.add("packed by the connector", f"{forwarded:.3f} ms")
    return sheet


Prepared = Callable[[], object]


def per_receipt(prepare: Callable[[], Prepared], number: int) -> float:
    """Milliseconds of this process's processor time."""
    run = prepare()
    before = time.process_time()
    run()
    return (time.process_time() - before) * 1000 / number


def packed_bodies(scene: Scene, number: int) -> list[str]:
    now, nodes = int(time.time() * 1000), receipts_of(scene.sent(number))
    parts = [nodes[start : start + 100] for start in range(0, len(nodes), 100)]
    return [pack_receipts([(encode(node), now) for node in part], scene.origin).body for part in parts]


def handle_together(scene: Scene, bodies: Sequence[str]) -> Prepared:
    tables = StoreConfig(scene.outputs["KeysTable"], scene.outputs["NotificationsTable"], "unused")
    config = ReceiptsConfig(tables, scene.outputs["ReceiptsQueueUrl"], scene.outputs["StanzasQueueUrl"])
    parts = receipts(config, dynamodb=scene.dynamodb, sqs=scene.sqs, sealer=lambda: scene.sealer)
    messages = {str(number): body for number, body in enumerate(bodies)}

    def handle() -> None:
        report = parts.handle(messages)
        assert not report.failed, next(iter(report.failed.values()))

    return handle


def pack_all(scene: Scene, number: int) -> Prepared:
    now, nodes = int(time.time() * 1000), receipts_of([_sent(next(_numbers), 1) for _ in range(number)])
    parts = [nodes[start : start + 100] for start in range(0, len(nodes), 100)]
    return lambda: [pack_receipts([(encode(node), now) for node in part], scene.origin) for part in parts]


def latency(scene: Scene) -> Sheet:
    """From the connector's having a receipt to the table's saying so, in normal running."""
    tell("how long receipts take")
    sent = scene.sent(IN_NORMAL_RUNNING)
    offered: dict[str, float] = {}
    stored: dict[str, float] = {}

    async def run() -> None:
        looking = asyncio.create_task(look())
        await offer_one_after_the_other()
        async with asyncio.timeout(60):
            await looking

    async def offer_one_after_the_other() -> None:
        with ThreadPoolExecutor(4) as threads:
            apart = StanzaQueue(scene.sqs, scene.outputs["ReceiptsQueueUrl"], threads)
            stanzas = StanzaQueue(scene.sqs, scene.outputs["StanzasQueueUrl"], threads)
            ways = Ways(stanzas.send, apart.send, Counters())
            running = asyncio.create_task(ways.run())
            for one in sent:
                offered[one.id] = time.monotonic()
                [delivered, _] = receipts_of([one])
                ways.offer(delivered, scene.origin, int(time.time() * 1000), lambda: None)
                await asyncio.sleep(EACH_SECONDS)
            await ways.drained()
            running.cancel()

    async def look() -> None:
        while len(stored) < len(sent):
            left = [one for one in sent if one.id not in stored]
            keys = [notification_key(one.id) for one in left]
            found = await asyncio.to_thread(scene.table.get_many, keys)
            now = time.monotonic()
            for one, key in zip(left, keys, strict=True):
                if found[key]["state"] == State.DELIVERED:
                    stored[one.id] = now
            await asyncio.sleep(0.02)

    work: Coroutine[Any, Any, None] = run()
    asyncio.run(work)
    took = sorted(stored[name] - offered[name] for name in stored)
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    sheet = Sheet("A receipt in normal running (20 a second)", ("p50", "p99"))
    aim = f"p50 ≤ {MAX_P50_SECONDS:g} s"
    sheet.add("from connector to table", f"{p50:.2f} s", f"{p99:.2f} s", aim=aim, met=p50 <= MAX_P50_SECONDS)
    return sheet


def receipts_of(notifications: Sequence[Notification]) -> list[Node]:
    """What a phone says of each: delivered, then read."""
    nodes: list[Node] = []
    for one in notifications:
        assert one.recipient_lid is not None
        attrs = {
            "id": message_id_of(one.id),
            "from": JID.parse(one.recipient_lid),
            "t": str(int(time.time())),
        }
        nodes += [Node("receipt", attrs), Node("receipt", {**attrs, "type": "read"})]
    return nodes


def _sent(number: int, now: int) -> Notification:
    lid = f"{7_000_000 + number}@{LID}"
    return a_notification(
        id=f"{number:018x}",
        account=ACCOUNT,
        recipient=f"62811{number:07}",
        recipient_lid=lid,
        person=lid,
        state=State.SENT,
        created_at=now - 1000,
        sent_at=now - 500,
        expires_at=now + 86_400_000,
    )


def _item(notification: Notification) -> dict[str, Any]:
    return item_of_notification(notification, int(time.time()) + 86_400, TEXTS)
