"""The page's feed with 100,000 notifications on the local emulator: how soon it is painted, and filtered.

They are written straight into the emulator's table, in the form in which the stores write them. The page is
served and asked over HTTP, as a browser asks it; what the browser does with it isn't measured. The emulator
is one of its own: beside a whole stack, functions would tell of each notification that is written.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any

from botocore.session import Session

from tests.bench.measure import Sheet, timed
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.console_page import Browser, served
from tests.support.notifications import a_notification, an_id
from tests.support.sealed_texts import SECRET
from tests.support.stack import ACCOUNT
from tocsin.dynamo.attributes import to_item
from tocsin.notify.content import Text
from tocsin.notify.store.codec import item_of_notification
from tocsin.notify.store.texts import Texts
from tocsin.tables.notifications import WATCH, notification_key, watch_part
from tocsin_console.deployment import Deployment
from tocsin_local.emulator import REGION, ROOT_USER, Emulator, emulator

MANY = 100_000
BATCH = 25
EACH_MS = 20_000
"""From one to the next: all of them lie within some three weeks."""

PAINT_MS, FILTER_MS = 500, 300
FILTERS = ("state=sent", "ticket=TCK-B77777", "words=router+nowhere", "person=0812+0000", "time=day")
ROUNDS = 5
PATIENCE_SECONDS = 600
SETTLED_SECONDS = 3
"""Until the emulator has answered what a console that was closed had asked."""


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    with emulator(bench.folder / "feed") as aws:
        deployment = furnished(aws)
        tell(f"writing {MANY:,} notifications")
        fill(deployment, MANY)
        tell("opening the feed")
        yield measured(deployment)


def measured(deployment: Deployment) -> Sheet:
    sheet = Sheet(f"The page's feed, with {MANY:,} notifications and one that is broken", ("median", "worst"))
    first, there = [], []
    for _ in range(ROUNDS + 1):
        with served(deployment) as stranger:
            browser = stranger.comes_in()
            began = time.perf_counter()
            first.append(paint(browser, "/feed"))
            while 'class="line"' not in browser.get("/feed").raw.partition("<template")[0]:
                time.sleep(0.05)
            there.append((time.perf_counter() - began) * 1000)
        time.sleep(SETTLED_SECONDS)
    # The first of them made the clients of AWS.
    add(sheet, "first paint, nothing known before", first[1:], PAINT_MS)
    add(sheet, "until the newest are on it", there[1:])
    with served(deployment) as stranger:
        browser = stranger.comes_in()
        began = time.monotonic()
        paint(browser, "/feed")
        add(sheet, "a filter, while the rest is read", filtered(browser))
        all_known(browser)
        sheet.add("until all are known", f"{time.monotonic() - began:.0f} s", "")
        add(sheet, "a filter, over all", filtered(browser), FILTER_MS)
        add(sheet, "the page again", [paint(browser, "/feed") for _ in range(ROUNDS)], PAINT_MS)
    sheet.notes.append("over HTTP, from the request to the whole answer; the emulator is one process")
    return sheet


def add(sheet: Sheet, name: str, figures: list[float], most_ms: int | None = None) -> None:
    """`figures`: milliseconds."""
    cells = (f"{median(figures):.0f} ms", f"{max(figures):.0f} ms")
    if most_ms is None:
        sheet.add(name, *cells)
    else:
        sheet.add(name, *cells, aim=f"≤ {most_ms} ms", met=median(figures) <= most_ms)


def paint(browser: Browser, path: str) -> float:
    """How many milliseconds a page takes."""
    answer, microseconds = timed(lambda: browser.get(path))
    assert answer.status == 200, answer.text
    return microseconds / 1000


def filtered(browser: Browser) -> list[float]:
    return [paint(browser, f"/feed?{query}") for query in FILTERS for _ in range(ROUNDS)]


def all_known(browser: Browser) -> None:
    feed, end = browser.site.offered["feed"][1], time.monotonic() + PATIENCE_SECONDS
    while not feed.complete and time.monotonic() < end:
        time.sleep(0.5)
        # As somebody does who looks.
        browser.get("/feed")
    assert feed.complete, f"{len(feed.recent)} known"


# -- what is there -----------------------------------------------------------------------------------------


def furnished(aws: Emulator) -> Deployment:
    """What the feed reads of a stack: the notifications table, its secret, a queue."""
    types = {"pk": "S", "sk": "S", WATCH.pk: "S", str(WATCH.sk): "N", "ticket_id": "S"}
    aws.client("dynamodb").create_table(
        TableName="notifications",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for name, schema in (
                (WATCH.name, _schema(WATCH.pk, str(WATCH.sk))),
                ("ticket", _schema("ticket_id")),
            )
        ],
    )
    secret = aws.client("secretsmanager").create_secret(Name="texts", SecretString=SECRET)["ARN"]
    queue = aws.client("sqs").create_queue(QueueName="notifications")["QueueUrl"]
    outputs = {
        "Accounts": ACCOUNT,
        "DefaultRegion": "ID",
        "NotificationsTable": "notifications",
        "KeysTable": "notifications",
        "TextsSecretArn": secret,
        "NotificationsQueueUrl": queue,
    }
    session = Session()
    session.set_config_variable("region", REGION)
    session.set_credentials(ROOT_USER["AWS_ACCESS_KEY_ID"], ROOT_USER["AWS_SECRET_ACCESS_KEY"])
    return Deployment("tocsin", outputs, session, aws.url)


def _schema(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def fill(deployment: Deployment, many: int) -> None:
    """Write that many, the oldest first, and break one of the newest."""
    made, table = items(deployment, many), deployment["NotificationsTable"]
    while batch := list(islice(made, BATCH)):
        puts = [{"PutRequest": {"Item": item}} for item in batch]
        while puts:
            answer = deployment.dynamodb.batch_write_item(RequestItems={table: puts})
            puts = answer.get("UnprocessedItems", {}).get(table, [])
    key = dict(zip(("pk", "sk"), ({"S": part} for part in notification_key(identity(many - 9))), strict=True))
    deployment.dynamodb.update_item(TableName=table, Key=key, UpdateExpression="REMOVE recipient")


def identity(number: int) -> str:
    return an_id(ACCOUNT, number)


def items(deployment: Deployment, many: int) -> Iterator[dict[str, Any]]:
    """As the stores write them: planned, and then sent, delivered and read."""
    texts, now, chance = Texts(lambda: deployment.record_sealer), int(time.time() * 1000), random.Random(1)
    for number in range(many):
        at = now - (many - number) * EACH_MS
        one = a_notification(
            id=identity(number),
            account=ACCOUNT,
            ticket_id=f"TCK-B{number}",
            recipient=f"62812{chance.randrange(10**7):07}",
            recipient_name=chance.choice(("Siti", "Budi", "Dewi", "Ayu")),
            content=Text(f"Halo,\nrouter {chance.randrange(99)} mati, tiket TCK-B{number}"),
            created_at=at,
            expires_at=at + 86_400_000,
        )
        item = item_of_notification(one, at // 1000 + 40 * 86_400, texts)
        reached = chance.randrange(3)
        item |= {"state": ("sent", "delivered", "read")[reached], "sent_at": at + 400}
        item |= dict(list({"delivered_at": at + 900, "read_at": at + 5_000}.items())[:reached])
        item |= {"watching": watch_part(ACCOUNT, one.id), "watch_due": at + 3_600_000}
        yield to_item(notification_key(one.id), item)
