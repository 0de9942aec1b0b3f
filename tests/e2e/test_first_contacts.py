"""First contacts on the deployed stack: a person who must write first, and an account that is locked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.stack import ACCOUNT, DESK, DeployedStack, Notice, eventually
from tocsin.notify.cold import MUST_WRITE_FIRST
from tocsin.notify.notification import Notification, State
from tocsin_console.status import account_status

pytestmark = pytest.mark.e2e


@pytest.fixture
def unlocked(deployed: DeployedStack) -> Iterator[DeployedStack]:
    """The stack, with an account that is free again in the end."""
    yield deployed
    deployed.phones.inject("reachout-lock", seconds=0)
    deployed.wait_for_account("connected")


def found(deployed: DeployedStack, notice: Notice, state: State) -> Notification:
    def look() -> Notification | None:
        one = deployed.look(notice)
        return one if one is not None and one.state is state else None

    return eventually(look, lambda: f"it is not {state}: {deployed.look(notice)}")


def test_who_must_write_first_gets_it_by_itself_once_they_do(deployed: DeployedStack) -> None:
    siti, budi = deployed.person("Siti"), deployed.person("Budi")
    deployed.phones.inject("cold", to=siti.number)
    refused = found(deployed, notice := deployed.tell(siti), State.FAILED)
    assert refused.last_error is not None
    assert refused.last_error.code == MUST_WRITE_FIRST
    deployed.until(deployed.tell(budi), State.DELIVERED)

    deployed.phones.write(siti.number, DESK, "Halo")

    found(deployed, notice, State.READ)
    assert deployed.shown(notice) is not None


def test_a_locked_account_writes_to_strangers_once_the_lock_is_lifted(unlocked: DeployedStack) -> None:
    known, stranger = unlocked.known("Siti"), unlocked.person("Budi")
    unlocked.phones.inject("reachout-lock", seconds=86400, type="RESTRICT_ALL_COMPANIONS", enforced=True)
    unlocked.wait_for_account("restricted")
    waiting = found(unlocked, notice := unlocked.tell(stranger), State.WAITING)
    assert waiting.last_error is not None
    assert waiting.last_error.code == "first-contact-restricted"
    unlocked.phones.write(known.number, DESK, "Halo")
    unlocked.until(unlocked.tell(known), State.DELIVERED)
    status = account_status(unlocked.world.deployment, ACCOUNT, time.time)
    assert any("RESTRICT_ALL_COMPANIONS" in line for line in status.health)

    unlocked.phones.inject("reachout-lock", seconds=0)

    found(unlocked, notice, State.READ)
