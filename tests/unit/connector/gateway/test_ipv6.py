"""The connector on IPv6 alone, as in a subnet without IPv4: the same lease, and the same trust."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.addresses import has_ipv6_loopback
from tests.support.running_endpoint import Lease, LoopThread, Profile, RunningEndpoint, build
from tocsin.connector_client import errors
from tocsin.connector_client.client import ConnectorClient
from tocsin.whatsapp.node import Node

IQ = Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),))


pytestmark = pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6")


@pytest.fixture
def gateway(loop: LoopThread) -> Iterator[RunningEndpoint]:
    """As on Fargate: all interfaces are listened on, and the lease names the address of IPv6."""
    found = build(loop, host="::1", bind="::")
    yield found
    loop.run(found.endpoint.close(0.1))


def test_functions_reach_it_by_the_address_in_brackets_that_the_lease_names(gateway: RunningEndpoint) -> None:
    assert gateway.lease.url == f"https://[::1]:{gateway.port}"
    client = gateway.client()
    assert client.request(Profile(), IQ, timeout=7).content == IQ.content
    assert client.request(Profile(), IQ, timeout=7).content == IQ.content
    assert gateway.lease_reads == 1, "the second call opened a line anew"
    client.close()


def test_a_certificate_that_is_not_the_leases_is_refused(gateway: RunningEndpoint, loop: LoopThread) -> None:
    other = build(loop, host="::1")
    client = ConnectorClient(lambda _: Lease(gateway.lease.url, other.lease.certificate))
    with pytest.raises(errors.ConnectorAway, match="certificate verify failed"):
        client.request(Profile(), IQ)
    assert gateway.accounts.seen == []
    loop.run(other.endpoint.close(0.1))


def test_a_certificate_for_another_address_is_refused(loop: LoopThread) -> None:
    elsewhere = build(loop, host="2001:db8::7", bind="::1")
    lease = Lease(f"https://[::1]:{elsewhere.port}", elsewhere.lease.certificate)
    client = ConnectorClient(lambda _: lease)
    with pytest.raises(errors.ConnectorAway, match="IP address mismatch"):
        client.request(Profile(), IQ)
    assert elsewhere.accounts.seen == []
    loop.run(elsewhere.endpoint.close(0.1))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_the_tasks_own_check_reaches_it_over_either_loopback(gateway: RunningEndpoint, host: str) -> None:
    """connector.yaml's health check asks 127.0.0.1, which every task has."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = f"https://{host}:{gateway.port}/v1/health"
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        assert answer.read() == b'{"ok":true}'
