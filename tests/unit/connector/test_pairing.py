"""A pairing is stored before the server hears of it, and a store that stumbles is asked again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.leading_keys import GrantedTable
from tocsin.accounts.limits import FIRST_CONTACTS, Limit
from tocsin.connector.aws import Aws
from tocsin.connector.pairing import store_pairing, why_no_code
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
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


class StumblingTable(GrantedTable):
    """What the connector may do in the keys table. Fails as often as `stumbles` says, on writes."""

    stumbles = 0
    a_function_asks = False

    def _demand(self, partitions: Iterable[str]) -> None:
        if not self.a_function_asks:
            super()._demand(partitions)

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
    store.account.create()
    return store


async def no_time(seconds: float) -> None:
    pass


async def test_what_pairing_told_is_stored(keys: KeyStore) -> None:
    before = keys.account.credentials()
    await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    after = keys.account.credentials()
    assert (after.jid, after.lid) == ("6281100000001:3@s.whatsapp.net", "1234:3@lid")
    assert after.device_identity == b"signed"
    assert after.incarnation > before.incarnation
    assert after.connector_token == before.connector_token
    assert "1234@lid" in str(keys.contacts.address("6281100000001@s.whatsapp.net"))


async def test_a_pairing_needs_no_right_to_sessions() -> None:
    """The connector has none: DynamoDB would refuse a look, and with it the pairing."""
    store = KeyStore(GrantedTable(), Sealer({"k": bytes(32)}, "k"), "default")
    store.account.create()
    await store_pairing(Aws(), store, PAIRING, sleep=no_time)
    assert store.account.credentials().jid is not None


@pytest.mark.parametrize(("told", "stored"), [("Toko Maju", "Toko Maju"), (None, "")])
async def test_a_business_name_is_the_name_that_recipients_see(
    keys: KeyStore, told: str | None, stored: str
) -> None:
    await store_pairing(Aws(), keys, replace(PAIRING, business_name=told), sleep=no_time)
    assert keys.account.credentials().push_name == stored


# What the account's earlier link leaves behind


async def link(keys: KeyStore, number: str) -> None:
    jid = JID.parse(f"{number}:3@s.whatsapp.net")
    await store_pairing(Aws(), keys, replace(PAIRING, jid=jid), sleep=no_time)


def limit(keys: KeyStore) -> Limit:
    now = int(time.time())
    return keys.account.note_limit(Limit(FIRST_CONTACTS, "463", now + 3600, now))


async def test_the_same_number_is_as_restricted_as_before(keys: KeyStore) -> None:
    await link(keys, "6281100000001")
    limit(keys)
    keys.contacts.save_salt("1234@lid", b"salt")
    keys.account.renew()
    await link(keys, "6281100000001")
    assert keys.account.limit(FIRST_CONTACTS) is not None
    assert keys.contacts.salt("1234@lid") == b"salt"


async def test_another_number_is_not_restricted_for_the_old_one_s_sake(keys: KeyStore) -> None:
    await link(keys, "6281100000001")
    limit(keys)
    keys.contacts.save_salt("1234@lid", b"salt")
    keys.account.renew()
    await link(keys, "6281100000002")
    assert keys.account.limits() == {}
    assert keys.contacts.salt("1234@lid") is None


async def test_who_has_which_lid_stays_known_whatever_number_asks(
    keys: KeyStore, table: StumblingTable
) -> None:
    await link(keys, "6281100000001")
    table.a_function_asks = True
    keys.contacts.learn("6281200000009@s.whatsapp.net", "777@lid")
    table.a_function_asks = False
    keys.account.renew()
    await link(keys, "6281100000002")
    assert (keys.contacts.address("777@lid") or {})["pn"] == "6281200000009@s.whatsapp.net"


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        (0, "expired", "in time, or mistyped"),
        (0, "refresh", "withdrew"),
        (429, "rate-overlimit", "wait an hour (429 rate-overlimit)"),
        (452, "feature-not-available", "doesn't offer codes for this number (452"),
        (418, "", "refused the code (418"),
    ],
)
def test_the_operator_reads_why_there_is_no_code(code: int, text: str, told: str) -> None:
    assert told in why_no_code(code, text)


async def test_a_store_that_stumbles_is_asked_again(keys: KeyStore, table: StumblingTable) -> None:
    table.stumbles = 2
    await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    assert keys.account.credentials().jid is not None


async def test_a_pairing_that_can_not_be_stored_is_none(keys: KeyStore, table: StumblingTable) -> None:
    table.stumbles = 9
    with pytest.raises(ConnectionError):
        await store_pairing(Aws(), keys, PAIRING, sleep=no_time)
    assert keys.account.credentials().jid is None
