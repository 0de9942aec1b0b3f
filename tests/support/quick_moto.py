"""Moto and its clients in the time that they take: the same answers, without work that is done over and over.

To make a client botocore reads the service's description, some hundred kilobytes of JSON, and looks into four
hundred folders for the names of all services: anew for each session, and there is a session a test. Of each
attribute value that moto answers it looks for all ten types, under every name that one could bear. For the
roll-back of a transaction it copies the whole table, once for each of its items: for a hundred new prekeys
beside eight hundred that are eighty thousand copies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader, Loader
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table


@contextmanager
def quick_moto() -> Iterator[None]:
    """While the block lasts, in this process."""
    # Shared by all clients of a session as they are, so by those of all sessions too.
    description = cache(JSONFileLoader().load_file)
    services = _of_all_loaders(Loader.list_available_services)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda loader, path: description(path))
        patch.setattr(Loader, "list_available_services", services)
        patch.setattr(ResponseSerializer, "get_value", _quick_value(ResponseSerializer.get_value))
        patch.setattr(DynamoDBBackend, "transact_write_items", _quick(DynamoDBBackend.transact_write_items))
        yield


def _of_all_loaders(botocore_does: Callable[[Loader, str], list[str]]) -> Callable[..., list[str]]:
    """The names of the services, looked for once in the same folders."""
    found: dict[tuple[str, ...], list[str]] = {}

    def services(loader: Loader, type_name: str) -> list[str]:
        place = (*loader.search_paths, type_name)
        if place not in found:
            found[place] = botocore_does(loader, type_name)
        return found[place]

    return services


def _quick_value(moto_does: Callable[..., Any]) -> Callable[..., Any]:
    """A DynamoDB attribute value is a dict with one member, whose name is its type and no other."""

    def value(serializer: ResponseSerializer, source: Any, key: str, shape: Any) -> Any:
        parent = getattr(shape, "parent", None)
        if parent is not None and parent.name == "AttributeValue" and type(source) is dict:
            return source.get(key)
        return moto_does(serializer, source, key, shape)

    return value


def _quick(moto_does: Callable[[DynamoDBBackend, list[dict[str, Any]]], None]) -> Callable[..., None]:
    """A transaction for whose roll-back only the items are copied that it names."""

    def transact(backend: DynamoDBBackend, actions: list[dict[str, Any]]) -> None:
        places = list(_places(backend, actions))
        before = [copy.deepcopy(table.items.get(pk, {}).get(sk)) for table, pk, sk in places]
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Table, "__deepcopy__", lambda table, memo: table, raising=False)
                moto_does(backend, actions)
        except Exception:
            for (table, pk, sk), item in zip(places, before, strict=True):
                if item is not None:
                    table.items[pk][sk] = item
                elif sk in table.items.get(pk, {}):
                    del table.items[pk][sk]
            raise

    return transact


def _places(
    backend: DynamoDBBackend, actions: list[dict[str, Any]]
) -> Iterator[tuple[Table, DynamoType, DynamoType]]:
    """The table, partition key and sort key of what each action is about; all tables of ours have both."""
    for action in actions:
        ((_, about),) = action.items()
        table, key = backend.tables.get(about["TableName"]), about.get("Key") or about["Item"]
        if table is not None:
            yield table, *(DynamoType(key[name]) for name in (table.hash_key_attr, table.range_key_attr))
