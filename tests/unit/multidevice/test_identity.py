"""A device with another identity: accepted, kept, and told to the world once."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import House, texts
from tests.support.wired_steps import our_bundle
from tocsin.multidevice.identity import fingerprint


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def house(account: MemoryAccount) -> House:
    house = House(account.furnish())
    house.tell(1)
    house.reply("ok")
    return house


def changes(house: House) -> list[dict]:
    return house.stores.recipients.identity_changes("default", "1234@lid")


def test_a_new_phone_that_writes_to_us_is_recorded(house):
    phone = house.siti.devices[0]
    old = phone.identity.public
    phone.reinstall()
    phone.begin(our_bundle(house))
    house.reply("HP baru", "R2")
    [change] = changes(house)
    assert (change["by"], change["device_jid"], change["recipient"]) == (
        "message",
        "1234@lid",
        house.siti.phone,
    )
    assert (change["old_fingerprint"], change["new_fingerprint"]) == (
        fingerprint(old),
        fingerprint(phone.identity.public),
    )
    assert change["outcome"] == "IdentityChanged"


def test_a_new_phone_that_asks_for_a_message_is_recorded_healed_and_told_once(house):
    phone = house.siti.devices[0]
    phone.reinstall()
    notification = house.tell(2)
    retry = house.network.retries[0]
    [report] = house.answer_retries()
    house.stage.now += 20 * 60
    house.receive(retry)
    assert report.outcome == "resent"
    assert texts(phone)[-1] == "Tiket 2"
    assert [change["by"] for change in changes(house)] == ["bundle"]
    assert house.stored(notification).recoveries["1234@lid"].count == 1


def test_a_bundle_with_a_bad_signature_changes_no_identity(house):
    house.siti.devices[0].reinstall()
    house.network.spoil_signatures = True
    house.tell(2)
    [report] = house.answer_retries()
    assert (report.outcome, report.facts["rebuilt"]) == ("bad-signature", "")
    assert changes(house) == []


def test_the_same_identity_is_no_news(house):
    house.siti.devices[0].corrupt()
    house.tell(2)
    house.answer_retries()
    assert changes(house) == []


def test_a_fingerprint_tells_nothing_of_the_key(house):
    key = house.siti.devices[0].identity.public
    assert fingerprint(key) == hashlib.sha256(key).hexdigest()[:16]
    assert key.hex() not in str(changes(house))
