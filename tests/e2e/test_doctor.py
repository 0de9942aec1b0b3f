"""`tocsin doctor` on a running stack: what is broken by hand is named with its remedy, the rest passes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.stack import DeployedStack
from tocsin.dynamo.writes import Delete, Put
from tocsin.tables.notifications import settings_key
from tocsin_console import doctor
from tocsin_console.deployment import Deployment
from tocsin_console.doctor import OF_STACK
from tocsin_console.doctor.checks import FaultsFound
from tocsin_console.output import Output

pytestmark = pytest.mark.e2e


def examined(deployed: DeployedStack) -> dict[str, list[dict[str, Any]]]:
    """The findings of a whole run, by check."""
    stream = io.StringIO()
    place = replace(deployed.world.deployment).place
    with contextlib.suppress(FaultsFound):
        doctor.examine(place, Output(as_json=True, stream=stream))
    *findings, _ = [json.loads(line) for line in stream.getvalue().splitlines()]
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in findings:
        found.setdefault(finding["check"], []).append(finding)
    return found


def levels(found: dict[str, list[dict[str, Any]]], check: str) -> set[str]:
    return {finding["level"] for finding in found[check]}


@contextlib.contextmanager
def nonsense_in_settings(deployment: Deployment) -> Iterator[None]:
    table, before = deployment.outside_table, deployment.outside_table.get(settings_key())
    table.put(Put(settings_key(), {"version": 99, "values": {"retries": {"*": 99}}}))
    try:
        yield
    finally:
        kept = {name: value for name, value in (before or {}).items() if name not in ("pk", "sk")}
        table.put(Put(settings_key(), kept)) if before else table.delete(Delete(settings_key()))


def test_each_check_is_carried_out_and_none_finds_a_fault(deployed: DeployedStack) -> None:
    found = examined(deployed)
    assert list(found) == [check.name for check in OF_STACK]
    # Other tests leave dead letters and errors, and the alarms of this stack tell nobody.
    told = {check: levels(found, check) for check in found if check not in ("dead letters", "logs", "alarms")}
    assert told == {check: {"ok"} for check in told}, found


def test_what_was_broken_by_hand_is_named(deployed: DeployedStack) -> None:
    deployment = deployed.world.deployment
    functions = deployment.client("lambda")
    name = deployment["PlanFunctionName"]
    [mapping] = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    with nonsense_in_settings(deployment):
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            found = examined(deployed)
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    assert levels(found, "settings") == levels(found, "event sources") == {"fault"}
    assert mapping["UUID"] in found["event sources"][0]["mend"]
    assert levels(found, "accounts") == {"ok"}
