"""A recorded call is what IAM asks; a call without its right, or a right without its call, is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.iam import Statement
from tests.support.recorded_calls import Call, without_call, without_right
from tests.support.recording.calls import calls

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/tocsin-KeysTable-1ABCDEFGHIJKL"
KEY = {"pk": {"S": "session#default.1#1@lid"}, "sk": {"S": "outbound"}}


def statement(*actions: str, leading: str | None = None) -> Statement:
    limited = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [leading]}} if leading else {}
    return Statement("Role", "Allow", actions, (TABLE,), limited)


@pytest.mark.parametrize(
    ("service", "operation", "asked", "made"),
    [
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "tocsin-KeysTable-1ABCDEFGHIJKL", "Item": KEY}}]},
            [("dynamodb:PutItem", "table/KeysTable", "session#")],
        ),
        (
            "dynamodb",
            "Query",
            {
                "TableName": "tocsin-KeysTable-1ABCDEFGHIJKL",
                "IndexName": "watch",
                "KeyConditionExpression": "watching = :pk AND watch_due <= :now",
                "ExpressionAttributeValues": {":pk": {"S": "default"}, ":now": {"N": "1"}},
            },
            [("dynamodb:Query", "table/KeysTable/index/watch", "default")],
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://127.0.0.1/000000000000/tocsin-StanzasQueue-1ABCDEFGHIJKL.fifo"},
            [("sqs:SendMessage", "sqs:StanzasQueue", "")],
        ),
        (
            "events",
            "PutEvents",
            {"Entries": [{"Source": "tocsin"}]},
            [("events:PutEvents", "event-bus", "tocsin")],
        ),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "tocsin-MaintainSessionsFunction-1ABCDEFGHIJKL"},
            [("lambda:InvokeFunction", "function:MaintainSessionsFunction", "")],
        ),
    ],
)
def test_a_request_is_what_iam_asks_for_it(
    service: str, operation: str, asked: dict[str, Any], made: list[tuple[str, str, str]]
) -> None:
    assert list(calls(service, operation, asked)) == made


PUT = Call("connector", "dynamodb:PutItem", "table/KeysTable", "session#")


@pytest.mark.parametrize(
    ("right", "missing"),
    [
        (statement("dynamodb:PutItem"), []),
        (statement("dynamodb:PutItem", leading="session#*"), []),
        (statement("dynamodb:PutItem", leading="account#*"), [PUT]),
        (statement("dynamodb:GetItem"), [PUT]),
    ],
)
def test_a_call_without_its_right_is_found(right: Statement, missing: list[Call]) -> None:
    assert without_right([PUT], [right]) == missing


def test_a_right_without_a_call_is_found() -> None:
    rights = [statement("dynamodb:PutItem", "dynamodb:Scan")]
    assert without_call(rights, [PUT]) == {("dynamodb:Scan", "table/KeysTable")}
