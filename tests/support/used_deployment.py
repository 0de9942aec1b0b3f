"""A deployment in which real notifications lived: the console on the tables of a `House`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import House
from tocsin_console import look
from tocsin_console.deployment import Deployment


def deployment_of(house: House) -> Deployment:
    """The house as the console finds it."""
    queues = house.aws.queues
    events, dead_events = (
        house.aws.sqs.create_queue(QueueName=f"{house.aws.keys}-{name}")["QueueUrl"]
        for name in ("events", "events-dead")
    )
    outputs = {
        "Accounts": ACCOUNT,
        "DefaultRegion": "ID",
        "KeysTable": house.aws.keys,
        "NotificationsTable": house.aws.notifications,
        "NotificationsQueueUrl": queues["notifications"],
        "DeadLettersQueueUrl": queues["dead-letters"],
        "TicketEventsQueueUrl": events,
        "TicketEventsDeadQueueUrl": dead_events,
    }
    deployment = Deployment("tocsin", outputs, None)
    # What the deployment would ask AWS for.
    vars(deployment).update(dynamodb=house.aws.dynamodb, sqs=house.aws.sqs, sealer=house.stage.sealer)
    return deployment


@contextmanager
def quick_looks() -> Iterator[None]:
    """This SQS has one server, and says "empty" only when it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "WAIT_SECONDS", 0)
        yield
