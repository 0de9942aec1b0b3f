"""`tocsin status`: is everything there, and is anything stuck?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from infra.console.deployment import Deployment
from infra.console.output import Output, moment
from tocsin.keys.lease import read_lease

# What each queue is to an operator, and the output of the stack that names it.
QUEUES = {
    "ticket events": "TicketEventsQueueUrl",
    "notifications": "NotificationsQueueUrl",
    "stanzas": "StanzasQueueUrl",
    "dead letters": "DeadLettersQueueUrl",
    "dead ticket events": "TicketEventsDeadQueueUrl",
    "dead stanzas": "StanzasDeadQueueUrl",
}
_DEAD = {name for name in QUEUES if name.startswith("dead")}

# What an operator can do about an account that isn't connected.
ADVICE = {
    "unpaired": "link it: tocsin pair",
    "logged_out": "it was unlinked on the phone; link it again: tocsin pair",
    "replaced": "another program uses the same keys; stop it, then restart the connector",
    "stopped": "no connector holds it; is the service running?",
    "restricted": "WhatsApp lets it write to known contacts only, for a while",
}


@dataclass(frozen=True)
class AccountStatus:
    """One account as its lease says. `since` in seconds."""

    account: str
    state: str
    detail: str
    since: int
    connector: str | None
    epoch: int
    waiting: int


def show(deployment: Deployment, output: Output) -> None:
    """Print accounts and queues."""
    accounts = [_account(deployment, name) for name in deployment.accounts]
    queues = {name: _depth(deployment, key) for name, key in QUEUES.items() if key in deployment.outputs}
    output.record({"accounts": [asdict(account) for account in accounts], "queues": queues})
    output.table(
        ["ACCOUNT", "STATE", "SINCE (UTC)", "CONNECTOR", "EPOCH", "WAITING"],
        [
            (
                item.account,
                item.state,
                moment(item.since * 1000),
                item.connector or "-",
                item.epoch,
                item.waiting,
            )
            for item in accounts
        ],
    )
    for account in accounts:
        advice = ADVICE.get(account.state)
        if advice or account.detail:
            output.say(f"{account.account}: {'; '.join(filter(None, (account.detail, advice)))}")
    output.say()
    output.table(
        ["QUEUE", "MESSAGES", "IN FLIGHT"], [(name, *depth.values()) for name, depth in queues.items()]
    )
    if any(queues[name]["messages"] for name in _DEAD & set(queues)):
        output.say("\nsomething could not be delivered: tocsin dead-letters list")


def _account(deployment: Deployment, name: str) -> AccountStatus:
    lease = read_lease(deployment.keys_table, name)
    waiting = sum(1 for _ in deployment.notifications.waiting(name))
    if lease is None:
        return AccountStatus(name, "unpaired", "no connector ever held it", 0, None, 0, waiting)
    return AccountStatus(name, lease.state, lease.detail, lease.since, lease.connector, lease.epoch, waiting)


def _depth(deployment: Deployment, output_key: str) -> dict[str, int]:
    names = {"messages": "ApproximateNumberOfMessages", "in_flight": "ApproximateNumberOfMessagesNotVisible"}
    found: dict[str, Any] = deployment.sqs.get_queue_attributes(
        QueueUrl=deployment[output_key], AttributeNames=list(names.values())
    )["Attributes"]
    return {name: int(found[attribute]) for name, attribute in names.items()}
