"""Who did what on the page: written beside what was done, and shown under it."""

from __future__ import annotations

from tocsin.notify.store.audit import AuditLine
from tocsin.timestamps import from_seconds
from tocsin_console.page.site import Site
from tocsin_console.settings import operator

_WHO_SECONDS = 3600


def note(site: Site, what: str, *, count: int = 1, note: str = "") -> None:
    """Write down that somebody did something. `what`: without texts and whole numbers."""
    site.deployment.stores.audit.add(AuditLine(from_seconds(site.clock()), who(site), what, count, note))


def who(site: Site) -> str:
    """Who has these credentials, as AWS calls them; empty if it doesn't say."""
    return site.remembered("who", _WHO_SECONDS, lambda: operator(site.deployment))
