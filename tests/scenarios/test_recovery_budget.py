"""What a notification costs: requests to DynamoDB over its whole way, counted where they leave boto3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.wired_functions import House
from tests.support.wired_steps import requests_of

READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def house(account: AwsAccount) -> House:
    """Siti and the own account are known; the container has sent before."""
    house = House(account.furnish())
    house.tell(1)
    return house


def test_from_plan_to_ack_a_known_session_costs_one_read_and_four_writes(house):
    requests = requests_of(house, lambda: house.tell(2))
    reads = sum(number for name, number in requests.items() if name in READS)
    writes = sum(number for name, number in requests.items() if name not in READS)
    assert (reads, writes) == (1, 4)
    assert requests == {"BatchGetItem": 1, "PutItem": 1, "UpdateItem": 3}


def test_a_session_that_was_answered_costs_the_same(house):
    house.reply("ok")
    assert requests_of(house, lambda: house.tell(2)) == {"BatchGetItem": 1, "PutItem": 1, "UpdateItem": 3}


def test_the_checkpoint_costs_one_write_per_user_each_32_messages(house):
    requests: Counter[str] = Counter()
    for number in range(2, 34):
        requests += requests_of(house, lambda number=number: house.tell(number))
    assert requests["UpdateItem"] == 32 * 3 + 2
    assert requests["BatchGetItem"] == 32


def test_many_devices_cost_no_request_more(house, account):
    crowded = House(account.furnish())
    person = crowded.network.person("6281234567890", "1234", devices=5)
    crowded.stage.siti = crowded.siti = person
    crowded.tell(1)
    assert requests_of(crowded, lambda: crowded.tell(2)) == {"BatchGetItem": 1, "PutItem": 1, "UpdateItem": 3}


def test_what_was_sent_already_costs_one_read(house):
    notification = house.tell(2)
    assert requests_of(house, lambda: house.deliver(notification, 2)) == {"BatchGetItem": 1}


def test_parking_reserves_nothing(house):
    notification = house.plan(2)
    house.stage.lease.state = "connecting"
    house.stage.leases.forget("default")
    requests = requests_of(house, lambda: house.deliver(notification))
    assert requests == {"BatchGetItem": 1, "TransactWriteItems": 1, "GetItem": 1}
