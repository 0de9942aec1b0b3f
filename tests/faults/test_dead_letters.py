"""What can't be delivered lies among the dead letters with its reason, attempts and history, ready to be
redriven. Redriven once, it arrives once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.faults.fleet import PARAMETERS, Connector
from tests.faults.looks import causes, times_routed
from tests.support.stack import DESK, Bus, Notice, Stage, eventually, new_ticket
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.queues import DeadLettersQueue
from tocsin.notify.redrive import Selection

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("audience", "tries"), [("customer", 4), ("technician", 3)])
def test_retries_used_up(stage: Stage, connector: Connector, bus: Bus, audience: str, tries: int) -> None:
    siti = stage.known("Siti")
    stage.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=500, n=tries)
    told: dict[str, Any] = {"customer": siti} if audience == "customer" else {"technicians": [siti]}
    (notice,) = stage.put("TicketCreated", new_ticket(), **told)

    letter = stage.letter(notice)
    assert (letter.reason, letter.class_, letter.audience) == ("server-error", "retry", audience)
    assert [attempt["cause"] for attempt in letter.attempts] == ["server-error"] * tries
    assert all(attempt["at"] for attempt in letter.attempts)
    stage.until(notice, State.FAILED)
    assert causes(stage, notice) == ["server-error"] * tries
    assert bus.wait("NotificationFailed", notification_id=notice.id)["reason"] == "server-error"

    assert redriven(stage, notice) == ["redriven"]
    stage.until(notice, State.READ)
    assert causes(stage, notice)[tries:] == ["redriven", "sent"]
    assert times_routed(stage, notice) == 1
    assert redriven(stage, notice) == []
    stage.nothing_is_lost(notice)


def test_one_failure_fewer_and_it_arrives(stage: Stage, connector: Connector) -> None:
    siti = stage.known("Siti")
    stage.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=503, n=3)
    notice, after = stage.tell_in_turn([siti, siti])
    stage.all_until([notice, after], State.READ)
    assert causes(stage, notice) == ["server-error"] * 3 + ["sent"]
    stage.shown_in_order(siti, [notice, after])
    stage.nothing_is_lost(notice, after)


def test_a_refusal_that_no_retry_cures(stage: Stage, connector: Connector, bus: Bus) -> None:
    siti = stage.known("Siti")
    stage.phones.inject("ack-error", account=DESK, device=1, to=siti.number, code=406)
    notice, after = stage.tell_in_turn([siti, siti])
    letter = stage.letter(notice)
    assert (letter.reason, letter.class_) == ("not-acceptable", "permanent")
    assert len(letter.attempts) == 1
    stage.until(after, State.READ)
    assert redriven(stage, notice) == ["redriven"]
    stage.until(notice, State.READ)
    stage.nothing_is_lost(notice, after)


def test_a_letter_whose_message_arrived_after_all_is_dropped_and_not_sent_again(
    stage: Stage, connector: Connector
) -> None:
    siti = stage.known("Siti")
    stage.phones.break_phone(siti.number, "offline")
    notice = stage.tell(siti)
    bury_as_well(stage, stage.until(notice, State.SENT))
    stage.phones.break_phone(siti.number, "online")
    stage.until(notice, State.READ)
    assert redriven(stage, notice) == ["dropped"]
    assert times_routed(stage, notice) == 1
    stage.nothing_is_lost(notice)


def test_what_waited_until_it_was_too_late(stage: Stage, connector: Connector, never_sent: Notice) -> None:
    stored = stage.look(never_sent)
    assert stored is not None
    assert stored.expires_at - stored.created_at // 1000 == int(PARAMETERS["NotificationExpirySeconds"])
    time_left = stored.expires_at - time.time()
    eventually(lambda: time.time() > stored.expires_at, "its time isn't over", seconds=max(time_left, 0) + 5)
    stage.stack.client("lambda").invoke(
        FunctionName=stage.stack.outputs["MaintainFunctionName"], Payload=json.dumps({}).encode()
    )
    letter = stage.letter(never_sent)
    assert (letter.reason, letter.class_) == ("expired", "permanent")
    assert "waited until it was too late" in letter.detail
    assert [attempt["cause"] for attempt in letter.attempts][-1] == "expired"
    stage.until(never_sent, State.FAILED)


def redriven(stage: Stage, notice: Notice) -> list[str]:
    """Redrive one notification's letter, as the console does; what became of it."""
    letters = stage.world.deployment.redriver()
    return [done.result for done in letters.redrive(Selection(notification=notice.id))]


def bury_as_well(stage: Stage, stored: Notification) -> None:
    """Write a letter about it without a change of state, as a verdict that an ack has overtaken does."""
    url = stage.stack.outputs["DeadLettersQueueUrl"]
    problem = Problem("ack-timeout", "retry", "too late")
    DeadLettersQueue(stage.world.deployment.sqs, url).send(stored, problem, stored.created_at)
