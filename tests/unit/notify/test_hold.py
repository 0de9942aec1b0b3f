"""A hold by WhatsApp's limits on the account uses up nobody's expiry; every other wait does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_aws import MemoryAccount, everything_in
from tests.support.one_delivery import NOW, Connector, Scene
from tocsin.connector.gateway.limits import BY_ACK
from tocsin.dynamo.writes import Put
from tocsin.multidevice.refusals import ACK_RULES
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.failure import Wait
from tocsin.notify.hold import (
    ACCOUNT_LIMITS,
    FIRST_CONTACT_CODES,
    GRACE_SECONDS,
    MAX_LIFE_SECONDS,
    Hold,
    expiry,
)
from tocsin.notify.notification import Notification, State
from tocsin.notify.parking import Maintainer, Report
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, Order
from tocsin_console.life import conclusion

HOUR, DAY = 3600, 86400
DAY_MS = DAY * 1000
NOW_MS = NOW * 1000


class Line(Scene):
    """A scene in which parked ones are looked after, and what goes back to the queue is carried out."""

    connector: Connector

    @property
    def maintainer(self) -> Maintainer:
        queues = self.aws.queues
        return Maintainer(
            self.stores,
            NotificationsQueue(self.aws.sqs, queues["notifications"]),
            DeadLetters(self.stores, DeadLettersQueue(self.aws.sqs, queues["dead-letters"])),
            self.connector,
            clock=lambda: self.now,
        )

    def plan(self, expiry_seconds: int) -> Notification:
        one = replace(
            self.planned,
            id=f"{expiry_seconds:018x}",
            ticket_id="TCK-9",
            expires_at=(NOW + expiry_seconds) * 1000,
        )
        self.stores.notifications.put_new(one)
        return one

    def meets(self, one: Notification, failure: Wait) -> str:
        self.transport.script = [failure]
        return self.delivery.deliver(Order.of(one)).outcome

    def minute(self, at: float) -> Report:
        """The schedule at `at`, and the orders that it put back."""
        self.now = at
        report = self.maintainer.resume("default", lambda: 300.0)
        for order in self.aws.messages("notifications"):
            self.delivery.deliver(Order(**order))
        return report

    def state(self, one: Notification) -> State:
        stored = self.stores.notifications.get(one.id)
        assert stored is not None
        return stored.state


@pytest.fixture
def account() -> MemoryAccount:
    return MemoryAccount()


@pytest.fixture
def line(account: MemoryAccount) -> Line:
    line = Line(account.furnish())
    line.connector = Connector("connected")
    return line


# -- the rule ----------------------------------------------------------------------------------------------

SECONDS = st.integers(1, 7 * DAY)


@given(
    lock=SECONDS,
    life=st.integers(60, 7 * DAY),
    met=st.floats(0, 0.999),
    late=st.integers(0, GRACE_SECONDS * 1000 - 1),
)
def test_a_message_held_only_by_the_account_s_limits_always_gets_its_chance(
    lock: int, life: int, met: float, late: int
) -> None:
    parked_at = NOW_MS + int(life * met) * 1000
    ends_at = parked_at + lock * 1000
    latest = ends_at + late
    assert expiry(NOW_MS + life * 1000, NOW_MS, Hold(parked_at, ends_at), latest) > latest


@given(lock=SECONDS, life=st.integers(60, 7 * DAY), after=SECONDS)
def test_the_time_held_is_added_and_no_other(lock: int, life: int, after: int) -> None:
    hold = Hold(NOW_MS, NOW_MS + lock * 1000)
    end = expiry(NOW_MS + life * 1000, NOW_MS, hold, hold.until + after * 1000)
    assert end == hold.until + max(life, GRACE_SECONDS) * 1000


@given(life=st.integers(60, 7 * DAY), now=st.integers(NOW_MS, NOW_MS + 60 * DAY_MS))
def test_an_ordinary_wait_adds_nothing(life: int, now: int) -> None:
    assert expiry(NOW_MS + life * 1000, NOW_MS, None, now) == NOW_MS + life * 1000


@given(now=st.integers(NOW_MS, NOW_MS + 400 * DAY_MS))
def test_a_limit_without_end_holds_nobody_for_ever(now: int) -> None:
    hold = Hold(NOW_MS, NOW_MS + 4000 * DAY_MS)
    assert expiry(NOW_MS + DAY_MS, NOW_MS, hold, now) <= NOW_MS + MAX_LIFE_SECONDS * 1000


def test_a_limit_lifted_early_adds_only_what_it_held() -> None:
    hold = Hold(NOW_MS, NOW_MS + DAY_MS)
    lifted_at = NOW_MS + 1500
    assert expiry(NOW_MS + DAY_MS, NOW_MS, hold, lifted_at) == lifted_at + DAY_MS


def test_the_account_s_limits_are_those_that_the_connector_writes_down() -> None:
    codes = {ACK_RULES[int(error)].code for error in BY_ACK}
    assert codes | FIRST_CONTACT_CODES | {"restricted"} == ACCOUNT_LIMITS
    assert "forbidden" not in ACCOUNT_LIMITS  # this one is the recipient's


# -- parked, resumed, sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("life", [60, HOUR, DAY, 3 * DAY])
@pytest.mark.parametrize(
    ("code", "lock"),
    [("rate-limited", 900), ("locked", HOUR), ("first-contact-restricted", DAY), ("restricted", 2 * DAY)],
)
def test_held_until_its_expiry_before_it_or_after_it_a_message_is_sent_when_the_limit_ends(
    line: Line, code: str, lock: int, life: int
) -> None:
    one = line.plan(life)
    line.now = NOW + life - 1
    due = NOW + life - 1 + lock
    assert line.meets(one, Wait(code, due_at=due * 1000)) == "parked"
    for at in sorted({NOW + life, due - 1}):
        if at < due:
            line.minute(at)
            assert line.state(one) is State.WAITING
    line.minute(due)
    assert line.state(one) is State.SENT


@pytest.mark.parametrize(
    "failure", [Wait("not-connected"), Wait("forbidden", due_at=(NOW + 2 * HOUR) * 1000)]
)
def test_an_ordinary_wait_still_expires(line: Line, failure: Wait) -> None:
    one = line.plan(HOUR)
    line.meets(one, failure)
    assert line.minute(NOW + HOUR).expired == 1
    assert line.state(one) is State.FAILED


def test_the_first_to_meet_a_guessed_lock_is_sent_and_does_not_expire_a_second_before(line: Line) -> None:
    line.now = NOW + 1
    line.meets(line.planned, Wait("first-contact-restricted", due_at=(NOW + 1 + DAY) * 1000))
    assert line.minute(NOW + DAY).expired == 0
    line.minute(NOW + DAY + 1)
    assert line.notification.state is State.SENT


def test_after_the_limit_an_ordinary_wait_uses_up_what_is_left(line: Line) -> None:
    one = line.plan(3 * HOUR)
    line.meets(one, Wait("locked", due_at=(NOW + HOUR) * 1000))
    line.connector.connection = "connecting"
    assert line.minute(NOW + 4 * HOUR - 1).expired == 0
    assert line.minute(NOW + 4 * HOUR).expired == 1


def test_limit_upon_limit_each_adds_its_time(line: Line) -> None:
    one = line.plan(HOUR)
    line.meets(one, Wait("rate-limited", due_at=(NOW + 2 * HOUR) * 1000))
    line.transport.script = [Wait("rate-limited", due_at=(NOW + 9 * HOUR) * 1000)]
    line.minute(NOW + 2 * HOUR)
    line.minute(NOW + 9 * HOUR)
    assert line.state(one) is State.SENT


def test_what_waits_behind_a_held_one_gets_its_chance_too(line: Line) -> None:
    first, later = line.plan(HOUR), line.plan_another()
    line.now = NOW + 30
    line.meets(first, Wait("first-contact-restricted", due_at=(NOW + 30 + DAY) * 1000))
    behind = replace(later, id="f" * 18, ticket_id="TCK-8", expires_at=(NOW + HOUR) * 1000)
    line.stores.notifications.put_new(behind)
    assert line.delivery.deliver(Order.of(behind)).cause == "behind"
    assert line.minute(NOW + DAY).expired == 0
    line.minute(NOW + 30 + DAY)
    assert (line.state(first), line.state(behind)) == (State.SENT, State.SENT)


def test_what_was_behind_before_the_first_one_met_the_limit_gets_its_chance_too(line: Line) -> None:
    first = line.plan(HOUR)
    behind = replace(first, id="f" * 18, created_at=first.created_at + 1)
    line.stores.notifications.put_new(behind)
    line.meets(first, Wait("not-connected"))
    line.delivery.deliver(Order.of(behind))
    line.stores.parking.requeue(first.id)
    order = replace(Order.of(first), generation=1, resumed=True)
    line.transport.script = [Wait("first-contact-restricted", due_at=(NOW + DAY) * 1000)]
    line.delivery.deliver(order)
    assert line.minute(NOW + 2 * HOUR).expired == 0
    line.minute(NOW + DAY)
    assert (line.state(first), line.state(behind)) == (State.SENT, State.SENT)


def test_nothing_overtakes_a_held_one_whose_expiry_is_past(line: Line) -> None:
    first = line.plan(HOUR)
    line.meets(first, Wait("first-contact-restricted", due_at=(NOW + DAY) * 1000))
    later = line.plan_another()
    line.now = NOW + 2 * HOUR
    assert line.delivery.deliver(Order.of(later)).cause == "behind"


def test_rows_and_records_from_before_holds_were_written_down_are_held_as_well(line: Line) -> None:
    one = line.plan(HOUR)
    line.meets(one, Wait("first-contact-restricted", due_at=(NOW + DAY) * 1000))
    without_hold(line)
    assert line.minute(NOW + 2 * HOUR).expired == 0
    line.minute(NOW + DAY)
    assert line.state(one) is State.SENT


def test_an_operator_is_told_when_a_held_one_is_given_up(line: Line) -> None:
    from tocsin_console.life import Life

    one = line.plan(HOUR)
    line.meets(one, Wait("locked", due_at=(NOW + 2 * HOUR) * 1000))
    stored = line.stores.notifications.get(one.id)
    assert stored is not None
    assert "given up at 2027-01-15 11:00:00 UTC" in conclusion(Life(stored, "", "connected"), NOW * 1000)


def without_hold(line: Line) -> None:
    """Every item as it was stored before."""
    table = line.aws.notifications_table
    for item in everything_in(table):
        older = {name: value for name, value in item.items() if name not in ("held_until", "parked_at")}
        table.put(Put((older.pop("pk"), older.pop("sk")), older))
