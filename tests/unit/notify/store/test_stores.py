"""The read of a send: one request, whatever is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_aws import KEYS, NOTIFICATIONS, Cloud, cloud
from tests.support.notification_stores import USER
from tests.support.notifications import N
from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.store.stores import Stores
from tocsin.tables.keys import address_key


class Counting:
    """A client that notes the name of every call."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._client, name)


@pytest.fixture(scope="module")
def aws() -> Iterator[Cloud]:
    with cloud() as furnished:
        yield furnished


def test_all_that_a_send_must_know_is_one_request(aws: Cloud) -> None:
    client = Counting(aws.dynamodb)
    keys = DynamoTable(client, KEYS)
    stores = Stores(DynamoTable(client, NOTIFICATIONS), keys, texts=TEXTS)
    keys.put(Put(address_key("default", USER), {"lid": "99@lid"}))
    stores.notifications.put_new(N)
    stores.people.opt_out("default", USER, "STOP", 5)
    client.calls.clear()
    view = stores.batch_get_for_send(N.id, "default", USER, USER)
    assert (view.notification, view.person.opted_out_at, view.address) == (N, 5, {"lid": "99@lid"})
    assert client.calls == ["batch_get_item"]


def test_the_record_of_an_ack_is_one_request(aws: Cloud) -> None:
    client = Counting(aws.dynamodb)
    stores = Stores(DynamoTable(client, NOTIFICATIONS), texts=TEXTS)
    stores.notifications.put_new(N)
    client.calls.clear()
    stores.notifications.mark_sent(N.id, {USER: 7}, at=5, account="default", receipt_deadline=100)
    assert client.calls == ["update_item"]


def test_what_is_not_there_is_none(stores: Stores) -> None:
    view = stores.batch_get_for_send("f" * 18, "default", "nobody@s.whatsapp.net", "nobody@s.whatsapp.net")
    assert (view.notification, view.address) == (None, None)
    assert view.person.opted_out_at is None


def test_without_a_keys_table_no_address_is_asked_for(stores: Stores) -> None:
    assert stores.batch_get_for_send(N.id, "default", USER, USER, address=False).address is None
