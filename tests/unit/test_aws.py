"""Clients of AWS: made one at a time, with room for all lanes of an invocation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ParamValidationError

from tests.support.fake_aws import aws_account
from tocsin import aws
from tocsin.notify.lanes import MAX_LANES


def test_a_client_has_a_connection_for_each_number_that_lanes_take_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    config = aws.client("sqs").meta.config
    assert config.max_pool_connections >= 2 * MAX_LANES
    assert config.user_agent == aws.USER_AGENT


@pytest.mark.parametrize("patience", [aws.USUAL, aws.HEARTBEAT])
def test_a_client_has_the_patience_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, patience: aws.Patience
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    config = aws.client("sqs", patience).meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == patience


def test_a_function_s_requests_are_not_checked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS checks them, and our tests do: the next one."""
    sent: list[Any] = []
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    client = aws.client("dynamodb")

    def note(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, Raw())

    client.meta.events.register("before-send.dynamodb", note)
    client.get_item(TableName="", Key={})
    assert len(sent) == 1


class Raw:
    """An empty answer."""

    def stream(self, **_: Any) -> list[bytes]:
        return [b"{}"]


def test_our_tests_hold_each_request_against_the_service_s_description() -> None:
    with aws_account() as account:
        cloud = account.furnish()
        with pytest.raises(ParamValidationError):
            cloud.dynamodb.get_item(TableName=cloud.keys, Key={}, Consistent=True)
        with pytest.raises(ParamValidationError):
            cloud.sqs.send_message(QueueUrl=cloud.queues["stanzas"], Body="")


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
