"""Two ends that know nothing of each other yet, and tables to share."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.support.key_peers import Clock, End
from tests.support.table_contract import make_dynamo_table
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import DynamoTable, Table


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ann(clock: Clock) -> End:
    return End("100@lid", device=3, clock=clock)


@pytest.fixture
def bob(clock: Clock) -> End:
    return End("200@lid", clock=clock)


@pytest.fixture
def dynamo_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoTable]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield make_dynamo_table(boto3.client("dynamodb", region_name="eu-central-1"))


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Table:
    """Both kinds, one after the other."""
    found: Table = MemoryTable() if request.param == "memory" else request.getfixturevalue("dynamo_table")
    return found
