"""The connector dies, is told to go, or loses its socket. Each time nothing is lost and nothing doubled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.faults.fleet import Connector, Fleet
from tests.support.stack import DESK, Notice, Person, Stage, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.faults

TAKEOVER_SECONDS = 20
HANDOVER_SECONDS = 5


def test_killed_in_mid_send_it_is_replaced_within_20_seconds(
    stage: Stage, connector: Connector, fleet: Fleet
) -> None:
    people = [stage.known("Siti"), stage.known("Budi"), stage.person("Somebody new")]
    standby = fleet.start()
    took = 0.0

    def kill() -> None:
        nonlocal took
        took = seconds_until_connected(stage, connector.process.kill)

    notices = break_in_mid_send(stage, people, kill)
    assert took < TAKEOVER_SECONDS
    the_one_that_took_over_is(standby)
    all_arrive_in_order(stage, people, notices)


def test_told_to_go_it_hands_over_at_once(stage: Stage, connector: Connector, fleet: Fleet) -> None:
    people = [stage.known(f"Person {number}") for number in range(8)]
    standby = fleet.start()
    before = [stage.tell(person) for person in people]
    stage.phones.wait_until(lambda: stage.shown(before[1]), "no traffic")

    took = seconds_until_connected(stage, connector.process.terminate)

    assert took < HANDOVER_SECONDS
    the_one_that_took_over_is(standby)
    after = [stage.tell(person) for person in people]
    all_arrive_in_order(stage, people, [*before, *after])
    eventually(lambda: not connector.process.alive(), "it doesn't end")


def the_one_that_took_over_is(connector: Connector) -> None:
    """It logs that a moment after its lease says so."""
    eventually(lambda: connector.said("connected"), "another one took over")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "drop"}, id="dropped"),
        pytest.param({"kind": "stream-error", "code": 503}, id="stream-error-503"),
        pytest.param({"kind": "stream-error", "code": 515}, id="stream-error-515"),
    ],
)
def test_its_connection_broken_off_in_mid_send_it_connects_again(
    stage: Stage, connector: Connector, fault: dict[str, Any]
) -> None:
    people = [stage.known("Siti"), stage.person("Somebody new")]
    notices = break_in_mid_send(stage, people, lambda: stage.phones.inject(**fault, account=DESK))
    all_arrive_in_order(stage, people, notices)
    assert connector.process.alive()


def test_while_none_runs_notifications_wait_and_go_out_in_order(
    stage: Stage, connector: Connector, fleet: Fleet
) -> None:
    people = [stage.known("Siti"), stage.person("Somebody new")]
    connector.process.terminate()
    eventually(lambda: not connector.process.alive(), "it doesn't end")

    waiting = stage.tell_in_turn(people * 3)
    stage.all_until(waiting, State.WAITING)
    parked = stage.look(waiting[0])
    assert parked is not None
    assert parked.last_error is not None
    assert parked.last_error.class_ == "wait"
    assert parked.retries_used == 0

    fleet.start()
    late = stage.tell_in_turn(people * 3)
    all_arrive_in_order(stage, people, [*waiting, *late])


def break_in_mid_send(stage: Stage, people: list[Person], fault: Callable[[], object]) -> list[Notice]:
    """Tell everybody twice, do `fault` when the first message is under way, tell everybody twice more.

    Under way: the server has passed it on, and its ack doesn't come.
    """
    stage.phones.inject("lose-acks", account=DESK, device=1)
    before = stage.tell_in_turn(people * 2)
    stage.phones.wait_for_event("message", id=before[0].message_id)
    fault()
    return [*before, *stage.tell_in_turn(people * 2)]


def seconds_until_connected(stage: Stage, end: Callable[[], None]) -> float:
    """End the connector, and return how long it took until the next one was connected."""
    epoch = stage.lease().epoch
    began = time.monotonic()
    end()
    stage.wait_for_account("connected", epoch=epoch + 1)
    return time.monotonic() - began


def all_arrive_in_order(stage: Stage, people: Sequence[Person], notices: Sequence[Notice]) -> None:
    stage.all_until(notices, State.READ, seconds=60)
    for person in people:
        stage.shown_in_order(person, [notice for notice in notices if notice.person == person])
    stage.nothing_is_lost(*notices)
