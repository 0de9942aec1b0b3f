"""Every page of the console, with its places filled: what is new there is tried without being named."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from tocsin_console.page.views import VIEWS

LIVE = frozenset({"/feed/events"})
"""Streams, which end only when somebody goes."""

TEXT = {"language": "en", "name": "TicketCreated.customer.txt"}


def pages(places: Mapping[str, str]) -> list[str]:
    """The paths of all pages; `places`: the name of each place in a path, and what stands there."""
    filled = {name: quote(value, safe="") for name, value in {**TEXT, **places}.items()}
    patterns = [path for method, _, path in (way.partition(" ") for way in VIEWS) if method == "GET"]
    return [path.format_map(filled) for path in patterns if path not in LIVE]
