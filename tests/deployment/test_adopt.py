"""A stack is deleted and another brought onto its tables: nobody pairs anew, and no key is used twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.faults.processes import PROC
from tests.support.stack import DeployedStack, eventually, failures
from tocsin.notify.notification import State
from tocsin_console import cli
from tocsin_local.emulator import REGION, ROOT_USER, interpreter
from tocsin_local.stack import STACK_NAME, deploy
from tocsin_local.world import World, deployment_of, world


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    if not PROC.is_dir():
        pytest.skip("processes are found by /proc, which this system doesn't have")
    with world("adopt") as built:
        yield built


@pytest.fixture(scope="module")
def fleet(running: World) -> Iterator[Fleet]:
    with contextlib.ExitStack() as connectors:
        yield Fleet(running, connectors)


def delete(world: World) -> None:
    """As `sam delete` does: CloudFormation's own delete, and then it is waited for."""
    cloudformation = world.stack.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK_NAME)

    def gone() -> bool:
        living = cloudformation.describe_stacks()["Stacks"]
        return all(
            one["StackStatus"] == "DELETE_COMPLETE" for one in living if one["StackName"] == STACK_NAME
        )

    eventually(gone, "the stack isn't deleted")


def test_a_new_stack_goes_on_where_the_deleted_one_ended(
    running: World, fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ROOT_USER.items():
        monkeypatch.setenv(name, value)
    place = ["--endpoint-url", running.stack.aws.url, "--region", REGION, "--stack", STACK_NAME]

    def adopt(*words: str) -> tuple[int, dict[str, Any]]:
        code = cli.main([*place, "--json", "adopt", *words])
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        return code, next((one for one in told if "parameters" in one or "error" in one), {})

    connector = fleet.start()
    deployed = DeployedStack(running)
    deployed.link()
    siti = deployed.person("Siti")
    before = [deployed.tell(siti) for _ in range(3)]
    deployed.all_until(before, State.READ)
    first_number = deployed.next_number(siti)
    tables = {name: running.stack.outputs[name] for name in ("KeysTable", "NotificationsTable")}

    # The emulator's CloudFormation leaves out the tables' time to live.
    for table in tables.values():
        running.stack.client("dynamodb").update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expire_at"}
        )

    code, told = adopt()
    assert (code, "lives on" in str(told)) == (1, True)

    connector.process.terminate()
    eventually(lambda: not fleet.running(), "the connector doesn't end")
    delete(running)
    kept = running.stack.client("dynamodb").list_tables()["TableNames"]
    assert set(tables.values()) <= set(kept)

    code, told = adopt()
    assert code == 0, told
    parameters = told["parameters"]
    running.stack = deploy(running.stack.aws, running.stack.built, parameters)
    running.deployment = deployment_of(running.stack)
    assert {name: running.stack.outputs[name] for name in tables} == tables

    fleet.start()
    deployed = DeployedStack(running)
    deployed.wait_for_account("connected")
    after = [deployed.tell(siti) for _ in range(3)]
    deployed.all_until(after, State.READ)
    deployed.nothing_is_lost(*before, *after)
    assert deployed.next_number(siti) == first_number + len(after)
    # Nobody had to ask for a message again.
    assert [failures(deployed, notice) for notice in after] == [[], [], []]
