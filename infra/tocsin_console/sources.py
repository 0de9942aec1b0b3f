"""`tocsin sources`: who may put events in by HTTP, and what each may reach."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.door.desks.of_source import BUS
from tocsin.door.proofs import proven_item, proven_source
from tocsin.door.routing import DIALECTS
from tocsin.door.sources import (
    FORMER_SECRET,
    PER_MINUTE,
    SECRET,
    SECRET_BYTES,
    DamagedSource,
    Source,
    hash_of,
    new_token,
    problems_of,
    source_of,
)
from tocsin.dynamo.errors import ConditionFailed
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Delete, Put
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import SOURCE_USE, SOURCES, source_key, source_use_key
from tocsin.timestamps import from_seconds
from tocsin_console import source_urls
from tocsin_console.bus_rules import make_rule, pattern_of, remove_rule, rule_name, switch_rule
from tocsin_console.confirm import confirm
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, moment, with_json_moments

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Value
    from tocsin_console.deployment import Deployment

MS_PER_HOUR: Final = 3_600_000
MAX_MAPPING_BYTES: Final = 64 * 1024
MAX_SECRET_CHARACTERS: Final = 512
HEEDED = "the door heeds it within 30 seconds"


@dataclass(frozen=True)
class Wanted:
    """A source as it is typed. `secret_from`: the file of the secret that the help desk made, `-` the
    input. `client`: the file of how the help desk is asked for phones. `pattern`, `bus`: what a source of
    kind bus listens to."""

    name: str
    kind: str
    accounts: tuple[str, ...] = ()
    language: str = ""
    audiences: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    per_minute: int | None = None
    options: tuple[str, ...] = ()
    mapping: Path | None = None
    secret_from: str | None = None
    client: Path | None = None
    pattern: Path | None = None
    bus: str = ""


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
    accounts = tuple(map(deployment.account, wanted.accounts)) or (_first_account(deployment),)
    source = Source(
        name=wanted.name,
        kind=wanted.kind,
        accounts=accounts,
        language=wanted.language,
        audiences=wanted.audiences,
        recipients=wanted.recipients,
        per_minute=PER_MINUTE if wanted.per_minute is None else wanted.per_minute,
        created_at=from_seconds(clock()),
        mapping="" if wanted.mapping is None else _mapping(wanted.mapping),
        options={**_options(wanted.options), **_listening(deployment, wanted)},
    )
    _demand_meaning(source)
    source = replace(source, client=_client(deployment, source, wanted.client))
    source, key = (source, "") if listens else _with_key(deployment, source, wanted.secret_from, random)
    try:
        deployment.outside_table.put(
            Put(source_key(source.name), _proven(deployment, source), when=(ITEM_ABSENT,))
        )
    except ConditionFailed:
        raise ConsoleError(
            f"there is a source '{source.name}' already: 'tocsin sources rotate' gives it a new key"
        ) from None
    if listens:
        _listen(deployment, source, output)
    else:
        _tell_key(source, url, key, output)


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
    told = {**before.options, **_options(options)}
    if pattern is not None:
        told["pattern"] = pattern_of(_read(pattern), deployment)
    source = replace(before, options={option: value for option, value in told.items() if value})
    if mapping is not None:
        source = replace(source, mapping=_mapping(mapping))
    _demand_meaning(source)
    if client is not None:
        source = replace(source, client=_client(deployment, source, client))
    if pattern is not None:
        make_rule(deployment, name, source.options["pattern"], source.options.get("bus", ""))
    _rewrite(deployment, source)
    output.say(f"'{name}' is changed; {HEEDED}")
    output.record(_told(source))


def _listen(deployment: Deployment, source: Source, output: Output) -> None:
    """Make the rule of a source of kind bus. Without one the source is none."""
    try:
        make_rule(deployment, source.name, source.options["pattern"], source.options.get("bus", ""))
    except Exception:
        deployment.outside_table.delete(Delete(source_key(source.name)))
        raise
    rule = rule_name(deployment, source.name)
    output.say(f"the rule '{rule}' hands events to the planner, which makes ticket events of them")
    output.say(
        "remove the source before you delete the stack: its bus can't be deleted while it has the rule"
    )
    output.record({**_told(source), "rule": rule})


def list_sources(deployment: Deployment, output: Output) -> None:
    """Print every source, when it was heard last, and what was refused last."""
    uses = {str(item["sk"]): item for item in deployment.outside_table.query(SOURCE_USE)}
    rows: list[tuple[object, ...]] = []
    for item in deployment.outside_table.query(SOURCES):
        name = str(item["sk"])
        use = uses.get(name, {})
        try:
            source = _read_record(deployment, name, item)
        except DamagedSource as damage:
            rows.append((name, "?", "?", f"damaged ({damage})", "-", "", "-"))
            output.record({"source": name, "damaged": str(damage)})
            continue
        output.record({**_told(source), **_told_use(use)})
        state = "paused" if source.paused else "active"
        rows.append(
            (
                name,
                source.kind,
                ",".join(source.accounts),
                state,
                _number(use, "heard"),
                moment(_number(use, "used_at")),
                _refusal(use),
            )
        )
    if not rows:
        output.say("there is no source: tocsin sources add NAME --kind api")
        return
    output.table(["SOURCE", "KIND", "ACCOUNTS", "STATE", "HEARD", "LAST", "LAST REFUSAL"], rows)


def show(deployment: Deployment, name: str, output: Output) -> None:
    """Explain one source. Raises NotFound."""
    source = find(deployment, name)
    use: Item = deployment.outside_table.get(source_use_key(name)) or {}
    output.record({**_told(source), **_told_use(use)})
    url = deployment.outputs.get("DoorUrl", "")
    for line in source_urls.lines(source.kind, url, name, source.account, "its key") if url else ():
        output.say(line)
    output.say(f"kind        {source.kind}{' (a file of your own)' if source.mapping else ''}")
    output.say(f"accounts    {', '.join(source.accounts)}")
    output.say(f"language    {source.language or '-'}")
    output.say(f"audiences   {', '.join(source.audiences) or 'all'}")
    output.say(f"recipients  {', '.join(source.recipients) or 'all'}")
    output.say(f"per minute  {source.per_minute}")
    for option, value in source.options.items():
        output.say(f"option      {option}={value}")
    output.say(f"state       {'paused' if source.paused else 'active'}")
    if source.former_until:
        output.say(f"former key  counts until {moment(source.former_until)}")
    output.say(f"heard       {_number(use, 'heard')}, last {moment(_number(use, 'used_at'))}")
    output.say(f"refused     {_number(use, 'refused')}, last {_refusal(use)}")


def pause(deployment: Deployment, name: str, output: Output, *, paused: bool) -> None:
    """Hear a source no more, or again. Raises NotFound."""
    source = find(deployment, name)
    if source.kind == BUS:
        switch_rule(deployment, name, source.options.get("bus", ""), on=not paused)
    _rewrite(deployment, replace(source, paused=paused))
    output.say(f"'{name}' is {'paused' if paused else 'heard again'}; {HEEDED}")
    output.record({"source": name, "paused": paused})


def rotate(
    deployment: Deployment,
    name: str,
    output: Output,
    *,
    hours: int,
    secret_from: str | None = None,
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = os.urandom,
) -> None:
    """Give a source a new key; the old one counts for some hours. Raises NotFound, ConsoleError."""
    before = find(deployment, name)
    if before.kind == BUS:
        raise Usage(f"'{name}' listens to a bus and has no key")
    url = door_url(deployment)
    until = from_seconds(clock()) + hours * MS_PER_HOUR
    source, key = _with_key(deployment, before, secret_from, random)
    source = replace(source, former_hash=before.hash, former_until=until)
    if before.secret:
        # Sealed to its place, so it is opened and sealed anew.
        secret = deployment.stores.texts.open(before.secret, source_key(name), SECRET)
        former = deployment.stores.texts.seal(secret, source_key(name), FORMER_SECRET)
        source = replace(source, former_secret=former)
    _rewrite(deployment, source)
    _tell_key(source, url, key, output)
    output.say(f"the former key counts until {moment(until)}")


def remove(deployment: Deployment, name: str, output: Output, *, yes: bool) -> None:
    """Remove a source, a damaged one too. Raises NotFound."""
    item = _item(deployment, name)
    kind, options = str(item.get("kind", "?")), item.get("options")
    confirm(lambda: f"'{name}' ({kind}) can put in nothing any more", yes=yes, output=output)
    if kind == BUS:
        remove_rule(deployment, name, str(options.get("bus", "")) if isinstance(options, dict) else "")
    deployment.outside_table.delete(Delete(source_key(name)))
    deployment.outside_table.delete(Delete(source_use_key(name)))
    output.say(f"'{name}' is removed; {HEEDED}")
    output.record({"source": name, "removed": True})


def find(deployment: Deployment, name: str) -> Source:
    """Raises NotFound, ConsoleError."""
    item = _item(deployment, name)
    try:
        return _read_record(deployment, name, item)
    except DamagedSource as damage:
        raise ConsoleError(
            f"the record of '{name}' is damaged ({damage}): remove it and add it anew"
        ) from None


def _item(deployment: Deployment, name: str) -> Item:
    """Raises NotFound."""
    item = deployment.outside_table.get(source_key(name))
    if item is None:
        raise NotFound(f"there is no source '{name}': 'tocsin sources list' shows them")
    return item


def _read_record(deployment: Deployment, name: str, item: Item) -> Source:
    """Raises DamagedSource. Who may not read the texts' secret sees the record as it stands there."""
    try:
        return proven_source(name, item, deployment.stores.texts)
    except TextWithheld:
        return source_of(name, item)


def _rewrite(deployment: Deployment, source: Source) -> None:
    """Write a source in the place of what it was. Raises ConsoleError."""
    item = _proven(deployment, source)
    deployment.outside_table.put(Put(source_key(source.name), item, when=(ITEM_EXISTS,)))


def _proven(deployment: Deployment, source: Source) -> dict[str, Value]:
    """Its record, with the proof that somebody wrote it who may. Raises ConsoleError."""
    try:
        return proven_item(source, deployment.stores.texts)
    except TextWithheld as refusal:
        raise ConsoleError(
            f"what a source may do is proven by the key of the texts ({refusal.why}). Your AWS permissions "
            "must allow what this command does: secretsmanager:GetSecretValue on the stack's output "
            "TextsSecretArn"
        ) from None


def door_url(deployment: Deployment) -> str:
    """Raises ConsoleError where there is no door."""
    url = deployment.outputs.get("DoorUrl")
    if not url:
        raise ConsoleError("this stack has no HTTP door: deploy it with the parameter HttpDoor=on")
    return url


# -- what is typed -----------------------------------------------------------------------------------------


def _first_account(deployment: Deployment) -> str:
    return deployment.account(None) if len(deployment.accounts) == 1 else deployment.accounts[0]


def _options(typed: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in typed]
    wrong = [
        name for name, equals, _ in pairs if not equals or not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name)
    ]
    if wrong:
        raise Usage(f"an option is NAME=VALUE, not '{wrong[0]}'")
    return {name: value for name, _, value in pairs}


def _mapping(place: Path) -> str:
    """Raises Usage."""
    text = _read(place)
    if len(text.encode()) > MAX_MAPPING_BYTES:
        raise Usage(f"{place} is larger than {MAX_MAPPING_BYTES} bytes")
    return text


def _listening(deployment: Deployment, wanted: Wanted) -> dict[str, str]:
    """The options of a source of kind bus. Raises Usage."""
    if wanted.kind != BUS:
        if wanted.pattern is not None or wanted.bus:
            raise Usage("--pattern and --bus belong to --kind bus")
        return {}
    if wanted.pattern is None or wanted.mapping is None:
        raise Usage("--kind bus needs --pattern and --mapping")
    if wanted.secret_from is not None:
        raise Usage("a source of kind bus has no key: leave out --secret-from")
    pattern = pattern_of(_read(wanted.pattern), deployment)
    return {"pattern": pattern, **({"bus": wanted.bus} if wanted.bus else {})}


def _client(deployment: Deployment, source: Source, place: Path | None) -> bytes:
    """Sealed, how the help desk is asked for phones. Raises Usage."""
    if place is None:
        return b""
    from tocsin.door.desks.of_source import kind_of_source
    from tocsin.door.desks.phones import CLIENT, client_findings

    try:
        told = json.loads(_read(place))
    except ValueError:
        raise Usage(f"{place} is not JSON") from None
    lookup = None if source_urls.is_dialect(source.kind) else kind_of_source(source).lookup
    findings = client_findings(told, lookup)
    if findings:
        raise Usage("; ".join(findings))
    return deployment.stores.texts.seal(told, source_key(source.name), CLIENT)


def _read(place: Path) -> str:
    """Raises Usage."""
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{place} can't be read: {error}") from None


def _demand_meaning(source: Source) -> None:
    """Raises Usage with all that can't be meant."""
    problems = list(problems_of(source))
    if not source_urls.is_dialect(source.kind):
        problems += _desk_problems(source)
    elif source.mapping:
        problems.append(f"the kind {source.kind} takes no --mapping")
    if problems:
        raise Usage("; ".join(problems))


def _desk_problems(source: Source) -> list[str]:
    from tocsin.door.desks.kind import InvalidKind, file_of, names
    from tocsin.door.desks.lint import checked
    from tocsin.door.desks.of_source import NOT_PARAMETERS

    if not source.mapping and source.kind not in names():
        known = ", ".join([*DIALECTS, *names()])
        return [f"there is no kind '{source.kind}': {known}; or give a file of your own by --mapping"]
    parameters = {name: value for name, value in source.options.items() if name not in NOT_PARAMETERS}
    try:
        checked(source.mapping or file_of(source.kind), parameters)
    except InvalidKind as refusal:
        return list(refusal.findings)
    return []


# -- keys --------------------------------------------------------------------------------------------------


def _with_key(
    deployment: Deployment, source: Source, secret_from: str | None, random: Callable[[int], bytes]
) -> tuple[Source, str]:
    """The source with a new key, and that key. Of a key that callers send, a hash is stored; the secret with
    which a help desk signs is sealed. A kind may take either: then the same key is stored both ways,
    unless somebody else made it, for a hash hides only what is as random as ours."""
    signs, sends = ways_of(source)
    if secret_from is not None and not signs:
        raise Usage(f"the kind {source.kind} signs nothing: leave out --secret-from")
    key = new_token(source.name, random(SECRET_BYTES)) if secret_from is None else _read_secret(secret_from)
    sealed = b""
    if signs:
        sealed = deployment.stores.texts.seal({"secret": key}, source_key(source.name), SECRET)
    hashed = hash_of(key) if sends and secret_from is None else ""
    return replace(source, hash=hashed, secret=sealed), key


def ways_of(source: Source) -> tuple[bool, bool]:
    """Whether its kind signs, or answers a challenge, with its secret; and whether callers send the key."""
    if source_urls.is_dialect(source.kind):
        return False, True
    from tocsin.door.desks.of_source import kind_of_source
    from tocsin.door.signatures import TokenScheme

    kind = kind_of_source(source)
    by_token = [isinstance(scheme, TokenScheme) for scheme in kind.schemes]
    return not all(by_token) or kind.challenge is not None, any(by_token)


def _read_secret(place: str) -> str:
    """`place`: a file, or `-`. Raises Usage."""
    try:
        text = sys.stdin.readline() if place == "-" else Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{place} can't be read: {type(error).__name__}") from None
    secret = text.strip()
    if not 8 <= len(secret) <= MAX_SECRET_CHARACTERS:
        raise Usage(f"a secret has 8 to {MAX_SECRET_CHARACTERS} characters")
    return secret


def _tell_key(source: Source, url: str, key: str, output: Output) -> None:
    """The only time that the key is seen."""
    for line in source_urls.lines(source.kind, url, source.name, source.account, key):
        output.say(line)
    output.say("This key is shown once; 'tocsin sources rotate' makes another.")
    output.record({**_told(source), "url": url, "key": key})


# -- what is shown -----------------------------------------------------------------------------------------


def _told(source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        "kind": source.kind,
        "accounts": list(source.accounts),
        "language": source.language,
        "audiences": list(source.audiences),
        "recipients": list(source.recipients),
        "per_minute": source.per_minute,
        "paused": source.paused,
        "options": dict(source.options),
        "own_file": bool(source.mapping),
    }


def _told_use(use: Item) -> dict[str, Any]:
    names = ("heard", "used_at", "refused", "refused_at", "refusal")
    told = {name: use[name] for name in names if name in use}
    return with_json_moments(told, "used_at", "refused_at")


def _number(use: Item, name: str) -> int:
    value = use.get(name, 0)
    return value if isinstance(value, int) else 0


def _refusal(use: Item) -> str:
    at = _number(use, "refused_at")
    return f"{use.get('refusal', '?')} at {moment(at)}" if at else "-"
