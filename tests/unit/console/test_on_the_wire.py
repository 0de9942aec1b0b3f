"""The commands with clients of AWS: each speaks with the stack's own tables, queues and bus.

What they say and do is shown in memory, by the other tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_cloud import REGION, moto_cloud
from tests.support.fake_deployment import ACCOUNT, SITI, FakeDeployment, Said
from tocsin.notify.redrive import Selection
from tocsin_console import cli
from tocsin_console.dead_letters import redrive_letters
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError
from tocsin_console.explain import explain


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeDeployment]:
    """A stack on moto with a connected account and three letters, one of an odd record."""
    with moto_cloud() as cloud:
        stack = cloud.deploy()
        fake = FakeDeployment(stack, Deployment.find(stack, region=REGION, endpoint_url=None))
        fake.connector().says("connected")
        fake.spoil(fake.failed())
        fake.failed()
        fake.failed("6281311112222", code="gone")
        fake.refuse({"id": "e-1", "detail-type": "TicketCreated"})
        yield fake


@pytest.fixture
def run(fake: FakeDeployment, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; its exit code and its records."""

    def command(*words: str) -> tuple[int, list[dict[str, Any]]]:
        code = cli.main(["--region", REGION, "--stack", fake.stack, "--json", *words])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return command


def test_the_status_reads_lease_and_queues(run: Any) -> None:
    code, [status] = run("status")
    assert code == 0
    assert [one["last_state"] for one in status["accounts"]] == ["connected"]
    assert status["queues"]["dead letters"]["messages"] == 3


def test_the_lists_read_letters_and_refused_events(run: Any) -> None:
    _, letters = run("dead-letters", "list")
    assert sorted(letter["reason"] for letter in letters) == ["gone", "server-error", "server-error"]
    _, [event] = run("dead-letters", "list", "--queue", "events")
    assert event["event"] == "e-1"


def test_an_account_is_added_and_removed(fake: FakeDeployment, run: Any) -> None:
    assert run("accounts", "add", "support")[0] == 0
    assert fake.deployment.accounts == [ACCOUNT, "support"]
    assert run("accounts", "remove", "support", "--yes")[0] == 0
    assert fake.deployment.accounts == [ACCOUNT]


def test_a_test_event_is_taken_by_the_bus(run: Any) -> None:
    assert run("send", "--to", f"+{SITI}", "--wait", "0")[0] == 0


def test_a_ticket_is_told_by_the_index(fake: FakeDeployment, run: Any) -> None:
    notification = fake.planned()
    code, [told] = run("explain", notification.ticket_id)
    assert (code, told["notification"]) == (0, notification.id)


def test_a_deployment_without_the_index_is_to_be_deployed_again(fake: FakeDeployment, said: Said) -> None:
    outputs = {**fake.deployment.outputs, "NotificationsTable": fake.deployment["KeysTable"]}
    older = replace(fake.deployment, outputs=outputs)
    with pytest.raises(ConsoleError, match="deploy it again"):
        explain(older, "TCK-1", output=said.output)


def test_letters_are_sent_again_and_given_up(fake: FakeDeployment, run: Any, told: Said) -> None:
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=told.output)
    assert [record["result"] for record in told.records] == ["kept", "redriven", "redriven"]
    assert len(fake.taken("Notifications")) == 2
    assert run("dead-letters", "drop", "--all", "--yes")[0] == 0
    assert run("dead-letters", "drop", "--all", "--queue", "events", "--yes")[0] == 0
    assert (fake.count("DeadLetters"), fake.count("TicketEventsDead")) == (0, 0)
