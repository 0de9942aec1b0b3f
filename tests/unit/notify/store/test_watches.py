"""The index of receipts that are due: looked through once, in parts, and by whom it was written before."""

from __future__ import annotations

import pytest

from tests.bench.capacity import size
from tests.support.notifications import a_notification, an_id
from tests.support.receipts import mark_receipt
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.attributes import to_item
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import BATCH_GET_LIMIT
from tocsin.dynamo.writes import Key, Update
from tocsin.notify.content import Text
from tocsin.notify.notification import State
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import WATCH_PARTS, notification_key, watch_part, watch_progress_key

A = "default"
DEADLINE = 3_600_000


class CountingTable(MemoryTable):
    """Counts the records that are read, and the parts whose progress is written."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Key] = []
        self.noted = 0

    def get_many(self, keys):  # type: ignore[no-untyped-def]
        self.read += keys
        return super().get_many(keys)

    def update(self, update: Update):  # type: ignore[no-untyped-def]
        self.noted += update.key == watch_progress_key(A)
        return super().update(update)


@pytest.fixture
def table() -> CountingTable:
    return CountingTable()


@pytest.fixture
def stores(table: CountingTable) -> Stores:
    return Stores(table, texts=TEXTS)


def sent(stores: Stores, number: int, due: int) -> str:
    one = a_notification(id=an_id(A, f"TCK-{number}", "TicketCreated", 1, "customer", "628"))
    stores.notifications.put_new(one)
    stores.notifications.mark_sent(one.id, {}, at=5, account=A, receipt_deadline=due)
    return one.id


def overdue(stores: Stores, now: int) -> set[str]:
    return set(stores.watches.overdue(A, now))


def test_all_parts_are_looked_through(stores: Stores) -> None:
    ids = {sent(stores, number, 100) for number in range(40)}
    assert {watch_part(A, one) for one in ids} == {f"{A}#{part}" for part in range(WATCH_PARTS)}
    assert overdue(stores, 100) == ids


def test_what_was_looked_at_is_not_read_again(stores: Stores, table: CountingTable) -> None:
    for number in range(20):
        mark_receipt(stores.notifications, sent(stores, number, 100), State.DELIVERED, 50)
    assert overdue(stores, 100) == set()
    assert len(table.read) == 20
    assert overdue(stores, 200) == set()
    assert len(table.read) == 20


def test_where_nothing_was_due_nothing_is_written_down(stores: Stores, table: CountingTable) -> None:
    sent(stores, 1, 100)
    overdue(stores, 99)
    assert table.noted == 0


def test_a_look_that_is_cut_short_is_gone_on_with(stores: Stores) -> None:
    ids = {sent(stores, number, 100 + number) for number in range(WATCH_PARTS * (BATCH_GET_LIMIT + 50))}
    found: set[str] = set()
    looks = 0
    while found != ids:
        pages = iter([True] * 6)
        found |= set(stores.watches.overdue(A, 10_000, may_go_on=lambda pages=pages: next(pages, False)))
        looks += 1
        assert looks < 50
    assert looks > 1, "nothing was cut short"


def test_many_of_one_moment_are_all_found_after_a_cut(stores: Stores) -> None:
    ids = {sent(stores, number, 100) for number in range(WATCH_PARTS * (BATCH_GET_LIMIT + 50))}
    next(stores.watches.overdue(A, 10_000), None)  # a look that ends at its first finding
    assert overdue(stores, 10_000) == ids


def test_what_release_0_1_0_wrote_is_found_once_and_taken_away(stores: Stores, table: CountingTable) -> None:
    late, read = sent(stores, 1, 100), sent(stores, 2, 100)
    mark_receipt(stores.notifications, read, State.READ, 50)
    for one in (late, read):
        table.update(Update(notification_key(one), set={"watching": A, "watch_due": 100}))
    assert overdue(stores, 100) == {late}
    assert "watching" not in (table.get(notification_key(late)) or {})
    assert "watching" not in (table.get(notification_key(read)) or {})
    assert overdue(stores, 200) == set()


def test_a_receipt_leaves_the_index_as_it_is(stores: Stores, table: CountingTable) -> None:
    """Or it would cost a write unit more: with the one of `sent` as many as the record itself."""
    one = sent(stores, 1, 100)
    before = table.get(notification_key(one)) or {}
    mark_receipt(stores.notifications, one, State.DELIVERED, 50)
    after = table.get(notification_key(one)) or {}
    assert [before[name] == after[name] for name in ("watching", "watch_due")] == [True, True]


TYPICAL = """*Tiket TCK-20261130-1042*
Halo Siti, tiket Anda sudah kami terima.

Perihal: Internet mati sejak pukul 09:00
Prioritas: tinggi
Lokasi: Jl. Merdeka 5, Jakarta
Status: terbuka

Teknisi kami segera menghubungi Anda."""


def test_a_typical_notification_is_one_write_unit_until_it_is_sent(
    stores: Stores, table: CountingTable
) -> None:
    """DynamoDB bills each begun KiB. The person's phone alone, ids as long as they are in life."""
    lid = "184467440737095@lid"
    one = a_notification(
        id=an_id(A, "TCK-20261130-1042", "TicketCreated", 1, "customer", "6281234567890"),
        ticket_id="TCK-20261130-1042",
        recipient="6281234567890",
        recipient_name="Siti Rahmawati",
        content=Text(TYPICAL),
        created_at=1_800_000_000_000,
        expires_at=1_800_086_400_000,
        event_id="6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        event_at=1_800_000_000_000,
        person=lid,
        lane="6281234567890",
    )
    stores.notifications.put_new(one)
    stores.notifications.mark_sent(
        one.id,
        {lid: 41, "99999999999999@lid": 1041},
        at=1_800_000_001_000,
        account=A,
        receipt_deadline=1_800_003_601_000,
        detail="2 devices",
        copies={lid: "msg 17", "99999999999999@lid": "msg 1041"},
        recipient_lid=lid,
    )
    key = notification_key(one.id)
    assert size(to_item(key, table.get(key) or {})) <= 1024


def test_the_parts_of_an_account_are_not_those_of_another(stores: Stores) -> None:
    sent(stores, 1, 100)
    assert list(stores.watches.overdue("other", 100)) == []
