"""Parameters that contradict each other are refused before anything changes, with the remedy."""

from __future__ import annotations

import pytest

from tests.support.cloudformation import Refused, RuleFailed, deployed
from tests.support.deployments import SAMPLES
from tests.support.templates import template

EXTERNAL = {"ConnectorMode": "external"}
ADOPTED = {
    "NotificationsTableName": SAMPLES["NotificationsTableName"],
    "NotificationsStreamArn": SAMPLES["NotificationsStreamArn"],
    "TextsSecretArn": SAMPLES["TextsSecretArn"],
}
WITH_KEYS = {**ADOPTED, "KeysTableName": "keys", "SealingSecretArn": SAMPLES["SealingSecretArn"]}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:one-AbCdEf"

CONTRADICTIONS = [
    ({**EXTERNAL, "ConnectorCount": "2"}, "ConnectorCount"),
    ({**EXTERNAL, "ConnectorMemory": "1024"}, "ConnectorMemory"),
    ({**EXTERNAL, "ConnectorCapacity": "spot"}, "ConnectorCapacity"),
    ({**EXTERNAL, "ConnectorNetwork": "ipv6"}, "ConnectorNetwork"),
    ({**EXTERNAL, "ConnectorImage": SAMPLES["ConnectorImage"]}, "ConnectorImage"),
    ({**EXTERNAL, "AvailabilityZones": "eu-west-1a,eu-west-1b"}, "AvailabilityZones"),
    ({**EXTERNAL, "WhatsAppUrl": "ws://localhost/ws"}, "WHATSAPP_URL"),
    ({**EXTERNAL, "WhatsAppRootKey": "ab" * 32}, "WHATSAPP_ROOT_KEY"),
    ({"Timing": "trial"}, "Leave out Timing"),
    ({"PlanConcurrency": "1"}, "PlanConcurrency can't be 1"),
    ({"ReceiptsConcurrency": "1"}, "ReceiptsConcurrency can't be 1"),
    ({"SealingSecretArn": SECRET, "TextsSecretArn": SECRET}, "same secret"),
    ({**WITH_KEYS, "SealingSecretArn": ""}, "KeysTableName needs SealingSecretArn"),
    ({**WITH_KEYS, "KeysKmsKey": "own"}, "keeps the key that it has"),
    (
        {"KeysTableName": "keys", "SealingSecretArn": SAMPLES["SealingSecretArn"]},
        "KeysTableName needs NotificationsTableName",
    ),
    ({"FileHosts": "files.example.com"}, "FileHosts needs AttachmentsBucket"),
    ({**ADOPTED, "NotificationsStreamArn": ""}, "needs NotificationsStreamArn"),
    ({**ADOPTED, "TextsSecretArn": ""}, "needs TextsSecretArn"),
    ({**ADOPTED, "NotificationsTableName": ""}, "is of no use without NotificationsTableName"),
]


def assertions() -> list[str]:
    return [
        str(assertion["AssertDescription"])
        for rule in template()["Rules"].values()
        for assertion in rule["Assertions"]
    ]


@pytest.mark.parametrize(("parameters", "remedy"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_its_remedy(parameters: dict[str, str], remedy: str) -> None:
    with pytest.raises(RuleFailed, match=remedy):
        deployed(parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        EXTERNAL,
        {**EXTERNAL, "Timing": "trial"},
        {"ConnectorCount": "2", "ConnectorMemory": "1024", "ConnectorCapacity": "spot"},
        {"ConnectorNetwork": "ipv6"},
        {"SealingSecretArn": SECRET},
        ADOPTED,
        WITH_KEYS,
        {"SealingSecretArn": SECRET, "TextsSecretArn": SAMPLES["TextsSecretArn"]},
    ],
)
def test_what_agrees_is_taken(parameters: dict[str, str]) -> None:
    assert deployed(parameters).resources


def test_every_assertion_is_seen_to_fail_by_itself() -> None:
    said = []
    for parameters, _ in CONTRADICTIONS:
        with pytest.raises(RuleFailed) as refused:
            deployed(parameters)
        said.append(str(refused.value))
    assert {it for it in assertions() if it not in said} == set()


@pytest.mark.parametrize("sentence", assertions())
def test_every_refusal_begins_with_the_parameter_and_says_what_to_do(sentence: str) -> None:
    assert sentence.split(" ")[0].split("=")[0] in template()["Parameters"]
    assert len(sentence.split(". ")) >= 2


@pytest.mark.parametrize(
    ("zones", "allowed"),
    [
        ("", True),
        ("eu-west-1a,eu-west-1b", True),
        ("us-gov-west-1a,us-gov-west-1c", True),
        ("eusc-de-east-1a,eusc-de-east-1b", True),
        ("eu-west-1a,eu-west-1a", False),
        ("eu-west-1a", False),
        ("eu-west-1a, eu-west-1b", False),
        ("euw1-az1,euw1-az2", False),
        ("us-west-2-lax-1a,us-west-2-lax-1b", False),
        ("eu-west-1a,eu-west-1b,eu-west-1c", False),
    ],
)
def test_zones_are_two_and_named(zones: str, allowed: bool) -> None:
    try:
        deployed({"AvailabilityZones": zones})
    except Refused:
        assert not allowed
    else:
        assert allowed


def test_the_zones_that_are_named_are_those_of_the_subnets() -> None:
    network = deployed({"AvailabilityZones": "eu-west-1b,eu-west-1c"}).nested["Network"]
    zones = {
        key: it.properties["AvailabilityZone"] for key, it in network.of_type("AWS::EC2::Subnet").items()
    }
    assert zones == {
        "PublicSubnetA": "eu-west-1b",
        "PublicSubnetB": "eu-west-1c",
        "PrivateSubnetA": "eu-west-1b",
        "PrivateSubnetB": "eu-west-1c",
    }
