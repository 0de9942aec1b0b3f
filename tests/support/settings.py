"""Settings as a test chooses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.settings.declared import DECLARED
from tocsin.settings.reader import CurrentSettings
from tocsin.settings.values import EVERYWHERE, Settings


def chosen(values: Mapping[str, Any] | None = None, **more: Any) -> CurrentSettings:
    """These values for the whole stack, by name (`retries=1`), and defaults for the rest."""
    named = {name.replace("_", "-"): value for name, value in {**(values or {}), **more}.items()}
    assert named.keys() <= DECLARED.keys(), f"no such settings: {named.keys() - DECLARED.keys()}"
    settings = Settings({name: {EVERYWHERE: value} for name, value in named.items()}, version=1)
    return lambda: settings
