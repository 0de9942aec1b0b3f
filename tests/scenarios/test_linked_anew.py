"""Linked anew, over an old link: what is out of reach then, and what the world keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import message_from
from tests.support.wired_functions import House, texts
from tocsin.connector_client.client import NotConnected
from tocsin.notify.notification import State


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def linked_anew(account: AwsAccount) -> House:
    """Siti has had a notification and withdrawn her consent to none; then the account was linked anew."""
    house = House(account.furnish())
    house.first = house.tell(1)  # type: ignore[attr-defined]
    house.late = message_from(house.siti.devices[0], house.siti, "L", "terlambat")  # type: ignore[attr-defined]
    house.old = house.stage.profile  # type: ignore[attr-defined]
    house.stage.keys.account.renew()
    house.stage.pair(7)
    house.restart()
    return house


def test_no_session_of_before_is_within_reach(linked_anew: House) -> None:
    keys = linked_anew.stage.keys
    assert keys.sending.session_facts(linked_anew.stage.profile, "1234@lid", 0) is None
    assert keys.account.prekey_count() == 0


def test_what_is_sent_next_founds_new_sessions_and_arrives(linked_anew: House) -> None:
    linked_anew.tell(2)
    assert texts(linked_anew.siti.devices[0]) == ["Tiket 1", "Tiket 2"]
    assert linked_anew.network.retries == []


def test_a_message_for_the_old_link_is_refused_and_not_tried_on_the_new(linked_anew: House) -> None:
    report = linked_anew.receive(linked_anew.late, incarnation=linked_anew.old.incarnation)  # type: ignore[attr-defined]
    assert (report.outcome, report.cause) == ("refused", "other-pairing")


def test_a_late_receipt_for_a_message_of_before_still_counts(linked_anew: House) -> None:
    linked_anew.receipt(linked_anew.first)  # type: ignore[attr-defined]
    assert linked_anew.stored(linked_anew.first).state is State.DELIVERED  # type: ignore[attr-defined]


def test_a_device_that_asks_again_for_a_message_of_before_gets_it_in_a_new_session(
    linked_anew: House,
) -> None:
    device = linked_anew.siti.devices[1]
    message_id = linked_anew.first.message_id  # type: ignore[attr-defined]
    device.shown.clear()
    device.forget()
    linked_anew.receive(linked_anew.network.retry_receipt(device, message_id, "NoSession"))
    assert texts(device) == ["Tiket 1"]


def test_opt_outs_and_addresses_outlive_the_link(account: AwsAccount) -> None:
    house = House(account.furnish())
    house.tell(1)
    house.reply("STOP")
    house.stage.keys.account.renew()
    house.stage.pair(7)
    house.restart()
    assert house.deliver(house.plan(2)).outcome == "suppressed"
    assert house.stage.keys.contacts.address(str(house.siti.pn))["lid"] == "1234@lid"


def test_while_nothing_is_linked_notifications_wait(account: AwsAccount) -> None:
    house = House(account.furnish())
    house.tell(1)
    house.stage.keys.account.renew()
    house.restart()
    planned = house.plan(2)
    assert (house.deliver(planned).outcome, house.deliver(planned).cause) == ("parked", "waiting")
    house.network.away = NotConnected("pairing")
    house.stage.pair(7)
    house.restart()
    third = house.plan(3)
    assert house.deliver(third).outcome == "parked"
    house.network.away = None
    assert house.stored(planned).state is house.stored(third).state is State.WAITING
