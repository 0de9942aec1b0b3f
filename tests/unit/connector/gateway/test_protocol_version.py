"""Which releases of functions and connector work together, and what the others are told."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import replace

import pytest

from tests.support.running_endpoint import TOKEN, Profile, RunningEndpoint
from tocsin.connector_client import protocol
from tocsin.connector_client.errors import ProtocolRefused
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node

IQ = Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),))
OURS = protocol.VERSION
REMEDY = "the connector is too old. Messages wait, and go on by themselves once it is updated"


def asked(gateway: RunningEndpoint, version: str | None) -> tuple[int, str | None, dict[str, str]]:
    """Status, the answer's version and its JSON, for a request of functions of this version."""
    line = http.client.HTTPSConnection(
        "127.0.0.1", gateway.port, context=ssl.create_default_context(cadata=gateway.lease.certificate)
    )
    headers = {"Authorization": f"Bearer {TOKEN}", protocol.INCARNATION: "3"}
    if version is not None:
        headers[protocol.PROTOCOL] = version
    line.request("POST", "/v1/accounts/default/iq", encode(IQ), headers)
    answer = line.getresponse()
    body = answer.read()
    line.close()
    told = json.loads(body) if answer.getheader("content-type") == protocol.JSON_TYPE else {}
    return answer.status, answer.getheader(protocol.PROTOCOL), told


@pytest.mark.parametrize("version", [OURS - 1, OURS, OURS + 1])
def test_functions_of_an_adjacent_release_are_served(gateway: RunningEndpoint, version: int) -> None:
    assert asked(gateway, str(version)) == (200, str(OURS), {})
    assert len(gateway.accounts.seen) == 1


def test_functions_of_0_1_0_say_no_version_and_are_served(gateway: RunningEndpoint) -> None:
    assert asked(gateway, None)[0] == 200


@pytest.mark.parametrize("version", [str(OURS + 2), "0", "-1", "2x", "9" * 7])
def test_functions_too_far_from_us_are_refused_with_the_remedy(
    gateway: RunningEndpoint, version: str
) -> None:
    status, answered, told = asked(gateway, version)
    assert (status, answered, told["error"]) == (426, str(OURS), protocol.PROTOCOL_REFUSED)
    assert told["detail"].startswith(f"the connector speaks version {OURS}")
    assert "too old" in told["detail"]
    assert gateway.accounts.seen == []


def test_functions_of_0_1_0_that_can_t_be_served_any_more_are_told_in_words_they_know(
    gateway: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They know no refusal by version, but after `lease` they park; tests/upgrade asks that very code."""
    monkeypatch.setattr(protocol, "VERSION", 3)
    status, _, told = asked(gateway, None)
    assert (status, told["error"]) == (409, protocol.LEASE)
    assert "the functions are too old" in told["detail"]


def test_a_function_calls_no_connector_that_is_too_old(gateway: RunningEndpoint) -> None:
    gateway.lease = replace(gateway.lease, protocol=OURS - 2)
    with pytest.raises(ProtocolRefused, match=REMEDY):
        gateway.client().request(Profile(), IQ)
    assert gateway.accounts.seen == []


def test_a_function_calls_the_connector_of_the_release_before(gateway: RunningEndpoint) -> None:
    gateway.lease = replace(gateway.lease, protocol=OURS - 1)
    gateway.client().request(Profile(), IQ)
    assert len(gateway.accounts.seen) == 1


def test_a_connector_that_was_updated_behind_our_back_is_found_by_its_refusal(
    gateway: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is read anew before the refusal is believed."""
    client = gateway.client()
    client.request(Profile(), IQ)
    reads = gateway.lease_reads
    monkeypatch.setattr(protocol, "objection", lambda connector, functions: "too far apart")
    with pytest.raises(ProtocolRefused, match="too far apart"):
        client.request(Profile(), IQ)
    assert gateway.lease_reads == reads + 1


def test_twin_without_the_check_serves_everybody(
    gateway: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "objection", lambda connector, functions: None)
    assert asked(gateway, str(OURS + 2))[0] == 200


@pytest.mark.parametrize(
    ("connector", "functions", "too_old"), [(1, 3, "connector"), (4, 2, "functions"), (2, None, "functions")]
)
def test_the_objection_names_who_is_too_old(connector: int, functions: int | None, too_old: str) -> None:
    assert f"the {too_old} " in str(protocol.objection(connector, functions)).split(": ", 1)[1]
