"""What changes in the table, read from its own stream: no write is made for it, and reads of it cost next to
nothing.

A stream has shards; one is read with each request, one after the other. It remembers a day, so whoever
looked away
for a while goes on where they were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from tocsin.dynamo.attributes import from_item
from tocsin.dynamo.writes import Item
from tocsin.tables.notifications import notification_of

_MOST_RECORDS: Final = 500
_BUSY: Final = frozenset(
    {
        "LimitExceededException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "InternalServerError",
    }
)
_LOST: Final = frozenset(
    {"ExpiredIteratorException", "TrimmedDataAccessException", "ResourceNotFoundException"}
)


class NoStream(LookupError):
    """The table has no stream that can be read."""


class Behind(Exception):
    """Some of what changed can't be had from the stream any more: read the table anew."""


@dataclass
class Shard:
    """`iterator`: where the next request goes on; None: at its end."""

    identity: str
    iterator: str | None


class Stream:
    """The changes of one table. `client`: of DynamoDB Streams."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._arn = ""
        self._shards: deque[Shard] = deque()
        self._known: set[str] = set()

    def begin(self) -> None:
        """From now on. Raises NoStream, ClientError."""
        found = self._client.list_streams(TableName=self._table).get("Streams", [])
        if not found:
            raise NoStream(self._table)
        self._arn = max(found, key=lambda one: str(one.get("StreamLabel", "")))["StreamArn"]
        shards = self._described()
        self._known = {shard["ShardId"] for shard in shards}
        self._shards = deque(self._at(shard["ShardId"], "LATEST") for shard in shards if _is_open(shard))

    def read(self) -> Sequence[Item]:
        """What changed in the next shard: items of notifications, as they are now, in their order. One
        request, or two where a shard ended. Raises Behind, ClientError; nothing where AWS is busy. After any
        other error than Behind the next read goes on where this one was."""
        if not self._shards:
            self._discover()
        if not self._shards:
            return ()
        shard = self._shards[0]
        self._shards.rotate(-1)
        if shard.iterator is None:
            # Only now, as what was read of it is told by then: nothing is lost if this fails.
            self._discover()
            self._shards.remove(shard)
            return self.read()
        try:
            answer = self._client.get_records(ShardIterator=shard.iterator, Limit=_MOST_RECORDS)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _BUSY:
                return ()
            if code in _LOST:
                raise Behind(code) from error
            raise
        shard.iterator = answer.get("NextShardIterator")
        return [item for record in answer.get("Records", ()) if (item := _notification(record)) is not None]

    def _discover(self) -> None:
        """Shards that weren't there before: they begin where others ended."""
        for shard in self._described():
            if shard["ShardId"] not in self._known:
                self._shards.append(self._at(shard["ShardId"], "TRIM_HORIZON"))
                self._known.add(shard["ShardId"])

    def _described(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            told = self._client.describe_stream(StreamArn=self._arn, **more)["StreamDescription"]
            shards += told["Shards"]
            if "LastEvaluatedShardId" not in told:
                return shards
            more = {"ExclusiveStartShardId": told["LastEvaluatedShardId"]}

    def _at(self, shard: str, where: str) -> Shard:
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=shard, ShardIteratorType=where)
        return Shard(shard, answer["ShardIterator"])


def _is_open(shard: Mapping[str, Any]) -> bool:
    return not shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber")


def _notification(record: Mapping[str, Any]) -> Item | None:
    """The item of a record that tells of a notification."""
    image = record.get("dynamodb", {}).get("NewImage")
    if not image or "pk" not in image:
        return None
    item = from_item(image)
    key = (str(item["pk"]), str(item.get("sk", "")))
    return item if notification_of(key) else None
