"""What may go out of an account, and what not before when."""

from __future__ import annotations

import pytest

from tocsin.pace.causes import ACCOUNT_PACE, DIGEST, FIRST_CONTACT_PACE, RECIPIENT_PACE
from tocsin.pace.ledger import Ledger
from tocsin.pace.pacer import MAX_RECIPIENTS, Go, Hold, Message, Pacer
from tocsin.pace.rules import Rules

NOW = 1_800_000_000.0
SITI, BUDI = "siti", "budi"
FREE = Rules(jitter=0)


def pacer(ledger: Ledger | None = None) -> Pacer:
    """Its dice show the middle."""
    return Pacer(lambda low, high: (low + high) / 2, ledger)


def admit_many(one: Pacer, number: int, rules: Rules, now: float = NOW, **about: bool) -> list[Go | Hold]:
    return [one.admit(Message(f"person-{index}", **about), rules, now) for index in range(number)]


def test_within_the_rules_a_message_goes_at_once() -> None:
    assert pacer().admit(Message(SITI), FREE, NOW) == Go()


# -- the account's budget ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["per_minute", "per_hour", "per_day"])
def test_beyond_its_budget_an_account_waits_for_room(name: str) -> None:
    rules = FREE._replace(**{name: 10})
    *sent, held = admit_many(pacer(), 10, rules)
    assert sent == [Go()] * 9
    assert isinstance(held, Hold)
    assert held.cause == ACCOUNT_PACE
    assert held.until > NOW


def test_a_held_message_is_not_counted() -> None:
    one = pacer()
    admit_many(one, 30, FREE._replace(per_hour=10))
    assert one.ledger.hour.total(NOW) == 9


def test_a_tenth_of_the_budget_is_for_what_is_urgent() -> None:
    one, rules = pacer(), FREE._replace(per_hour=10)
    admit_many(one, 10, rules)
    assert one.admit(Message(SITI, urgent=True), rules, NOW) == Go()
    assert isinstance(one.admit(Message(BUDI, urgent=True), rules, NOW), Hold)


def test_when_there_is_room_again_what_was_parked_goes_before_what_is_fresh() -> None:
    one, rules = pacer(), FREE._replace(per_minute=10)
    held = admit_many(one, 10, rules)[-1]
    assert isinstance(held, Hold)
    fresh = one.admit(Message(SITI), rules, held.until)
    assert isinstance(fresh, Hold)
    assert fresh.cause == ACCOUNT_PACE
    assert one.admit(Message(SITI, resumed=True), rules, held.until) == Go()
    assert one.admit(Message(BUDI), rules, fresh.until) == Go()


def test_a_larger_budget_lets_fresh_ones_through_at_once() -> None:
    one, rules = pacer(), FREE._replace(per_minute=10)
    admit_many(one, 10, rules)
    assert one.admit(Message(SITI), rules._replace(per_minute=100), NOW) == Go()


def test_a_new_account_has_a_part_of_its_budget() -> None:
    rules = FREE._replace(per_hour=100, warm_up_days=10, percent_at_first=20)
    new, grown = pacer(Ledger(since=int(NOW))), pacer()
    assert sum(isinstance(one, Go) for one in admit_many(new, 100, rules)) == 18
    assert sum(isinstance(one, Go) for one in admit_many(grown, 100, rules)) == 90


# -- first contacts ------------------------------------------------------------------------------------------


def test_first_contacts_have_a_budget_of_their_own() -> None:
    one, rules = pacer(), FREE._replace(first_per_hour=10)
    *_, held = admit_many(one, 10, rules, first_contact=True)
    assert isinstance(held, Hold)
    assert held.cause == FIRST_CONTACT_PACE
    assert one.admit(Message(SITI), rules, NOW) == Go()


def test_one_person_is_one_first_contact_however_much_they_get() -> None:
    one, rules = pacer(), FREE._replace(first_per_hour=10)
    for _ in range(30):
        assert one.admit(Message(SITI, first_contact=True), rules, NOW) == Go()
    assert one.ledger.first_hour.total(NOW) == 1


def test_a_fresh_first_contact_takes_no_parked_one_s_room() -> None:
    one, rules = pacer(), FREE._replace(first_per_hour=10)
    *_, held = admit_many(one, 10, rules, first_contact=True)
    assert isinstance(held, Hold)
    fresh = one.admit(Message(SITI, first_contact=True), rules, held.until)
    assert isinstance(fresh, Hold)
    assert fresh.cause == FIRST_CONTACT_PACE
    assert one.admit(Message(BUDI, first_contact=True, resumed=True), rules, held.until) == Go()
    assert one.admit(Message("known"), rules, held.until) == Go()


# -- one recipient -------------------------------------------------------------------------------------------


def test_a_short_space_between_two_messages_is_waited_for() -> None:
    one, rules = pacer(), FREE._replace(spacing=3)
    one.admit(Message(SITI), rules, NOW)
    assert one.admit(Message(SITI), rules, NOW + 1) == Go(2)
    assert one.admit(Message(BUDI), rules, NOW + 1) == Go()


def test_a_long_space_between_two_messages_parks() -> None:
    one, rules = pacer(), FREE._replace(spacing=60)
    one.admit(Message(SITI), rules, NOW)
    assert one.admit(Message(SITI), rules, NOW + 1) == Hold(RECIPIENT_PACE, NOW + 60)
    assert one.admit(Message(SITI, urgent=True), rules, NOW + 1) == Go()


def test_several_messages_in_a_row_are_typed_not_thrown() -> None:
    one, rules = pacer(), FREE._replace(jitter=0.3)
    assert one.admit(Message(SITI), rules, NOW) == Go()
    assert one.admit(Message(SITI), rules, NOW).delay == pytest.approx(0.2)
    assert one.admit(Message(SITI), rules, NOW).delay == pytest.approx(0.4)
    assert one.admit(Message(SITI), rules, NOW + 60) == Go()


def test_who_was_written_to_longest_ago_is_forgotten() -> None:
    one = pacer()
    rules = Rules(per_minute=10**6, per_hour=10**6, per_day=10**6)
    admit_many(one, MAX_RECIPIENTS + 10, rules)
    assert len(one._recipients) == MAX_RECIPIENTS


# -- digests -------------------------------------------------------------------------------------------------

DIGESTS = FREE._replace(digest_size=3, digest_window=300)


def test_a_storm_to_one_person_is_collected_from_the_size_on() -> None:
    one = pacer()
    answers = [one.admit(Message(SITI, digestible=True), DIGESTS, NOW + second) for second in range(5)]
    assert answers[:3] == [Go()] * 3
    assert answers[3:] == [Hold(DIGEST, NOW + 303)] * 2
    assert one.admit(Message(BUDI, digestible=True), DIGESTS, NOW + 4) == Go()


def test_what_is_urgent_or_no_ticket_joins_no_digest() -> None:
    one = pacer()
    for _ in range(4):
        one.admit(Message(SITI, digestible=True), DIGESTS, NOW)
    assert one.admit(Message(SITI), DIGESTS, NOW) == Go()
    assert one.admit(Message(SITI, urgent=True, digestible=True), DIGESTS, NOW) == Go()


def test_after_the_window_single_messages_go_again() -> None:
    one = pacer()
    for _ in range(4):
        one.admit(Message(SITI, digestible=True), DIGESTS, NOW)
    assert one.admit(Message(SITI, digestible=True), DIGESTS, NOW + 301) == Go()


def test_without_a_size_nothing_is_collected() -> None:
    one = pacer()
    rules = FREE._replace(digest_size=0)
    assert {one.admit(Message(SITI, digestible=True), rules, NOW + second) for second in range(9)} == {Go()}


# -- a clock that was wrong for a moment ---------------------------------------------------------------------

AHEAD = 30 * 86_400.0


def test_what_was_sent_while_the_clock_was_ahead_holds_nobody_once_it_is_right() -> None:
    one, rules = pacer(), FREE._replace(jitter=0.3, spacing=3)
    one.admit(Message(SITI), rules, NOW + AHEAD)
    assert one.admit(Message(SITI), rules, NOW) == Go()
    assert one.admit(Message(SITI), rules, NOW + 1) == Go(2)


def test_a_digest_begun_while_the_clock_was_ahead_collects_nothing_once_it_is_right() -> None:
    one = pacer()
    for _ in range(4):
        one.admit(Message(SITI, digestible=True), DIGESTS, NOW + AHEAD)
    assert one.admit(Message(SITI, digestible=True), DIGESTS, NOW) == Go()


def test_a_budget_used_up_while_the_clock_was_ahead_has_room_once_it_is_right() -> None:
    one, rules = pacer(), FREE._replace(per_minute=10)
    admit_many(one, 11, rules, NOW + AHEAD)
    assert one.admit(Message(SITI), rules, NOW) == Go()


def test_a_clock_that_steps_back_a_little_is_waited_for() -> None:
    one, rules = pacer(), FREE._replace(spacing=3)
    one.admit(Message(SITI), rules, NOW + 1)
    assert one.admit(Message(SITI), rules, NOW) == Go(4)
