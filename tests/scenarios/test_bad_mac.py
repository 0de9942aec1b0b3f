"""The causes of a message that can't be read, from end to end: table rows of BAD-MAC.md.

Sending side: a recipient's device asks again. Receiving side: we do. What each cause does to a key store and
to a single session stands beside those.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.support.fake_whatsapp import Device, message_from
from tests.support.memory_aws import MemoryAws
from tests.support.receipt_ways import both_ways  # noqa: F401
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import facts, garbled, our_bundle, reply_of_everybody, retry_of, sessions
from tocsin.multidevice import retries, retry_rights
from tocsin.multidevice.retry_case import CAUSES
from tocsin.notify.notification import State
from tocsin.signal.state import SendingChain


@pytest.fixture
def wired() -> WiredFunctions:
    """Siti's two devices have read one message and written back."""
    wired = WiredFunctions(MemoryAws())
    wired.tell(1)
    reply_of_everybody(wired)
    return wired


def phone(wired: WiredFunctions) -> Device:
    return wired.siti.devices[0]


# -- sending side: requests by reason and count, with and without keys -----------------------------------


@pytest.mark.parametrize(
    ("code", "count", "with_keys"),
    [(code, 1, False) for code in sorted(CAUSES)]
    + [(7, count, with_keys) for count in (2, 3, 5) for with_keys in (False, True)]
    + [(7, 1, True), (1, 1, True)],
)
def test_a_request_of_any_reason_and_count_is_healed(wired, code, count, with_keys):
    phone(wired).corrupt()
    notification = wired.tell(2)
    request = wired.network.retry_receipt(
        phone(wired),
        notification.message_id,
        "reason",
        count=count,
        with_keys=with_keys,
        codes={"reason": code},
    )
    wired.network.retries.clear()
    report = wired.receive(request)
    assert (report.outcome, report.cause) == ("resent", CAUSES[code])
    assert report.facts["rebuilt"] == ("keys" if with_keys else "bundle")
    assert texts(phone(wired))[-1] == "Tiket 2"


def test_each_request_beyond_the_first_gets_a_session_of_its_own(wired):
    """A resend in the session that was refused would be refused again, for ever."""
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    wired.tell(2)
    base_keys = []
    while wired.network.retries:
        wired.receive(wired.network.retries.pop(0))
        base_keys.append(facts(wired).base_key)
    assert len(set(base_keys[:3])) == 3


def test_a_device_under_its_phone_number_is_the_one_under_its_lid(wired):
    phone(wired).corrupt()
    notification = wired.tell(2)
    wired.network.retries.clear()
    named = wired.network.retry_receipt(
        phone(wired), notification.message_id, "BadMac", sender=wired.siti.pn.with_device(0)
    )
    assert wired.receive(named).outcome == "resent"
    assert list(wired.stored(notification).recoveries) == ["1234@lid"]


def test_a_device_without_one_time_prekeys_is_healed_by_its_signed_one(wired):
    phone(wired).forget()
    wired.network.prekeys_exhausted = True
    wired.tell(2)
    [report] = wired.answer_retries()
    assert (report.outcome, report.facts["rebuilt"]) == ("resent", "bundle")
    assert texts(phone(wired))[-1] == "Tiket 2"


def test_a_phone_that_restored_a_backup_is_healed(wired):
    backup = phone(wired).record
    wired.tell(2)
    wired.reply("ok", "R2")
    wired.tell(3)
    phone(wired).record = backup
    wired.tell(4)
    wired.answer_retries()
    wired.tell(5)
    wired.answer_retries()
    assert texts(phone(wired))[-2:] == ["Tiket 4", "Tiket 5"]


def test_a_first_message_whose_prekey_is_gone_there_is_healed(wired):
    phone(wired).forget()
    wired.paired.keys.sending.remove_device(wired.paired.profile, "1234@lid", 0)
    wired.paired.keys.sending.expire_device_list(wired.paired.profile, "1234@lid")
    wired.network.before_delivery = lambda node: phone(wired).prekeys.clear()
    wired.tell(2)
    wired.network.before_delivery = None
    [report] = wired.answer_retries()
    assert (report.outcome, report.cause) == ("resent", "no-prekey")
    assert texts(phone(wired))[-1] == "Tiket 2"


def test_containers_that_alternate_remember_nothing_of_each_other(wired):
    """A second process, or a cache older than the store, would take an index or a state twice."""
    for number in range(2, 8):
        wired.restart()
        wired.tell(number)
        wired.restart()
        wired.reply("ok", f"R{number}")
    assert texts(phone(wired)) == [f"Tiket {number}" for number in range(1, 8)]
    assert wired.network.keys_used_twice() == []
    assert wired.network.retries == []


# -- two broken peers ------------------------------------------------------------------------------------


def quarrel(wired: WiredFunctions, *, most: int = 500) -> int:
    """Both sides can read nothing of each other, and each asks as long as it is answered. Return how many
    stanzas that took until both were silent."""
    stanzas, heard = 0, 0
    while wired.network.retries or heard < len(wired.network.written):
        if wired.network.retries:
            wired.receive(wired.network.retries.pop(0))
        else:
            asked = wired.network.written[heard]
            heard += 1
            retry = asked.child("retry")
            if retry is None:
                continue
            wired.receive(garbled(wired, retry.attr_str("id"), count=retry.attr_int("count")))
        stanzas += 1
        assert stanzas < most, "two broken peers go round in circles"
    return stanzas


def test_two_broken_peers_come_to_an_end(wired):
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = wired.tell(2)
    wired.receive(garbled(wired))
    # 5 resends and a refusal; 4 questions, the last of which is answered in vain
    assert quarrel(wired) == 10
    assert wired.stored(notification).state is State.FAILED
    assert [letter["reason"] for letter in wired.aws.messages("dead-letters")] == ["recovery-exhausted"]


def test_twin_without_limits_never_comes_to_an_end(wired, monkeypatch):
    """What the limits are for: without them the same two peers go on."""
    for limit in ("MAX_RETRY_RECEIPTS", "MAX_RECOVERIES_PER_DEVICE"):
        monkeypatch.setattr(retries, limit, 10_000)
    monkeypatch.setattr(retry_rights, "MAX_PLAUSIBLE_COUNT", 10_000)
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    wired.tell(2)
    wired.receive(garbled(wired))
    with pytest.raises(AssertionError, match="round in circles"):
        quarrel(wired, most=30)


def to_recipients(wired):
    """What was sent, but for what our own phone was asked."""
    return [node for node in wired.network.messages if node.attrs.get("category") != "peer"]


def test_many_messages_between_two_broken_peers_stay_within_the_hours_budget(wired):
    """Seven messages are under way, and five new sessions help none of them: each message goes out once more
    in each of those, and then no more."""
    wired.restart(recoveries_per_hour=5)
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    for number in range(2, 9):
        wired.tell(number)
    before = len(to_recipients(wired))
    bundles = wired.network.queries.count("bundle 1234@lid")
    for number in range(4):
        wired.receive(garbled(wired, f"B{number}"))
    quarrel(wired)
    assert len(to_recipients(wired)) - before == 7 * 5
    assert wired.network.queries.count("bundle 1234@lid") - bundles <= 5
    assert {letter["reason"] for letter in wired.aws.messages("dead-letters")} == {"recovery-exhausted"}


def test_a_device_that_forgets_its_count_again_and_again_gets_no_more_than_five(wired):
    """Each time under count 1, and late enough to be no replay: the count that is kept is ours."""
    phone(wired).receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    notification = wired.tell(2)
    outcomes = []
    for _ in range(8):
        wired.network.retries.clear()
        request = wired.network.retry_receipt(phone(wired), notification.message_id, "BadMac", count=1)
        outcomes.append(wired.receive(request).outcome)
        wired.paired.now += 20 * 60
    assert outcomes == ["resent"] * 5 + ["exhausted"] * 3


def test_in_the_next_hour_there_is_a_new_budget(wired):
    wired.restart(recoveries_per_hour=1)
    outcomes = []
    for number in (2, 3):
        phone(wired).corrupt()
        wired.tell(number)
        outcomes += [report.outcome for report in wired.answer_retries()]
    assert outcomes == ["resent", "over-budget"]
    wired.paired.now += 3600
    phone(wired).corrupt()
    wired.tell(4)
    assert wired.answer_retries()[0].outcome == "resent"


# -- receiving side --------------------------------------------------------------------------------------


def test_an_unknown_signed_prekey_is_asked_for_with_keys_at_once(wired):
    device = phone(wired)
    device.begin(replace(our_bundle(wired), signed_prekey_id=77))
    before = sessions(wired)
    report = wired.receive(message_from(device, wired.siti, "F", "Halo"))
    assert (report.outcome, report.cause, report.facts["with_keys"]) == ("asked-again", "NoPreKey", True)
    assert retry_of(wired).attrs["error"] == "3"
    assert sessions(wired) == before


def test_a_signed_prekey_of_before_the_rotation_still_opens_a_first_message(wired):
    bundle = our_bundle(wired)
    fresh = wired.paired.keys.account.new_signed_prekey()
    wired.paired.keys.account.adopt_signed_prekey(fresh.id)
    phone(wired).begin(bundle)
    assert wired.receive(message_from(phone(wired), wired.siti, "F", "Halo")).outcome == "reply"


def test_a_message_too_far_ahead_is_asked_for_again_and_harms_nothing(wired):
    device = phone(wired)
    for _ in range(2001):
        device.encrypt(b"lost")
    far = message_from(device, wired.siti, "F", "jauh")
    before = sessions(wired)
    report = wired.receive(far)
    assert (report.outcome, report.cause) == ("asked-again", "FutureMessage")
    assert retry_of(wired).attrs["error"] == "6"
    assert sessions(wired) == before


def test_a_late_message_of_a_closed_chain_is_a_duplicate_and_harms_nothing(wired):
    """The sender sent it long ago, and has no copy of it any more: a request could bring nothing."""
    device = phone(wired)
    late = message_from(device, wired.siti, "L", "terlambat")
    for number in range(2, 9):
        wired.tell(number)
        wired.reply("ok", f"R{number}")
    before = sessions(wired)
    assert wired.receive(late).outcome == "duplicate"
    assert sessions(wired) == before


def test_a_late_message_of_an_archived_session_brings_it_back(wired):
    device = phone(wired)
    late = message_from(device, wired.siti, "L", "terlambat")
    old = facts(wired).base_key
    wired.paired.keys.sending.rebuild(
        wired.paired.profile, wired.paired.keys.account.credentials(), "1234@lid", 0, device.bundle()
    )
    assert facts(wired).base_key != old
    assert wired.receive(late).outcome == "reply"
    assert facts(wired).base_key == old
    wired.tell(2)
    assert texts(device)[-1] == "Tiket 2"


def spoilt(chain: SendingChain) -> SendingChain:
    """A chain whose MACs nobody else would write."""
    return replace(chain, chain_key=os.urandom(32))


def test_a_first_message_under_another_identity_is_trusted_once_its_mac_is_right(wired):
    device = phone(wired)
    device.reinstall()
    device.begin(our_bundle(wired))
    honest = device.record
    state = honest.current
    device.record = replace(honest, states=(replace(state, sending=spoilt(state.sending)),))
    before = sessions(wired)
    assert wired.receive(message_from(device, wired.siti, "X", "palsu")).cause == "BadMac"
    assert sessions(wired) == before
    device.record = honest
    assert wired.receive(message_from(device, wired.siti, "X", "HP baru", count=1)).outcome == "reply"
    assert facts(wired).identity == device.identity.public


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_our_own_requests_count_up_and_bear_keys_from_the_second_on(wired, count):
    for done in range(count):
        wired.receive(garbled(wired, count=done))
    assert retry_of(wired).attrs["count"] == str(count)
    assert (wired.network.written[-1].child("keys") is not None) == (count >= 2)


def test_the_count_of_a_sender_who_is_ahead_of_us_is_followed(wired):
    report = wired.receive(garbled(wired, count=3))
    assert report.facts["count"] == 4
    assert wired.receive(garbled(wired, count=4)).outcome == "given-up"


def test_our_session_is_archived_once_an_hour_however_much_is_garbled(wired):
    for number in range(5):
        for count in range(3):
            wired.receive(garbled(wired, f"B{number}", count=count))
    assert wired.paired.keys.upkeep.view(wired.paired.profile, "1234@lid").devices[0].archived == 1
    wired.tell(2)
    wired.receive(garbled(wired, "C1", count=1))
    assert facts(wired) is not None
