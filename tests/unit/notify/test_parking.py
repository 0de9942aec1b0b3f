"""Upkeep of what waits: nothing is lost, nothing overtakes, nothing is told twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.parked import BUDI, NOW, SITI, Scene
from tocsin.dynamo.writes import Delete, Put, Update
from tocsin.notify.notification import Notification, State
from tocsin.notify.parking import Maintainer
from tocsin.notify.queues import EnqueueFailed, NotificationsQueue
from tocsin.notify.store.parking import WaitingRow
from tocsin.tables.notifications import notification_key, waiting_key


@pytest.fixture
def scene() -> Scene:
    return Scene(MemoryAws())


# -- a restriction of first contacts -----------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["first-contact-restricted", "first-contact-quota"])
def test_first_contacts_go_as_soon_as_the_restriction_is_lifted(scene: Scene, cause: str) -> None:
    held = scene.parked(due_at=(NOW + 86_000) * 1000, cause=cause)
    scene.connector.restricted = False
    assert scene.resume().resumed == 1
    assert scene.order_ids() == [held.id]


def test_first_contacts_wait_while_it_lasts(scene: Scene) -> None:
    scene.parked(due_at=(NOW + 86_000) * 1000, cause="first-contact-restricted")
    assert scene.resume().resumed == 0


def test_what_waits_for_another_cause_waits_for_its_day(scene: Scene) -> None:
    scene.parked(due_at=(NOW + 600) * 1000, cause="rate-limited")
    scene.connector.restricted = False
    assert scene.resume().resumed == 0


# -- resume after a login --------------------------------------------------------------------------------


def test_after_a_login_all_goes_back_oldest_first_and_then_the_connector_is_told(scene: Scene) -> None:
    parked = [scene.parked(recipient) for recipient in [SITI, BUDI, SITI] * 5]
    report = scene.resume()
    assert scene.order_ids() == [one.id for one in parked]
    assert (report.resumed, report.waiting, report.complete) == (15, 0, True)
    assert scene.connector.told == ["default"]
    assert scene.rows() == []


def test_a_resumed_order_may_pass_and_has_a_generation_of_its_own(scene: Scene) -> None:
    notification = scene.parked()
    scene.resume()
    (order,) = scene.orders()
    assert (order["resumed"], order["generation"]) == (True, 1)
    assert scene.state(notification) is State.PLANNED


def test_the_connector_is_told_even_if_nothing_waits(scene: Scene) -> None:
    scene.resume()
    assert scene.connector.told == ["default"]


def test_what_parks_behind_the_last_look_is_put_back_too(scene: Scene) -> None:
    late: list[Notification] = []
    scene.connector.on_resumed.append(lambda: late.append(scene.parked()))
    scene.resume()
    assert scene.order_ids() == [late[0].id]


@pytest.mark.parametrize("state", [None, "connecting", "unpaired", "logged_out", "replaced", "stopped"])
def test_an_account_that_cannot_send_resumes_nothing(scene: Scene, state: str | None) -> None:
    scene.connector.connection = state
    scene.parked()
    report = scene.resume()
    assert (report.resumed, report.waiting, scene.orders()) == (0, 1, [])
    assert scene.connector.told == []


def test_a_connected_account_is_told_nothing(scene: Scene) -> None:
    """Nobody is being held back there."""
    scene.connector.connection = "connected"
    notification = scene.parked()
    scene.resume()
    assert scene.order_ids() == [notification.id]
    assert scene.connector.told == []


def test_a_connector_out_of_reach_is_told_by_the_next_minute(scene: Scene) -> None:
    scene.connector.unreachable = True
    assert not scene.resume().complete
    scene.connector.unreachable = False
    assert scene.sweep().complete
    assert scene.connector.told == ["default"]


def test_a_resume_out_of_time_leaves_the_rest_and_keeps_fresh_ones_back(scene: Scene) -> None:
    scene.parked()
    scene.left = 5
    report = scene.resume()
    assert (report.resumed, report.waiting, report.complete) == (0, 1, False)
    assert scene.connector.told == []


def test_those_who_are_asleep_take_no_more_time_than_there_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To see whether it is night where somebody is takes a read, if only their LID is known."""
    for number in range(5):
        scene.parked(f"{number}@lid", due_at=(NOW + 600) * 1000, cause="quiet-hours")
    looked_at: list[str] = []

    def is_early(_: object, __: object, row: WaitingRow, ___: int) -> bool:
        looked_at.append(row.recipient)
        return True

    monkeypatch.setattr(Maintainer, "_is_early", is_early)
    report = scene.maintainer.sweep("default", lambda: 5 if len(looked_at) == 2 else 60)
    assert looked_at == ["0@lid", "1@lid"]
    assert not report.complete


# -- due times and order ---------------------------------------------------------------------------------


def test_what_has_a_date_waits_for_it(scene: Scene) -> None:
    scene.connector.connection = "connected"
    scene.parked(due_at=(NOW + 60) * 1000)
    assert scene.sweep().resumed == 0
    scene.now += 60
    assert scene.sweep().resumed == 1


def test_nothing_overtakes_at_one_recipient(scene: Scene) -> None:
    scene.parked(SITI, due_at=(NOW + 60) * 1000)
    scene.parked(SITI)
    other = scene.parked(BUDI)
    scene.resume()
    assert scene.order_ids() == [other.id]
    assert len(scene.rows()) == 2


def test_what_parks_anew_at_once_is_left_to_the_next_minute(scene: Scene) -> None:
    """And everything of that recipient stays behind it."""
    first = scene.parked()

    class ParksAtOnce(NotificationsQueue):
        def send_all(self, notifications: Any, *, resumed: bool = False) -> None:
            for notification in notifications:
                scene.stores.parking.park(notification, "not-connected", NOW * 1000)
                if notification.id == first.id:
                    scene.parked()

    scene.queue = ParksAtOnce(None, "")
    report = scene.resume()
    assert report.resumed == 1
    assert len(scene.rows()) == 2


# -- crashes and doubles ---------------------------------------------------------------------------------


def test_a_crash_before_the_queue_leaves_the_row(scene: Scene) -> None:
    notification = scene.parked()
    working = scene.queue

    class Down(NotificationsQueue):
        def send_all(self, notifications: Any, *, resumed: bool = False) -> None:
            raise EnqueueFailed("down")

    scene.queue = Down(None, "")
    with pytest.raises(EnqueueFailed):
        scene.resume()
    assert scene.rows() == [notification.id]
    scene.queue = working
    scene.resume()
    assert scene.order_ids() == [notification.id]
    assert scene.rows() == []


@pytest.mark.parametrize("end", [State.SENT, State.DELIVERED, State.READ, State.SUPPRESSED])
def test_a_row_whose_notification_is_past_waiting_is_only_cleared_away(scene: Scene, end: State) -> None:
    notification = scene.parked()
    scene.aws.notifications_table.update(Update(notification_key(notification.id), set={"state": end}))
    assert scene.resume().resumed == 0
    assert (scene.orders(), scene.rows()) == ([], [])
    assert scene.state(notification) is end


def test_a_row_whose_notification_is_gone_is_cleared_away(scene: Scene) -> None:
    notification = scene.parked()
    scene.aws.notifications_table.delete(Delete(notification_key(notification.id)))
    scene.resume()
    assert (scene.orders(), scene.rows()) == ([], [])


# -- expiry ----------------------------------------------------------------------------------------------


def test_out_of_time_the_rest_expires_with_the_next_minute(scene: Scene) -> None:
    scene.parked()
    scene.now += 86_400
    report = scene.maintainer.sweep("default", lambda: 1.0)
    assert (report.expired, report.complete) == (0, False)
    assert scene.sweep().expired == 1


@pytest.mark.parametrize("connection", ["connected", "resuming", "logged_out", None])
def test_what_waited_too_long_becomes_a_dead_letter(scene: Scene, connection: str | None) -> None:
    scene.connector.connection = connection
    notification = scene.parked()
    scene.now += 86_400
    report = scene.sweep()
    assert (report.expired, report.waiting) == (1, 0)
    (letter,) = scene.aws.messages("dead-letters")
    assert (letter["reason"], letter["notification"]) == ("expired", notification.id)
    assert "not-connected" in letter["detail"]
    assert scene.state(notification) is State.FAILED
    assert scene.orders() == []


def test_a_redriven_dead_letter_begins_anew(scene: Scene) -> None:
    notification = scene.parked()
    scene.now += 86_400
    scene.sweep()
    at = int(scene.now) * 1000
    scene.stores.notifications.reset_for_redrive(notification.id, at=at, expires_at=at + 86_400_000)
    assert scene.state(notification) is State.PLANNED
    assert scene.rows() == []


# -- the record decides, not the row ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "whose", [{"pk": "waiting#support"}, {"recipient": BUDI}], ids=["account", "recipient"]
)
@pytest.mark.parametrize("later", [0, 86_400], ids=["due", "over"])
def test_a_row_of_another_than_its_notification_is_dropped_and_changes_nothing(
    scene: Scene, whose: dict[str, Any], later: int
) -> None:
    notification = scene.parked()
    before = scene.stores.notifications.get(notification.id)
    table = scene.aws.notifications_table
    (row,) = table.query("waiting#default")
    table.delete(Delete(waiting_key("default", str(row["sk"]))))
    odd = {**row, **whose}
    table.put(Put((odd.pop("pk"), odd.pop("sk")), odd))
    scene.now += later
    account = {**row, **whose}["pk"].partition("#")[2]
    report = scene.maintainer.resume(account, lambda: scene.left)
    assert (report.mismatched, report.resumed, report.expired, report.waiting) == (1, 0, 0, 0)
    assert (scene.orders(), scene.aws.messages("dead-letters")) == ([], [])
    assert scene.stores.notifications.get(notification.id) == before


# -- missing receipts ------------------------------------------------------------------------------------


def test_a_sent_notification_without_receipt_is_reported_once(scene: Scene) -> None:
    notification = scene.planned()
    deadline = (NOW + 3600) * 1000
    scene.stores.notifications.mark_sent(
        notification.id, {}, at=NOW * 1000, account="default", receipt_deadline=deadline
    )
    assert scene.sweep().overdue == 0
    scene.now += 3600
    assert [scene.sweep().overdue for _ in range(2)] == [1, 0]
    stored = scene.stores.notifications.get(notification.id)
    assert stored is not None
    assert (stored.state, stored.overdue_at) == (State.SENT, deadline)


def test_a_message_that_nobody_sent_again_is_told_once(scene: Scene) -> None:
    due_at = (NOW + 3600) * 1000
    scene.stores.replies.expect("default", f"{SITI}@s.whatsapp.net", "R1", {"kind": "unreadable"}, 5, due_at)
    scene.sweep()
    assert "outcome" not in _reply(scene)
    scene.now += 3600
    scene.sweep()
    assert (_reply(scene)["outcome"], _reply(scene)["outcome_at"]) == ("ReplyReceived", due_at)
    scene.now += 60
    scene.sweep()
    assert _reply(scene)["outcome_at"] == due_at


def _reply(scene: Scene) -> dict[str, Any]:
    reply = scene.stores.replies.get("default", f"{SITI}@s.whatsapp.net", "R1")
    assert reply is not None
    return reply


def test_a_resume_asks_after_no_receipts(scene: Scene) -> None:
    """It has something to do that others wait for."""
    notification = scene.planned()
    scene.stores.notifications.mark_sent(notification.id, {}, at=0, account="default", receipt_deadline=1)
    assert scene.resume().overdue == 0


# -- records that can't be read ------------------------------------------------------------------------------


def spoil(scene: Scene, notification: Notification) -> None:
    """Its record is of another version, or damaged."""
    scene.aws.notifications_table.update(Update(notification_key(notification.id), remove=("ticket_id",)))


def test_a_record_that_cannot_be_read_holds_up_nobody_and_waits_on(scene: Scene) -> None:
    odd, same, other = scene.parked(), scene.parked(), scene.parked(BUDI)
    spoil(scene, odd)
    report = scene.resume()
    assert [order["notification"] for order in scene.orders()] == [same.id, other.id]
    assert (report.resumed, report.waiting, report.complete) == (2, 1, True)


def test_it_is_a_dead_letter_once_it_is_too_late(scene: Scene) -> None:
    odd, other = scene.parked(), scene.parked(BUDI)
    spoil(scene, odd)
    scene.now += 86_400
    scene.resume()
    letters = {one["notification"]: one["reason"] for one in scene.aws.messages("dead-letters")}
    assert letters == {odd.id: "unreadable-record", other.id: "expired"}
    assert list(scene.stores.parking.waiting("default")) == []


def test_a_missing_receipt_of_a_record_that_cannot_be_read_keeps_no_other_from_being_told(
    scene: Scene,
) -> None:
    odd, *others = (scene.planned() for _ in range(3))
    for place, one in enumerate((odd, *others)):
        deadline = (NOW + 3600) * 1000 + place
        scene.stores.notifications.mark_sent(
            one.id, {}, at=NOW * 1000, account="default", receipt_deadline=deadline
        )
    spoil(scene, odd)
    scene.now += 3601
    assert [scene.sweep().overdue for _ in range(2)] == [2, 0]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("notification", None), ("planned_at", "soon"), ("recipient", 7), ("expires_at", {}), ("due_at", "x")],
)
def test_a_row_that_cannot_be_read_holds_up_nobody(scene: Scene, attribute: str, value: Any) -> None:
    odd, other = scene.parked(), scene.parked(BUDI)
    key = waiting_key("default", odd.turn)
    gone = {"remove": (attribute,)} if value is None else {"set": {attribute: value}}
    scene.aws.notifications_table.update(Update(key, **gone))
    report = scene.resume()
    assert [order["notification"] for order in scene.orders()] == [other.id]
    assert report.complete
