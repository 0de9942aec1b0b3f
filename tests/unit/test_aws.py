"""Clients of AWS: made one at a time, with room for all lanes of an invocation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest

from tocsin import aws
from tocsin.notify.lanes import MAX_LANES


def test_a_client_has_a_connection_for_each_number_that_lanes_take_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    config = aws.client("sqs").meta.config
    assert config.max_pool_connections >= 2 * MAX_LANES
    assert config.user_agent == aws.USER_AGENT


def test_clients_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that makes them isn't made for threads."""
    making, met = Lock(), []

    class Session:
        def create_client(self, service: str, **_: Any) -> str:
            met.append(making.acquire(blocking=False))
            for _ in range(10_000):  # long enough for another thread to come in
                pass
            making.release()
            return service

    monkeypatch.setattr(aws, "_session", Session)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(aws.client, ["sqs"] * 32)) == ["sqs"] * 32
    assert met == [True] * 32
