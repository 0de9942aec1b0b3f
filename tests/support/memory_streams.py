"""DynamoDB Streams in memory: a table's changes are told to it by hand, and it is asked as AWS is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.support.streams import image_of


class MemoryStreams:
    """One stream for every table. `shards`: records by shard; `asked`: how often records were asked for;
    `fails`: the
    codes with which the next requests end."""

    def __init__(self) -> None:
        self.shards: dict[str, list[dict[str, Any]]] = {"s1": []}
        self.ended: dict[str, str] = {}
        self.asked = 0
        self.fails: list[str] = []
        self.streams = [{"StreamArn": "arn:stream", "StreamLabel": "1"}]

    def changed(self, item: Mapping[str, Any] | None, shard: str = "s1") -> None:
        """An item is now so."""
        assert item is not None
        self.shards[shard].append({"eventName": "MODIFY", "dynamodb": {"NewImage": image_of(dict(item))}})

    def list_streams(self, TableName: str) -> dict[str, Any]:
        return {"Streams": self.streams}

    def describe_stream(self, StreamArn: str, **_: Any) -> dict[str, Any]:
        shards = [
            {
                "ShardId": name,
                "SequenceNumberRange": {"EndingSequenceNumber": "9"} if name in self.ended else {},
            }
            for name in self.shards
        ]
        return {"StreamDescription": {"Shards": shards}}

    def get_shard_iterator(self, StreamArn: str, ShardId: str, ShardIteratorType: str) -> dict[str, Any]:
        begin = len(self.shards[ShardId]) if ShardIteratorType == "LATEST" else 0
        return {"ShardIterator": f"{ShardId} {begin}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        self.asked += 1
        if self.fails:
            code = self.fails.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetRecords")
        shard, _, at = ShardIterator.partition(" ")
        found = self.shards[shard][int(at) : int(at) + Limit]
        answer: dict[str, Any] = {"Records": found}
        end = int(at) + len(found)
        if not (shard in self.ended and end == len(self.shards[shard])):
            answer["NextShardIterator"] = f"{shard} {end}"
        return answer
