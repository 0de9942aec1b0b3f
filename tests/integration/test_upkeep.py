"""Upkeep through a connector and a WhatsApp server: rotation, prekeys, and keys that were set back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.connector_processes import OWN, SECRET, SITI, World, eventually
from tocsin.connector_client.client import IncarnationRefused
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Delete, Item, Put
from tocsin.keys.errors import KeysBehind
from tocsin.keys.seal import Sealer
from tocsin.keys.store import KeyStore
from tocsin.multidevice.key_maintenance import KeyMaintenance, Report
from tocsin.multidevice.leased_connectors import LeasedConnectors
from tocsin.signal.session import parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.tables.keys import credentials_key
from tocsin.whatsapp import iq
from tocsin.whatsapp.node import Node

pytestmark = pytest.mark.integration

DAY = 86400


@pytest.fixture
def house(house: World) -> World:
    """Linked already."""
    house.start()
    house.wait_for_state("unpaired")
    house.pair(OWN)
    return house


def outside(house: World) -> DynamoTable:
    return DynamoTable(house.aws.client("dynamodb"), house.environment["NOTIFICATIONS_TABLE"])


def look_after(house: World, *, days_from_now: float = 0) -> Report:
    """A run of the upkeep, as the function does it."""
    sealer, client = Sealer.from_secret(SECRET), house.client()

    def open_keys(account: str, on_damage: Any) -> KeyStore:
        return KeyStore(house.table, sealer, account, on_damage=on_damage)

    upkeep = KeyMaintenance(
        house.table,
        outside(house),
        open_keys,
        client,
        LeasedConnectors(house.table, lambda: sealer, client),
        clock=lambda: time.time() + days_from_now * DAY,
    )
    run = upkeep.run(["default"], lambda: 300.0, force=True)
    assert run.failures == []
    return run.accounts[0]


def offered(house: World) -> int:
    """How many of our one-time prekeys the server has."""
    return iq.parse_prekey_count(house.client().request(house.keys.account.profile(), iq.prekey_count()))


def first_message(house: World) -> bytes:
    """What Siti's phone makes of the keys that the server offers for us."""
    house.phones.write(SITI, OWN, "Halo")

    def found() -> Node | None:
        encs = (enc for node in house.stanzas() if node.tag == "message" for enc in node.children("enc"))
        return next((enc for enc in encs if enc.attr_str("type") == "pkmsg"), None)

    return eventually(found, "no first message arrived").bytes()


def signed_prekey_of(message: bytes) -> int:
    """The id of the signed prekey that a first message was made from."""
    parsed = parse("pkmsg", message)
    assert isinstance(parsed, PreKeyMessage)
    return parsed.signed_prekey_id


def backup(house: World) -> Item:
    """The account's item as a backup would hold it."""
    item = house.table.get(credentials_key("default")) or {}
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}


def test_a_rotated_signed_prekey_is_what_strangers_get(house: World) -> None:
    assert look_after(house, days_from_now=29).rotated == 0
    report = look_after(house, days_from_now=31)
    assert (report.rotated, report.offered, report.troubles) == (2, 812, [])
    message = first_message(house)
    assert signed_prekey_of(message) == 2
    credentials = house.keys.account.credentials()
    received = house.keys.receiving.receive(
        credentials.incarnation, credentials, "1@lid", 0, "S", "pkmsg", message
    )
    assert received.new_session


def test_a_connection_from_before_the_rotation_does_not_bring_the_old_key_back(house: World) -> None:
    """It uploads prekeys whenever the server says that they are low, and the signed one goes along."""
    assert look_after(house, days_from_now=31).rotated == 2
    house.phones.inject("drain-prekeys", account=OWN, device=1)
    eventually(lambda: offered(house) == 812, "no fresh prekeys were uploaded")
    assert signed_prekey_of(first_message(house)) == 2


def test_prekeys_are_offered_anew_where_none_can_be_opened(house: World) -> None:
    for key in house.table.keys("prekey#default"):
        house.table.delete(Delete(key))
    report = look_after(house)
    assert (report.offered, report.uploaded) == (812, 812)
    assert offered(house) == 2 * 812
    assert house.keys.account.prekey_count() == 812


def test_keys_that_were_set_back_are_not_connected_with_until_they_are_reset(house: World) -> None:
    look_after(house)
    kept = backup(house)
    look_after(house)
    assert house.processes[-1].terminate() == 0
    house.table.put(Put(credentials_key("default"), kept))

    house.start()
    eventually(lambda: "tocsin sessions reset" in house.lease().detail, "nobody says what to do")
    assert house.lease().state == "stopped"
    house.processes[-1].wait_until_said("account disconnected", reason="keys-set-back")
    with pytest.raises(KeysBehind):
        house.keys.account.record_high_water_mark(outside(house))

    house.keys.account.reset_sessions(outside(house))
    house.wish("reconnect")
    house.wait_for_state("connected")
    assert house.keys.account.prekey_count() == 812
    assert look_after(house).troubles == []
    assert signed_prekey_of(first_message(house)) == 101


def test_a_reset_reaches_a_connector_that_is_connected(house: World) -> None:
    before = house.keys.account.profile()
    after = house.keys.account.reset_sessions(outside(house)).profile
    with pytest.raises(IncarnationRefused):
        house.client().request(after, iq.prekey_count())
    house.wish("reconnect")

    def answered() -> bool:
        try:
            return bool(house.client().request(after, iq.prekey_count()))
        except Exception:  # noqa: BLE001 - the connection is being changed
            return False

    eventually(answered, "the connector doesn't log in again")
    with pytest.raises(IncarnationRefused):
        house.client().request(before, iq.prekey_count())
