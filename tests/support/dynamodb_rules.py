"""What DynamoDB refuses and its stand-ins let pass: every request of the unit tests is held against it.

Source: "Expressions", "Reserved words" and "TransactWriteItems" in the Amazon DynamoDB Developer Guide.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

RESERVED = frozenset(ReservedKeywords.get_reserved_keywords())
GRAMMAR = frozenset(["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"])
FUNCTIONS = frozenset(
    [
        "attribute_exists",
        "attribute_not_exists",
        "attribute_type",
        "begins_with",
        "contains",
        "size",
        "if_not_exists",
        "list_append",
    ]
)
KEYS = ("pk", "sk")

_TOKEN = re.compile(r"[#:]?[A-Za-z0-9_]+")
_SECTION = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")


def refusals(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """Say what DynamoDB would refuse in this request, in the words of what is wrong with it."""
    for part in _parts(request):
        yield from _names(part)
        yield from _values(part)
        if "UpdateExpression" in part:
            yield from _update(part)
    if operation.startswith("Transact"):
        yield from _transaction(request["TransactItems"])


def _parts(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The request, and what of it has expressions of its own: the members of a batch or a transaction."""
    yield request
    for item in request.get("TransactItems", ()):
        yield from item.values()
    items = request.get("RequestItems", {})
    yield from (table for table in items.values() if isinstance(table, Mapping))


def _expressions(part: Mapping[str, Any]) -> dict[str, str]:
    return {name: text for name, text in part.items() if name.endswith("Expression")}


def _names(part: Mapping[str, Any]) -> Iterator[str]:
    given = set(part.get("ExpressionAttributeNames", {}))
    used = set()
    for kind, text in _expressions(part).items():
        for token in _TOKEN.findall(text):
            if token.startswith("#"):
                used.add(token)
            elif not token.startswith(":") and token not in GRAMMAR | FUNCTIONS:
                if token.upper() in RESERVED:
                    yield f"{kind}: {token} is a reserved word in {text!r}"
                if not token[0].isalpha():
                    yield f"{kind}: {token} needs a placeholder in {text!r}"
    yield from _differ("name", given, used)
    if "ExpressionAttributeNames" in part and not given:
        yield "ExpressionAttributeNames must not be empty"


def _values(part: Mapping[str, Any]) -> Iterator[str]:
    values = part.get("ExpressionAttributeValues", {})
    used = {
        token
        for text in _expressions(part).values()
        for token in _TOKEN.findall(text)
        if token.startswith(":")
    }
    yield from _differ("value", set(values), used)
    if "ExpressionAttributeValues" in part and not values:
        yield "ExpressionAttributeValues must not be empty"
    for name, value in values.items():
        if any(value.get(kind) == [] for kind in ("SS", "NS", "BS")):
            yield f"{name}: a set must not be empty"


def _differ(what: str, given: set[str], used: set[str]) -> Iterator[str]:
    yield from (f"{what} {name} is given and not used" for name in sorted(given - used))
    yield from (f"{what} {name} is used and not given" for name in sorted(used - given))


def _update(part: Mapping[str, Any]) -> Iterator[str]:
    aliases = part.get("ExpressionAttributeNames", {})
    paths = []
    sections = _SECTION.split(part["UpdateExpression"])[1:]
    for verb, body in zip(sections[::2], sections[1::2], strict=True):
        for clause in _clauses(body):
            path = clause.split("=")[0] if verb == "SET" else clause.split()[0]
            paths.append(tuple(aliases.get(step, step) for step in path.strip().split(".")))
    for place, path in enumerate(paths):
        if path[0] in KEYS:
            yield f"the key attribute {path[0]} must not be updated"
        for other in paths[place + 1 :]:
            if path[: len(other)] == other or other[: len(path)] == path:
                yield f"two paths overlap: {'.'.join(path)} and {'.'.join(other)}"


def _clauses(body: str) -> Iterator[str]:
    """Split at commas that are in no parentheses."""
    depth, clause = 0, ""
    for sign in body:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            yield clause.strip()
            clause = ""
        else:
            clause += sign
    yield clause.strip()


def _transaction(items: list[Mapping[str, Any]]) -> Iterator[str]:
    if len(items) > 100:
        yield f"{len(items)} items in one transaction; 100 are allowed"
    met = set()
    for item in items:
        ((_, action),) = item.items()
        key = action.get("Key") or {name: action["Item"][name] for name in KEYS}
        identity = (action["TableName"], str(sorted(key.items())))
        if identity in met:
            yield f"two operations on one item: {key}"
        met.add(identity)
