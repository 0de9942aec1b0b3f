"""What an update replaces, by CloudFormation's own schemas, and what a stack leaves behind."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest

from tests.support.cloudformation import Resource, RuleFailed, Stack, deployed
from tests.support.deployments import SAMPLES
from tests.support.published import replacing, transformed
from tests.support.templates import template
from tests.upgrade.releases import NoHistory, previous_sources

# What can't be made again: people's notifications, keys, and what opens them.
RETAINED = {
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::SecretsManager::Secret",
}
HOLDING = RETAINED | {"AWS::SQS::Queue", "AWS::Logs::LogGroup"}

# Other values of parameters whose declaration doesn't list them.
OTHERS = SAMPLES | {
    "Accounts": "default,north",
    "AcknowledgeReplies": "👍",
    "DefaultLanguage": "es",
    "DefaultArea": "21",
    "DefaultRegion": "MX",
    "EventSource": "helpdesk",
    "FileHosts": "files.example.com",
    "WhatsAppUrl": "wss://example.net/ws",
}

# What a changed parameter replaces on purpose. Nothing of it holds anything that is missed.
MEANT = {
    # A new bus or rule: events that are put on the old bus meanwhile are the caller's to put again.
    "EventBusName": {"TicketEventsRule"},
    "AvailabilityZones": {"PublicSubnetA", "PublicSubnetB", "PrivateSubnetA", "PrivateSubnetB"},
}
# New with every change by their nature; the old version stays until the new one works.
VERSIONED = {"AWS::Lambda::LayerVersion", "AWS::ECS::TaskDefinition"}


def changed(name: str) -> list[str]:
    """Return other values for a parameter of the main template."""
    declared = template()["Parameters"][name]
    if "AllowedValues" in declared:
        return [str(it) for it in declared["AllowedValues"] if str(it) != str(declared["Default"])]
    if declared["Type"] == "Number":
        return [str(declared["MaxValue"])]
    return [OTHERS[name]] if name in OTHERS else []


# What a parameter needs beside it.
WITH = {"FileHosts": {"AttachmentsBucket": SAMPLES["AttachmentsBucket"]}}


def everything(stack: Stack) -> dict[str, Resource]:
    return {key: it for inner in stack.all() for key, it in inner.resources.items()}


def replaced(before: Stack, after: Stack) -> set[str]:
    """Return the resources of both that CloudFormation would make anew."""
    old, new = everything(before), everything(after)
    return {
        name
        for name in old.keys() & new.keys()
        if any(
            old[name].properties.get(it) != new[name].properties.get(it) for it in replacing(old[name].type)
        )
        and old[name].type not in VERSIONED
    }


# What an adopted stack has besides; each of its parameters alone is refused.
ADOPTED = {
    name: SAMPLES[name]
    for name in (
        "KeysTableName",
        "NotificationsStreamArn",
        "NotificationsTableName",
        "SealingSecretArn",
        "TextsSecretArn",
    )
}


def update(change: Mapping[str, str]) -> tuple[Stack, Stack]:
    """Return the stack before and after a change, of the first kind of stack that may make it."""
    for kind in ({}, {"ConnectorMode": "external"}, ADOPTED):
        with contextlib.suppress(RuleFailed):
            needed = {key: value for name in change for key, value in WITH.get(name, {}).items()}
            return deployed({**kind, **needed}), deployed({**kind, **needed, **change})
    raise AssertionError(f"no stack may have {change}")


CHANGES = [
    pytest.param(name, value, id=f"{name}={value[:20]}")
    for name in template()["Parameters"]
    for value in changed(name)
]


def test_every_parameter_is_changed() -> None:
    named = {str(it.values[0]) for it in CHANGES}
    assert set(template()["Parameters"]) - named == set()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_changed_parameter_replaces_nothing_that_holds_anything(name: str, value: str) -> None:
    assert replaced(*update({name: value})) == MEANT.get(name, set())


def test_the_rule_is_made_anew_on_the_other_bus_so_a_replacement_is_seen() -> None:
    assert "TicketEventsRule" in replaced(deployed(), deployed({"EventBusName": "default"}))


@pytest.mark.parametrize(
    "name", [key for key, it in template()["Resources"].items() if it["Type"] in RETAINED]
)
def test_what_cannot_be_made_again_outlives_the_stack_and_its_own_condition(name: str) -> None:
    definition = transformed()["Resources"][name]
    assert definition["DeletionPolicy"] == "RetainExceptOnCreate"
    assert definition["UpdateReplacePolicy"] == "Retain"


# Outcomes that wait for a webhook: who switches webhooks off wants none of them told.
GIVEN_UP = {"HooksQueue", "HooksDeadQueue", "DeliverWebhooksLog"}


def test_nothing_else_that_holds_messages_leaves_the_stack_by_a_parameter() -> None:
    holding = {key: it for key, it in transformed()["Resources"].items() if it["Type"] in HOLDING - RETAINED}
    assert {key for key, it in holding.items() if "Condition" in it} == GIVEN_UP


@pytest.mark.parametrize("before", ["own", "aws-managed"])
@pytest.mark.parametrize("after_", ["own", "aws-managed"])
def test_the_keys_table_changes_its_key_in_place(before: str, after_: str) -> None:
    stacks = deployed({"KeysKmsKey": before}), deployed({"KeysKmsKey": after_})
    assert "KeysTable" not in replaced(*stacks)
    named = [it.resources["KeysTable"].properties["SSESpecification"] for it in stacks]
    assert [("KMSMasterKeyId" in it) for it in named] == [before == "own", after_ == "own"]
    assert all(it["SSEEnabled"] and it["SSEType"] == "KMS" for it in named)


@pytest.mark.parametrize("name", ["PlanConcurrency", "ReceiptsConcurrency"])
def test_a_cap_that_is_taken_away_is_emptied_and_not_left_out(name: str) -> None:
    """CloudFormation, ScalingConfig: "To remove the configuration, pass an empty value." Else it stays."""
    before, after = (
        {
            key: it.properties["ScalingConfig"]
            for key, it in deployed({name: cap}).of_type("AWS::Lambda::EventSourceMapping").items()
            if it.properties["EventSourceArn"].partition(":dynamodb:")[1] == ""
        }
        for cap in ("7", "0")
    )
    [changed_one] = [key for key in before if before[key] != after[key]]
    assert (before[changed_one], after[changed_one]) == ({"MaximumConcurrency": "7"}, {})


# -- from the release before -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def previous() -> str:
    """The main template of the release before, its nested ones beside it."""
    try:
        root = previous_sources()
    except NoHistory as missing:
        pytest.skip(str(missing))
    main = str(root / "template.yaml")
    for resource in transformed(main)["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            nested = str(resource["Properties"]["TemplateURL"])
            # `transformed` remembers what it returned; a whole path is one already.
            resource["Properties"]["TemplateURL"] = str(root / nested)
    return main


@pytest.mark.parametrize("parameters", [{}, {"ConnectorMode": "external"}], ids=["fargate", "external"])
@pytest.mark.slow
def test_an_update_from_the_release_before_makes_nothing_anew_but_the_service(
    previous: str, parameters: dict[str, str]
) -> None:
    before, after = deployed(parameters, file=previous), deployed(parameters)
    fargate = "ConnectorMode" not in parameters
    # Its launch type becomes a capacity provider. The new one is there before the old one goes.
    assert replaced(before, after) == ({"Service"} if fargate else set())
    assert {name: it.type for name, it in everything(before).items() if name in everything(after)} == {
        name: it.type for name, it in everything(after).items() if name in everything(before)
    }


@pytest.mark.slow
def test_what_an_update_from_the_release_before_takes_away_is_kept_or_holds_nothing(previous: str) -> None:
    before, after = everything(deployed(file=previous)), everything(deployed())
    gone = {name for name in before.keys() - after.keys() if before[name].type in HOLDING}
    assert gone == {"KeysKey"}
    # What goes is treated as the release says that made it.
    assert transformed(previous)["Resources"]["KeysKey"]["DeletionPolicy"].startswith("Retain")
