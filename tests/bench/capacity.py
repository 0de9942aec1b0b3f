"""What requests to DynamoDB cost: counted where they leave boto3, in capacity units by AWS's rules.

Emulators tell no consumed capacity, or a made-up one. So the units are computed from the sizes of the items
that each request touched, as they were before and after it: a write takes one for each begun KiB of the
larger, a consistent read one for each begun 4 KiB; a transaction takes double, an index entry one more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
INDEXES = (("watching", "watch_due"), ("ticket_id",))
"""Keys of each index. An index holds the items that have all of them."""

Item = Mapping[str, Any]


@dataclass
class Bill:
    """`requests` by operation; capacity units for reading and writing."""

    requests: Counter[str] = field(default_factory=Counter)
    read_units: float = 0
    write_units: float = 0

    @property
    def reads(self) -> int:
        return sum(count for name, count in self.requests.items() if name in READS)

    @property
    def writes(self) -> int:
        return sum(count for name, count in self.requests.items() if name in WRITES)

    def averaged(self, times: int) -> Averages:
        parts = (self.reads, self.writes, self.read_units, self.write_units)
        return Averages(*(part / times for part in parts))


@dataclass(frozen=True)
class Averages:
    reads: float
    writes: float
    read_units: float
    write_units: float


class Meter:
    """Watches one client. `looking`: another client of the same tables, whose own requests aren't counted."""

    def __init__(self, client: Any, looking: Any) -> None:
        self._events = client.meta.events
        self._looking = looking
        self._lock = Lock()

    @contextmanager
    def running(self, bill: Bill) -> Iterator[None]:
        """Put what happens in the block on `bill`."""

        def before(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
            keys = written(model.name, params)
            context["written"] = {key: self._look(*key) for key in keys}
            context["asked"] = params

        def after(model: Any, context: dict[str, Any], parsed: dict[str, Any], **_: Any) -> None:
            factor = 2 if model.name == "TransactWriteItems" else 1
            written = [
                write_units(image, self._look(*key), factor) for key, image in context["written"].items()
            ]
            read = read_units(model.name, context["asked"], parsed) if model.name in READS else 0
            with self._lock:  # a send takes two numbers at the same time
                bill.requests[model.name] += 1
                bill.read_units += read
                bill.write_units += sum(written)

        self._events.register("before-parameter-build.dynamodb", before)
        self._events.register("after-call.dynamodb", after)
        try:
            yield
        finally:
            self._events.unregister("before-parameter-build.dynamodb", before)
            self._events.unregister("after-call.dynamodb", after)

    def _look(self, table: str, pk: str, sk: str) -> Item:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        found: Item = self._looking.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        return found


def written(operation: str, params: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Table, partition and sort key of every item that a request writes or checks."""
    if operation == "TransactWriteItems":
        members = [next(iter(member.values())) for member in params["TransactItems"]]
    else:
        members = [params] if operation in WRITES else []
    keys = [(member["TableName"], member.get("Key") or member["Item"]) for member in members]
    return [(table, key["pk"]["S"], key["sk"]["S"]) for table, key in keys]


def write_units(before: Item, after: Item, factor: int) -> int:
    indexes = sum(index_units(before, after, keys) for keys in INDEXES)
    return factor * max(-(-max(size(before), size(after)) // 1024), 1) + indexes


def index_units(before: Item, after: Item, keys: tuple[str, ...]) -> int:
    """An entry that comes or goes is a unit; one that moves, two."""
    entries = [tuple(str(image.get(name)) for name in keys) for image in (before, after)]
    present = [all(name in image for name in keys) for image in (before, after)]
    return 0 if entries[0] == entries[1] else sum(present)


def read_units(operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> float:
    if operation == "GetItem":
        return _consistency(asked) * _blocks(size(answer.get("Item", {})))
    if operation == "BatchGetItem":
        units = 0.0
        for table, request in asked["RequestItems"].items():
            found = answer.get("Responses", {}).get(table, [])
            # What isn't there costs as much as what is small.
            sizes = [size(item) for item in found] + [0] * (len(request["Keys"]) - len(found))
            units += _consistency(request) * sum(map(_blocks, sizes))
        return units
    return _consistency(asked) * _blocks(sum(map(size, answer.get("Items", []))))


def _consistency(request: Mapping[str, Any]) -> float:
    return 1 if request.get("ConsistentRead") else 0.5


def _blocks(length: int) -> int:
    return max(-(-length // 4096), 1)


def size(item: Item) -> int:
    """Bytes of an item, by the rules of the developer guide: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(attribute: Mapping[str, Any]) -> int:
    [(kind, value)] = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "B":
        return len(value)
    if kind == "N":
        return -(-len(value.lstrip("-").replace(".", "").strip("0")) // 2) + 1
    if kind == "M":
        return 3 + len(value) + size(value)
    if kind == "L":
        return 3 + len(value) + sum(map(_value_size, value))
    if kind in ("SS", "NS", "BS"):
        return sum(_value_size({kind[0]: member}) for member in value)
    return 1
