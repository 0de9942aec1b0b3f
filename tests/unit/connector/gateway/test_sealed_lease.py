"""Over real TLS: a lease that somebody else wrote gets no token, and a message key no second use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.key_peers import SEALER
from tests.support.running_endpoint import Profile, RunningEndpoint
from tocsin.accounts.lease import LeaseKeeper
from tocsin.accounts.whereabouts import WHEREABOUTS, read_whereabouts
from tocsin.connector.gateway.endpoint import Refusal
from tocsin.connector_client import protocol
from tocsin.connector_client.client import ConnectorClient
from tocsin.connector_client.errors import KeyUsed, LeaseUntrusted
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Update
from tocsin.tables.keys import lease_key
from tocsin.whatsapp.node import Node

Another = Callable[..., RunningEndpoint]
IQ = Node("iq", {"type": "get", "xmlns": "w:p"}, (Node("ping"),))
MESSAGE = Node("message", {"id": "3EB0AA", "to": "1234@lid"}, b"ciphertext")


def held_by(gateway: RunningEndpoint) -> MemoryTable:
    """A table whose lease names this endpoint."""
    table = MemoryTable()
    url, certificate = gateway.lease.url, gateway.lease.certificate
    assert url is not None
    assert certificate is not None
    keeper = LeaseKeeper(table, "c1", url=url, certificate=certificate, sealer=SEALER)
    keeper.set_state("default", keeper.acquire("default"), "connected")
    return table


def forge(table: MemoryTable, evil: RunningEndpoint, **more: Any) -> None:
    forged = {"url": evil.lease.url, "certificate": evil.lease.certificate}
    table.update(Update(lease_key("default"), set=forged, **more))  # type: ignore[arg-type]


def client_of(table: MemoryTable) -> ConnectorClient:
    return ConnectorClient(lambda account: read_whereabouts(table, account, SEALER))


def test_a_forged_url_and_certificate_get_no_token(gateway: RunningEndpoint, another: Another) -> None:
    table, evil = held_by(gateway), another()
    forge(table, evil)
    client_of(table).request(Profile(), IQ)
    assert (len(gateway.accounts.seen), evil.accounts.seen) == (1, [])


def test_with_the_seal_taken_away_nobody_is_called(gateway: RunningEndpoint, another: Another) -> None:
    table, evil = held_by(gateway), another()
    forge(table, evil, remove=(WHEREABOUTS,))
    with pytest.raises(LeaseUntrusted):
        client_of(table).request(Profile(), IQ)
    assert (gateway.accounts.seen, evil.accounts.seen) == ([], [])


def test_the_names_of_refused_copies_reach_the_function(gateway: RunningEndpoint) -> None:
    async def refuse(node: Node) -> Node:
        raise Refusal(protocol.KEY_USED, "used", names="1234@lid 1234:1@lid")

    gateway.accounts.answer = refuse
    with pytest.raises(KeyUsed) as caught:
        gateway.client().send_message(Profile(), MESSAGE)
    assert caught.value.names == ("1234@lid", "1234:1@lid")
