"""A device of a recipient can't read a message: what its retry receipt leads to, with real sessions."""

from __future__ import annotations

import pytest

from tests.support.fake_whatsapp import Device
from tests.support.memory_aws import MemoryAccount
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import changed, deaf, facts, reply_of_everybody, with_count
from tocsin.connector_client.errors import ConnectorAway
from tocsin.dynamo.writes import Update
from tocsin.multidevice.retry_rights import GUESSES_PER_HOUR
from tocsin.notify.failure import Wait
from tocsin.notify.notification import Notification, State
from tocsin.notify.store.texts import SEALED
from tocsin.settings.declared import RECOVERIES_PER_HOUR
from tocsin.tables.notifications import notification_key
from tocsin.whatsapp.node import Node


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def wired(account: MemoryAccount) -> WiredFunctions:
    return WiredFunctions(account.furnish())


@pytest.fixture
def broken(wired: WiredFunctions) -> WiredFunctions:
    """Siti's phone has read one message, and then its session was damaged."""
    wired.tell(1)
    wired.siti.devices[0].corrupt()
    return wired


# -- healing ---------------------------------------------------------------------------------------------


def test_bad_mac_leads_to_a_retry_receipt_and_is_healed(broken):
    notification = broken.tell(2)
    phone = broken.siti.devices[0]
    assert phone.failures == ["BadMac"]
    [report] = broken.answer_retries()
    assert (report.outcome, report.cause) == ("resent", "bad-mac")
    assert texts(phone) == ["Tiket 1", "Tiket 2"]
    assert broken.stored(notification).recoveries["1234@lid"].served == 1


def test_the_resend_bears_the_same_id_the_count_and_goes_to_that_device_alone(broken):
    notification = broken.tell(2)
    broken.answer_retries()
    node = broken.network.messages[-1]
    assert node.attr_str("id") == notification.message_id
    assert str(node.attr_jid("to")) == "1234@lid"
    assert node.attr_str("device_fanout") == "false"
    assert node.child("participants") is None
    assert node.require_child("enc").attr_str("count") == "1"
    assert node.child("device-identity") is not None


def test_after_the_healing_the_next_message_needs_none(broken):
    broken.tell(2)
    broken.answer_retries()
    broken.tell(3)
    assert broken.network.retries == []
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2", "Tiket 3"]


def test_the_other_devices_are_not_bothered(broken):
    broken.tell(2)
    broken.answer_retries()
    assert broken.network.queries.count("bundle 1234:1@lid") == 1
    assert texts(broken.siti.devices[1]) == ["Tiket 1", "Tiket 2"]


def test_a_forgotten_session_is_healed(wired):
    wired.tell(1)
    reply_of_everybody(wired)
    wired.siti.devices[0].forget()
    wired.tell(2)
    [report] = wired.answer_retries()
    assert (report.outcome, report.cause) == ("resent", "no-session")
    assert texts(wired.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


def test_a_reinstalled_phone_is_healed_by_its_new_bundle(wired):
    wired.tell(1)
    reply_of_everybody(wired)
    wired.siti.devices[0].reinstall()
    wired.tell(2)
    wired.answer_retries()
    assert texts(wired.siti.devices[0])[-1] == "Tiket 2"
    assert facts(wired).identity == wired.siti.devices[0].identity.public


def test_keys_in_the_receipt_are_used_and_no_bundle_is_asked_for(broken):
    notification = broken.tell(2)
    broken.network.queries.clear()
    phone = broken.siti.devices[0]
    broken.network.retries[:] = [
        broken.network.retry_receipt(phone, notification.message_id, "BadMac", count=2, with_keys=True)
    ]
    [report] = broken.answer_retries()
    assert report.facts["rebuilt"] == "keys"
    assert broken.network.queries == []
    assert texts(phone) == ["Tiket 1", "Tiket 2"]


def test_our_own_phone_can_be_healed_too(wired):
    wired.tell(1)
    wired.paired.own.devices[0].corrupt()
    wired.tell(2)
    [report] = wired.answer_retries()
    assert report.outcome == "resent"
    assert texts(wired.paired.own.devices[0]) == ["Tiket 1", "Tiket 2"]


def test_without_a_bundle_the_old_session_stays_and_serves(broken):
    broken.tell(2)
    broken.network.bundle_errors[broken.siti.devices[0].jid] = 503
    before = facts(broken)
    broken.receive(broken.network.retries.pop(0))
    assert facts(broken) == before


# -- ten receipts of one break ---------------------------------------------------------------------------


def test_ten_receipts_of_one_break_make_one_session(wired):
    wired.tell(0)
    reply_of_everybody(wired)
    wired.siti.devices[0].corrupt()
    for number in range(1, 11):
        wired.tell(number)
    bundles_before = wired.network.queries.count("bundle 1234@lid")
    reports = wired.answer_retries()
    assert [report.outcome for report in reports] == ["resent"] * 10
    assert wired.network.queries.count("bundle 1234@lid") == bundles_before + 1
    assert texts(wired.siti.devices[0]) == [f"Tiket {number}" for number in range(11)]


# -- limits ----------------------------------------------------------------------------------------------


def test_a_device_that_never_reads_it_gets_it_five_times_more_and_no_more(wired):
    wired.tell(1)
    notification, _ = deaf(wired)
    reports = wired.answer_retries()
    assert [report.outcome for report in reports] == ["resent"] * 5 + ["exhausted"]
    [letter] = wired.aws.messages("dead-letters")
    assert letter["reason"] == "recovery-exhausted"
    assert wired.stored(notification).state is State.FAILED


def test_a_technician_s_device_gets_it_as_often(wired):
    """How often a send is tried again says nothing of a device that can't read what was sent."""
    wired.tell(1)
    deaf(wired)
    wired.network.retries.clear()
    wired.tell(3, audience="technician")
    reports = wired.answer_retries()
    assert [report.outcome for report in reports] == ["resent"] * 5 + ["exhausted"]


def test_a_message_that_another_device_has_is_no_dead_letter(wired):
    wired.tell(1)
    notification, _ = deaf(wired)
    wired.receipt(notification, device=1)
    wired.answer_retries()
    assert wired.aws.messages("dead-letters") == []
    assert wired.stored(notification).state is State.DELIVERED


def test_a_redriven_notification_has_its_retries_again(wired):
    wired.tell(1)
    notification, phone = deaf(wired)
    wired.answer_retries()
    wired.paired.now += 60
    wired.stores.notifications.reset_for_redrive(
        notification.id, at=int(wired.paired.now * 1000), expires_at=2_000_000_000_000
    )
    wired.network.forget_counts()
    assert wired.deliver(notification, generation=1).outcome == "sent"
    wired.receive(wired.network.retries.pop(0))
    del phone.receive
    wired.answer_retries()
    assert texts(phone)[-1] == "Tiket 2"


def test_an_hour_has_a_budget_for_each_recipient(wired):
    wired.tell(0)
    phone = wired.siti.devices[0]
    outcomes = []
    for number in range(1, RECOVERIES_PER_HOUR.default + 3):
        phone.corrupt()
        wired.tell(number)
        outcomes += [report.outcome for report in wired.answer_retries()]
    assert outcomes.count("resent") == RECOVERIES_PER_HOUR.default
    assert set(outcomes[RECOVERIES_PER_HOUR.default :]) == {"over-budget"}


# -- receipts that deserve nothing -----------------------------------------------------------------------


def first_retry(wired: WiredFunctions) -> Node:
    wired.tell(2)
    return wired.network.retries.pop(0)


def test_a_replayed_receipt_is_named_and_changes_nothing(broken):
    retry = first_retry(broken)
    broken.receive(retry)
    before, messages = facts(broken), len(broken.network.messages)
    assert broken.receive(retry).outcome == "replayed"
    assert (facts(broken), len(broken.network.messages)) == (before, messages)


def test_a_device_that_lost_its_counter_is_served_again_after_a_while(broken):
    retry = first_retry(broken)
    broken.receive(retry)
    broken.paired.now += 16 * 60
    assert broken.receive(retry).outcome == "resent"


def test_an_unknown_message(broken):
    retry = first_retry(broken)
    unknown = tuple(
        Node("retry", {**child.attrs, "id": "3EB0" + "00" * 9}) if child.tag == "retry" else child
        for child in retry.children()
    )
    report = broken.receive(Node("receipt", {**retry.attrs, "id": "3EB0" + "00" * 9}, unknown))
    assert report.outcome == "unknown-message"


def test_a_message_whose_words_are_gone(broken):
    notification = broken.tell(2)
    broken.aws.notifications_table.update(Update(notification_key(notification.id), remove=(SEALED,)))
    assert [report.outcome for report in broken.answer_retries()] == ["text-erased"]
    assert texts(broken.siti.devices[0]) == ["Tiket 1"]


def test_a_foreign_device(broken):
    mallory = broken.network.person("6281111111111", "6666")
    retry = first_retry(broken)
    before = facts(broken)
    report = broken.receive(changed(retry, **{"from": mallory.devices[0].jid, "sender_pn": mallory.pn}))
    assert report.outcome == "foreign-device"
    assert facts(broken) == before


def test_a_device_nobody_listed(broken):
    stranger = Device(broken.siti.user.with_device(9))
    retry = first_retry(broken)
    report = broken.receive(changed(retry, **{"from": stranger.jid}))
    assert report.outcome == "unknown-device"


def test_a_device_that_was_linked_since_is_served(broken):
    notification = broken.tell(2)
    broken.network.retries.clear()
    fresh = broken.siti.devices[9] = Device(broken.siti.user.with_device(9))
    report = broken.receive(broken.network.retry_receipt(fresh, notification.message_id, "NoSession"))
    assert report.outcome == "resent"
    assert texts(fresh) == ["Tiket 2"]


def own_request(wired: WiredFunctions, notification: Notification, number: int, **changes: object) -> Node:
    """What a device of Siti's that had no copy asks for, with keys of its own."""
    device = Device(wired.siti.user.with_device(number))
    return wired.network.retry_receipt(
        device, notification.message_id, "NoSession", with_keys=True, **changes
    )


def test_a_device_nobody_listed_gets_nothing_for_its_keys_and_no_later_text(broken):
    """Keys are no proof: what they say is signed by whoever made them."""
    notification = broken.tell(2)
    broken.network.messages.clear()
    assert broken.receive(own_request(broken, notification, 9)).outcome == "unknown-device"
    assert broken.network.messages == []
    assert facts(broken, 9) is None
    broken.tell(3)
    assert "1234:9@lid" not in broken.stored(broken.plan(3)).attempts[-1].copies


def test_a_listed_device_is_asked_for_once_and_its_keys_are_used(wired):
    notification = wired.tell(2)
    fresh = wired.siti.devices[9] = Device(wired.siti.user.with_device(9))
    wired.network.queries.clear()
    node = wired.network.retry_receipt(fresh, notification.message_id, "NoSession", with_keys=True)
    assert wired.receive(node).facts["rebuilt"] == "keys"
    assert wired.network.queries == ["devices 1234@lid"]
    assert texts(fresh) == ["Tiket 2"]


def test_an_unlisted_device_uses_up_nobody_s_budget_and_few_questions(wired):
    wired.restart(recoveries_per_hour=3)
    notification = wired.tell(2)
    wired.siti.devices[0].corrupt()
    wired.network.queries.clear()
    outcomes = [wired.receive(own_request(wired, notification, number)).outcome for number in range(9, 20)]
    assert outcomes == ["unknown-device"] * GUESSES_PER_HOUR + ["guessing"]
    assert wired.network.queries == ["devices 1234@lid"] * 3
    wired.tell(3)
    assert [report.outcome for report in wired.answer_retries()] == ["resent"]


def test_a_list_that_whatsapp_refuses_to_tell_brings_the_receipt_again(wired):
    notification = wired.tell(2)
    node = own_request(wired, notification, 9)
    wired.network.usync_errors["devices"] = 429
    with pytest.raises(Wait):
        wired.receive(node)
    wired.network.usync_errors.clear()
    assert wired.receive(node).outcome == "unknown-device"


@pytest.mark.parametrize("count", [11, 999])
def test_an_absurd_count(broken, count):
    assert broken.receive(with_count(first_retry(broken), count)).outcome == "absurd-count"


@pytest.mark.parametrize("count", [0, 100_000])
def test_a_count_that_no_device_writes(broken, count):
    assert broken.receive(with_count(first_retry(broken), count)).outcome == "malformed"


def test_a_forged_bundle(broken):
    notification = broken.tell(2)
    broken.network.spoil_signatures = True
    broken.network.retries.clear()
    phone = broken.siti.devices[0]
    forged = broken.network.retry_receipt(phone, notification.message_id, "BadMac", with_keys=True)
    before, messages = facts(broken), len(broken.network.messages)
    assert broken.receive(forged).outcome == "bad-signature"
    assert (facts(broken), len(broken.network.messages)) == (before, messages)
    assert broken.stored(notification).recoveries == {}


def with_keys(node: Node, **spoilt: object) -> Node:
    """The receipt with other contents in its `<keys>`: by tag, `None` to leave it out."""
    keys = node.require_child("keys")

    def change(part: Node) -> Node | None:
        if part.tag not in spoilt:
            return part
        content = spoilt[part.tag]
        if not isinstance(content, dict):
            return content if content is None else Node(part.tag, part.attrs, content)
        inner = tuple(Node(one.tag, one.attrs, content.get(one.tag, one.content)) for one in part.children())
        return Node(part.tag, part.attrs, inner)

    changed_keys = tuple(part for one in keys.children() if (part := change(one)) is not None)
    return Node(
        node.tag,
        node.attrs,
        tuple(Node("keys", {}, changed_keys) if one.tag == "keys" else one for one in node.children()),
    )


UNUSABLE = {
    "a wrong signature": {"skey": {"signature": bytes(64)}},
    "a key that makes every secret zero": {"skey": {"value": bytes(32)}},
    "an identity that signed nothing": {"identity": bytes(32)},
    "an identity of 31 bytes": {"identity": bytes(31)},
    "no signed prekey": {"skey": None},
    "another type": {"type": b"\x06"},
    "an id of two bytes": {"key": {"id": b"ab"}},
    "a one-time key of no use": {"key": {"value": bytes(32)}},
}


@pytest.mark.parametrize("spoilt", UNUSABLE.values(), ids=UNUSABLE)
def test_keys_of_no_use_in_a_receipt_are_replaced_by_those_at_the_server(broken, spoilt):
    notification = broken.tell(2)
    broken.network.retries.clear()
    phone = broken.siti.devices[0]
    receipt = broken.network.retry_receipt(phone, notification.message_id, "BadMac", count=2, with_keys=True)
    broken.network.retries[:] = [with_keys(receipt, **spoilt)]
    [report] = broken.answer_retries()
    assert (report.outcome, report.facts["rebuilt"]) == ("resent", "bundle")
    assert texts(phone) == ["Tiket 1", "Tiket 2"]


def test_keys_of_no_use_and_none_at_the_server_change_nothing(broken):
    notification = broken.tell(2)
    phone = broken.siti.devices[0]
    receipt = broken.network.retry_receipt(phone, notification.message_id, "BadMac", with_keys=True)
    broken.network.bundle_errors[phone.jid] = 404
    before, messages = facts(broken), len(broken.network.messages)
    assert broken.receive(with_keys(receipt, skey={"signature": bytes(64)})).outcome == "bad-signature"
    assert (facts(broken), len(broken.network.messages)) == (before, messages)


def test_keys_of_no_use_ask_the_server_so_often_in_an_hour_and_no_more(broken):
    phone = broken.siti.devices[0]
    broken.network.bundle_errors[phone.jid] = 404
    outcomes = []
    for number in range(RECOVERIES_PER_HOUR.default + 5):
        notification = broken.tell(number + 2)
        receipt = broken.network.retry_receipt(phone, notification.message_id, "BadMac", with_keys=True)
        outcomes.append(broken.receive(with_keys(receipt, skey={"signature": bytes(64)})).outcome)
    assert outcomes == ["bad-signature"] * RECOVERIES_PER_HOUR.default + ["over-budget"] * 5


def test_a_session_that_ran_too_far_ahead_is_replaced_after_all(broken):
    broken.tell(2)
    broken.tell(3)
    first, second = broken.network.retries
    broken.receive(first)
    for _ in range(1001):  # numbers that nobody ever got a message under
        broken.paired.keys.sending.reserve(broken.paired.profile, "1234@lid")
    assert broken.receive(second).outcome == "resent"
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2", "Tiket 3"]


def test_a_device_that_is_faster_than_the_record_of_the_ack_is_served(broken, monkeypatch):
    send = broken.network.send_message
    outcomes = []

    def send_and_hear(profile, node, **named):
        ack = send(profile, node, **named)
        while broken.network.retries:
            outcomes.append(broken.receive(broken.network.retries.pop()).outcome)
        return ack

    monkeypatch.setattr(broken.network, "send_message", send_and_hear)
    broken.tell(2)
    assert outcomes == ["resent"]
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


# -- crashes ---------------------------------------------------------------------------------------------


def test_while_the_connector_is_away_the_receipt_waits(broken):
    retry = first_retry(broken)
    broken.network.away = ConnectorAway("gone")
    with pytest.raises(Wait):
        broken.receive(retry)
    broken.network.away = None
    assert broken.receive(retry).outcome == "resent"
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


@pytest.mark.parametrize("step", ["rebuild", "reserve"])
def test_killed_on_the_way_it_is_repeated_and_shown_once(broken, monkeypatch, step):
    retry = first_retry(broken)
    store_class = type(broken.paired.keys.sending)
    whole = getattr(store_class, step)

    def die(*arguments: object, **named: object) -> object:
        whole(*arguments, **named)
        raise KeyboardInterrupt("killed after the commit")

    with monkeypatch.context() as crash:
        crash.setattr(store_class, step, die)
        with pytest.raises(KeyboardInterrupt):
            broken.receive(retry)
    broken.restart()
    assert broken.receive(retry).outcome == "resent"
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


def test_killed_after_the_resend_it_is_sent_again_and_shown_once(broken, monkeypatch):
    retry = first_retry(broken)
    with monkeypatch.context() as crash:
        crash.setattr(broken.stores.notifications, "record_recovery", _die)
        with pytest.raises(KeyboardInterrupt):
            broken.receive(retry)
    broken.restart()
    assert broken.receive(retry).outcome == "resent"
    assert texts(broken.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt("killed")


def test_a_success_is_timed_and_forgives_the_count(broken):
    notification = broken.tell(2)
    broken.answer_retries()
    assert broken.stores.people.find("default", str(broken.siti.pn)).recoveries == 1
    report = broken.receipt(notification)
    assert report.outcome == "delivered"
    assert report.facts["healed"] == [("bad-mac", 0.0)]
    assert broken.stores.people.find("default", str(broken.siti.pn)).recoveries == 0
