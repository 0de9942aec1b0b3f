"""A device with another identity: accepted, kept, and told to the world once."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import our_bundle
from tocsin.multidevice.identity import fingerprint


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    wired = WiredFunctions(account.furnish())
    wired.tell(1)
    wired.reply("ok")
    return wired


def changes(wired: WiredFunctions) -> list[dict]:
    return wired.stores.identity_changes.of("default", "1234@lid")


def test_a_new_phone_that_writes_to_us_is_recorded(wired):
    phone = wired.siti.devices[0]
    old = phone.identity.public
    phone.reinstall()
    phone.begin(our_bundle(wired))
    wired.reply("HP baru", "R2")
    [change] = changes(wired)
    assert (change["by"], change["device_jid"], change["recipient"]) == (
        "message",
        "1234@lid",
        wired.siti.phone,
    )
    assert (change["old_fingerprint"], change["new_fingerprint"]) == (
        fingerprint(old),
        fingerprint(phone.identity.public),
    )
    assert change["outcome"] == "IdentityChanged"


def test_a_new_phone_that_asks_for_a_message_is_recorded_healed_and_told_once(wired):
    phone = wired.siti.devices[0]
    phone.reinstall()
    notification = wired.tell(2)
    retry = wired.network.retries[0]
    [report] = wired.answer_retries()
    wired.paired.now += 20 * 60
    wired.receive(retry)
    assert report.outcome == "resent"
    assert texts(phone)[-1] == "Tiket 2"
    assert [change["by"] for change in changes(wired)] == ["bundle"]
    assert wired.stored(notification).recoveries["1234@lid"].count == 1


def test_a_bundle_with_a_bad_signature_changes_no_identity(wired):
    wired.siti.devices[0].reinstall()
    wired.network.spoil_signatures = True
    wired.tell(2)
    [report] = wired.answer_retries()
    assert (report.outcome, report.facts["rebuilt"]) == ("bad-signature", "")
    assert changes(wired) == []


def test_the_same_identity_is_no_news(wired):
    wired.siti.devices[0].corrupt()
    wired.tell(2)
    wired.answer_retries()
    assert changes(wired) == []


def test_a_fingerprint_tells_nothing_of_the_key(wired):
    key = wired.siti.devices[0].identity.public
    assert fingerprint(key) == hashlib.sha256(key).hexdigest()[:16]
    assert key.hex() not in str(changes(wired))
