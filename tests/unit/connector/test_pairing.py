"""A pairing is stored before the server hears of it, and a store that stumbles is asked again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tocsin.connector.aws import Aws
from tocsin.connector.pairing import store_pairing
from tocsin.keys.memory import MemoryTable
from tocsin.keys.seal import Sealer
from tocsin.keys.store import KeyStore
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.pairing import Pairing

PAIRING = Pairing(
    jid=JID.parse("6281100000001:3@s.whatsapp.net"),
    lid=JID.parse("1234:3@lid"),
    device_identity=b"signed",
    account_key=bytes(32),
    adv_secret=bytes(32),
    key_index=1,
    platform="android",
    business_name=None,
    time=None,
    reply=Node("iq"),
)


class StumblingTable(MemoryTable):
    """Fails as often as `stumbles` says, on writes."""

    stumbles = 0

    def put(self, put: Any) -> None:
        if self.stumbles:
            self.stumbles -= 1
            raise ConnectionError("the table is away")
        super().put(put)


@pytest.fixture
def table() -> StumblingTable:
    return StumblingTable()


@pytest.fixture
def keys(table: StumblingTable) -> KeyStore:
    store = KeyStore(table, Sealer({"k": bytes(32)}, "k"), "default")
    store.create_account()
    return store


async def no_time(seconds: float) -> None:
    pass


async def test_what_pairing_told_is_stored(keys: KeyStore) -> None:
    before = keys.credentials()
    await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    after = keys.credentials()
    assert (after.jid, after.lid) == ("6281100000001:3@s.whatsapp.net", "1234:3@lid")
    assert after.device_identity == b"signed"
    assert after.incarnation > before.incarnation
    assert after.connector_token == before.connector_token
    assert "1234@lid" in str(keys.address("6281100000001@s.whatsapp.net"))


@pytest.mark.parametrize(("told", "stored"), [("Toko Maju", "Toko Maju"), (None, "")])
async def test_a_business_name_is_the_name_that_recipients_see(
    keys: KeyStore, told: str | None, stored: str
) -> None:
    await store_pairing(Aws(), keys, replace(PAIRING, business_name=told), sleep=no_time)
    assert keys.credentials().push_name == stored


async def test_a_store_that_stumbles_is_asked_again(keys: KeyStore, table: StumblingTable) -> None:
    table.stumbles = 2
    await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    assert keys.credentials().jid is not None


async def test_a_pairing_that_can_not_be_stored_is_none(keys: KeyStore, table: StumblingTable) -> None:
    table.stumbles = 9
    with pytest.raises(ConnectionError):
        await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    assert keys.credentials().jid is None
