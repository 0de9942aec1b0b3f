"""The page's feed with 100,000 notifications on the local stack: how soon it is painted, and filtered.

The notifications are written straight into the emulator's table, in the form in which the stores write them.
The page is served and asked over HTTP, as a browser asks it; what the browser does with it isn't measured.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any

from tests.bench.measure import Sheet, timed
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.console_page import Browser, served
from tests.support.notifications import a_notification, an_id
from tests.support.receipts import mark_receipt
from tests.support.stack import ACCOUNT
from tocsin.dynamo.attributes import to_item
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete
from tocsin.notify.content import Text
from tocsin.notify.notification import State
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import Texts
from tocsin.tables.notifications import notification_key
from tocsin_console.deployment import Deployment

MANY = 100_000
BATCH = 25
EACH_MS = 20_000
"""From one to the next: all of them lie within some three weeks."""

PAINT_MS, FILTER_MS = 500, 300
FILTERS = ("state=sent", "ticket=TCK-B77777", "words=router+nowhere", "person=0812+0000", "time=day")
ROUNDS = 5
PATIENCE_SECONDS = 600


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    deployment = bench.deployed.world.deployment
    tell(f"writing {MANY:,} notifications")
    quiet(bench.deployed.stack.client("lambda"))
    fill(deployment, MANY)
    sheet = Sheet(f"The page's feed, with {MANY:,} notifications and one that is broken", ("median", "worst"))
    tell("the feed, opened")
    opened = []
    for _ in range(ROUNDS):
        with served(deployment) as stranger:
            browser = stranger.comes_in()
            opened.append(paint(browser, "/feed"))
    add(sheet, "first paint, of a console just started", opened, PAINT_MS)
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
    yield sheet


def add(sheet: Sheet, name: str, figures: list[float], most_ms: int | None = None) -> None:
    """`figures`: milliseconds."""
    cells = (f"{median(figures):.0f} ms", f"{max(figures):.0f} ms")
    if most_ms is None:
        sheet.add(name, *cells)
    else:
        sheet.add(name, *cells, aim=f"≤ {most_ms} ms", met=median(figures) <= most_ms)


def paint(browser: Browser, path: str) -> float:
    """How many milliseconds a page takes that shows what it is asked for."""
    answer, microseconds = timed(lambda: browser.get(path))
    assert answer.status == 200, answer.text
    assert "?" in path or answer.raw.count('class="line"') > 1, answer.text
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


def quiet(functions: Any) -> None:
    """Have no function read the table's stream: it would tell the outcome of each that is written here."""
    for page in functions.get_paginator("list_event_source_mappings").paginate():
        for one in page["EventSourceMappings"]:
            if "/stream/" in one.get("EventSourceArn", ""):
                functions.update_event_source_mapping(UUID=one["UUID"], Enabled=False)


def fill(deployment: Deployment, many: int) -> None:
    """Write that many, the oldest first, and break one of the newest."""
    made, table = items(deployment, many), deployment["NotificationsTable"]
    while batch := list(islice(made, BATCH)):
        puts = [{"PutRequest": {"Item": item}} for item in batch]
        while puts:
            answer = deployment.dynamodb.batch_write_item(RequestItems={table: puts})
            puts = answer.get("UnprocessedItems", {}).get(table, [])
    key = {
        name: {"S": value}
        for name, value in zip(("pk", "sk"), notification_key(identity(many - 9)), strict=True)
    }
    deployment.dynamodb.update_item(TableName=table, Key=key, UpdateExpression="REMOVE recipient")


def identity(number: int) -> str:
    return an_id(ACCOUNT, number)


def items(deployment: Deployment, many: int) -> Iterator[dict[str, Any]]:
    """As the stores write them, from plan to read."""
    table, now, chance = MemoryTable(), int(time.time() * 1000), random.Random(1)
    stores = Stores(table, MemoryTable(), texts=Texts(lambda: deployment.record_sealer))
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
        stores.notifications.put_new(one)
        stores.notifications.mark_sent(
            one.id, {}, at=at + 400, account=ACCOUNT, receipt_deadline=at + 3_600_000
        )
        for reached in (State.DELIVERED, State.READ)[: chance.randrange(3)]:
            mark_receipt(stores.notifications, one.id, reached, at + 2_000)
        item = table.get(notification_key(one.id))
        assert item is not None
        table.delete(Delete(notification_key(one.id)))
        yield to_item(
            notification_key(one.id),
            {name: value for name, value in item.items() if name not in ("pk", "sk")},
        )
