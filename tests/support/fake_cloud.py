"""An AWS account with deployed stacks, as the console meets it: in memory, or on moto for the wire."""

from __future__ import annotations

import io
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse
from botocore.session import Session
from moto import mock_aws

from tests.support.key_peers import SEALER
from tests.support.memory_queues import MemoryQueues
from tests.support.memory_streams import MemoryStreams
from tests.support.sealed_texts import SECRET
from tocsin.dynamo.memory import MemoryTable
from tocsin_console import look
from tocsin_console.deployment import Deployment

REGION = "ap-southeast-3"
ACCOUNT = "default"

# moto's own CloudFormation wants packages for every service there is.
_MOTO: Any = {"core": {"passthrough": {"services": ["cloudformation"]}}}

_TABLES = ("KeysTable", "NotificationsTable")
_KEY_SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_KEY_TYPES = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
_BY_TICKET = {
    "IndexName": "ticket",
    "KeySchema": [{"AttributeName": "ticket_id", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
_QUEUES = ("TicketEvents", "TicketEventsDead", "Receipts", "ReceiptsDead")
FIFO_QUEUES = ("Notifications", "DeadLetters", "Stanzas", "StanzasDead", "OutcomesDead")


class FakeCloud:
    """A CloudFormation that knows what was deployed. What lies behind the outputs is the subclass's."""

    def __init__(self) -> None:
        self.stacks: dict[str, tuple[str, dict[str, str]]] = {}
        self.parameters = {"RetentionDays": "40"}
        self._numbers = itertools.count(1)
        self._session = Session()
        self._session.set_config_variable("region", REGION)

    def deploy(self, **outputs: str) -> str:
        """The name of a new stack with everything the console looks for. `outputs` replace its own."""
        stack = f"tocsin-{next(self._numbers)}"
        told = {"EventBusName": f"{stack}-tickets", "EventSource": "ticketing"}
        told |= {"Accounts": ACCOUNT, "DefaultRegion": "ID", "TextsSecretArn": f"{stack}-texts"}
        told |= {table: f"{stack}-{table}" for table in _TABLES}
        told |= {f"{name}QueueUrl": self._queue(f"{stack}-{name}") for name in _QUEUES}
        told |= {f"{name}QueueUrl": self._queue(f"{stack}-{name}.fifo") for name in FIFO_QUEUES}
        self._furnish(told)
        self.stacks[stack] = ("CREATE_COMPLETE", told | outputs)
        return stack

    def deployment(self, stack: str) -> Deployment:
        """What the console finds under this name."""
        return Deployment(stack, self.stacks[stack][1], self._session, parameters=dict(self.parameters))

    def _queue(self, name: str) -> str:
        """The URL of a new queue."""
        raise NotImplementedError

    def _furnish(self, outputs: dict[str, str]) -> None:
        """Make what else the outputs name."""

    def describe_stacks(self, request: Any, **_: Any) -> AWSResponse | None:
        """Answers what the console asks CloudFormation: for one stack, or for all."""
        if "amazonaws.com" not in request.url:
            return None
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        name = parse_qs(body).get("StackName", [None])[0]
        if name is not None and name not in self.stacks:
            error = f"<Code>ValidationError</Code><Message>Stack with id {name} does not exist</Message>"
            return _response(request.url, 400, f"<ErrorResponse><Error>{error}</Error></ErrorResponse>")
        told = "".join(map(self._stack, self.stacks if name is None else [name]))
        answer = f"<DescribeStacksResult><Stacks>{told}</Stacks></DescribeStacksResult>"
        return _response(request.url, 200, f"<DescribeStacksResponse>{answer}</DescribeStacksResponse>")

    def _stack(self, name: str) -> str:
        status, outputs = self.stacks[name]
        return (
            f"<member><StackName>{name}</StackName><StackStatus>{status}</StackStatus>"
            f"<Outputs>{_members('Output', outputs)}</Outputs>"
            f"<Parameters>{_members('Parameter', self.parameters)}</Parameters></member>"
        )


class MemoryCloud(FakeCloud):
    """Its tables, queues and buses are in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, MemoryTable] = defaultdict(MemoryTable)
        self.sqs = MemoryQueues()
        self.streams = MemoryStreams()
        self.events: list[dict[str, Any]] = []
        """What was put on any bus."""
        self.invoked: list[dict[str, Any]] = []
        """What functions were invoked with."""

    def _queue(self, name: str) -> str:
        return name

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.events += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": f"e-{len(self.events)}"}]}

    def client(self, service: str) -> Any:
        """What a deployment makes a client for, beside those that it keeps."""
        clients = {"sqs": self.sqs, "dynamodbstreams": self.streams}
        return {**clients, "events": self, "lambda": self, "secretsmanager": self, "sts": self}[service]

    def invoke(self, *, Payload: bytes, **request: str) -> dict[str, Any]:
        self.invoked.append({**request, "Payload": json.loads(Payload)})
        return {"StatusCode": 202}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:sts::123456789012:assumed-role/Operator/dewi"}

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:
        return {"SecretString": SECRET}


class MotoCloud(FakeCloud):
    """Its tables, queues and buses are moto's."""

    def __init__(self) -> None:
        super().__init__()
        self._dynamodb, self._sqs, self._events, self._secrets = (
            boto3.client(service, region_name=REGION)
            for service in ("dynamodb", "sqs", "events", "secretsmanager")
        )

    def _queue(self, name: str) -> str:
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        return str(self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def _furnish(self, outputs: dict[str, str]) -> None:
        self._events.create_event_bus(Name=outputs["EventBusName"])
        self._secrets.create_secret(Name=outputs["TextsSecretArn"], SecretString=SECRET)
        ticket = {"AttributeName": "ticket_id", "AttributeType": "S"}
        indexed = {"AttributeDefinitions": [*_KEY_TYPES, ticket], "GlobalSecondaryIndexes": [_BY_TICKET]}
        for table, more in zip(_TABLES, ({"AttributeDefinitions": _KEY_TYPES}, indexed), strict=True):
            self._dynamodb.create_table(
                TableName=outputs[table], KeySchema=_KEY_SCHEMA, BillingMode="PAY_PER_REQUEST", **more
            )


def _members(kind: str, values: dict[str, str]) -> str:
    return "".join(
        f"<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>"
        for key, value in values.items()
    )


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()


def _response(url: str, status: int, body: str) -> AWSResponse:
    return AWSResponse(url, status, {"Content-Type": "text/xml"}, _Raw(body.encode()))


@contextmanager
def memory_cloud() -> Iterator[MemoryCloud]:
    """While the block lasts, every deployment has its tables, queues and bus there."""
    with _operator() as patch:
        cloud = MemoryCloud()
        tables = {
            "keys_table": "KeysTable",
            "outside_table": "NotificationsTable",
            "glance_table": "NotificationsTable",
        }
        for attribute, output in tables.items():
            patch.setattr(
                Deployment, attribute, property(lambda found, name=output: cloud.tables[found[name]])
            )
        patch.setattr(Deployment, "sqs", cloud.sqs)
        patch.setattr(Deployment, "client", lambda _, service: cloud.client(service))
        with _cloudformation_of(cloud):
            yield cloud


@contextmanager
def moto_cloud() -> Iterator[MotoCloud]:
    """While the block lasts, every request to AWS goes there."""
    with _operator() as patch, mock_aws(config=_MOTO):
        # This SQS has one server, and says "empty" only when it is.
        patch.setattr(look, "WAIT_SECONDS", 0)
        cloud = MotoCloud()
        with _cloudformation_of(cloud):
            yield cloud


@contextmanager
def _operator() -> Iterator[pytest.MonkeyPatch]:
    """Somebody with credentials, and nothing else in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        for stray in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "TOCSIN_STACK"):
            patch.delenv(stray, raising=False)
        # No secret was deployed.
        patch.setattr(Deployment, "sealer", SEALER)
        yield patch


@contextmanager
def _cloudformation_of(cloud: FakeCloud) -> Iterator[None]:
    # Before every request of every session made from now on.
    hook = ("before-send.cloudformation.DescribeStacks", cloud.describe_stacks)
    handlers.BUILTIN_HANDLERS.append(hook)
    yield
    handlers.BUILTIN_HANDLERS.remove(hook)
