"""What can't be delivered lies among the dead letters with its reason, attempts and history, ready to be
redriven. Redriven once, it arrives once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.faults.fleet import SETTINGS, Connector
from tests.faults.looks import causes, times_routed
from tests.support.stack import DESK, Bus, DeployedStack, Notice, eventually, new_ticket
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.queues import DeadLettersQueue
from tocsin.notify.redrive import Selection

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("audience", "tries"), [("customer", 4), ("technician", 3)])
def test_retries_used_up(
    deployed: DeployedStack, connector: Connector, bus: Bus, audience: str, tries: int
) -> None:
    siti = deployed.known("Siti")
    deployed.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=500, n=tries)
    told: dict[str, Any] = {"customer": siti} if audience == "customer" else {"technicians": [siti]}
    (notice,) = deployed.put("TicketCreated", new_ticket(), **told)

    letter = deployed.letter(notice)
    assert (letter.reason, letter.class_, letter.audience) == ("server-error", "retry", audience)
    assert [attempt["cause"] for attempt in letter.attempts] == ["server-error"] * tries
    assert all(attempt["at"] for attempt in letter.attempts)
    deployed.until(notice, State.FAILED)
    assert causes(deployed, notice) == ["server-error"] * tries
    assert bus.wait("NotificationFailed", notification_id=notice.id)["reason"] == "server-error"

    assert redriven(deployed, notice) == ["redriven"]
    deployed.until(notice, State.READ)
    assert causes(deployed, notice)[tries:] == ["redriven", "sent"]
    assert times_routed(deployed, notice) == 1
    assert redriven(deployed, notice) == []
    deployed.nothing_is_lost(notice)


def test_one_failure_fewer_and_it_arrives(deployed: DeployedStack, connector: Connector) -> None:
    siti = deployed.known("Siti")
    deployed.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=503, n=3)
    notice, after = deployed.tell_in_turn([siti, siti])
    deployed.all_until([notice, after], State.READ)
    assert causes(deployed, notice) == ["server-error"] * 3 + ["sent"]
    deployed.shown_in_order(siti, [notice, after])
    deployed.nothing_is_lost(notice, after)


def test_a_refusal_that_no_retry_cures(deployed: DeployedStack, connector: Connector, bus: Bus) -> None:
    siti = deployed.known("Siti")
    deployed.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=406)
    notice, after = deployed.tell_in_turn([siti, siti])
    letter = deployed.letter(notice)
    assert (letter.reason, letter.class_) == ("not-acceptable", "permanent")
    assert len(letter.attempts) == 1
    deployed.until(after, State.READ)
    assert redriven(deployed, notice) == ["redriven"]
    deployed.until(notice, State.READ)
    deployed.nothing_is_lost(notice, after)


def test_a_letter_whose_message_arrived_after_all_is_dropped_and_not_sent_again(
    deployed: DeployedStack, connector: Connector
) -> None:
    siti = deployed.known("Siti")
    deployed.phones.break_phone(siti.number, "offline")
    notice = deployed.tell(siti)
    bury_as_well(deployed, deployed.until(notice, State.SENT))
    deployed.phones.break_phone(siti.number, "online")
    deployed.until(notice, State.READ)
    assert redriven(deployed, notice) == ["dropped"]
    assert times_routed(deployed, notice) == 1
    deployed.nothing_is_lost(notice)


def test_what_waited_until_it_was_too_late(
    deployed: DeployedStack, connector: Connector, never_sent: Notice
) -> None:
    stored = deployed.look(never_sent)
    assert stored is not None
    waits_seconds = int(SETTINGS["notification-expiry-seconds"])
    assert stored.expires_at // 1000 - stored.created_at // 1000 == waits_seconds
    time_left = stored.expires_at / 1000 - time.time()
    eventually(
        lambda: time.time() * 1000 > stored.expires_at, "its time isn't over", seconds=max(time_left, 0) + 5
    )
    deployed.stack.client("lambda").invoke(
        FunctionName=deployed.stack.outputs["MaintainFunctionName"], Payload=json.dumps({}).encode()
    )
    letter = deployed.letter(never_sent)
    assert (letter.reason, letter.class_) == ("expired", "permanent")
    assert "waited until it was too late" in letter.detail
    assert [attempt["cause"] for attempt in letter.attempts][-1] == "expired"
    deployed.until(never_sent, State.FAILED)


def redriven(deployed: DeployedStack, notice: Notice) -> list[str]:
    """Redrive one notification's letter, as the console does; what became of it."""
    letters = deployed.world.deployment.redriver()
    return [done.result for done in letters.redrive(Selection(notification=notice.id))]


def bury_as_well(deployed: DeployedStack, stored: Notification) -> None:
    """Write a letter about it without a change of state, as a verdict that an ack has overtaken does."""
    url = deployed.stack.outputs["DeadLettersQueueUrl"]
    problem = Problem("ack-timeout", "retry", "too late")
    DeadLettersQueue(deployed.world.deployment.sqs, url).send(stored, problem, stored.created_at)
