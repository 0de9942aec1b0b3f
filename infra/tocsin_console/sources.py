"""`tocsin sources`: who may put events in by HTTP, and what each may reach."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.door.desks.of_source import BUS
from tocsin.door.proofs import PROOF
from tocsin.door.sources import FORMER_SECRET, PER_MINUTE, SECRET, Source
from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, Delete, Put, as_read
from tocsin.tables.notifications import source_key, source_use_key
from tocsin.timestamps import from_seconds
from tocsin.versions import source_versions
from tocsin_console.audit import note
from tocsin_console.bus_rules import make_rule, pattern_of, remove_rule, rule_name, switch_rule
from tocsin_console.confirm import confirm
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output, moment
from tocsin_console.source_input import (
    Wanted,
    client_of,
    demand_meaning,
    first_account,
    listening,
    mapping_of,
    options_of,
    read_file,
)
from tocsin_console.source_keys import tell_key, with_key
from tocsin_console.source_records import find, item_of, proven, rewrite, version_of
from tocsin_console.source_view import told_source
from tocsin_console.unnoted import tell_unnoted

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment

MS_PER_HOUR: Final = 3_600_000
HEEDED = "the door heeds it within 30 seconds"


def add(
    deployment: Deployment,
    wanted: Wanted,
    output: Output,
    *,
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Add a source, and print its URL and its key. Raises Usage, NotFound, ConsoleError."""
    listens = wanted.kind == BUS
    url = "" if listens else door_url(deployment)
    source = _source(deployment, wanted, from_seconds(clock()))
    demand_meaning(source)
    # One of this name may have been removed.
    versions = source_versions(deployment.keys_table, tell_unnoted)
    source = replace(source, version=versions.last(source.name) + 1)
    source = replace(source, client=client_of(deployment, source, wanted.client))
    source, key = (source, "") if listens else with_key(deployment, source, wanted.secret_from, random)
    try:
        deployment.outside_table.put(
            Put(source_key(source.name), proven(deployment, source), when=(ITEM_ABSENT,))
        )
    except ConditionFailed:
        raise ConsoleError(
            f"there is a source '{source.name}' already: 'tocsin sources rotate' gives it a new key"
        ) from None
    versions.note_written(source.name, source.version)
    if listens:
        _listen(deployment, source)
    # Before its key is told: that is seen but once.
    note(deployment, f"added the source {source.name} ({source.kind})", clock=clock)
    if listens:
        _tell_rule(deployment, source, output)
    else:
        tell_key(source, url, key, output)
    output.say("try it, which sends nothing:")
    output.say(f"    tocsin sources test {source.name} --sample FILE")


def _source(deployment: Deployment, wanted: Wanted, created_at: int) -> Source:
    """What is wanted, without its key. `created_at`: ms. Raises Usage, NotFound, ConsoleError."""
    accounts = tuple(map(deployment.account, wanted.accounts)) or (first_account(deployment),)
    return Source(
        name=wanted.name,
        kind=wanted.kind,
        accounts=accounts,
        language=wanted.language,
        audiences=wanted.audiences,
        recipients=wanted.recipients,
        per_minute=PER_MINUTE if wanted.per_minute is None else wanted.per_minute,
        created_at=created_at,
        mapping="" if wanted.mapping is None else mapping_of(wanted.mapping),
        options={**options_of(wanted.options), **listening(deployment, wanted)},
    )


def change(
    deployment: Deployment,
    name: str,
    output: Output,
    *,
    options: tuple[str, ...] = (),
    mapping: Path | None = None,
    client: Path | None = None,
    pattern: Path | None = None,
) -> None:
    """Give a source another mapping, options, client or pattern; its key stays. An option of an empty value
    is left to its kind. Raises Usage, NotFound, ConsoleError."""
    before = find(deployment, name)
    if mapping is not None and not before.mapping:
        raise Usage(
            f"'{name}' is of the kind {before.kind}, which has its own file: add it anew with --mapping"
        )
    if pattern is not None and before.kind != BUS:
        raise Usage("--pattern belongs to sources of kind bus")
    told = {**before.options, **options_of(options)}
    if pattern is not None:
        told["pattern"] = pattern_of(read_file(pattern), deployment)
    source = replace(before, options={option: value for option, value in told.items() if value})
    if mapping is not None:
        source = replace(source, mapping=mapping_of(mapping))
    demand_meaning(source)
    if client is not None:
        source = replace(source, client=client_of(deployment, source, client))
    if pattern is not None:
        make_rule(deployment, name, source.options["pattern"], source.options.get("bus", ""))
    rewrite(deployment, source)
    note(deployment, f"changed the source {name}")
    output.say(f"'{name}' is changed; {HEEDED}")
    output.record(told_source(source))


def _listen(deployment: Deployment, source: Source) -> None:
    """Make the rule of a source of kind bus. Without one the source is none."""
    try:
        make_rule(deployment, source.name, source.options["pattern"], source.options.get("bus", ""))
    except Exception:
        deployment.outside_table.delete(Delete(source_key(source.name)))
        raise


def _tell_rule(deployment: Deployment, source: Source, output: Output) -> None:
    rule = rule_name(deployment, source.name)
    output.say(f"the rule '{rule}' hands events to the planner, which makes ticket events of them")
    output.say(
        "remove the source before you delete the stack: its bus can't be deleted while it has the rule"
    )
    output.record({**told_source(source), "rule": rule})


def pause(deployment: Deployment, name: str, output: Output, *, paused: bool) -> None:
    """Hear a source no more, or again. Raises NotFound."""
    source = find(deployment, name)
    if source.kind == BUS:
        switch_rule(deployment, name, source.options.get("bus", ""), on=not paused)
    rewrite(deployment, replace(source, paused=paused))
    note(deployment, f"{'paused' if paused else 'resumed'} the source {name}")
    output.say(f"'{name}' is {'paused' if paused else 'heard again'}; {HEEDED}")
    output.record({"source": name, "paused": paused})


def rotate(
    deployment: Deployment,
    name: str,
    output: Output,
    *,
    hours: int,
    yes: bool = False,
    secret_from: str | None = None,
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Give a source a new key; the old one counts for some hours. If that is none, it asks first, unless
    `yes`. Raises NotFound, ConsoleError."""
    before = find(deployment, name)
    if before.kind == BUS:
        raise Usage(f"'{name}' listens to a bus and has no key")
    url = door_url(deployment)
    if not hours:
        confirm(lambda: f"whoever has the old key of '{name}' is refused at once", yes=yes, output=output)
    until = from_seconds(clock()) + hours * MS_PER_HOUR
    source, key = with_key(deployment, before, secret_from, random)
    source = replace(source, former_hash=before.hash, former_until=until)
    if before.secret:
        # Sealed to its place, so it is opened and sealed anew.
        secret = deployment.stores.texts.open(before.secret, source_key(name), SECRET)
        former = deployment.stores.texts.seal(secret, source_key(name), FORMER_SECRET)
        source = replace(source, former_secret=former)
    rewrite(deployment, source)
    note(deployment, f"gave the source {name} a new key", clock=clock)
    tell_key(source, url, key, output)
    output.say(f"the former key counts until {moment(until)}")


def remove(deployment: Deployment, name: str, output: Output, *, yes: bool) -> None:
    """Remove a source, a damaged one too. Raises NotFound."""
    item = item_of(deployment, name)
    kind, options = str(item.get("kind", "?")), item.get("options")
    confirm(lambda: f"'{name}' ({kind}) can put in nothing any more", yes=yes, output=output)
    if kind == BUS:
        remove_rule(deployment, name, str(options.get("bus", "")) if isinstance(options, dict) else "")
    # Somebody may have changed it while it was asked about.
    item = item_of(deployment, name)
    last = version_of(deployment, name, item)
    # Put back, it counts no more. Noted first, because what is gone can't be removed again if noting fails.
    source_versions(deployment.keys_table).note(name, last + 1)
    try:
        as_it_was = as_read("version", item), as_read(PROOF, item)
        deployment.outside_table.delete(Delete(source_key(name), when=as_it_was))
    except ConditionFailed:
        raise ConsoleError(
            f"somebody changed '{name}' at this moment, and their record stands: look with "
            f"'tocsin sources show {name}', then remove it again"
        ) from None
    deployment.outside_table.delete(Delete(source_use_key(name)))
    note(deployment, f"removed the source {name}")
    output.say(f"'{name}' is removed; {HEEDED}")
    output.record({"source": name, "removed": True})


def door_url(deployment: Deployment) -> str:
    """Raises ConsoleError where there is no door."""
    url = deployment.outputs.get("DoorUrl")
    if not url:
        raise ConsoleError("this stack has no HTTP door: deploy it with the parameter HttpDoor=on")
    return url
