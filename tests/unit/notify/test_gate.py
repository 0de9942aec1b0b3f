"""What we ourselves hold back, from the order to the sweep that lets it go."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.notifications import a_notification, an_id
from tests.support.paced_world import NOW, PacedWorld
from tocsin.notify.content import Attachment, Edit, File, Quote, Text
from tocsin.notify.notification import SELF_TEST, TICKET_DIGEST, Notification, State
from tocsin.notify.threads import placed
from tocsin.notify.waiting import WaitingList
from tocsin.pace.causes import (
    ACCOUNT_PACE,
    DIGEST,
    FIRST_CONTACT_PACE,
    PAUSED,
    QUIET_HOURS,
    RECIPIENT_PACE,
)
from tocsin.pace.ledger import Ledger
from tocsin.people.person import Name, Source
from tocsin.tables.notifications import notification_key

SITI, BUDI = "6581234567", "6589999999"
"""In Singapore, which has one time."""
NIGHT = datetime(2026, 12, 1, 15, tzinfo=UTC).timestamp()
"""23:00 there."""


@pytest.fixture
def world() -> PacedWorld:
    world = PacedWorld()
    world.set(typing_jitter_milliseconds=0)
    return world


def a_ticket(world: PacedWorld, number: int, recipient: str = SITI, **about: Any) -> Notification:
    values: dict[str, Any] = {
        "id": an_id(number, recipient),
        "ticket_id": f"TCK-{number}",
        "recipient": recipient,
        "audience": "technician",
        "language": "en",
        "content": Text(f"Hi Siti,\n\nTicket TCK-{number} is new."),
        "created_at": world.now_ms + number,
        "expires_at": world.now_ms + 86_400_000,
    }
    return a_notification(**values | about)


def plan(world: PacedWorld, number: int, recipient: str = SITI, **about: Any) -> list[Notification]:
    tickets = [a_ticket(world, one, recipient, **about) for one in range(1, number + 1)]
    world.plan(*tickets)
    world.carry_out()
    return tickets


def waits_for(world: PacedWorld, one: Notification) -> str:
    stored = world.stored(one)
    assert stored.state is State.WAITING
    assert stored.last_error is not None
    return stored.last_error.code


def ids(tickets: list[Notification]) -> list[str]:
    return [one.id for one in tickets]


# -- pausing -------------------------------------------------------------------------------------------------


def test_what_is_paused_waits_and_goes_on_in_its_order(world: PacedWorld) -> None:
    world.set(sending="paused")
    tickets = plan(world, 3)
    world.minutes(10)
    assert (world.sent, waits_for(world, tickets[0])) == ([], PAUSED)
    world.set(sending="on")
    world.minutes(1)
    assert world.sent == ids(tickets)


def test_the_sweeps_of_a_pause_write_nothing(world: PacedWorld) -> None:
    world.set(sending="paused")
    [ticket] = plan(world, 1)
    world.minutes(30)
    assert world.stored(ticket).parkings == 1


def test_a_pause_of_an_audience_holds_nobody_else(world: PacedWorld) -> None:
    world.set(scope="audience=customer", sending="paused")
    held, *_ = plan(world, 1, SITI, audience="customer")
    plan(world, 1, BUDI)
    world.minutes(2)
    assert world.sent == [an_id(1, BUDI)]
    assert waits_for(world, held) == PAUSED


def test_a_pause_uses_up_no_expiry_whatever_a_message_waited_for_before(world: PacedWorld) -> None:
    world.set(recipient_spacing_seconds=3600)
    first, second = plan(world, 2)
    world.set(sending="paused", recipient_spacing_seconds=0)
    assert waits_for(world, second) == RECIPIENT_PACE
    world.minutes(61)
    assert waits_for(world, second) == PAUSED
    world.now += 5 * 86_400
    world.sweep()
    world.set(sending="on")
    world.minutes(1)
    assert world.sent == ids([first, second])


def test_what_waited_for_the_connector_when_a_pause_began_does_not_expire_in_it(world: PacedWorld) -> None:
    [ticket] = plan(world, 0) or [a_ticket(world, 1)]
    world.stores.notifications.put_new(ticket)
    world.stores.parking.park(ticket, "connector-away", world.now_ms)
    world.set(sending="paused")
    world.minutes(1)
    world.now += 3 * 86_400
    world.set(sending="on")
    world.minutes(1)
    assert world.sent == [ticket.id]


# -- sandbox -------------------------------------------------------------------------------------------------


def test_the_sandbox_sends_to_whom_it_names_and_records_the_rest(world: PacedWorld) -> None:
    world.set(sandbox=True, sandbox_allows=(SITI,))
    plan(world, 1)
    [kept] = plan(world, 1, BUDI)
    assert world.sent == [an_id(1, SITI)]
    stored = world.stored(kept)
    assert (stored.state, stored.last_error.code) == (State.SUPPRESSED, "sandbox")
    assert world.item(notification_key(kept.id))["outcome"] == "WouldHaveBeenSent"


def test_the_sandbox_knows_groups_by_their_jid(world: PacedWorld) -> None:
    world.set(sandbox=True, sandbox_allows=("1203631@g.us",))
    plan(world, 1, "1203631@g.us", audience="group")
    plan(world, 1, "1203632@g.us", audience="group")
    assert world.sent == [an_id(1, "1203631@g.us")]


def test_a_self_test_needs_no_leave_of_the_sandbox(world: PacedWorld) -> None:
    world.set(sandbox=True)
    plan(world, 1, event_type=SELF_TEST)
    assert world.sent == [an_id(1, SITI)]


# -- quiet hours ---------------------------------------------------------------------------------------------


@pytest.fixture
def night(world: PacedWorld) -> PacedWorld:
    world.now = NIGHT
    world.set(quiet_hours="22:00-07:00")
    return world


def test_at_night_a_message_waits_for_the_morning_of_its_recipient(night: PacedWorld) -> None:
    [ticket] = plan(night, 1)
    assert waits_for(night, ticket) == QUIET_HOURS
    assert night.stored(ticket).due_at == (NIGHT + 8 * 3600) * 1000
    night.minutes(479)
    assert night.sent == []
    night.minutes(1)
    assert night.sent == [ticket.id]


def test_whose_country_has_several_times_goes_by_the_setting(night: PacedWorld) -> None:
    night.set(time_zone="America/Lima")
    plan(night, 1, "6281234567890")
    assert night.sent == [an_id(1, "6281234567890")]


def test_what_is_urgent_goes_at_night(night: PacedWorld) -> None:
    [ticket] = plan(night, 1, urgent=True)
    assert night.sent == [ticket.id]


def test_what_is_urgent_takes_along_what_it_would_have_to_overtake(night: PacedWorld) -> None:
    tickets = plan(night, 2)
    urgent = a_ticket(night, 3, urgent=True)
    night.plan(urgent)
    night.carry_out()
    assert night.sent == []
    night.minutes(1)
    assert night.sent == ids([*tickets, urgent])


def test_what_an_operator_releases_goes_at_night_and_nothing_else_does(night: PacedWorld) -> None:
    tickets = plan(night, 2)
    done = WaitingList(night.stores, clock=lambda: night.now).release(tickets[0].id)
    night.minutes(2)
    assert (done.result, night.sent) == ("released", [tickets[0].id])
    assert waits_for(night, tickets[1]) == QUIET_HOURS


def test_what_an_operator_releases_may_use_what_is_kept_for_the_urgent(world: PacedWorld) -> None:
    world.set(messages_per_day=10)
    tickets = [a_ticket(world, number, f"65{number:08d}") for number in range(30)]
    world.plan(*tickets)
    world.carry_out()
    waiting = WaitingList(world.stores, clock=lambda: world.now)
    assert "parks again if" in waiting.release(tickets[20].id).why
    world.minutes(2)
    assert world.sent[9:] == [tickets[20].id]


def test_a_release_during_a_pause_says_that_it_waits_on(world: PacedWorld) -> None:
    world.set(sending="paused")
    [ticket] = plan(world, 1)
    done = WaitingList(world.stores, clock=lambda: world.now).release(ticket.id)
    assert done.why == "it waits on while sending is paused: tocsin resume"
    world.minutes(2)
    assert world.sent == []


def test_a_night_uses_up_no_expiry(night: PacedWorld) -> None:
    [ticket] = plan(night, 1, expires_at=night.now_ms + 3_600_000)
    night.minutes(480)
    assert night.sent == [ticket.id]


KATHMANDU = "9779812345678"


def test_somebody_known_by_a_lid_sleeps_where_their_number_does(night: PacedWorld) -> None:
    """In Kathmandu it is 20:45, in UTC, which is the setting's, 15:00, and in Singapore 23:00."""
    lid = "1234@lid"
    siti = Name(f"{SITI}@s.whatsapp.net", Source.WROTE, night.now_ms)
    night.stores.people.join("default", siti.jid, lid, [siti])
    [ticket] = plan(night, 1, lid, person=lid)
    assert waits_for(night, ticket) == QUIET_HOURS
    night.minutes(479)
    assert (night.sent, night.stored(ticket).parkings) == ([], 1)
    night.minutes(1)
    assert night.sent == [ticket.id]


def test_a_night_ends_by_the_quarter_of_an_hour_where_the_zone_has_one(night: PacedWorld) -> None:
    night.now += 75 * 60
    [ticket] = plan(night, 1, KATHMANDU)
    assert waits_for(night, ticket) == QUIET_HOURS
    assert night.stored(ticket).due_at == (NIGHT + 10.25 * 3600) * 1000  # 07:00 there, 01:15 in UTC


# -- pace ----------------------------------------------------------------------------------------------------


def test_what_is_over_the_budget_goes_in_portions_oldest_first(world: PacedWorld) -> None:
    world.set(messages_per_minute=10)
    tickets = [a_ticket(world, number, f"65{number:08d}") for number in range(1, 31)]
    world.plan(*tickets)
    world.carry_out()
    assert len(world.sent) == 9
    assert waits_for(world, tickets[9]) == ACCOUNT_PACE
    world.minutes(10)
    assert world.sent == ids(tickets)
    assert all(world.stored(one).parkings <= 3 for one in tickets)


def test_what_comes_fresh_waits_behind_what_is_over_the_budget(world: PacedWorld) -> None:
    world.set(messages_per_minute=10)
    early = [a_ticket(world, number, f"65{number:08d}") for number in range(1, 16)]
    world.plan(*early)
    world.carry_out()
    world.now += 1
    late = a_ticket(world, 99, BUDI)
    world.plan(late)
    world.carry_out()
    assert waits_for(world, late) == ACCOUNT_PACE
    world.minutes(5)
    assert world.sent == ids([*early, late])


def test_what_was_held_while_the_clock_was_ahead_holds_nobody_once_it_is_right(world: PacedWorld) -> None:
    world.set(messages_per_minute=10)
    world.now += 30 * 86_400
    early = [a_ticket(world, number, f"65{number:08d}") for number in range(1, 16)]
    world.plan(*early)
    world.carry_out()
    world.now -= 30 * 86_400
    late = a_ticket(world, 99, BUDI)
    world.plan(late)
    world.carry_out()
    assert world.sent[-1] == late.id
    world.minutes(3)
    assert world.sent == ids([*early[:9], late, *early[9:]])


def test_those_who_heard_of_the_old_number_are_first_contacts_of_the_new_one(world: PacedWorld) -> None:
    world.set(first_contacts_per_hour=10)
    tickets = [a_ticket(world, number, f"65{number:08d}") for number in range(30)]
    for one in tickets:
        before = f"{world.now_ms - 1:016d}"
        world.stores.people.note_delivery("default", one.person_name, "earlier", before)
    world.holds["default"].begin_with(Ledger(since=int(world.now)))
    world.plan(*tickets)
    world.carry_out()
    assert len(world.sent) == 4  # of a number that is new, half
    assert waits_for(world, tickets[4]) == FIRST_CONTACT_PACE


@pytest.mark.parametrize(
    "budget",
    [{"messages_per_day": 10}, {"first_contacts_per_day": 10}, {"messages_per_day": 10, "digest_size": 2}],
)
def test_what_needs_days_of_a_budget_expires_in_none_of_them(
    world: PacedWorld, budget: dict[str, int]
) -> None:
    world.set(**budget)
    tickets = [a_ticket(world, number, f"65{number // 2:08d}") for number in range(60)]
    world.plan(*tickets)
    world.carry_out()
    for _ in range(9 * 24):
        world.now += 3600
        world.sweep()
    assert set(world.sent) == set(ids(tickets))


def test_a_morning_with_room_for_few_loses_nobody(night: PacedWorld) -> None:
    night.set(messages_per_day=10)
    tickets = [a_ticket(night, number, f"65{number:08d}") for number in range(60)]
    night.plan(*tickets)
    night.carry_out()
    assert waits_for(night, tickets[0]) == QUIET_HOURS
    for _ in range(9 * 24):
        night.now += 3600
        night.sweep()
    assert set(night.sent) == set(ids(tickets))


@pytest.mark.parametrize("raised", [{"messages_per_day": 1000}, {"quiet_hours": ""}])
def test_what_a_changed_setting_held_goes_with_the_next_sweeps(
    world: PacedWorld, raised: dict[str, Any]
) -> None:
    world.now = NIGHT if "quiet_hours" in raised else NOW
    world.set(**{"messages_per_day": 3} if world.now == NOW else {"quiet_hours": "22:00-07:00"})
    tickets = [a_ticket(world, number, f"65{number:08d}") for number in range(9)]
    world.plan(*tickets)
    world.carry_out()
    world.minutes(5)
    assert len(world.sent) < 9
    world.set(**raised)
    world.minutes(1)
    assert set(world.sent) == set(ids(tickets))


def test_a_raised_budget_holds_for_what_comes_fresh_at_once(world: PacedWorld) -> None:
    world.set(messages_per_day=10)
    world.plan(*(a_ticket(world, number, f"65{number:08d}") for number in range(1, 16)))
    world.carry_out()
    world.set(messages_per_day=1000)
    fresh = a_ticket(world, 99, BUDI)
    world.plan(fresh)
    world.carry_out()
    assert fresh.id in world.sent


def test_messages_to_one_person_keep_their_distance(world: PacedWorld) -> None:
    world.set(recipient_spacing_seconds=90)
    tickets = plan(world, 3)
    world.minutes(10)
    assert world.sent == ids(tickets)
    times = [gone.at for gone in world.server.gone]
    assert all(later - earlier >= 90 for earlier, later in itertools.pairwise(times))


def test_a_space_that_is_not_wanted_any_more_keeps_nobody_waiting(world: PacedWorld) -> None:
    world.set(recipient_spacing_seconds=3600)
    tickets = plan(world, 2)
    world.minutes(1)
    assert (world.sent, waits_for(world, tickets[1])) == ([tickets[0].id], RECIPIENT_PACE)
    world.set(recipient_spacing_seconds=60)
    world.minutes(1)
    assert world.sent == ids(tickets)


# -- digests -------------------------------------------------------------------------------------------------


@pytest.fixture
def storm(world: PacedWorld) -> PacedWorld:
    world.set(digest_size=3, digest_window_seconds=300)
    return world


def digest_in(world: PacedWorld) -> Notification:
    [digest] = [one for name in world.sent if (one := world.stored(name)).event_type == TICKET_DIGEST]
    return digest


def test_a_storm_to_one_person_ends_in_a_digest_that_names_each_ticket(storm: PacedWorld) -> None:
    tickets = plan(storm, 10)
    assert storm.sent == ids(tickets[:3])
    storm.minutes(6)
    digest = digest_in(storm)
    assert storm.sent == [*ids(tickets[:3]), digest.id]
    assert digest.text.startswith("*7 messages about 7 tickets*")
    assert all(f"*TCK-{number}*\nTicket TCK-{number} is new." in digest.text for number in range(4, 11))
    assert "TCK-3" not in digest.text
    assert digest.digest_of == tuple((one.id, one.ticket_id) for one in tickets[3:])


def test_what_a_digest_says_ends_as_that(storm: PacedWorld) -> None:
    tickets = plan(storm, 6)
    storm.minutes(6)
    ended = [storm.stored(one) for one in tickets[3:]]
    assert {one.state for one in ended} == {State.SUPPRESSED}
    assert {one.last_error.detail for one in ended} == {f"said in the digest {digest_in(storm).id}"}
    assert storm.stores.people.find("default", ended[0].person_name).parked == frozenset()
    assert list(storm.stores.parking.waiting("default")) == []


def test_one_message_alone_makes_no_digest(storm: PacedWorld) -> None:
    tickets = plan(storm, 4)
    storm.minutes(6)
    assert storm.sent == ids(tickets)


def test_what_is_urgent_is_no_part_of_a_digest_and_overtakes_none(storm: PacedWorld) -> None:
    plan(storm, 6)
    urgent = a_ticket(storm, 7, urgent=True)
    storm.plan(urgent)
    storm.carry_out()
    storm.minutes(1)
    assert storm.sent[3:] == [digest_in(storm).id, urgent.id]


def test_a_file_ends_a_digest_and_keeps_its_place(storm: PacedWorld) -> None:
    plan(storm, 3)
    file = File(Attachment("plans/a.pdf", "a.pdf", "application/pdf"), "the plan")
    later = [a_ticket(storm, number) for number in (4, 5)]
    later += [a_ticket(storm, 6, content=file), a_ticket(storm, 7)]
    storm.plan(*later)
    storm.carry_out()
    storm.minutes(15)
    digest = digest_in(storm)
    assert [name for _, name in digest.digest_of] == ["TCK-4", "TCK-5"]
    assert storm.sent[3:] == [digest.id, later[2].id, later[3].id]


def test_a_later_message_about_a_digested_ticket_quotes_the_digest(storm: PacedWorld) -> None:
    plan(storm, 6)
    storm.minutes(6)
    update = a_ticket(storm, 5, id="f" * 18, event_type="TicketUpdated")
    said = placed(update, storm.stores, storm.settings).content
    digest = digest_in(storm)
    assert isinstance(said, Text)
    assert said.quote == Quote(digest.message_id, digest.text)
    other = a_ticket(storm, 2, id="e" * 18, event_type="TicketUpdated")
    assert placed(other, storm.stores, storm.settings) == other


def test_so_does_the_message_in_the_place_of_an_edit_of_what_a_digest_said(storm: PacedWorld) -> None:
    plan(storm, 6)
    storm.set(updates_as="edit")
    about = {"id": "f" * 18, "event_type": "TicketUpdated", "content": Text("Ticket TCK-5 moved.")}
    storm.stores.threads.follow(a_ticket(storm, 5))
    update = placed(a_ticket(storm, 5, **about, created_at=storm.now_ms + 50), storm.stores, storm.settings)
    assert isinstance(update.content, Edit)
    storm.plan(update)
    storm.carry_out()
    storm.minutes(6)
    digest, last = digest_in(storm), storm.server.gone[-1]
    assert last.content == Text("Ticket TCK-5 moved.", Quote(digest.message_id, digest.text))


def test_digests_that_are_not_wanted_any_more_keep_nobody_waiting(storm: PacedWorld) -> None:
    tickets = plan(storm, 6)
    storm.minutes(1)
    assert storm.sent == ids(tickets[:3])
    storm.set(digest_size=0)
    storm.minutes(1)
    assert storm.sent == [*ids(tickets[:3]), digest_in(storm).id]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_crash_while_a_digest_is_sent_says_nothing_twice_and_loses_nothing(
    storm: PacedWorld, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = plan(storm, 6)
    suppress, calls = storm.stores.notifications.suppress, []

    def crash(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == lost + 1:
            raise ConnectionError
        return suppress(*args, **kwargs)

    monkeypatch.setattr(storm.stores.notifications, "suppress", crash)
    storm.now += 301
    storm.maintainer.resume("default", lambda: 300.0)
    orders = list(storm.orders)
    storm.orders.clear()
    with pytest.raises(ConnectionError):
        storm.delivery.deliver(orders[0])
    storm.orders.extend(orders)
    storm.carry_out()
    digest = digest_in(storm)
    assert storm.sent == [*ids(tickets[:3]), digest.id]
    assert {storm.stored(one).state for one in tickets[3:]} == {State.SUPPRESSED}


def test_a_crash_after_a_digest_parked_says_nothing_twice(
    storm: PacedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who began the digest may then wait behind it."""
    tickets = plan(storm, 6)
    storm.now += 301
    storm.maintainer.resume("default", lambda: 300.0)
    orders = list(storm.orders)
    storm.orders.clear()
    storm.set(messages_per_minute=1)
    storm.plan(a_ticket(storm, 99, BUDI))
    storm.carry_out()

    def crash(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    with monkeypatch.context() as crashing:
        crashing.setattr(storm.stores.notifications, "suppress", crash)
        with pytest.raises(ConnectionError):
            storm.delivery.deliver(orders[0])
    # As if it had been parked behind the digest, which is in the line as well.
    storm.stores.parking.park(storm.stored(tickets[3]), "behind", storm.now_ms)
    storm.orders.extend(orders)
    storm.set(messages_per_minute=100)
    storm.carry_out()
    storm.minutes(10)
    assert storm.sent == [*ids(tickets[:3]), an_id(99, BUDI), digest_in(storm).id]
    assert {storm.stored(one).state for one in tickets[3:]} == {State.SUPPRESSED}


def test_who_waits_for_a_digest_is_told_so(storm: PacedWorld) -> None:
    tickets = plan(storm, 5)
    assert [waits_for(storm, one) for one in tickets[3:]] == [DIGEST, "behind"]
    assert storm.stored(tickets[4]).held_until == (NOW + 300) * 1000
