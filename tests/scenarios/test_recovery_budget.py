"""What a notification and a reply cost: requests to DynamoDB, counted where they leave boto3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import message_from
from tests.support.wired_functions import WiredFunctions
from tests.support.wired_steps import requests_of

FORGOTTEN = 1
"""That a number is a LID's, which containers remember for minutes and these functions read each time."""
READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def wired(account: AwsAccount) -> WiredFunctions:
    """Siti and the own account are known; the container has sent before."""
    wired = WiredFunctions(account.furnish())
    wired.tell(1)
    return wired


def test_from_plan_to_ack_a_known_session_costs_two_reads_and_four_writes(wired):
    requests = requests_of(wired, lambda: wired.tell(2))
    reads = sum(number for name, number in requests.items() if name in READS)
    writes = sum(number for name, number in requests.items() if name not in READS)
    assert (reads, writes) == (2, 4)  # who the recipient is, then all that a send must know
    assert requests == {"BatchGetItem": 2, "PutItem": 1, "UpdateItem": 3}


def test_a_session_that_was_answered_costs_the_same(wired):
    wired.reply("ok")
    assert requests_of(wired, lambda: wired.tell(2)) == {"BatchGetItem": 2, "PutItem": 1, "UpdateItem": 3}


def test_the_checkpoint_costs_one_write_per_user_each_32_messages(wired):
    requests: Counter[str] = Counter()
    for number in range(2, 34):
        requests += requests_of(wired, lambda number=number: wired.tell(number))
    assert requests["UpdateItem"] == 32 * 3 + 2
    assert requests["BatchGetItem"] == 2 * 32


def test_many_devices_cost_no_request_more(wired, account):
    crowded = WiredFunctions(account.furnish())
    person = crowded.network.person("6281234567890", "1234", devices=5)
    crowded.paired.siti = crowded.siti = person
    crowded.tell(1)
    assert requests_of(crowded, lambda: crowded.tell(2)) == {"BatchGetItem": 2, "PutItem": 1, "UpdateItem": 3}


def test_what_was_sent_already_costs_one_read(wired):
    notification = wired.tell(2)
    assert requests_of(wired, lambda: wired.deliver(notification, 2)) == {"BatchGetItem": 1}


def test_parking_reserves_nothing(wired):
    notification = wired.plan(2)
    wired.paired.lease.state = "connecting"
    wired.paired.leases.forget("default")
    requests = requests_of(wired, lambda: wired.deliver(notification))
    assert requests == {"BatchGetItem": 1, "TransactWriteItems": 1, "GetItem": 1}


@pytest.mark.parametrize("turns", [True, False])
def test_a_reply_costs_four_reads_and_three_writes(wired, turns):
    """Our keys and the session, with what it yielded before; both names of who wrote; how they are to be
    treated; which notification they had. The session with the plaintext; the reply; that it is handled."""
    wired.receipt(wired.tell(2))
    wired.reply("ok", "R1")
    if turns:
        wired.tell(3)
    body = wired.envelope(message_from(wired.siti.devices[0], wired.siti, "R2", "ok"))
    requests = requests_of(wired, lambda: wired.inbound.handle(body))
    requests["GetItem"] -= FORGOTTEN
    assert requests == {
        "BatchGetItem": 2,
        "GetItem": 2,
        "TransactWriteItems": 1,
        "PutItem": 1,
        "UpdateItem": 1,
    }
