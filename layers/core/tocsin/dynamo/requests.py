"""Writes as DynamoDB's requests, and what its refusals mean.

A request here lacks its table, and whether the old item is to come back with a failed condition: the backend
(`table.DynamoTable`) adds both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tocsin.dynamo.attributes import from_item, to_attribute, to_item, to_key
from tocsin.dynamo.errors import Conflict, Contention, InvalidWrite, OutcomeUnknown, TableError
from tocsin.dynamo.writes import Check, Condition, Delete, Expression, Put, Update, Value, Write


def projection(attributes: Sequence[str]) -> dict[str, Any]:
    """The part of a read request that asks for these attributes alone."""
    names = {f"#{number}": name for number, name in enumerate(attributes)}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def member_request(write: Write) -> tuple[str, dict[str, Any]]:
    """A transaction's member: its kind and its request."""
    if isinstance(write, Put):
        return "Put", put_request(write)
    if isinstance(write, Update):
        return "Update", update_request(write)
    if isinstance(write, Delete):
        return "Delete", delete_request(write)
    return "ConditionCheck", check_request(write)


def put_request(put: Put) -> dict[str, Any]:
    expression = Expression()
    conditions = _conditions(put.when, expression)
    return {"Item": to_item(put.key, put.attributes)} | conditions | _placeholders(expression)


def delete_request(delete: Delete) -> dict[str, Any]:
    expression = Expression()
    conditions = _conditions(delete.when, expression)
    return {"Key": to_key(delete.key)} | conditions | _placeholders(expression)


def check_request(check: Check) -> dict[str, Any]:
    expression = Expression()
    conditions = _conditions(check.when, expression)
    return {"Key": to_key(check.key)} | conditions | _placeholders(expression)


def update_request(update: Update) -> dict[str, Any]:
    if update.overlaps:
        raise InvalidWrite("an attribute is named twice")
    expression = Expression()
    clauses = {
        "SET": [*_sets(update, expression)],
        "ADD": [_pair(expression, " ", *change) for change in update.add.items()],
        "DELETE": [_pair(expression, " ", *change) for change in update.discard.items()],
        "REMOVE": [expression.name(attribute) for attribute in update.remove],
    }
    text = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    request: dict[str, Any] = {"Key": to_key(update.key), "UpdateExpression": text}
    return request | _conditions(update.when, expression) | _placeholders(expression)


def _sets(update: Update, expression: Expression) -> Iterator[str]:
    for change in update.set.items():
        yield _pair(expression, " = ", *change)
    for attribute, value in update.set_first.items():
        name = expression.name(attribute)
        yield f"{name} = if_not_exists({name}, {expression.value(value)})"
    for attribute, entries in update.set_in.items():
        name = expression.name(attribute)
        for entry, value in entries.items():
            yield f"{name}.{expression.name(entry)} = {expression.value(value)}"
    for attribute, member in update.append.items():
        name, nothing = expression.name(attribute), expression.value([])
        yield f"{name} = list_append(if_not_exists({name}, {nothing}), {expression.value([member])})"


def _pair(expression: Expression, joint: str, attribute: str, value: Value) -> str:
    return f"{expression.name(attribute)}{joint}{expression.value(value)}"


def _conditions(conditions: tuple[Condition, ...], expression: Expression) -> dict[str, Any]:
    if not conditions:
        return {}
    return {"ConditionExpression": " AND ".join(condition.render(expression) for condition in conditions)}


def _placeholders(expression: Expression) -> dict[str, Any]:
    """The names and values of an expression; DynamoDB refuses empty ones."""
    placeholders: dict[str, Any] = {}
    if expression.names:
        placeholders["ExpressionAttributeNames"] = expression.names
    if expression.values:
        values = {name: to_attribute(value) for name, value in expression.values.items()}
        placeholders["ExpressionAttributeValues"] = values
    return placeholders


# Error codes of a single request → what they mean to us. Everything else is raised as boto3 gave it: missing
# rights or a missing table are for the operator, not for a retry.
_NAMED_CODES: Mapping[str, type[TableError]] = {
    "TransactionConflictException": Contention,
    "ProvisionedThroughputExceededException": Contention,
    "ThrottlingException": Contention,
    "RequestLimitExceeded": Contention,
    "InternalServerError": OutcomeUnknown,
    "ServiceUnavailable": OutcomeUnknown,
    # The same token is still being worked on: an earlier try of this very transaction.
    "TransactionInProgressException": OutcomeUnknown,
    # The same token with other writes can only be our bug; it was not executed.
    "IdempotentParameterMismatchException": InvalidWrite,
    "ItemCollectionSizeLimitExceededException": InvalidWrite,
    "ValidationException": InvalidWrite,
}

# Reasons within a cancelled transaction.
_CONTENTION_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_INVALID_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})


def named(error: Any) -> Exception:
    """The TableError for a botocore ClientError, or that error itself where we have no name for it."""
    described = error.response["Error"]
    kind = _NAMED_CODES.get(described["Code"])
    return kind(described.get("Message", described["Code"])) if kind else error


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> TableError:
    """What a cancelled transaction means. A failed condition weighs most: one must read again anyway."""
    codes = [reason.get("Code", "None") for reason in reasons]
    failed = {
        position: from_item(reason["Item"]) if reason.get("Item") else None
        for position, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if failed:
        return Conflict(failed)
    if _INVALID_REASONS.intersection(codes):
        return InvalidWrite(", ".join(reason.get("Message") or "" for reason in reasons).strip(", "))
    if _CONTENTION_REASONS.intersection(codes):
        return Contention(", ".join(codes))
    return InvalidWrite(f"transaction cancelled: {', '.join(codes)}")
