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
