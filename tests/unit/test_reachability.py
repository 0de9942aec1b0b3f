"""What a function says of the services that it reaches from where it runs."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.reachability import CONNECT_SECONDS, reached


class Network:
    """Answers for some hosts; notes who was called. `family` of the addresses that answer."""

    def __init__(self, *hosts: str, family: int = socket.AF_INET6) -> None:
        self.hosts = hosts
        self.family = family
        self.called: list[tuple[str, int]] = []
        self.hung_up = 0

    def connect(self, address: tuple[str, int], seconds: float) -> Any:
        self.called.append(address)
        assert seconds == CONNECT_SECONDS
        if address[0] not in self.hosts:
            raise TimeoutError("timed out")
        return self

    def __enter__(self) -> Any:
        return SimpleNamespace(family=self.family)

    def __exit__(self, *_: object) -> None:
        self.hung_up += 1


@pytest.mark.parametrize(("family", "named"), [(socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")])
def test_each_service_is_called_and_says_over_what(family: int, named: str) -> None:
    network = Network("sqs.eu-west-1.api.aws", family=family)
    found = reached({"sqs": "https://sqs.eu-west-1.api.aws"}, network.connect)
    assert found == {"sqs": {"host": "sqs.eu-west-1.api.aws", "family": named, "failed": ""}}
    assert (network.called, network.hung_up) == ([("sqs.eu-west-1.api.aws", 443)], 1)


def test_one_that_does_not_answer_keeps_the_others_from_nothing() -> None:
    network = Network("here")
    found = reached({"sqs": "https://away", "dynamodb": "http://here:8000"}, network.connect)
    assert (found["sqs"]["failed"], found["dynamodb"]["failed"]) == ("timed out", "")
    assert network.called[1] == ("here", 8000)
