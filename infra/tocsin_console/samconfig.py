"""samconfig.toml as SAM reads it: parameters that a deployment overrides, stack and region."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin_console.errors import ConsoleError

FILE = "samconfig.toml"


@dataclass(frozen=True)
class SamConfig:
    """What one section says. `parameters`: the overrides of the template's parameters."""

    stack: str | None = None
    region: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_samconfig(folder: Path, section: str = "default") -> SamConfig:
    """Read what `sam deploy` would use in `folder`; empty without a file. Raises ConsoleError."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return SamConfig()
    except (OSError, UnicodeDecodeError) as error:
        raise ConsoleError(f"{path} can't be read: {type(error).__name__}") from error
    try:
        told = tomllib.loads(text).get(section, {})
        shared, deploy = (told.get(name, {}).get("parameters", {}) for name in ("global", "deploy"))
        merged = {**shared, **deploy}
        parameters = overrides(merged.get("parameter_overrides", []))
    except (tomllib.TOMLDecodeError, AttributeError, ValueError) as error:
        raise ConsoleError(f"{path} is no configuration of SAM: {error}") from error
    return SamConfig(merged.get("stack_name"), merged.get("region"), parameters)


def overrides(value: Any) -> dict[str, str]:
    """Parameter overrides in any form that SAM takes: a table, a list, or one text with blanks between.
    Raises ValueError."""
    if isinstance(value, Mapping):
        return {str(name): str(one) for name, one in value.items()}
    words = shlex.split(value) if isinstance(value, str) else value
    pairs = [str(word).partition("=") for word in words]
    if any(not sign for _, sign, _ in pairs):
        raise ValueError("parameter_overrides must be Name=value pairs")
    return {name: text.strip('"') for name, _, text in pairs}


def pairs(parameters: Mapping[str, str]) -> list[str]:
    """Overrides as SAM takes them: an empty value, and one with blanks, need quotes."""
    return [
        f"{name}={value}" if value and not any(one.isspace() for one in value) else f'{name}="{value}"'
        for name, value in parameters.items()
    ]


def with_deployment(text: str, stack: str, region: str, parameters: Mapping[str, str]) -> str:
    """The file's text with these in its section `default`; every other line stays as it is. `parameters`
    empty: no overrides. Raises ConsoleError where the file is written in a way that this can't change."""
    quoted = [f"    {_quoted(pair)}," for pair in pairs(parameters)]
    overriding = ["parameter_overrides = [", *quoted, "]"] if quoted else []
    changed = _with_values(
        text, "default.global.parameters", {"stack_name": [f"stack_name = {_quoted(stack)}"]}
    )
    changed = _with_values(
        changed,
        "default.deploy.parameters",
        {"region": [f"region = {_quoted(region)}"], "parameter_overrides": overriding},
    )
    _demand_same(text, changed)
    return changed


_CHANGED = {("global", "stack_name"), ("deploy", "region"), ("deploy", "parameter_overrides")}


def _demand_same(before: str, after: str) -> None:
    """Raises ConsoleError if anything else was changed, which is then written nowhere."""

    def rest(text: str) -> dict[str, Any]:
        told = tomllib.loads(text)
        default = told.pop("default", {})
        sections = {
            name: {
                key: value for key, value in one.get("parameters", {}).items() if (name, key) not in _CHANGED
            }
            for name, one in default.items()
        }
        return {**told, "default": {name: values for name, values in sections.items() if values}}

    try:
        same = rest(before) == rest(after)
    except (tomllib.TOMLDecodeError, AttributeError):
        same = False
    if not same:
        raise ConsoleError(f"{FILE} is written in a way that can't be changed here: change it by hand")


def _with_values(text: str, section: str, values: Mapping[str, list[str]]) -> str:
    """Set keys of a section, each as lines; no lines removes it. A missing section is added."""
    lines = text.splitlines()
    header = f"[{section}]"
    if header not in lines:
        lines += ["", header]
    start = lines.index(header) + 1
    end = next((at for at in range(start, len(lines)) if lines[at].startswith("[")), len(lines))
    body, at = [], start
    while at < end:
        key = lines[at].partition("=")[0].strip()
        last = _last_line(lines, at)
        if key not in values:
            body += lines[at : last + 1]
        at = last + 1
    new = [line for written in values.values() for line in written]
    while body and not body[-1].strip():
        body.pop()
    after = [""] if end < len(lines) else []
    return "\n".join([*lines[:start], *body, *new, *after, *lines[end:]]) + "\n"


def _last_line(lines: list[str], at: int) -> int:
    """Where the value that begins on this line ends: a list may go over several."""
    name, sign, value = lines[at].partition("=")
    if name.lstrip().startswith("#") or not sign or not value.strip().startswith("["):
        return at
    for last in range(at, len(lines)):
        try:
            tomllib.loads("\n".join(lines[at : last + 1]))
        except tomllib.TOMLDecodeError:
            continue
        return last
    return at


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
