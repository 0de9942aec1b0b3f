"""The connector's environment: what it must hold, and which variable is named when it doesn't."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from tocsin.accounts.lease import Terms
from tocsin.connector.config import PRODUCTION_URL, BadEnvironment, read_config

REQUIRED = {"KEYS_TABLE": "keys", "STANZAS_QUEUE_URL": "https://sqs/s.fifo", "SEALING_SECRET_ARN": "arn:s"}


def test_the_required_variables_are_enough_and_mean_whatsapp_itself() -> None:
    config = read_config(REQUIRED)
    assert (config.whatsapp_url, config.root_key) == (PRODUCTION_URL, None)
    assert (config.host, config.bind, config.port) == ("127.0.0.1", "127.0.0.1", 0)
    assert config.accounts == ("default",)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(name: str, value: str | None) -> None:
    environment = {each: text for each, text in REQUIRED.items() if each != name}
    with pytest.raises(BadEnvironment) as raised:
        read_config(environment if value is None else environment | {name: value})
    assert raised.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONNECTOR_PORT", "http"),
        ("CONNECTOR_PORT", "-1"),
        ("CONNECTOR_PORT", "65536"),
        ("WHATSAPP_ROOT_KEY", "abcd"),
        ("WHATSAPP_ROOT_KEY", "z" * 64),
        ("ACCOUNTS", " , "),
        ("ACCOUNTS", "fine,not fine"),
        ("POWERTOOLS_LOG_LEVEL", "LOUD"),
        ("LEASE_SECONDS", "5,12"),
        ("LEASE_SECONDS", "5,12,15,20"),
        ("LEASE_SECONDS", "5,12,soon"),
        ("LEASE_SECONDS", "5,12,inf"),
        ("LEASE_SECONDS", "5,15,12"),
        ("SILENCE_SECONDS", "0"),
        ("SILENCE_SECONDS", "nan"),
        ("SILENCE_SECONDS", "a minute"),
        ("WHATSAPP_VERSION", "2.3000"),
        ("WHATSAPP_VERSION", "2.3000.x"),
        ("ECS_CONTAINER_METADATA_URI_V4", "file:///etc/passwd"),
        ("ECS_CONTAINER_METADATA_URI_V4", "http://127.0.0.1:9/v4"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadEnvironment) as raised:
        read_config(REQUIRED | {name: value})
    assert raised.value.name == name


def test_a_version_may_be_told() -> None:
    assert read_config(REQUIRED | {"WHATSAPP_VERSION": "2.3000.1045649367"}).version == (2, 3000, 1045649367)


def test_how_long_a_lease_lasts_may_be_told() -> None:
    assert read_config(REQUIRED).lease_terms == Terms(beat=5, hold=12, dead=15)
    assert read_config(REQUIRED | {"LEASE_SECONDS": "1.5,5,6"}).lease_terms == Terms(1.5, 5, 6)


def test_how_much_silence_is_borne_may_be_told() -> None:
    assert read_config(REQUIRED).silence == 20
    assert read_config(REQUIRED | {"SILENCE_SECONDS": "2.5"}).silence == 2.5


def test_accounts_are_a_list() -> None:
    assert read_config(REQUIRED | {"ACCOUNTS": "a, b,,c"}).accounts == ("a", "b", "c")


DUAL_STACK = {"IPv4Addresses": ["10.0.1.7"], "IPv6Addresses": ["2001:db8::7"]}
# As ECS tells it of a task in an IPv6-only subnet (aws/amazon-ecs-agent#4649).
WITHOUT_IPV4 = {
    "IPv6Addresses": ["2001:db8::7"],
    "IPv6SubnetCIDRBlock": "2001:db8::/64",
    "SubnetGatewayIPV6Address": "2001:db8::1/64",
}


@pytest.fixture
def metadata(request: pytest.FixtureRequest) -> Iterator[str]:
    """The task metadata endpoint, as ECS answers it; `param`: what it tells of the network."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            network = {"NetworkMode": "awsvpc", **request.param}
            body = json.dumps({"Name": "connector", "Networks": [network]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v4/abc"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("metadata", [DUAL_STACK], indirect=True)
def test_on_fargate_the_tasks_private_address_is_advertised(metadata: str) -> None:
    config = read_config(REQUIRED | {"ECS_CONTAINER_METADATA_URI_V4": metadata})
    assert (config.host, config.bind) == ("10.0.1.7", "0.0.0.0")  # noqa: S104
    assert config.url(8443) == "https://10.0.1.7:8443"


@pytest.mark.parametrize("metadata", [WITHOUT_IPV4, WITHOUT_IPV4 | {"IPv4Addresses": []}], indirect=True)
def test_in_a_subnet_without_ipv4_it_is_that_of_ipv6_in_brackets(metadata: str) -> None:
    config = read_config(REQUIRED | {"ECS_CONTAINER_METADATA_URI_V4": metadata})
    assert (config.host, config.bind) == ("2001:db8::7", "::")
    assert config.url(8443) == "https://[2001:db8::7]:8443"


@pytest.mark.parametrize("metadata", [{}, {"IPv6Addresses": []}], indirect=True)
def test_a_task_without_any_address_is_refused(metadata: str) -> None:
    with pytest.raises(BadEnvironment, match="leads to no private address"):
        read_config(REQUIRED | {"ECS_CONTAINER_METADATA_URI_V4": metadata})


@pytest.mark.parametrize("metadata", [DUAL_STACK], indirect=True)
def test_an_address_that_was_told_wins(metadata: str) -> None:
    environment = {"ECS_CONTAINER_METADATA_URI_V4": metadata, "CONNECTOR_HOST": "10.9.9.9"}
    assert read_config(REQUIRED | environment).host == "10.9.9.9"
