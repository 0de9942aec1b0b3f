"""The pages, by the way that leads to each."""

from __future__ import annotations

from typing import Final

from tocsin_console.page.site import Site
from tocsin_console.page.views import audit, feed, letters, link, notification, now, people, settings, texts

_PAGES = (now, feed, notification, letters, link, people, settings, texts, audit)

VIEWS: Final = {where: handler for view in _PAGES for where, handler in view.VIEWS.items()}


def begin(site: Site) -> None:
    """The site opens."""


def end(site: Site) -> None:
    """The site closes: whatever goes on in its threads ends."""
    feed.close(site)
    letters.jobs_of(site).cancel_all()
    link.close(site)
