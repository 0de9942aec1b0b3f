"""An AWS call, as IAM sees it. Only the standard library: functions and connector load this too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Call = tuple[str, str, str]
"""Action, resource, and what the template limits by a condition: the leading key or the event source."""

# The ids that CloudFormation appends to a logical id.
_MADE = re.compile(r"^[\w-]*?-(\w+?)-[A-Z0-9]{8,13}(\.fifo)?$")

_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def logical(name: str) -> str:
    """Return the logical id in a name that CloudFormation made; another name as it is."""
    found = _MADE.match(name)
    return found[1] if found else name


def calls(service: str, operation: str, asked: Mapping[str, Any]) -> Iterator[Call]:
    """Yield what one request needs: several, where it touches several resources."""
    if service == "dynamodb":
        yield from _dynamodb(operation, asked)
    elif service == "sqs":
        queue = str(asked.get("QueueUrl", "")).rsplit("/", 1)[-1]
        yield f"sqs:{operation.removesuffix('Batch')}", f"sqs:{logical(queue)}", ""
    elif service == "secretsmanager":
        secret = str(asked["SecretId"]).rsplit(":", 1)[-1]
        yield f"secretsmanager:{operation}", f"secret:{logical(re.sub('-[A-Za-z0-9]{6}$', '', secret))}", ""
    elif service == "events":
        for entry in asked.get("Entries", [{}]):
            yield f"events:{operation}", "event-bus", str(entry.get("Source", ""))
    elif service == "lambda":
        action = "InvokeFunction" if operation == "Invoke" else operation
        yield f"lambda:{action}", f"function:{logical(str(asked.get('FunctionName', '')))}", ""
    elif service == "s3":
        action = {"HeadObject": "GetObject", "GetObject": "GetObject"}.get(operation, operation)
        yield f"s3:{action}", "bucket", ""
    elif service == "cloudformation":
        stack = str(asked.get("StackName"))
        named = stack.rsplit(":stack/", 1)[-1] if ":stack/" in stack else f"{stack}/*"
        yield f"cloudformation:{operation}", f"stack/{named}", ""
    elif service == "logs":
        yield f"logs:{operation}", f"log-group:{asked.get('logGroupName')}", ""
    elif service == "cloudwatch" and operation == "DescribeAlarms":
        yield "cloudwatch:DescribeAlarms", "alarm:*", ""
    elif service == "dynamodbstreams":
        # IAM knows no other service for streams.
        arn = str(asked.get("StreamArn", ""))
        yield f"dynamodb:{operation}", _stream(arn) if arn else "*", ""
    else:
        yield f"{service}:{operation}", "", ""


def _stream(arn: str) -> str:
    table, _, rest = arn.rsplit(":table/", 1)[-1].partition("/")
    return f"table/{logical(table)}/{rest}"


def _dynamodb(operation: str, asked: Mapping[str, Any]) -> Iterator[Call]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        for item in asked["TransactItems"]:
            [(kind, one)] = item.items()
            yield f"dynamodb:{_WRITES.get(kind, 'GetItem')}", _table(one), _leading(one)
    elif operation == "BatchGetItem":
        for name, one in asked["RequestItems"].items():
            for key in one["Keys"]:
                yield "dynamodb:BatchGetItem", _table({"TableName": name}), _value(key["pk"])
    else:
        yield f"dynamodb:{operation}", _table(asked), _leading(asked)


def _table(asked: Mapping[str, Any]) -> str:
    index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
    return f"table/{logical(asked['TableName'])}{index}"


def _leading(asked: Mapping[str, Any]) -> str:
    """The kind of the partition that is asked for, without whose it is."""
    key = asked.get("Key") or asked.get("Item")
    if key:
        return _value(key["pk"])
    found = re.search(r"#?\w+ = (:\w+)", str(asked.get("KeyConditionExpression", "")))
    return _value(asked["ExpressionAttributeValues"][found[1]]) if found else ""


def _value(attribute: Mapping[str, Any]) -> str:
    kind, separator, _ = str(attribute.get("S", "")).partition("#")
    return kind + separator
