"""The causes of a message that can't be read, from end to end: table rows of BAD-MAC.md.

Sending side: a recipient's device asks again. Receiving side: we do. What each cause does to a key store and
to a single session stands beside those.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import Device, message_from
from tests.support.wired_functions import House, texts
from tests.support.wired_steps import facts, garbled, our_bundle, reply_of_everybody, retry_of, sessions
from tocsin.multidevice import retries
from tocsin.multidevice.retry_case import CAUSES
from tocsin.notify.config import RetryPolicies, RetryPolicy
from tocsin.notify.notification import State
from tocsin.signal.state import SendingChain


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def house(account: AwsAccount) -> House:
    """Siti's two devices have read one message and written back."""
    house = House(account.furnish())
    house.tell(1)
    reply_of_everybody(house)
    return house


def phone(house: House) -> Device:
    return house.siti.devices[0]


# -- sending side: requests by reason and count, with and without keys -----------------------------------


@pytest.mark.parametrize(
    ("code", "count", "with_keys"),
    [(code, 1, False) for code in sorted(CAUSES)]
    + [(7, count, with_keys) for count in (2, 3, 5) for with_keys in (False, True)]
    + [(7, 1, True), (1, 1, True)],
)
def test_a_request_of_any_reason_and_count_is_healed(house, code, count, with_keys):
    phone(house).corrupt()
    notification = house.tell(2)
    request = house.network.retry_receipt(
        phone(house),
        notification.message_id,
        "reason",
        count=count,
        with_keys=with_keys,
        codes={"reason": code},
    )
    house.network.retries.clear()
    report = house.receive(request)
    assert (report.outcome, report.cause) == ("resent", CAUSES[code])
    assert report.facts["rebuilt"] == ("keys" if with_keys else "bundle")
    assert texts(phone(house))[-1] == "Tiket 2"


def test_each_request_beyond_the_first_gets_a_session_of_its_own(house):
    """A resend in the session that was refused would be refused again, for ever."""
    phone(house).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    house.tell(2)
    base_keys = []
    while house.network.retries:
        house.receive(house.network.retries.pop(0))
        base_keys.append(facts(house).base_key)
    assert len(set(base_keys[:3])) == 3


def test_a_device_under_its_phone_number_is_the_one_under_its_lid(house):
    phone(house).corrupt()
    notification = house.tell(2)
    house.network.retries.clear()
    named = house.network.retry_receipt(
        phone(house), notification.message_id, "BadMac", sender=house.siti.pn.with_device(0)
    )
    assert house.receive(named).outcome == "resent"
    assert list(house.stored(notification).recoveries) == ["1234@lid"]


def test_a_device_without_one_time_prekeys_is_healed_by_its_signed_one(house):
    phone(house).forget()
    house.network.prekeys_exhausted = True
    house.tell(2)
    [report] = house.answer_retries()
    assert (report.outcome, report.facts["rebuilt"]) == ("resent", "bundle")
    assert texts(phone(house))[-1] == "Tiket 2"


def test_a_phone_that_restored_a_backup_is_healed(house):
    backup = phone(house).record
    house.tell(2)
    house.reply("ok", "R2")
    house.tell(3)
    phone(house).record = backup
    house.tell(4)
    house.answer_retries()
    house.tell(5)
    house.answer_retries()
    assert texts(phone(house))[-2:] == ["Tiket 4", "Tiket 5"]


def test_a_first_message_whose_prekey_is_gone_there_is_healed(house):
    phone(house).forget()
    house.stage.keys.sending.remove_device(house.stage.profile, "1234@lid", 0)
    house.stage.keys.sending.expire_device_list(house.stage.profile, "1234@lid")
    house.network.before_delivery = lambda node: phone(house).prekeys.clear()
    house.tell(2)
    house.network.before_delivery = None
    [report] = house.answer_retries()
    assert (report.outcome, report.cause) == ("resent", "no-prekey")
    assert texts(phone(house))[-1] == "Tiket 2"


def test_containers_that_alternate_remember_nothing_of_each_other(house):
    """A second process, or a cache older than the store, would take an index or a state twice."""
    for number in range(2, 8):
        house.restart()
        house.tell(number)
        house.restart()
        house.reply("ok", f"R{number}")
    assert texts(phone(house)) == [f"Tiket {number}" for number in range(1, 8)]
    assert house.network.keys_used_twice() == []
    assert house.network.retries == []


# -- two broken peers ------------------------------------------------------------------------------------


def quarrel(house: House, *, most: int = 500) -> int:
    """Both sides can read nothing of each other, and each asks as long as it is answered. Return how many
    stanzas that took until both were silent."""
    stanzas, heard = 0, 0
    while house.network.retries or heard < len(house.network.written):
        if house.network.retries:
            house.receive(house.network.retries.pop(0))
        else:
            asked = house.network.written[heard]
            heard += 1
            retry = asked.child("retry")
            if retry is None:
                continue
            house.receive(garbled(house, retry.attr_str("id"), count=retry.attr_int("count")))
        stanzas += 1
        assert stanzas < most, "two broken peers go round in circles"
    return stanzas


def test_two_broken_peers_come_to_an_end(house):
    phone(house).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = house.tell(2)
    house.receive(garbled(house))
    # 3 resends and a refusal; 4 questions, the last of which is answered in vain
    assert quarrel(house) == 8
    assert house.stored(notification).state is State.FAILED
    assert [letter["reason"] for letter in house.aws.messages("dead-letters")] == ["recovery-exhausted"]


def test_twin_without_limits_never_comes_to_an_end(house, monkeypatch):
    """What the limits are for: without them the same two peers go on."""
    for limit in ("MAX_RETRY_RECEIPTS", "MAX_RECOVERIES_PER_DEVICE", "MAX_PLAUSIBLE_COUNT"):
        monkeypatch.setattr(retries, limit, 10_000)
    generous = RetryPolicies(customer=RetryPolicy(10_000, 3), technician=RetryPolicy(10_000, 2))
    house.retry_receipts._policies = generous
    phone(house).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    house.tell(2)
    house.receive(garbled(house))
    with pytest.raises(AssertionError, match="round in circles"):
        quarrel(house, most=30)


def to_recipients(house):
    """What was sent, but for what our own phone was asked."""
    return [node for node in house.network.messages if node.attrs.get("category") != "peer"]


def test_many_messages_between_two_broken_peers_stay_within_the_hours_budget(house):
    house.restart(recoveries_per_hour=5)
    phone(house).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    for number in range(2, 9):
        house.tell(number)
    before = len(to_recipients(house))
    for number in range(4):
        house.receive(garbled(house, f"B{number}"))
    quarrel(house)
    assert len(to_recipients(house)) - before == 5
    assert {letter["reason"] for letter in house.aws.messages("dead-letters")} == {"recovery-budget"}


def test_a_device_that_forgets_its_count_again_and_again_gets_no_more_than_its_retries(house):
    """Each time under count 1, and late enough to be no replay: the count that is kept is ours."""
    phone(house).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = house.tell(2)
    outcomes = []
    for _ in range(6):
        house.network.retries.clear()
        request = house.network.retry_receipt(phone(house), notification.message_id, "BadMac", count=1)
        outcomes.append(house.receive(request).outcome)
        house.stage.now += 20 * 60
    assert outcomes == ["resent"] * 3 + ["exhausted"] * 3


def test_in_the_next_hour_there_is_a_new_budget(house):
    house.restart(recoveries_per_hour=1)
    for number in (2, 3):
        phone(house).corrupt()
        house.tell(number)
    assert [report.outcome for report in house.answer_retries()] == ["resent", "over-budget"]
    house.stage.now += 3600
    phone(house).corrupt()
    house.tell(4)
    assert house.answer_retries()[0].outcome == "resent"


# -- receiving side --------------------------------------------------------------------------------------


def test_an_unknown_signed_prekey_is_asked_for_with_keys_at_once(house):
    device = phone(house)
    device.begin(replace(our_bundle(house), signed_prekey_id=77))
    before = sessions(house)
    report = house.receive(message_from(device, house.siti, "F", "Halo"))
    assert (report.outcome, report.cause, report.facts["with_keys"]) == ("asked-again", "NoPreKey", True)
    assert retry_of(house).attrs["error"] == "3"
    assert sessions(house) == before


def test_a_signed_prekey_of_before_the_rotation_still_opens_a_first_message(house):
    bundle = our_bundle(house)
    fresh = house.stage.keys.account.new_signed_prekey()
    house.stage.keys.account.adopt_signed_prekey(fresh.id)
    phone(house).begin(bundle)
    assert house.receive(message_from(phone(house), house.siti, "F", "Halo")).outcome == "reply"


def test_a_message_too_far_ahead_is_asked_for_again_and_harms_nothing(house):
    device = phone(house)
    for _ in range(2001):
        device.encrypt(b"lost")
    far = message_from(device, house.siti, "F", "jauh")
    before = sessions(house)
    report = house.receive(far)
    assert (report.outcome, report.cause) == ("asked-again", "FutureMessage")
    assert retry_of(house).attrs["error"] == "6"
    assert sessions(house) == before


def test_a_late_message_of_a_closed_chain_is_a_duplicate_and_harms_nothing(house):
    """The sender sent it long ago, and has no copy of it any more: a request could bring nothing."""
    device = phone(house)
    late = message_from(device, house.siti, "L", "terlambat")
    for number in range(2, 9):
        house.tell(number)
        house.reply("ok", f"R{number}")
    before = sessions(house)
    assert house.receive(late).outcome == "duplicate"
    assert sessions(house) == before


def test_a_late_message_of_an_archived_session_brings_it_back(house):
    device = phone(house)
    late = message_from(device, house.siti, "L", "terlambat")
    old = facts(house).base_key
    house.stage.keys.sending.rebuild(
        house.stage.profile, house.stage.keys.account.credentials(), "1234@lid", 0, device.bundle()
    )
    assert facts(house).base_key != old
    assert house.receive(late).outcome == "reply"
    assert facts(house).base_key == old
    house.tell(2)
    assert texts(device)[-1] == "Tiket 2"


def spoilt(chain: SendingChain) -> SendingChain:
    """A chain whose MACs nobody else would write."""
    return replace(chain, chain_key=os.urandom(32))


def test_a_first_message_under_another_identity_is_trusted_once_its_mac_is_right(house):
    device = phone(house)
    device.reinstall()
    device.begin(our_bundle(house))
    honest = device.record
    state = honest.current
    device.record = replace(honest, states=(replace(state, sending=spoilt(state.sending)),))
    before = sessions(house)
    assert house.receive(message_from(device, house.siti, "X", "palsu")).cause == "BadMac"
    assert sessions(house) == before
    device.record = honest
    assert house.receive(message_from(device, house.siti, "X", "HP baru", count=1)).outcome == "reply"
    assert facts(house).identity == device.identity.public


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_our_own_requests_count_up_and_bear_keys_from_the_second_on(house, count):
    for done in range(count):
        house.receive(garbled(house, count=done))
    assert retry_of(house).attrs["count"] == str(count)
    assert (house.network.written[-1].child("keys") is not None) == (count >= 2)


def test_the_count_of_a_sender_who_is_ahead_of_us_is_followed(house):
    report = house.receive(garbled(house, count=3))
    assert report.facts["count"] == 4
    assert house.receive(garbled(house, count=4)).outcome == "given-up"


def test_our_session_is_archived_once_an_hour_however_much_is_garbled(house):
    for number in range(5):
        for count in range(3):
            house.receive(garbled(house, f"B{number}", count=count))
    assert house.stage.keys.upkeep.view(house.stage.profile, "1234@lid").devices[0].archived == 1
    house.tell(2)
    house.receive(garbled(house, "C1", count=1))
    assert facts(house) is not None
