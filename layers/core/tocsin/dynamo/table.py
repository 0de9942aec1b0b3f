"""A table: what a backend must do, and the backend on DynamoDB. How a write looks as a request is in
`requests.py`, what can come back instead of an answer in `errors.py`.

Every read is strongly consistent: no caller of this module has a use for yesterday's state. The exceptions
are `scan` and `indexed`, and a table for glances (`consistent=False`): what they find is read again before
anything is done about it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from tocsin.dynamo.attributes import from_item, key_of, to_key
from tocsin.dynamo.contention import pauses
from tocsin.dynamo.errors import (
    ConditionFailed,
    Conflict,
    Contention,
    InvalidWrite,
    OutcomeUnknown,
    TableError,
)
from tocsin.dynamo.requests import (
    cancelled,
    delete_request,
    member_request,
    named,
    projection,
    put_request,
    update_request,
)
from tocsin.dynamo.writes import Delete, Index, Item, Key, Put, Update, Write

__all__ = [
    "ConditionFailed",
    "Conflict",
    "Contention",
    "DynamoTable",
    "IndexedTable",
    "InvalidWrite",
    "OutcomeUnknown",
    "ScanPage",
    "Table",
    "TableError",
]

# Limits of DynamoDB: members of one transaction, of one BatchGetItem.
TRANSACTION_LIMIT = 100
BATCH_GET_LIMIT = 100

_LATEST = 200
"""Items of a page that is read backwards: mostly one page is enough, and it is paid for as a whole."""


class ScanPage(NamedTuple):
    """One request's part of a walk through the whole table. `items`: those that match. `following`: where the
    next request goes on, None at the end. `read_units`: what it cost, matching or not (1 MB costs 128)."""

    items: Sequence[Item]
    following: Key | None
    read_units: float


class Table(Protocol):
    """A table with string keys `pk` and `sk`: `DynamoTable`, and `MemoryTable` for tests."""

    def get(self, key: Key) -> Item | None:
        """The item, or None."""

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of the items that exist, in one request. They are consistent each, not with each other.
        Raises Contention if some of them stay unread."""

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        """All items of a partition whose sort key starts with `prefix`, in the order of the sort key."""

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        """The keys alone of what `query` would return."""

    def count(self, pk: str, without: str) -> int:
        """How many items a partition has that lack this attribute; none of them is carried here."""
        ...

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        """The next megabyte of the whole table, of it the items whose partition key starts with `prefix` and
        whose sort key is `sk`. Eventually consistent, and paid for whatever it skips: for upkeep and the
        operator, never on the way of a message."""

    def put(self, put: Put) -> None:
        """Raises ConditionFailed, Contention, OutcomeUnknown, InvalidWrite."""

    def update(self, update: Update) -> Item:
        """Return the whole item as it is after the update. Raises as `put`."""

    def delete(self, delete: Delete) -> None:
        """Raises as `put`."""

    def transact(self, writes: Sequence[Write], token: str) -> None:
        """All or nothing. `token` (≤ 36 characters) names the attempt: repeated within ten minutes with the
        same writes, it is answered and not done twice.

        Raises Conflict, Contention, OutcomeUnknown, InvalidWrite.
        """


class IndexedTable(Table, Protocol):
    """A table with indexes, which is read in larger pieces. `DynamoTable` and `MemoryTable` are both."""

    def get_beside(
        self, keys: Sequence[Key], other: Table, other_keys: Sequence[Key]
    ) -> tuple[dict[Key, Item], dict[Key, Item]]:
        """As `get_many`, for this table and `other` (of the same account) in one request."""

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        """What `query` returns, read page by page as it is asked for."""

    def latest(self, pk: str, below: str) -> Iterator[Item]:
        """The items of a partition whose sort key is below `below`, from there downwards; read page by page
        as they are asked for."""
        ...

    def indexed(
        self, index: Index, value: str, *, at_most: int | None = None, limit: int | None = None
    ) -> list[Key]:
        """Keys of the items that `index` holds under `value`, in its order: of them those whose number isn't
        above `at_most`, and no more than `limit`. Eventually consistent."""
        ...

    def newest(self, index: Index, value: str, below: int, limit: int) -> list[tuple[int, Key]]:
        """Number and key of the items that `index` holds under `value`, from below `below` downwards, no
        more than `limit`; one request. Eventually consistent."""
        ...

    def numbered(self, index: Index, value: str, after: int, at_most: int) -> Iterator[tuple[int, Key]]:
        """Number and key of the items that `index` holds under `value`, in its order, from above `after` to
        `at_most`; read page by page as they are asked for. Eventually consistent."""
        ...


class DynamoTable:
    """The table `name`, through a boto3 low-level client (thread-safe, as clients are).

    `consistent=False`: every read is eventually consistent, for half the price. For who only looks whether
    something is new, again and again, and decides nothing by what was read.

    `attributes`: all that `get` and `get_many` ask for, the keys among them. For who has a right on no
    others; each item is read by itself then, because the emulator knows such a right for single reads only.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        consistent: bool = True,
        attributes: Sequence[str] = (),
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._name = name
        self._consistent = consistent
        self._only = projection(attributes) if attributes else {}
        self._random = random
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        answer = self._client.get_item(
            TableName=self._name, Key=to_key(key), ConsistentRead=self._consistent, **self._only
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if self._only:
            return {key: item for key in keys if (item := self.get(key)) is not None}
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), BATCH_GET_LIMIT):
            batch = keys[start : start + BATCH_GET_LIMIT]
            found |= self._read({self._name: batch})[self._name]
        return found

    def get_beside(
        self, keys: Sequence[Key], other: Table, other_keys: Sequence[Key]
    ) -> tuple[dict[Key, Item], dict[Key, Item]]:
        if not isinstance(other, DynamoTable):
            raise TypeError("tables that are read together must be of one kind")
        found = self._read({self._name: keys, other._name: other_keys})
        return found[self._name], found[other._name]

    def _read(self, wanted: Mapping[str, Sequence[Key]]) -> dict[str, dict[Key, Item]]:
        """What of `wanted`, keys by table, is there."""
        found: dict[str, dict[Key, Item]] = {name: {} for name in wanted}
        request: dict[str, Any] = {
            name: {"Keys": [to_key(key) for key in keys], "ConsistentRead": self._consistent}
            for name, keys in wanted.items()
            if keys
        }
        for pause in pauses(self._random):
            answer = self._client.batch_get_item(RequestItems=request)
            for name, items in answer["Responses"].items():
                found[name] |= {key_of(item): item for item in map(from_item, items)}
            # DynamoDB leaves out what exceeds 16 MB or the throughput of the moment.
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                return found
            self._sleep(pause)
        raise Contention(f"{sum(len(rest['Keys']) for rest in request.values())} keys stayed unread")

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return list(self.walk(pk, prefix))

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        return map(from_item, self._found(self._in_partition(pk, prefix)))

    def latest(self, pk: str, below: str) -> Iterator[Item]:
        request = self._in_partition(pk, "") | {"ScanIndexForward": False, "Limit": _LATEST}
        request["KeyConditionExpression"] += " AND sk < :below"
        request["ExpressionAttributeValues"][":below"] = {"S": below}
        return (from_item(attributes) for attributes in self._found(request))

    def indexed(
        self, index: Index, value: str, *, at_most: int | None = None, limit: int | None = None
    ) -> list[Key]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index.name,
            "KeyConditionExpression": f"{index.pk} = :pk",
            "ExpressionAttributeValues": {":pk": {"S": value}},
        }
        if at_most is not None:
            request["KeyConditionExpression"] += f" AND {index.sk} <= :most"
            request["ExpressionAttributeValues"][":most"] = {"N": str(at_most)}
        if limit is not None:
            request["Limit"] = limit
        found = islice(self._found(request), limit)
        return [key_of(from_item(attributes)) for attributes in found]

    def numbered(self, index: Index, value: str, after: int, at_most: int) -> Iterator[tuple[int, Key]]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": index.name,
            "KeyConditionExpression": f"{index.pk} = :pk AND {index.sk} BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":pk": {"S": value},
                ":first": {"N": str(after + 1)},
                ":last": {"N": str(at_most)},
            },
        }
        if after >= at_most:  # which DynamoDB refuses
            return
        for attributes in self._found(request):
            yield int(attributes[str(index.sk)]["N"]), key_of(from_item(attributes))

    def newest(self, index: Index, value: str, below: int, limit: int) -> list[tuple[int, Key]]:
        answer = self._client.query(
            TableName=self._name,
            IndexName=index.name,
            KeyConditionExpression=f"{index.pk} = :pk AND {index.sk} < :below",
            ExpressionAttributeValues={":pk": {"S": value}, ":below": {"N": str(below)}},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [(int(one[str(index.sk)]["N"]), key_of(from_item(one))) for one in answer["Items"]]

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        request = self._in_partition(pk, prefix) | {"ProjectionExpression": "pk, sk"}
        return [key_of(from_item(attributes)) for attributes in self._found(request)]

    def count(self, pk: str, without: str) -> int:
        request: dict[str, Any] = {
            "TableName": self._name,
            "ConsistentRead": self._consistent,
            "Select": "COUNT",
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": "attribute_not_exists(#without)",
            "ExpressionAttributeNames": {"#without": without},
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        return sum(int(answer["Count"]) for answer in self._answers(request))

    def _in_partition(self, pk: str, prefix: str) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "ConsistentRead": self._consistent,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        return request

    def _found(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The items that a query finds, with one request for each page that is asked for."""
        for answer in self._answers(request):
            yield from answer["Items"]

    def _answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The answers to a query, page by page."""
        while True:
            answer = self._client.query(**request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request = request | {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        request: dict[str, Any] = {"TableName": self._name, "ReturnConsumedCapacity": "TOTAL"}
        filters = (("begins_with(pk, :prefix)", ":prefix", prefix), ("sk = :sk", ":sk", sk))
        if prefix or sk:
            request["FilterExpression"] = " AND ".join(text for text, _, value in filters if value)
            request["ExpressionAttributeValues"] = {name: {"S": value} for _, name, value in filters if value}
        if after is not None:
            request["ExclusiveStartKey"] = to_key(after)
        answer = self._client.scan(**request)
        last = answer.get("LastEvaluatedKey")
        return ScanPage(
            [from_item(attributes) for attributes in answer["Items"]],
            key_of(from_item(last)) if last else None,
            float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)),
        )

    def put(self, put: Put) -> None:
        self._write(put.key, self._client.put_item, put_request(put))

    def delete(self, delete: Delete) -> None:
        self._write(delete.key, self._client.delete_item, delete_request(delete))

    def update(self, update: Update) -> Item:
        request = update_request(update) | {"ReturnValues": "ALL_NEW"}
        return from_item(self._write(update.key, self._client.update_item, request)["Attributes"])

    def _write(self, key: Key, operation: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

        if "ConditionExpression" in request:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            answer: dict[str, Any] = operation(TableName=self._name, **request)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                item = error.response.get("Item")
                raise ConditionFailed(key, from_item(item) if item else None) from error
            raise named(error) from error
        except (ConnectionError, HTTPClientError) as error:
            raise OutcomeUnknown(str(error)) from error
        return answer

    def transact(self, writes: Sequence[Write], token: str) -> None:
        from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

        members = [self._member(write) for write in writes]
        try:
            self._client.transact_write_items(TransactItems=members, ClientRequestToken=token)
        except ClientError as error:
            if error.response["Error"]["Code"] == "TransactionCanceledException":
                raise cancelled(error.response.get("CancellationReasons", ())) from error
            raise named(error) from error
        except (ConnectionError, HTTPClientError) as error:
            raise OutcomeUnknown(str(error)) from error

    def _member(self, write: Write) -> dict[str, Any]:
        kind, request = member_request(write)
        request["TableName"] = self._name
        if "ConditionExpression" in request:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {kind: request}
