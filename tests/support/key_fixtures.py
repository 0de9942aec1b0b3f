"""Two ends that know nothing of each other yet, and tables to share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.support.fake_aws import aws_account
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


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of moto's DynamoDB. Clients are dear, tables are cheap: each test has one of its own."""
    with aws_account() as account:
        yield account.dynamodb


_numbers = count(1)


@pytest.fixture
def dynamo_table(dynamodb: Any) -> DynamoTable:
    return make_dynamo_table(dynamodb, f"keys-{next(_numbers)}")


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Table:
    """Both kinds, one after the other."""
    found: Table = MemoryTable() if request.param == "memory" else request.getfixturevalue("dynamo_table")
    return found
