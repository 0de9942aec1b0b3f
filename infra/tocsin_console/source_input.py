"""What is typed of a source: options, files, and whether it all can be meant."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.door.desks.of_source import BUS
from tocsin.door.routing import DIALECTS
from tocsin.door.sources import Source, problems_of
from tocsin.tables.notifications import source_key
from tocsin_console import source_urls
from tocsin_console.bus_rules import pattern_of
from tocsin_console.errors import Usage

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment

MAX_MAPPING_BYTES: Final = 64 * 1024


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


def first_account(deployment: Deployment) -> str:
    return deployment.account(None) if len(deployment.accounts) == 1 else deployment.accounts[0]


def options_of(typed: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in typed]
    wrong = [
        name for name, equals, _ in pairs if not equals or not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name)
    ]
    if wrong:
        raise Usage(f"an option is NAME=VALUE, not '{wrong[0]}'")
    return {name: value for name, _, value in pairs}


def mapping_of(place: Path) -> str:
    """Raises Usage."""
    text = read_file(place)
    if len(text.encode()) > MAX_MAPPING_BYTES:
        raise Usage(f"{place} is larger than {MAX_MAPPING_BYTES} bytes")
    return text


def listening(deployment: Deployment, wanted: Wanted) -> dict[str, str]:
    """The options of a source of kind bus. Raises Usage."""
    if wanted.kind != BUS:
        if wanted.pattern is not None or wanted.bus:
            raise Usage("--pattern and --bus belong to --kind bus")
        return {}
    if wanted.pattern is None or wanted.mapping is None:
        raise Usage("--kind bus needs --pattern and --mapping")
    if wanted.secret_from is not None:
        raise Usage("a source of kind bus has no key: leave out --secret-from")
    pattern = pattern_of(read_file(wanted.pattern), deployment)
    return {"pattern": pattern, **({"bus": wanted.bus} if wanted.bus else {})}


def client_of(deployment: Deployment, source: Source, place: Path | None) -> bytes:
    """Sealed, how the help desk is asked for phones. Raises Usage."""
    if place is None:
        return b""
    from tocsin.door.desks.of_source import kind_of_source
    from tocsin.door.desks.phones import CLIENT, client_findings

    try:
        told = json.loads(read_file(place))
    except ValueError:
        raise Usage(f"{place} is not JSON") from None
    lookup = None if source_urls.is_dialect(source.kind) else kind_of_source(source).lookup
    findings = client_findings(told, lookup)
    if findings:
        raise Usage("; ".join(findings))
    return deployment.stores.texts.seal(told, source_key(source.name), CLIENT)


def read_file(place: Path) -> str:
    """Raises Usage."""
    try:
        return place.read_text(encoding="utf-8")
    except OSError as error:
        raise Usage(f"{place} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Usage(f"{place} can't be read: it is no text in UTF-8") from None


def demand_meaning(source: Source) -> None:
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
