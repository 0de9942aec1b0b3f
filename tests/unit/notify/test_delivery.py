"""One order from the queue: what each of the five failures does to it, and what a redelivery finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_aws import MemoryAccount, MemoryAws
from tests.support.one_delivery import NOW, USER, Scene
from tests.support.receipts import mark_receipt
from tests.support.settings import chosen
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.failure import Permanent, Recover, Retry, Wait
from tocsin.notify.notification import Problem, State
from tocsin.notify.queues import Order
from tocsin.notify.store.texts import SEALED
from tocsin.notify.texts.consent import CONSENT_WITHDRAWN
from tocsin.notify.transport import Address, Outgoing, Sent
from tocsin.notify.verdict import Verdict
from tocsin.tables.keys import address_key
from tocsin.tables.notifications import notification_key


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def aws(account: MemoryAccount) -> MemoryAws:
    return account.furnish()


@pytest.fixture
def scene(aws: MemoryAws) -> Scene:
    return Scene(aws)


def test_an_order_is_sent_and_recorded_with_its_numbers(scene):
    assert scene.deliver() == Verdict("sent")
    stored = scene.notification
    assert stored.state is State.SENT
    assert [dict(attempt.numbers) for attempt in stored.attempts] == [{USER: 7}]
    assert scene.transport.settled == 1


@pytest.mark.parametrize(
    ("steps", "outcome"), [(("delivered", "read"), None), (("sent", "delivered", "read"), "Sent")]
)
def test_the_stream_shows_it_only_to_who_asked_for_that_step(scene, steps, outcome):
    """What carries no outcome passes the stream's filter unseen, and starts no function."""
    scene.settings = chosen(outcome_events=steps)
    scene.deliver()
    assert scene.aws.notifications_table.get(notification_key(scene.planned.id)).get("outcome") == outcome


def test_what_is_not_told_takes_an_earlier_outcome_away(scene):
    """Of a redriven one the stream would else tell its failure a second time."""
    scene.stores.notifications.fail(scene.planned.id, Problem("gone", "permanent"), NOW)
    scene.stores.notifications.reset_for_redrive(
        scene.planned.id, at=NOW, expires_at=scene.planned.expires_at
    )
    scene.deliver(generation=1)
    assert scene.notification.state is State.SENT
    assert "outcome" not in scene.aws.notifications_table.get(notification_key(scene.planned.id))


def test_a_record_of_an_unknown_form_waits_two_minutes_and_lets_its_lane_go_on(scene):
    """The queue alone would hold all behind it for eight hours."""
    key = notification_key(scene.planned.id)
    scene.aws.notifications_table.update(Update(key, set={"state": "of-a-newer-version"}))
    assert [scene.deliver(receives).again_after for receives in (1, 4, 5)] == [30, 30, None]
    assert scene.deliver(5) == Verdict("unreadable", "unreadable-record")
    [letter] = scene.letters()
    assert (letter["reason"], letter["notification"]) == ("unreadable-record", scene.planned.id)
    assert scene.transport.sent == []


def test_one_in_front_whose_record_cannot_be_read_holds_up_nobody(scene):
    scene.stores.parking.park(scene.planned, "not-connected", NOW * 1000)
    key = notification_key(scene.planned.id)
    scene.aws.notifications_table.update(Update(key, set={"state": "of-a-newer-version"}))
    another = scene.plan_another()
    assert scene.delivery.deliver(Order.of(another)) == Verdict("sent")


def test_an_error_that_is_not_the_record_s_is_raised_and_brings_it_again(scene):
    scene.transport.script = [AttributeError("a bug")]
    with pytest.raises(AttributeError):
        scene.deliver(9)
    assert scene.letters() == []


def test_what_is_no_order_ends_among_the_dead_letters_as_it_came(scene):
    assert scene.delivery.refuse("[1, 2]", "default#1", "m-1") == Verdict("unreadable", "malformed-order")
    assert scene.delivery.refuse("[1, 2]", "default#1", "m-1").is_done
    assert scene.letters() == [[1, 2]]


def test_who_cannot_read_the_settings_sends_nothing(scene):
    """What was sent and then not recorded would be sent again."""

    def away():
        raise ConnectionError

    scene.settings = away
    with pytest.raises(ConnectionError):
        scene.deliver()
    assert scene.transport.sent == []
    assert scene.notification.state is State.PLANNED


def test_the_message_id_is_that_of_the_notification(scene):
    scene.deliver()
    assert scene.transport.sent[0].notification == scene.planned.id


def test_a_redelivered_order_is_dropped_where_it_is_already_sent(scene):
    scene.deliver()
    assert scene.deliver(receives=2) == Verdict("dropped", "sent")
    assert len(scene.transport.sent) == 1


def test_an_order_without_its_notification_is_dropped(scene):
    assert scene.deliver(notification="0" * 18) == Verdict("dropped", "unknown-notification")


def test_an_expired_notification_becomes_a_dead_letter(scene):
    scene.now += 86400
    assert scene.deliver() == Verdict("failed", "expired")
    assert [letter["reason"] for letter in scene.letters()] == ["expired"]
    assert scene.transport.sent == []


def test_whose_words_were_tampered_with_becomes_a_dead_letter_by_that_name(scene):
    """Sent, they might be meant for another person; raised, the order would come back for ever."""
    other = scene.plan_another(recipient="6289999999999")
    moved = scene.aws.notifications_table.get(notification_key(other.id))[SEALED]
    scene.aws.notifications_table.update(Update(notification_key(scene.planned.id), set={SEALED: moved}))
    assert scene.deliver() == Verdict("failed", "text-damaged")
    assert [letter["reason"] for letter in scene.letters()] == ["text-damaged"]
    assert (scene.transport.sent, scene.notification.state) == ([], State.FAILED)


def test_whose_words_were_erased_is_not_sent(scene):
    scene.aws.notifications_table.update(Update(notification_key(scene.planned.id), remove=(SEALED,)))
    assert scene.deliver() == Verdict("failed", "text-erased")
    assert scene.transport.sent == []


def test_who_opted_out_gets_nothing(scene):
    scene.stores.people.opt_out("default", USER, "stop", NOW * 1000)
    assert scene.deliver() == Verdict("suppressed", "opted-out")
    assert scene.notification.state is State.SUPPRESSED
    assert scene.letters() == []


def test_the_confirmation_of_an_opt_out_is_still_sent(aws):
    scene = Scene(aws, event_type=CONSENT_WITHDRAWN)
    scene.stores.people.opt_out("default", USER, "stop", NOW * 1000)
    assert scene.deliver() == Verdict("sent")


def test_a_known_recipient_is_addressed_by_lid(scene):
    scene.aws.keys_table.put(Put(address_key("default", USER), {"lid": "1234@lid"}))
    scene.deliver()
    assert scene.transport.sent[0].address == Address("1234@lid", USER)


# -- the record decides, not the order -------------------------------------------------------------------

STRANGER = "6281399998888"


@pytest.mark.parametrize(
    ("field", "value"),
    [("account", "support"), ("recipient", STRANGER), ("recipient", USER), ("audience", "technician")],
)
def test_an_order_that_names_another_than_its_notification_is_dropped_and_changes_nothing(
    scene, field, value
):
    before = scene.notification
    assert scene.deliver(receives=3, **{field: value}) == Verdict("mismatched", field)
    assert (scene.transport.sent, scene.letters()) == ([], [])
    assert scene.notification == before


def test_an_order_to_another_recipient_gets_past_no_opt_out(scene):
    scene.stores.people.opt_out("default", USER, "stop", NOW * 1000)
    scene.deliver(recipient=STRANGER)
    assert scene.transport.sent == []
    assert scene.deliver() == Verdict("suppressed", "opted-out")


def test_the_opt_out_of_another_than_its_notification_suppresses_nothing(scene):
    scene.stores.people.opt_out("default", f"{STRANGER}@s.whatsapp.net", "stop", NOW * 1000)
    scene.deliver(recipient=STRANGER)
    assert scene.deliver() == Verdict("sent")


@pytest.mark.parametrize(("field", "value"), [("person", f"{STRANGER}@s.whatsapp.net"), ("lane", STRANGER)])
def test_an_order_for_another_person_joins_nobody_and_sends_nothing(scene, field: str, value: str) -> None:
    scene.stores.people.opt_out("default", f"{STRANGER}@s.whatsapp.net", "STOP", NOW)
    scene.aws.keys_table.put(Put(address_key("default", USER), {"lid": "1234@lid"}))
    assert scene.deliver(**{field: value}) == Verdict("mismatched", field)
    assert scene.transport.sent == []
    assert scene.stores.people.find("default", "1234@lid").opted_out_at is None


def test_an_order_in_another_lane_is_dropped_and_one_in_its_own_is_sent(scene):
    order = Order.of(scene.planned)
    assert scene.delivery.deliver(order, lane=f"default#{STRANGER}") == Verdict("mismatched", "lane")
    assert scene.delivery.deliver(order, lane=order.group) == Verdict("sent")


def test_the_log_names_the_notification_and_masks_both_numbers(scene, caplog):
    scene.deliver(recipient=STRANGER)
    [line] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (line.notification, line.differs) == (scene.planned.id, "recipient")
    assert (line.ordered, line.recorded) == ("default#6281…88", "default#6281…90")


# -- wait ------------------------------------------------------------------------------------------------


def test_what_cannot_be_sent_now_is_parked_without_a_try(scene):
    scene.transport.closed = Wait("not-connected")
    assert scene.deliver() == Verdict("parked", "not-connected")
    assert scene.transport.sent == []
    assert [row.cause for row in scene.stores.parking.waiting("default")] == ["not-connected"]
    assert scene.notification.retries_used == 0


def test_a_limit_parks_until_its_date(scene):
    scene.transport.script = [Wait("rate-limited", due_at=(NOW + 900) * 1000)]
    scene.deliver()
    assert [row.due_at for row in scene.stores.parking.waiting("default")] == [(NOW + 900) * 1000]


def test_an_order_that_was_parked_and_is_delivered_again_does_nothing(scene):
    scene.transport.closed = Wait("not-connected")
    scene.deliver()
    scene.transport.closed = None
    assert scene.deliver(receives=2) == Verdict("dropped", "waiting")
    assert scene.transport.sent == []


def test_a_resumed_order_passes_and_its_old_generation_does_not(scene):
    scene.transport.closed = Wait("resuming")
    scene.deliver()
    scene.transport.closed = None
    scene.stores.parking.requeue(scene.planned.id)
    assert scene.deliver(generation=0) == Verdict("dropped", "superseded")
    assert scene.deliver(generation=1, resumed=True) == Verdict("sent")
    assert scene.transport.sent[0].resumed is True


def test_nothing_overtakes_what_is_parked_for_the_same_recipient(scene):
    later = scene.plan_another()
    scene.transport.script = [Wait("not-connected")]
    assert scene.deliver().outcome == "parked"
    assert scene.delivery.deliver(Order.of(later)) == Verdict("parked", "behind")
    rows = [row.notification for row in scene.stores.parking.waiting("default")]
    assert rows == [scene.planned.id, later.id]


def test_a_fresh_order_does_not_overtake_a_resumed_one_that_lies_behind_it_in_the_queue(scene):
    later = scene.plan_another()
    scene.transport.script = [Wait("not-connected")]
    scene.deliver()
    scene.stores.parking.requeue(scene.planned.id)
    assert scene.delivery.deliver(Order.of(later)).cause == "behind"
    assert scene.deliver(generation=1, resumed=True).outcome == "sent"
    scene.stores.parking.requeue(later.id)
    assert scene.delivery.deliver(replace(Order.of(later), generation=1, resumed=True)).outcome == "sent"
    assert scene.stores.people.find("default", USER).parked == frozenset()


def test_a_parked_one_holds_up_neither_earlier_ones_nor_other_recipients(scene):
    later, other = scene.plan_another(), scene.plan_another("TCK-3", "6281311112222")
    scene.transport.script = [Wait("not-connected")]
    scene.delivery.deliver(Order.of(later))
    assert scene.delivery.deliver(Order.of(other)).outcome == "sent"
    assert scene.deliver().outcome == "sent"


@pytest.mark.parametrize("end", ["receipt", "expiry"])
def test_one_that_came_to_its_end_elsewhere_holds_nobody_up(scene, end):
    scene.transport.script = [Wait("not-connected")]
    scene.deliver()
    later = scene.plan_another()
    if end == "receipt":
        mark_receipt(scene.stores.notifications, scene.planned.id, State.DELIVERED, NOW * 1000)
    else:
        scene.stores.notifications.fail(scene.planned.id, Problem("expired", "permanent"), NOW * 1000)
    assert scene.delivery.deliver(Order.of(later)).outcome == "sent"
    assert scene.stores.people.find("default", USER).parked == frozenset()


def test_what_was_waited_for_is_known_to_the_next_try(scene):
    scene.transport.script = [Wait("forbidden", due_at=(NOW + 7200) * 1000)]
    scene.deliver()
    scene.stores.parking.requeue(scene.planned.id)
    scene.deliver(generation=1, resumed=True)
    assert set(scene.transport.sent[1].earlier) == {"forbidden"}


# -- retry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("audience", "retries", "delay"), [("customer", 3, 3), ("technician", 2, 2)])
def test_each_audience_has_its_retries_and_its_delay(aws, audience, retries, delay):
    scene = Scene(aws, audience=audience)
    scene.transport.script = [Retry("ack-timeout") for _ in range(retries + 1)]
    for number in range(retries):
        assert scene.deliver(receives=number + 1) == Verdict("retry", "ack-timeout", again_after=delay)
    assert scene.deliver(receives=retries + 1) == Verdict("failed", "ack-timeout")
    [letter] = scene.letters()
    assert letter["reason"] == "ack-timeout"
    assert [attempt["cause"] for attempt in letter["attempts"]] == ["ack-timeout"] * (retries + 1)


def test_every_retry_is_the_same_message(scene):
    scene.transport.script = [Retry("ack-timeout")]
    scene.deliver()
    scene.deliver(receives=2)
    assert len({outgoing.notification for outgoing in scene.transport.sent}) == 1
    assert scene.notification.state is State.SENT


def test_the_count_of_retries_starts_again_after_a_success(scene):
    scene.transport.script = [Retry("ack-timeout")]
    scene.deliver()
    assert scene.notification.retries_used == 1
    scene.deliver(receives=2)
    assert scene.notification.retries_used == 0


def test_a_server_that_asks_for_patience_gets_it(scene):
    scene.transport.script = [Retry("server-error", not_before=40)]
    assert scene.deliver().again_after == 40


# -- recover ---------------------------------------------------------------------------------------------


def test_a_recovery_is_sent_again_at_once_and_spends_a_retry(scene):
    scene.transport.script = [Recover("stale-devices")]
    assert scene.deliver() == Verdict("sent")
    assert [attempt.cause for attempt in scene.notification.attempts] == ["stale-devices", "sent"]


def test_the_second_try_knows_what_the_first_failed_of(scene):
    scene.transport.script = [Recover("stale-devices")]
    scene.deliver()
    assert [set(outgoing.earlier) for outgoing in scene.transport.sent] == [set(), {"stale-devices"}]


def test_recoveries_come_to_an_end(scene):
    scene.transport.script = [Recover("no-bundles") for _ in range(4)]
    assert scene.deliver() == Verdict("failed", "no-bundles")
    assert len(scene.transport.sent) == 4


# -- permanent and bug -----------------------------------------------------------------------------------


def test_what_can_never_arrive_is_a_dead_letter_at_once(scene):
    scene.transport.script = [Permanent("not-on-whatsapp", "the number has no account")]
    assert scene.deliver() == Verdict("failed", "not-on-whatsapp")
    [letter] = scene.letters()
    assert (letter["reason"], letter["class"]) == ("not-on-whatsapp", "permanent")
    assert scene.notification.state is State.FAILED
    assert scene.notification.last_error.code == "not-on-whatsapp"


def test_a_crash_between_dead_letter_and_state_repeats_the_letter_and_loses_nothing(scene, monkeypatch):
    scene.transport.script = [Permanent("gone"), Permanent("gone")]
    with monkeypatch.context() as crash:
        crash.setattr(scene.stores.notifications, "fail", _die)
        with pytest.raises(KeyboardInterrupt):
            scene.deliver()
    assert scene.notification.state is State.PLANNED
    assert len(scene.letters()) == 1
    assert scene.deliver(receives=2) == Verdict("failed", "gone")
    assert scene.notification.state is State.FAILED


def test_the_unforeseen_is_left_to_the_queue(scene):
    scene.transport.script = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        scene.deliver()
    assert scene.notification.state is State.PLANNED


def test_killed_after_the_ack_and_before_the_record_it_is_sent_again_under_the_same_id(scene, monkeypatch):
    with monkeypatch.context() as crash:
        crash.setattr(scene.stores.notifications, "mark_sent", _die)
        with pytest.raises(KeyboardInterrupt):
            scene.deliver()
    assert scene.deliver(receives=2) == Verdict("sent")
    assert len({outgoing.notification for outgoing in scene.transport.sent}) == 1


def test_a_receipt_that_overtakes_the_record_wins(scene, monkeypatch):
    send = scene.transport.send

    def send_and_deliver(outgoing: Outgoing) -> Sent:
        sent = send(outgoing)
        mark_receipt(scene.stores.notifications, scene.planned.id, State.DELIVERED, NOW * 1000)
        return sent

    monkeypatch.setattr(scene.transport, "send", send_and_deliver)
    assert scene.deliver() == Verdict("sent")
    assert scene.notification.state is State.DELIVERED


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt("killed")
