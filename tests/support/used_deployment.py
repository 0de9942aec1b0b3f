"""A deployment with real notifications: the console on the tables and queues of the wired functions."""

from __future__ import annotations

from tests.support.paired_account import ACCOUNT
from tests.support.sealed_texts import RECORD_SEALER
from tests.support.wired_functions import WiredFunctions
from tocsin_console.deployment import Deployment

_QUEUES = {
    "NotificationsQueueUrl": "notifications",
    "DeadLettersQueueUrl": "dead-letters",
    "TicketEventsQueueUrl": "ticket-events",
    "TicketEventsDeadQueueUrl": "ticket-events-dead",
}


def deployment_of(functions: WiredFunctions) -> Deployment:
    """The deployment of these functions, as the console sees it."""
    urls = {output: functions.aws.queues[name] for output, name in _QUEUES.items()}
    deployment = Deployment("tocsin", {"Accounts": ACCOUNT, "DefaultRegion": "ID", **urls}, None)
    # What the deployment would ask AWS for.
    vars(deployment).update(
        keys_table=functions.aws.keys_table,
        outside_table=functions.aws.notifications_table,
        sqs=functions.aws.sqs,
        sealer=functions.paired.sealer,
        record_sealer=RECORD_SEALER,
        client=_Identity,
    )
    return deployment


class _Identity:
    """What is asked besides: who am I? What does the log say?"""

    def __init__(self, service: str) -> None:
        assert service in ("sts", "logs"), f"{service} isn't needed"

    def filter_log_events(self, **_: object) -> dict[str, list[object]]:
        return {"events": []}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:sts::123456789012:assumed-role/Operator/dewi"}
