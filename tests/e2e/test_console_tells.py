"""What the console tells of a deployed Tocsin: lives of notifications, recoveries, sessions; new phones."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.stack import ACCOUNT, Bus, DeployedStack, Notice, eventually, failures
from tocsin.notify.notification import State
from tocsin_console.errors import NotFound
from tocsin_console.explain import explain
from tocsin_console.forget import forget_person
from tocsin_console.output import Output
from tocsin_console.people import People
from tocsin_console.person_view import show_person
from tocsin_console.recoveries import show_recoveries
from tocsin_console.sessions import Sessions, clean_sessions, list_sessions, show_sessions

pytestmark = pytest.mark.e2e


def told(command: Callable[[Output], None]) -> list[dict[str, Any]]:
    """What a command tells to a program."""
    stream = io.StringIO()
    command(Output(as_json=True, stream=stream))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def life(deployed: DeployedStack, wanted: str) -> dict[str, Any]:
    [only] = told(lambda output: explain(deployed.world.deployment, wanted, output=output))
    return only


def broken_and_healed(deployed: DeployedStack, fault: str = "corrupt-session") -> Notice:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    deployed.phones.break_phone(siti.number, fault)
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    return notice


def test_a_ticket_leads_to_the_story_of_its_message(deployed: DeployedStack) -> None:
    notice = broken_and_healed(deployed)

    def story() -> dict[str, Any] | None:
        found = life(deployed, notice.ticket_id)
        return found if "healed" in [one["what"] for one in found["timeline"]] else None

    found = eventually(story, "nothing healed")
    whats = [one["what"] for one in found["timeline"]]
    assert whats[:3] == ["event", "planned", "sent"]
    assert {"recovered", "delivered", "read"} <= set(whats)
    assert (found["notification"], found["conclusion"][:5]) == (notice.id, "read ")
    assert life(deployed, notice.message_id)["timeline"] == found["timeline"]


def test_the_recoveries_have_healed(deployed: DeployedStack) -> None:
    broken_and_healed(deployed, "forget-session")

    def total() -> dict[str, Any] | None:
        [found] = told(
            lambda output: show_recoveries(deployed.world.deployment, ACCOUNT, days=2, output=output)
        )
        sums = [one for one in found["recoveries"] if (one["side"], one["cause"]) == ("theirs", "all")]
        return sums[0] if sums and sums[0]["healed"] else None

    assert eventually(total, "no recovery is known")["seconds_p50"] < 30


def test_a_cleaned_session_is_made_anew_without_a_failure(deployed: DeployedStack) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    sessions = Sessions.of(deployed.world.deployment, ACCOUNT)
    clean_sessions(
        sessions,
        f"+{siti.number}",
        device=None,
        dry_run=False,
        output=Output(stream=io.StringIO()),
        yes=True,
    )
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    assert failures(deployed, notice) == []
    [shown] = told(lambda output: show_sessions(sessions, f"+{siti.number}", output=output))
    assert [device["archived"] for device in shown["devices"]] == [1]
    users = told(lambda output: list_sessions(sessions, most=0, output=output))
    assert shown["user"] in [user["user"] for user in users]


def test_who_was_erased_is_known_to_nobody_until_the_next_ticket(deployed: DeployedStack) -> None:
    siti, people = deployed.person(), People(deployed.world.deployment, ACCOUNT)
    deployed.until(deployed.tell(siti), State.READ)
    [shown] = told(lambda output: show_person(people, f"+{siti.number}", output=output))
    assert (shown["kept"]["notifications"], len(shown["sessions"]["devices"])) == (1, 1)
    [erased] = told(
        lambda output: forget_person(people, f"+{siti.number}", dry_run=False, output=output, yes=True)
    )
    assert (erased["notifications"], erased["in_flight"], erased["left"]) == (1, 0, 0)
    with pytest.raises(NotFound):
        told(lambda output: show_person(people, f"+{siti.number}", output=output))
    notice = deployed.tell(siti)
    deployed.until(notice, State.READ)
    assert failures(deployed, notice) == []


def test_a_new_phone_is_told_on_the_bus(deployed: DeployedStack, bus: Bus) -> None:
    notice = broken_and_healed(deployed, "reinstall")
    changed = bus.wait("IdentityChanged", recipient=notice.person.number)
    assert changed["account"] == ACCOUNT
    assert changed["old_fingerprint"] != changed["new_fingerprint"]
