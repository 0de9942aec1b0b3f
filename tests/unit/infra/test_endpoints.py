"""The hosts that templates and code name, held against botocore's rules in every region of the stack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config

from tests.support.cloudformation import SUFFIXES, deployed
from tests.support.published import regions, resource_types, transformed
from tests.support.templates import TEMPLATES, written
from tocsin.connector.aws import SERVICES
from tocsin_local.paths import ROOT

PREFIX = "AWS_ENDPOINT_URL"
DOOR = "infra/door.yaml"

PARTITIONS = tuple(SUFFIXES)
"""Where the stack can be. The isolated ones have no public image for the connector."""


@cache
def partitions() -> dict[str, str]:
    """Return the regions that have every resource type of the templates, each with its partition. Without the
    door, which not all have: a rule of the template refuses it there."""
    types = {
        it["Type"] for file in TEMPLATES if file != DOOR for it in transformed(file)["Resources"].values()
    }
    core = botocore.session.get_session()
    every = {region: core.get_partition_for_region(region) for region in regions()}
    return {
        region: partition
        for region, partition in every.items()
        if partition in PARTITIONS and types <= resource_types(region).keys()
    }


def overrides(region: str) -> dict[str, str]:
    """Return the endpoints that functions and connector are given in a region, by variable."""
    stack = deployed(region=region, partition=partitions()[region])
    return {
        name: str(value)
        for inner in stack.all()
        for resource in inner.resources.values()
        for name, value in written(resource.properties)
        if name.startswith(PREFIX)
    }


class Sent(Exception):
    """A request is ready to leave. Raised in its place."""


@cache
def session() -> boto3.Session:
    """Return the one that reads each service's model once."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")


def host_asked(service: str, region: str, environment: Mapping[str, str], *, dual_stack: bool = False) -> str:
    """Return the host that a request to `service` goes to: that of the request, since a client's
    `meta.endpoint_url` knows nothing of the rules by which each request is sent."""
    # Unless it is said here, the environment says it.
    config = Config(use_dualstack_endpoint=True) if dual_stack else Config()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = session().client(service, region_name=region, config=config)

    def capture(request: object, **_: object) -> None:
        raise Sent(request.url)  # type: ignore[attr-defined]

    client.meta.events.register("before-send.*", capture)
    model = client.meta.service_model
    harmless = next(
        name
        for name in model.operation_names
        if not getattr(model.operation_model(name).input_shape, "required_members", ())
    )
    with pytest.raises(Sent) as sent:
        getattr(client, xform_name(harmless))()
    return str(urlsplit(str(sent.value)).hostname)


def service_of(variable: str) -> str:
    """Return boto3's name of the service whose endpoint `variable` overrides."""
    return variable.removeprefix(PREFIX).replace("_", "").lower()


def is_dual_stack(variable: str, url: str, region: str) -> bool:
    """Whether requests with this override go where botocore sends those that must work over IPv6."""
    service = service_of(variable)
    return host_asked(service, region, {variable: url}) == host_asked(service, region, {}, dual_stack=True)


@pytest.mark.slow
def test_the_stack_can_be_in_every_partition_that_has_its_image() -> None:
    assert set(partitions().values()) == set(PARTITIONS)
    assert len(partitions()) > 30


@pytest.mark.slow
def test_every_override_is_the_dual_stack_name_of_its_region() -> None:
    wrong = {
        (region, variable, url)
        for region in partitions()
        for variable, url in overrides(region).items()
        if not is_dual_stack(variable, url, region)
    }
    assert wrong == set()
    assert all(overrides(region) for region in partitions())


@pytest.mark.slow
def test_secrets_manager_needs_none_for_its_usual_name_is_dual_stack() -> None:
    asked = [region for region, partition in partitions().items() if partition != "aws-eusc"]
    assert not [
        region
        for region in asked
        if host_asked("secretsmanager", region, {})
        != host_asked("secretsmanager", region, {}, dual_stack=True)
    ]


def connector_environment(region: str, network: str) -> dict[str, str]:
    """What botocore reads of the connector's variables."""
    given = {"ConnectorNetwork": network}
    stack = deployed(given, region=region, partition=partitions()[region]).nested["Connector"]
    [task] = stack.of_type("AWS::ECS::TaskDefinition").values()
    [connector] = [it for it in task.properties["ContainerDefinitions"] if it["Name"] == "connector"]
    told = {pair["Name"]: pair["Value"] for pair in connector["Environment"]}
    return {name: value for name, value in told.items() if name.startswith("AWS_") and "REGION" not in name}


@pytest.mark.slow
def test_without_ipv4_the_connector_calls_every_service_by_its_dual_stack_name() -> None:
    names = {
        (region, service): host_asked(service, region, connector_environment(region, "ipv6"))
        for region in partitions()
        for service in SERVICES
    }
    wrong = {
        place: name
        for place, name in names.items()
        if name != host_asked(place[1], place[0], {}, dual_stack=True)
    }
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("service", SERVICES)
def test_with_ipv4_it_calls_them_by_their_usual_names(service: str) -> None:
    for region in ("eu-west-1", "cn-north-1", "eusc-de-east-1"):
        environment = connector_environment(region, "ipv4")
        assert host_asked(service, region, environment) == host_asked(service, region, {})


@pytest.mark.parametrize("partition", PARTITIONS)
def test_names_end_as_botocore_has_them(partition: str) -> None:
    region = next(region for region, its in partitions().items() if its == partition)
    assert host_asked("dynamodb", region, {}) == f"dynamodb.{region}.{SUFFIXES[partition]}"


def named_hosts(text: str) -> set[str]:
    """Return AWS's hosts in a file. The names of services that assume a role are none."""
    found = re.findall(r"[\w.{}$:-]*\.(?:amazonaws\.(?:com|eu)|api\.aws|aws\.dev)\b[\w.]*", text)
    return {host for host in found if not re.fullmatch(r"[a-z-]+\.amazonaws\.com", host)}


def test_no_code_names_a_host_of_aws_by_itself() -> None:
    files = [
        file
        for folder in ("layers/core/tocsin", "functions", "infra")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yaml", ".json")
    ]
    assert len(files) > 200
    assert {file.name: hosts for file in files if (hosts := named_hosts(file.read_text("utf-8")))} == {}


def test_a_host_in_code_is_found() -> None:
    assert named_hosts('url = f"https://sqs.{region}.amazonaws.com/"') == {"sqs.{region}.amazonaws.com"}


@pytest.mark.parametrize(
    ("variable", "url", "region"),
    [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://secretsmanager.eu-west-1.api.aws", "eu-west-1"),
        ("AWS_ENDPOINT_URL_SQS", "https://sqs.cn-north-1.api.aws", "cn-north-1"),
        ("AWS_ENDPOINT_URL_SQS", "https://sqs.eusc-de-east-1.api.aws", "eusc-de-east-1"),
        ("AWS_ENDPOINT_URL_SQS", "https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
    ],
)
def test_a_name_made_up_or_of_another_partition_or_of_ipv4_alone_is_none(
    variable: str, url: str, region: str
) -> None:
    assert not is_dual_stack(variable, url, region)
