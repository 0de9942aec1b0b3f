"""A fake deployed stack, and fakes that act in it: a connector, a sender, a phone."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from tests.support.key_peers import SEALER
from tests.support.notifications import a_notification, an_id
from tocsin.accounts import operator_requests
from tocsin.accounts.lease import LeaseKeeper
from tocsin.notify.content import Text
from tocsin.notify.notification import Notification, Problem, State
from tocsin.notify.queues import DeadLettersQueue, TicketEventsDeadQueue
from tocsin_console.deployment import Deployment
from tocsin_console.look import depth
from tocsin_console.output import Output

REGION = "ap-southeast-3"
ACCOUNT = "default"
SITI = "6281234567890"
NOW = 1_795_000_000
"""Seconds."""

# moto's own CloudFormation wants packages for every service there is.
_MOTO: Any = {"core": {"passthrough": {"services": ["cloudformation"]}}}

_KEY_SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_KEY_TYPES = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
_BY_TICKET = {
    "IndexName": "ticket",
    "KeySchema": [{"AttributeName": "ticket_id", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
_QUEUES = ("TicketEvents", "TicketEventsDead")
_FIFO_QUEUES = ("Notifications", "DeadLetters", "Stanzas", "StanzasDead", "OutcomesDead")


class FakeCloud:
    """An AWS account in memory: moto's, and a CloudFormation that knows what was deployed."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", region_name=REGION)
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.events = boto3.client("events", region_name=REGION)
        self.stacks: dict[str, tuple[str, dict[str, str]]] = {}
        self._numbers = itertools.count(1)

    def deploy(self, **outputs: str) -> str:
        """The name of a new stack with everything the console looks for. `outputs` replace its own."""
        stack = f"tocsin-{next(self._numbers)}"
        told = {"EventBusName": f"{stack}-tickets", "EventSource": "ticketing"}
        told |= {"Accounts": ACCOUNT, "DefaultRegion": "ID"}
        self.events.create_event_bus(Name=told["EventBusName"])
        ticket = {"AttributeName": "ticket_id", "AttributeType": "S"}
        indexed = {"AttributeDefinitions": [*_KEY_TYPES, ticket], "GlobalSecondaryIndexes": [_BY_TICKET]}
        for table, more in (
            ("KeysTable", {"AttributeDefinitions": _KEY_TYPES}),
            ("NotificationsTable", indexed),
        ):
            told[table] = f"{stack}-{table}"
            self.dynamodb.create_table(
                TableName=told[table], KeySchema=_KEY_SCHEMA, BillingMode="PAY_PER_REQUEST", **more
            )
        for name in _QUEUES:
            told[f"{name}QueueUrl"] = self.sqs.create_queue(QueueName=f"{stack}-{name}")["QueueUrl"]
        for name in _FIFO_QUEUES:
            fifo = {"FifoQueue": "true"}
            told[f"{name}QueueUrl"] = self.sqs.create_queue(
                QueueName=f"{stack}-{name}.fifo", Attributes=fifo
            )["QueueUrl"]
        self.stacks[stack] = ("CREATE_COMPLETE", told | outputs)
        return stack

    def describe_stacks(self, request: Any, **_: Any) -> AWSResponse | None:
        """Answers the one question that the console asks CloudFormation."""
        if "amazonaws.com" not in request.url:
            return None
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        name = parse_qs(body)["StackName"][0]
        if name not in self.stacks:
            error = f"<Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message>"
            return _response(request.url, 400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>")
        status, outputs = self.stacks[name]
        members = "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            for key, value in outputs.items()
        )
        expiry = "<ParameterKey>NotificationExpirySeconds</ParameterKey><ParameterValue>7200</ParameterValue>"
        return _response(
            request.url,
            200,
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member>"
            f"<StackName>{name}</StackName><StackStatus>{status}</StackStatus><Outputs>{members}</Outputs>"
            f"<Parameters><member>{expiry}</member></Parameters>"
            "</member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        )


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()


def _response(url: str, status: int, body: str) -> AWSResponse:
    return AWSResponse(url, status, {"Content-Type": "text/xml"}, _Raw(body.encode()))


@contextmanager
def fake_cloud() -> Iterator[FakeCloud]:
    with pytest.MonkeyPatch.context() as environment, mock_aws(config=_MOTO):
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        for stray in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "TOCSIN_STACK"):
            environment.delenv(stray, raising=False)
        made = FakeCloud()
        # Before every request of every session made from now on; moto stands in for the other services.
        hook = ("before-send.cloudformation.DescribeStacks", made.describe_stacks)
        handlers.BUILTIN_HANDLERS.append(hook)
        yield made
        handlers.BUILTIN_HANDLERS.remove(hook)


@dataclass
class FakeDeployment:
    """A deployment, and what happens to its notifications."""

    stack: str
    deployment: Deployment
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    now: float = NOW
    """The connector's clock."""

    def __post_init__(self) -> None:
        vars(self.deployment)["sealer"] = SEALER  # which the deployment would ask AWS for

    # -- notifications -------------------------------------------------------------------------------------

    def planned(self, recipient: str = SITI, *, text: str = "Halo Siti, *TCK-1*") -> Notification:
        ticket = f"TCK-{next(self.numbers)}"
        notification = a_notification(
            id=an_id(ACCOUNT, ticket, "TicketCreated", 1, "customer", recipient),
            account=ACCOUNT,
            ticket_id=ticket,
            recipient=recipient,
            content=Text(text),
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
        self.deployment.stores.notifications.mark_receipt(notification.id, state, NOW * 1000 + 5000)

    def stored(self, notification: Notification) -> Notification:
        found = self.deployment.stores.notifications.get(notification.id)
        assert found is not None
        return found

    def spoil(self, notification: Notification) -> None:
        """Its record loses a field that every record has."""
        self.deployment.dynamodb.update_item(
            TableName=self.deployment["NotificationsTable"],
            Key={"pk": {"S": f"notification#{notification.id}"}, "sk": {"S": "state"}},
            UpdateExpression="REMOVE recipient",
        )

    # -- queues --------------------------------------------------------------------------------------------

    def refuse(self, event: Any, *violations: str) -> None:
        """The planner refuses an event (a JSON value, or text that is none)."""
        body = event if isinstance(event, str) else json.dumps(event)
        queue = TicketEventsDeadQueue(self.deployment.sqs, self.deployment["TicketEventsDeadQueueUrl"])
        queue.send(body, violations or ("detail: is missing",), NOW * 1000)

    def put(self, queue: str, body: str, **attributes: str) -> None:
        """Any message in any queue."""
        more: dict[str, Any] = {}
        if queue in _FIFO_QUEUES:
            more = {"MessageGroupId": "g", "MessageDeduplicationId": str(next(self.numbers))}
        told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        url = self.deployment[f"{queue}QueueUrl"]
        self.deployment.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=told, **more)

    def count(self, queue: str) -> int:
        """How many messages it holds."""
        return sum(depth(self.deployment.sqs, self.deployment[f"{queue}QueueUrl"]).values())

    def taken(self, queue: str) -> list[Any]:
        """The bodies of a queue's messages, parsed; they are gone then."""
        url, bodies = self.deployment[f"{queue}QueueUrl"], []
        while found := self.deployment.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in found:
                self.deployment.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(json.loads(message["Body"]))
        return bodies

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
