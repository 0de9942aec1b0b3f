"""Receipts by one release's own code: what its connector does with them, and what its tables say in the end.

Run as a program of its own in a release's tree (`receiving_releases.py`): two releases don't fit one process.
On standard input, as JSON: `stack`, `outputs`, `url`, `number` of notifications, `first` of their numbers. On
standard output, in seconds: `took`, from the first receipt at the connector to the last one in the table;
`own`, this process's processor time for forwarding.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.session import Session

from tests.support.notifications import a_notification
from tocsin.connector.forwarding.forwarder import Counters, Forwarder
from tocsin.connector.forwarding.stanza import Origin
from tocsin.connector.forwarding.stanza_queue import StanzaQueue
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.store import KeyStore
from tocsin.notify.notification import State
from tocsin.tables.names import message_id_of
from tocsin.tables.notifications import notification_key
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin_console.deployment import Deployment

ACCOUNT = "default"
QUEUES = ("StanzasQueueUrl", "ReceiptsQueueUrl")
LONG_ENOUGH = 300.0
REGION = "us-east-1"


def main() -> None:
    told = json.load(sys.stdin)
    session = Session()
    session.set_credentials("test", "test")
    session.set_config_variable("region", REGION)
    deployment = Deployment(told["stack"], told["outputs"], session, told["url"])
    ids = sent(deployment, told["first"], told["number"])
    took, own = measured(deployment, nodes_of(ids))
    eventually(lambda: are_read(deployment, list(ids)), "a receipt is lost")
    json.dump({"took": took, "own": own}, sys.stdout)


def sent(deployment: Deployment, first: int, number: int) -> dict[str, str]:
    """So many notifications, each to somebody else, that were just sent: of each its id, and whose it is."""
    now = int(time.time() * 1000)
    made = {f"{first + place:018x}": f"{7_000_000 + first + place}@lid" for place in range(number)}
    for name, lid in made.items():
        digits = int(lid.partition("@")[0])
        fresh = a_notification(
            id=name,
            account=ACCOUNT,
            recipient=f"62811{digits:08}",
            recipient_lid=lid,
            person=lid,
            created_at=now - 1000,
            expires_at=now + 86_400_000,
        )
        deployment.stores.notifications.put_new(fresh)
        deployment.stores.notifications.mark_sent(name, {}, at=now - 500, account=ACCOUNT, recipient_lid=lid)
    return made


def nodes_of(ids: Mapping[str, str]) -> list[Node]:
    """What a phone says of each: delivered, then read."""
    nodes = []
    for name, lid in ids.items():
        attrs = {"id": message_id_of(name), "from": JID.parse(lid), "t": str(int(time.time()))}
        nodes += [Node("receipt", attrs), Node("receipt", {**attrs, "type": "read"})]
    return nodes


def are_read(deployment: Deployment, notifications: Sequence[str]) -> bool:
    table = DynamoTable(deployment.client("dynamodb"), deployment["NotificationsTable"])
    keys = [notification_key(one) for one in notifications]
    return all(item["state"] == State.READ for item in table.get_many(keys).values())


def measured(deployment: Deployment, nodes: Sequence[Node]) -> tuple[float, float]:
    keys = DynamoTable(deployment.client("dynamodb"), deployment["KeysTable"])
    incarnation = KeyStore(keys, deployment.sealer, ACCOUNT).account.profile().incarnation
    sqs = deployment.client("sqs")
    began, own = time.monotonic(), time.process_time()
    asyncio.run(forwarded(deployment, sqs, nodes, Origin(ACCOUNT, incarnation, 1)))
    own = time.process_time() - own
    eventually(lambda: is_empty(deployment, sqs), "the queues don't empty")
    return time.monotonic() - began, own


async def forwarded(deployment: Deployment, sqs: Any, nodes: Sequence[Node], origin: Origin) -> None:
    with ThreadPoolExecutor(8) as threads:
        senders = [
            StanzaQueue(sqs, deployment.outputs[name], threads).send
            for name in QUEUES
            if name in deployment.outputs
        ]
        way = forwarder(senders)
        running = asyncio.create_task(way.run())
        for node in nodes:
            while not way.offer(node, origin, int(time.time() * 1000), lambda: None):
                await way.progress()
            await asyncio.sleep(0)
        await way.drained()
        running.cancel()


def forwarder(senders: Sequence[Callable[[Any], Awaitable[Any]]]) -> Any:
    """As the release's connector makes it: 0.1.0 knows one queue."""
    if len(senders) == 1:
        return Forwarder(senders[0], Counters())
    from tocsin.connector.forwarding.ways import Ways

    return Ways(senders[0], senders[1], Counters())


def is_empty(deployment: Deployment, sqs: Any) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for queue in QUEUES:
        if queue in deployment.outputs:
            url = deployment.outputs[queue]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            if any(int(found[name]) for name in names):
                return False
    return True


def eventually(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONG_ENOUGH
    while not true():
        if time.monotonic() > end:
            sys.exit(f"after {LONG_ENOUGH:g} s: {what}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
