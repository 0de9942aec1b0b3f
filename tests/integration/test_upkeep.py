"""Upkeep through a connector and a WhatsApp server: rotation, prekeys, and keys that were set back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.connector_processes import OWN, SECRET, SITI, RunningConnectors, eventually
from tests.support.silent_numbers import silent_numbers
from tocsin.connector_client.errors import IncarnationRefused
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Delete, Item, Put
from tocsin.keys.errors import KeysBehind
from tocsin.keys.store import KeyStore
from tocsin.multidevice.key_maintenance import KeyMaintenance, Report
from tocsin.multidevice.leased_connectors import LeasedConnectors
from tocsin.sealing import Sealer
from tocsin.signal.session import parse
from tocsin.signal.wire import PreKeyMessage
from tocsin.tables.keys import credentials_key
from tocsin.whatsapp import iq
from tocsin.whatsapp.node import Node

pytestmark = pytest.mark.integration

DAY = 86400


@pytest.fixture
def connectors(connectors: RunningConnectors) -> RunningConnectors:
    """Linked already."""
    connectors.start()
    connectors.wait_for_state("unpaired")
    connectors.pair(OWN)
    return connectors


def outside(connectors: RunningConnectors) -> DynamoTable:
    return DynamoTable(connectors.aws.client("dynamodb"), connectors.environment["NOTIFICATIONS_TABLE"])


def look_after(connectors: RunningConnectors, *, days_from_now: float = 0) -> Report:
    """A run of the upkeep, as the function does it."""
    sealer, client = Sealer.from_secret(SECRET), connectors.client()

    def open_keys(account: str, on_damage: Any) -> KeyStore:
        return KeyStore(connectors.table, sealer, account, on_damage=on_damage)

    upkeep = KeyMaintenance(
        connectors.table,
        outside(connectors),
        open_keys,
        client,
        LeasedConnectors(connectors.table, lambda: sealer, client),
        silent_numbers(),
        clock=lambda: time.time() + days_from_now * DAY,
    )
    run = upkeep.run(["default"], lambda: 300.0, force=True)
    assert run.failures == []
    return run.accounts[0]


def offered(connectors: RunningConnectors) -> int:
    """How many of our one-time prekeys the server has."""
    return iq.parse_prekey_count(
        connectors.client().request(connectors.keys.account.profile(), iq.prekey_count())
    )


def first_message(connectors: RunningConnectors) -> bytes:
    """What Siti's phone makes of the keys that the server offers for us."""
    connectors.phones.write(SITI, OWN, "Halo")

    def found() -> Node | None:
        encs = (enc for node in connectors.stanzas() if node.tag == "message" for enc in node.children("enc"))
        return next((enc for enc in encs if enc.attr_str("type") == "pkmsg"), None)

    return eventually(found, "no first message arrived").bytes()


def signed_prekey_of(message: bytes) -> int:
    """The id of the signed prekey that a first message was made from."""
    parsed = parse("pkmsg", message)
    assert isinstance(parsed, PreKeyMessage)
    return parsed.signed_prekey_id


def backup(connectors: RunningConnectors) -> Item:
    """The account's item as a backup would hold it."""
    item = connectors.table.get(credentials_key("default")) or {}
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}


def test_a_rotated_signed_prekey_is_what_strangers_get(connectors: RunningConnectors) -> None:
    assert look_after(connectors, days_from_now=29).rotated == 0
    report = look_after(connectors, days_from_now=31)
    assert (report.rotated, report.offered, report.troubles) == (2, 812, [])
    message = first_message(connectors)
    assert signed_prekey_of(message) == 2
    credentials = connectors.keys.account.credentials()
    received = connectors.keys.receiving.receive(
        credentials.incarnation, credentials, "1@lid", 0, "S", "pkmsg", message
    )
    assert received.new_session


def test_a_connection_from_before_the_rotation_does_not_bring_the_old_key_back(
    connectors: RunningConnectors,
) -> None:
    """It uploads prekeys whenever the server says that they are low, and the signed one goes along."""
    assert look_after(connectors, days_from_now=31).rotated == 2
    connectors.phones.inject("drain-prekeys", account=OWN, device=1)
    eventually(lambda: offered(connectors) == 812, "no fresh prekeys were uploaded")
    assert signed_prekey_of(first_message(connectors)) == 2


def test_prekeys_are_offered_anew_where_none_can_be_opened(connectors: RunningConnectors) -> None:
    for key in connectors.table.keys("prekey#default"):
        connectors.table.delete(Delete(key))
    report = look_after(connectors)
    assert (report.offered, report.uploaded) == (812, 812)
    assert offered(connectors) == 2 * 812
    assert connectors.keys.account.prekey_count() == 812


def test_keys_that_were_set_back_are_not_connected_with_until_they_are_reset(
    connectors: RunningConnectors,
) -> None:
    look_after(connectors)
    kept = backup(connectors)
    look_after(connectors)
    assert connectors.processes[-1].terminate() == 0
    connectors.table.put(Put(credentials_key("default"), kept))

    connectors.start()
    eventually(lambda: "tocsin sessions reset" in connectors.lease().detail, "nobody says what to do")
    assert connectors.lease().state == "stopped"
    connectors.processes[-1].wait_until_said("account disconnected", reason="keys-set-back")
    with pytest.raises(KeysBehind):
        connectors.keys.account.record_high_water_mark(outside(connectors))

    connectors.keys.account.reset_sessions(outside(connectors))
    connectors.wish("reconnect")
    connectors.wait_for_state("connected")
    assert connectors.keys.account.prekey_count() == 812
    assert look_after(connectors).troubles == []
    assert signed_prekey_of(first_message(connectors)) == 101


def test_a_reset_reaches_a_connector_that_is_connected(connectors: RunningConnectors) -> None:
    before = connectors.keys.account.profile()
    after = connectors.keys.account.reset_sessions(outside(connectors)).profile
    with pytest.raises(IncarnationRefused):
        connectors.client().request(after, iq.prekey_count())
    connectors.wish("reconnect")

    def answered() -> bool:
        try:
            return bool(connectors.client().request(after, iq.prekey_count()))
        except Exception:  # noqa: BLE001 - the connection is being changed
            return False

    eventually(answered, "the connector doesn't log in again")
    with pytest.raises(IncarnationRefused):
        connectors.client().request(before, iq.prekey_count())
