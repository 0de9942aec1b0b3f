"""A fake deployed stack, and fakes that act in it: a connector, a sender, a phone."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.fake_cloud import ACCOUNT, FIFO_QUEUES, FakeCloud
from tests.support.memory_queues import take_all
from tests.support.notifications import a_notification, an_id
from tests.support.receipts import mark_receipt
from tocsin.accounts import operator_requests
from tocsin.accounts.lease import LeaseKeeper
from tocsin.dynamo.writes import Update, Value
from tocsin.hooks.endpoint import Endpoint
from tocsin.notify.content import Text
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.queues import DeadLettersQueue, TicketEventsDeadQueue
from tocsin.tables.notifications import hook_key, notification_key
from tocsin_console.deployment import Deployment
from tocsin_console.hook_health import store_of
from tocsin_console.look import depth
from tocsin_console.output import Output

SITI = "6281234567890"
NOW = 1_795_000_000
"""Seconds."""


@dataclass
class FakeDeployment:
    """A deployment, and what happens to its notifications."""

    stack: str
    deployment: Deployment
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    now: float = NOW
    """The connector's clock."""

    @classmethod
    def on(cls, cloud: FakeCloud) -> FakeDeployment:
        """A new one."""
        stack = cloud.deploy()
        return cls(stack, cloud.deployment(stack))

    # -- notifications -------------------------------------------------------------------------------------

    def planned(
        self, recipient: str = SITI, *, text: str = "Halo Siti, *TCK-1*", source: str | None = None
    ) -> Notification:
        ticket = f"TCK-{next(self.numbers)}"
        notification = a_notification(
            id=an_id(ACCOUNT, ticket, "TicketCreated", 1, "customer", recipient),
            account=ACCOUNT,
            ticket_id=ticket,
            recipient=recipient,
            content=Text(text),
            source=source,
            created_at=NOW * 1000,
            expires_at=(NOW + 3600) * 1000,
        )
        assert self.deployment.stores.notifications.put_new(notification) is None
        return notification

    def failed(self, recipient: str = SITI, *, code: str = "server-error") -> Notification:
        """A notification at its end, with its dead letter."""
        notification = self.planned(recipient)
        problem = Problem(code, "retry", "the server answered 500")
        self.deployment.stores.notifications.fail(notification.id, problem, NOW * 1000)
        self.bury(notification, problem)
        return notification

    def unreachable(self, refused: str = "0812 ask Budi") -> Notification:
        """One whose recipient the event names without a usable number, with its dead letter."""
        planned = replace(
            self.planned(), id="e" * 18, ticket_id="TCK-LOST", recipient="", refused_address=refused
        )
        assert self.deployment.stores.notifications.put_new(planned) is None
        problem = Problem("invalid-phone", "permanent", "detail.technicians[0].phone is not text")
        self.deployment.stores.notifications.fail(planned.id, problem, NOW * 1000)
        self.bury(planned, problem)
        return planned

    def bury(self, notification: Notification, problem: Problem) -> None:
        stored = self.stored(notification)
        DeadLettersQueue(self.deployment.sqs, self.deployment["DeadLettersQueueUrl"]).send(
            stored, problem, NOW * 1000
        )

    def arrives(self, notification: Notification, state: State = State.DELIVERED) -> None:
        mark_receipt(self.deployment.stores.notifications, notification.id, state, NOW * 1000 + 5000)

    def stored(self, notification: Notification) -> Notification:
        found = self.deployment.stores.notifications.get(notification.id)
        assert found is not None
        return found

    def spoil(self, notification: Notification) -> None:
        """Its record loses a field that every record has."""
        key = notification_key(notification.id)
        self.deployment.outside_table.update(Update(key, remove=("recipient",)))

    # -- webhooks ------------------------------------------------------------------------------------------

    def hears(self, hook: str = "h-1", **record: Value) -> None:
        """A webhook. `record`: what stands in plain in its record besides."""
        endpoint = Endpoint(hook, "https://desk.example.com/", "whsec_" + "A" * 44)
        store_of(self.deployment).add(endpoint)
        if record:
            self.deployment.outside_table.update(Update(hook_key(hook), set=record))

    # -- queues --------------------------------------------------------------------------------------------

    def refuse(self, event: Any, *violations: str) -> None:
        """The planner refuses an event (a JSON value, or text that is none)."""
        body = event if isinstance(event, str) else json.dumps(event)
        queue = TicketEventsDeadQueue(self.deployment.sqs, self.deployment["TicketEventsDeadQueueUrl"])
        queue.send(body, violations or ("detail: is missing",), NOW * 1000)

    def put(self, queue: str, body: str, **attributes: str) -> None:
        """Any message in any queue."""
        more: dict[str, Any] = {}
        if queue in FIFO_QUEUES:
            more = {"MessageGroupId": "g", "MessageDeduplicationId": str(next(self.numbers))}
        told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        url = self.deployment[f"{queue}QueueUrl"]
        self.deployment.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=told, **more)

    def count(self, queue: str) -> int:
        """How many messages it holds."""
        return sum(depth(self.deployment.sqs, self.deployment[f"{queue}QueueUrl"]).values())

    def taken(self, queue: str) -> list[Any]:
        """The bodies of a queue's messages, parsed; they are gone then."""
        return take_all(self.deployment.sqs, self.deployment[f"{queue}QueueUrl"])

    # -- the connector -------------------------------------------------------------------------------------

    def connector(self, name: str = "c1") -> Connector:
        keeper = LeaseKeeper(
            self.deployment.keys_table,
            name,
            url="https://10.0.0.1",
            certificate="PEM",
            sealer=self.deployment.sealer,
            clock=lambda: self.now,
        )
        keeper.beat()
        return Connector(self, keeper, keeper.acquire(ACCOUNT))


@dataclass
class Connector:
    """A connector that holds the account and says what it is told to say."""

    fake: FakeDeployment
    keeper: LeaseKeeper
    epoch: int

    def says(self, state: str, detail: str = "") -> None:
        self.keeper.set_state(ACCOUNT, self.epoch, state, detail)

    def answers(self, state: str = "pairing", message: str = "", **shown: Any) -> None:
        """Take the operator's request up, and show something."""
        table, sealer = self.fake.deployment.keys_table, self.fake.deployment.sealer
        seen = operator_requests.read_request(table, ACCOUNT)
        operator_requests.take_up(table, ACCOUNT, seen)
        operator_requests.answer(
            table, sealer, ACCOUNT, os.urandom(12), state=state, message=message, **shown
        )

    def asked(self) -> operator_requests.Asked:
        """What the operator asks for now."""
        table, sealer = self.fake.deployment.keys_table, self.fake.deployment.sealer
        return operator_requests.open_request(
            operator_requests.read_request(table, ACCOUNT), ACCOUNT, sealer, NOW
        )


@dataclass
class Script:
    """Stands in for `time.sleep`: instead of each nap something happens, and the clock goes on."""

    steps: list[Callable[[], object]]
    now: float = NOW

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()

    def clock(self) -> float:
        return self.now


@dataclass
class Said:
    """An output, and what was said there."""

    as_json: bool = False
    stream: io.StringIO = field(default_factory=io.StringIO)

    @property
    def output(self) -> Output:
        return Output(self.as_json, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def typing(answer: str) -> Output:
    """A terminal at which somebody types this."""
    return Output(stream=Terminal(), answers=Terminal(answer))


def asked(output: Output) -> str:
    assert isinstance(output.stream, Terminal)
    return output.stream.getvalue()
