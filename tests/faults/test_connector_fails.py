"""The connector dies, is told to go, or loses its socket. Each time nothing is lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.faults.fleet import Connector, Fleet
from tests.support.stack import DESK, DeployedStack, Notice, Person, eventually
from tocsin.notify.notification import State

pytestmark = pytest.mark.faults

LONG_ENOUGH = 60
"""Seconds after which a test has failed."""


def test_killed_in_mid_send_it_is_replaced(
    deployed: DeployedStack, connector: Connector, fleet: Fleet
) -> None:
    people = [deployed.known("Siti"), deployed.known("Budi"), deployed.person("Somebody new")]
    standby = fleet.start()

    def kill() -> None:
        epoch = deployed.lease().epoch
        connector.process.kill()
        deployed.wait_for_account("connected", epoch=epoch + 1, seconds=LONG_ENOUGH)

    notices = break_in_mid_send(deployed, people, kill)
    the_one_that_took_over_is(standby)
    all_arrive_in_order(deployed, people, notices)


def test_told_to_go_it_hands_over_at_once(
    deployed: DeployedStack, connector: Connector, fleet: Fleet
) -> None:
    people = [deployed.known(f"Person {number}") for number in range(8)]
    standby = fleet.start()
    before = [deployed.tell(person) for person in people]
    deployed.phones.wait_until(lambda: deployed.shown(before[1]), "no traffic")

    held = deployed.lease()
    connector.process.terminate()
    eventually(lambda: not connector.process.alive(), "it doesn't end")

    assert deployed.lease().connector != held.connector, "it left its lease to run out"
    deployed.wait_for_account("connected", epoch=held.epoch + 1, seconds=LONG_ENOUGH)
    the_one_that_took_over_is(standby)
    deployed.all_planned()
    after = [deployed.tell(person) for person in people]
    all_arrive_in_order(deployed, people, [*before, *after])


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
    deployed: DeployedStack, connector: Connector, fault: dict[str, Any]
) -> None:
    people = [deployed.known("Siti"), deployed.person("Somebody new")]
    notices = break_in_mid_send(deployed, people, lambda: deployed.phones.inject(**fault, account=DESK))
    all_arrive_in_order(deployed, people, notices)
    assert connector.process.alive()


def test_while_none_runs_notifications_wait_and_go_out_in_order(
    deployed: DeployedStack, connector: Connector, fleet: Fleet
) -> None:
    people = [deployed.known("Siti"), deployed.person("Somebody new")]
    connector.process.terminate()
    eventually(lambda: not connector.process.alive(), "it doesn't end")

    waiting = deployed.tell_in_turn(people * 3)
    deployed.all_until(waiting, State.WAITING)
    parked = deployed.look(waiting[0])
    assert parked is not None
    assert parked.last_error is not None
    assert parked.last_error.class_ == "wait"
    assert parked.retries_used == 0

    fleet.start()
    late = deployed.tell_in_turn(people * 3)
    all_arrive_in_order(deployed, people, [*waiting, *late])


def break_in_mid_send(
    deployed: DeployedStack, people: list[Person], fault: Callable[[], object]
) -> list[Notice]:
    """Tell everybody twice, do `fault` when the first message is under way, tell everybody twice more.

    Under way: the server has passed it on, and its ack doesn't come.
    """
    deployed.phones.inject("lose-acks", account=DESK, device=1)
    before = deployed.tell_in_turn(people * 2)
    deployed.phones.wait_for_event("message", id=before[0].message_id)
    fault()
    return [*before, *deployed.tell_in_turn(people * 2)]


def all_arrive_in_order(deployed: DeployedStack, people: Sequence[Person], notices: Sequence[Notice]) -> None:
    deployed.all_until(notices, State.READ, seconds=60)
    for person in people:
        deployed.shown_in_order(person, [notice for notice in notices if notice.person == person])
    deployed.nothing_is_lost(*notices)
