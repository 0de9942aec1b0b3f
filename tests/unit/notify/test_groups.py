"""Notifications to a group: once for all, the key to those who lack it, and nobody who is out reads on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.notify.furnished_aws import AwsAccount, aws_account
from tests.unit.notify.group_house import GroupHouse, texts
from tocsin.whatsapp.jid import phash


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture(params=["lid", "pn"])
def house(account: AwsAccount, request: pytest.FixtureRequest) -> GroupHouse:
    return GroupHouse(account.furnish(), mode=request.param)


def addressed(house: GroupHouse, message: int = -1) -> list[str]:
    """Who was sent the key with a message."""
    participants = house.line.sent[message].child("participants")
    entries = participants.children("to") if participants is not None else ()
    return sorted(str(to.attr_jid("jid")) for to in entries)


def test_every_member_reads_it(house):
    house.tell_group(1)
    house.tell_group(2)
    for phone in (*house.colleagues,):
        assert texts(phone) == ["Tiket 1", "Tiket 2"]
        assert not any(entry.failures for entry in phone.messages())
    assert [entry.text for entry in house.phone.from_own_devices()] == ["Tiket 1", "Tiket 2"]


def test_the_key_goes_out_once_and_to_every_device_but_ours(house):
    server = house.group.server
    house.tell_group(1)
    house.tell_group(2)
    assert addressed(house, 0) == sorted(
        str(device.address(server)) for device in house.group.devices if device is not house.line.device
    )
    assert addressed(house, 1) == []
    assert house.audit()["message_keys_reused"] == 0


def test_the_stanza_names_mode_and_hash_of_all_devices(house):
    house.tell_group(1)
    [stanza] = house.line.sent
    assert stanza.attr_str("addressing_mode") == house.group.mode
    assert stanza.attr_str("phash") == phash(
        device.address(house.group.server) for device in house.group.devices
    )
    assert stanza.child("tctoken") is None


def test_what_is_remembered_is_not_asked_again(house):
    house.tell_group(1)
    assert house.line.queries() == ["w:g2", "usync", "encrypt"]
    house.tell_group(2)
    assert house.line.queries() == []


def test_after_a_day_group_and_devices_are_asked_for_again(house):
    house.tell_group(1)
    house.line.queries()
    house.stage.now += 24 * 3600 + 1
    house.tell_group(2)
    assert house.line.queries() == ["w:g2", "usync"]
    assert texts(house.colleagues[0]) == ["Tiket 1", "Tiket 2"]
