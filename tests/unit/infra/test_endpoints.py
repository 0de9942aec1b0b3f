"""The endpoints that the templates override, held against where botocore sends a dual-stack request."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config

from tests.support.templates import REGIONS, TEMPLATES, possible, template, written

PREFIX = "AWS_ENDPOINT_URL"

OVERRIDES = [
    pytest.param(name, file, value, id=f"{file}-{name}")
    for file in TEMPLATES
    for name, value in written(template(file))
    if name.startswith(PREFIX)
]


class Sent(Exception):
    """A request is ready to leave. Raised in its place."""


def host_asked(service: str, region: str, environment: Mapping[str, str], *, dual_stack: bool = False) -> str:
    """Return the host that a request to `service` goes to: that of the request, since a client's
    `meta.endpoint_url` knows nothing of the rules by which each request is sent."""
    config = Config(use_dualstack_endpoint=dual_stack)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
        client = session.client(service, region_name=region, config=config)

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


def test_there_is_one() -> None:
    assert OVERRIDES


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("variable", "file", "value"), OVERRIDES)
def test_every_override_is_the_dual_stack_name_of_its_region(
    variable: str, file: str, value: object, region: str
) -> None:
    (url,) = possible(value, file, region)
    assert is_dual_stack(variable, url, region)


@pytest.mark.parametrize(
    "region", [region for region, partition in REGIONS.items() if partition != "aws-eusc"]
)
def test_secrets_manager_needs_none_for_its_usual_name_is_dual_stack(region: str) -> None:
    usual = host_asked("secretsmanager", region, {})
    assert usual == host_asked("secretsmanager", region, {}, dual_stack=True)


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
