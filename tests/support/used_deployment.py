"""A deployment with real notifications: the console on the tables and queues of the wired functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.paired_account import ACCOUNT
from tests.support.sealed_texts import RECORD_SEALER
from tests.support.wired_functions import WiredFunctions
from tocsin_console import look
from tocsin_console.deployment import Deployment


def deployment_of(functions: WiredFunctions) -> Deployment:
    """The deployment of these functions, as the console sees it."""
    queues = functions.aws.queues
    events, dead_events = (
        functions.aws.sqs.create_queue(QueueName=f"{functions.aws.keys}-{name}")["QueueUrl"]
        for name in ("events", "events-dead")
    )
    outputs = {
        "Accounts": ACCOUNT,
        "DefaultRegion": "ID",
        "KeysTable": functions.aws.keys,
        "NotificationsTable": functions.aws.notifications,
        "NotificationsQueueUrl": queues["notifications"],
        "DeadLettersQueueUrl": queues["dead-letters"],
        "TicketEventsQueueUrl": events,
        "TicketEventsDeadQueueUrl": dead_events,
    }
    deployment = Deployment("tocsin", outputs, None)
    # What the deployment would ask AWS for.
    vars(deployment).update(
        dynamodb=functions.aws.dynamodb,
        sqs=functions.aws.sqs,
        sealer=functions.paired.sealer,
        record_sealer=RECORD_SEALER,
    )
    return deployment


def deployment_in_memory(functions: WiredFunctions) -> Deployment:
    """The same over tables in memory; it has no queues that the console could look into."""
    outputs = {"Accounts": ACCOUNT, "DefaultRegion": "ID"}
    deployment = Deployment("tocsin", outputs, None)
    vars(deployment).update(
        outside_table=functions.aws.notifications_table,
        keys_table=functions.aws.keys_table,
        sealer=functions.paired.sealer,
        record_sealer=RECORD_SEALER,
    )
    return deployment


@contextmanager
def quick_looks() -> Iterator[None]:
    """This SQS has one server, and says "empty" only when it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "WAIT_SECONDS", 0)
        yield
