"""A table that grants what the template does: partitions that a policy names, and no other.

No emulator heeds `dynamodb:LeadingKeys`, so the connector's unit tests run on this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal

from tests.support.templates import as_list, properties
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write

ConnectorsView = Literal["KeysTable", "NotificationsTable"]
Policy = Literal["ConnectorPolicy", "ViewerPolicy"]


class NotGranted(AssertionError):
    """The policy doesn't grant this partition: DynamoDB would answer AccessDenied."""


def choices(resource: Any) -> list[Any]:
    """Both branches of an `If`: the table is the stack's own, or an adopted one."""
    if isinstance(resource, list):
        return [choice for one in resource for choice in choices(one)]
    return list(resource["Fn::If"][1:]) if "Fn::If" in resource else [resource]


@cache
def granted(table: ConnectorsView, policy: Policy = "ConnectorPolicy") -> tuple[str, ...]:
    """The patterns of the partition keys that whoever has the policy may name in a table."""
    [condition] = [
        statement["Condition"]["ForAllValues:StringLike"]
        for statement in properties(policy)["PolicyDocument"]["Statement"]
        if {"Fn::GetAtt": [table, "Arn"]} in choices(statement["Resource"])
    ]
    return tuple(as_list(condition["dynamodb:LeadingKeys"]))


class GrantedTable(MemoryTable):
    """`view`: which of the two tables it stands for; `policy`: whose rights hold."""

    def __init__(
        self, view: ConnectorsView = "KeysTable", *, policy: Policy = "ConnectorPolicy", page: int = 100
    ) -> None:
        super().__init__(page=page)
        self._view: ConnectorsView = view
        self._policy: Policy = policy

    def _demand(self, partitions: Iterable[str]) -> None:
        for pk in partitions:
            if not any(fnmatchcase(pk, pattern) for pattern in granted(self._view, self._policy)):
                raise NotGranted(pk)

    def get(self, key: Key) -> Item | None:
        self._demand([key[0]])
        return super().get(key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self._demand(pk for pk, _ in keys)
        return super().get_many(keys)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        self._demand([pk])
        return super().query(pk, prefix)

    def walk(self, pk: str, prefix: str = "") -> Iterator[Item]:
        self._demand([pk])
        return super().walk(pk, prefix)

    def latest(self, pk: str, below: str) -> Iterator[Item]:
        self._demand([pk])
        return super().latest(pk, below)

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        self._demand([pk])
        return super().keys(pk, prefix)

    def count(self, pk: str, without: str) -> int:
        self._demand([pk])
        return super().count(pk, without)

    def _single(self, write: Put | Update | Delete) -> Item:
        self._demand([write.key[0]])
        return super()._single(write)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self._demand(write.key[0] for write in writes)
        super().transact(writes, token)
