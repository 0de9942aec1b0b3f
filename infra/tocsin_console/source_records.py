"""The records of sources: read with their proof, and written with one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.door.proofs import proven_item, proven_source
from tocsin.door.sources import DamagedSource, Source, source_of
from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import ITEM_EXISTS, Absent, Equals, Put
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import source_key
from tocsin.versions import source_versions
from tocsin_console.errors import ConsoleError, NotFound
from tocsin_console.unnoted import tell_unnoted

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Value
    from tocsin_console.deployment import Deployment


def find(deployment: Deployment, name: str) -> Source:
    """Raises NotFound, ConsoleError."""
    item = item_of(deployment, name)
    try:
        return read_record(deployment, name, item)
    except DamagedSource as damage:
        raise ConsoleError(
            f"the record of '{name}' is damaged ({damage}): remove it and add it anew"
        ) from None


def item_of(deployment: Deployment, name: str) -> Item:
    """Raises NotFound."""
    item = deployment.outside_table.get(source_key(name))
    if item is None:
        raise NotFound(f"there is no source '{name}': 'tocsin sources list' shows them")
    return item


def read_record(deployment: Deployment, name: str, item: Item) -> Source:
    """Raises DamagedSource. Who may not read the texts' secret sees the record as it stands there."""
    try:
        since = source_versions(deployment.keys_table).last(name)
        return proven_source(name, item, deployment.stores.texts, since=since)
    except TextWithheld:
        return source_of(name, item)


def version_of(deployment: Deployment, name: str, item: Item) -> int:
    """The last version of a source. A damaged record may bear any number."""
    noted = source_versions(deployment.keys_table).last(name)
    try:
        return max(noted, read_record(deployment, name, item).version)
    except DamagedSource:
        return noted


def rewrite(deployment: Deployment, source: Source) -> None:
    """Write a source in the place of the record that was read. Raises ConsoleError, also if somebody changed
    it since: their key would be lost, or one that they ended would count again."""
    unchanged = Equals("version", source.version) if source.version else Absent("version")
    source = replace(source, version=source.version + 1)
    item = proven(deployment, source)
    try:
        deployment.outside_table.put(Put(source_key(source.name), item, when=(ITEM_EXISTS, unchanged)))
    except ConditionFailed:
        raise ConsoleError(
            f"somebody changed or removed '{source.name}' at this moment, and their record stands: look with "
            f"'tocsin sources show {source.name}', then do yours again"
        ) from None
    source_versions(deployment.keys_table, tell_unnoted).note_written(source.name, source.version)


def proven(deployment: Deployment, source: Source) -> dict[str, Value]:
    """Its record, with the proof that somebody wrote it who may. Raises ConsoleError."""
    try:
        return proven_item(source, deployment.stores.texts)
    except TextWithheld as refusal:
        raise ConsoleError(
            f"what a source may do is proven by the key of the texts ({refusal.why}). Your AWS permissions "
            "must allow what this command does: secretsmanager:GetSecretValue on the stack's output "
            "TextsSecretArn"
        ) from None
