"""The dashboard and the saved queries show what exists, and leave out nothing without a reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.alarms import OBSERVABILITY
from tests.support.metrics import DIMENSIONS_OF_AWS, OF_AWS, told_metrics
from tests.support.templates import properties, resources, template

NOT_SHOWN = {
    "steps": {
        "NotificationsParked",
        "NotificationsResumed",
        "NotificationsRetried",
        "NotificationsSuppressed",
    },
    "its alarm or its log line is enough": {
        "AccountsRestricted",
        "DevicesUnproven",
        "EventsTellingNobody",
        "IdentityChanges",
        "MessagesUnreadable",
        "NotificationsExpired",
        "OrdersDropped",
        "OrdersMismatched",
        "OutcomesRefused",
        "OutcomesUnreadable",
        "ParkedMismatched",
        "QuestionsOverBudget",
        "RecipientsUnreachable",
        "RecoveriesExhausted",
        "RecoverySuccess",
        "RepliesReceived",
        "RetryReceiptsSent",
        "SelfTestFailed",
        "SettingsInvalid",
        "StanzaFailures",
        "StanzasPutOff",
        "StanzasTooLarge",
        "StanzasUnstored",
    },
    "of one account, which tocsin status shows": {"ColdRecipients", "NewChatsUsed"},
    "tocsin hooks deliveries says which, and when": {"WebhooksDeferred"},
    "of those that are disconnected": {"AccountsUnserved"},
    "hourly upkeep": {
        "DamagedRecords",
        "KeysSetBack",
        "PreKeysUploaded",
        "SessionsLists",
        "SessionsOrphans",
        "SessionsPruned",
        "SessionsRenewed",
        "SessionsRested",
        "SignedPreKeysRotated",
        "UpkeepFailures",
        "UpkeepTroubles",
    },
}
MAX_METRICS = 50
"""More cost money even on a dashboard that is free."""


DOORS = {"OfDoor": "Door", "OfHooks": "Hooked"}
"""A part of the dashboard, and the condition under which it is there."""


def body(*, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """`without`: conditions that don't hold."""
    written, parts = properties("DashboardPage", OBSERVABILITY)["DashboardBody"]["Fn::Sub"]
    for name, choice in parts.items():
        condition, there, absent = choice["Fn::If"]
        assert condition == DOORS[name]
        written = written.replace(f"${{{name}}}", absent if condition in without else there["Fn::Sub"])
    found: dict[str, Any] = json.loads(written)
    return found


def widgets() -> list[dict[str, Any]]:
    return [widget["properties"] for widget in body()["widgets"]]


def titles(*without: str) -> set[str]:
    return {widget["properties"]["title"] for widget in body(without=frozenset(without))["widgets"]}


def test_a_door_has_its_chart_only_where_it_is() -> None:
    both = titles()
    assert both - titles("Door") == {"HTTP door"}
    assert both - titles("Hooked") == {"Outcome webhooks"}
    assert both - titles("Door", "Hooked") == {"HTTP door", "Outcome webhooks"}


@pytest.mark.parametrize("function", ["${DoorFunctionName}", "${HooksFunctionName}"])
def test_what_lambda_refuses_of_a_door_is_shown(function: str) -> None:
    assert ("AWS/Lambda", "Throttles", {"FunctionName": function}) in shown()


def shown() -> list[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric."""
    found = []
    for widget in widgets():
        for one in widget["metrics"]:
            if isinstance(one[0], str):
                words = [word for word in one if isinstance(word, str)]
                found.append((words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))))
    return found


def searched() -> set[str]:
    expressions = [
        one[0]["expression"] for widget in widgets() for one in widget["metrics"] if isinstance(one[0], dict)
    ]
    return {name for text in expressions for name in re.findall(r'MetricName="(\w+)"', text)}


def test_what_it_shows_of_ours_is_told() -> None:
    ours = {name for namespace, name, _ in shown() if namespace == "Tocsin"} | searched()
    assert ours <= told_metrics()
    assert all(
        dimensions["stack"] == "${SystemName}" for space, _, dimensions in shown() if space == "Tocsin"
    )


def test_what_it_shows_of_aws_is_documented() -> None:
    for namespace, name, dimensions in shown():
        if namespace != "Tocsin":
            assert name in OF_AWS[namespace]
            assert set(dimensions) == DIMENSIONS_OF_AWS[namespace]


def test_what_it_leaves_out_is_left_out_for_a_reason() -> None:
    ours = {name for namespace, name, _ in shown() if namespace == "Tocsin"} | searched()
    left_out = set().union(*NOT_SHOWN.values())
    assert ours | left_out == told_metrics()
    assert not ours & left_out


def test_stacks_of_one_name_in_two_regions_have_two() -> None:
    """All dashboards of an account are global: a second of the same name would write over the first."""
    name = properties("DashboardPage", OBSERVABILITY)["DashboardName"]["Fn::Sub"]
    assert {"${SystemName}", "${AWS::Region}"} <= set(re.findall(r"\$\{[^}]+\}", name))


def test_it_names_only_what_the_template_knows() -> None:
    text = json.dumps(body())
    names = set(re.findall(r"\$\{([^}]+)\}", text)) - {"AWS::Region"}
    assert names <= set(template(OBSERVABILITY)["Parameters"])


def test_it_stays_within_what_is_free() -> None:
    assert len(shown()) + 3 * len(searched()) <= MAX_METRICS


def test_its_widgets_do_not_lie_on_each_other() -> None:
    places = [
        (w["x"] + x, w["y"] + y)
        for w in body()["widgets"]
        for x in range(w["width"])
        for y in range(w["height"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


QUERIES = {
    key: one["Properties"] for key, one in resources("AWS::Logs::QueryDefinition", OBSERVABILITY).items()
}


def log_groups() -> set[str]:
    found = resources("AWS::Logs::LogGroup").values()
    return {one["Properties"]["LogGroupName"]["Fn::Sub"].rpartition("/")[2] for one in found}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_reads_the_logs_that_there_are(name: str) -> None:
    texts = [one["Fn::Sub"] for one in QUERIES[name]["LogGroupNames"] if "Fn::Sub" in one]
    assert {text.rpartition("/")[2] for text in texts} == log_groups() | {"connector"}


def test_every_stack_has_its_own() -> None:
    assert all(one["Name"]["Fn::Sub"].startswith("${SystemName}/") for one in QUERIES.values())
