"""The texts in force: those of the deployment, and before them what an operator wrote since.

They are read at most every 30 seconds. A text of an operator that can't be rendered never keeps anybody
from being
told: the deployment's own says it then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tocsin.notify.events.audience import Recipient
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.store.own_texts import OwnTexts, TextsDoubted
from tocsin.notify.texts.template import Rendered, Shown, TemplateFailed, Templates

FRESH_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class CurrentTexts:
    """Renders as `Templates` does. `read`: the operator's texts that count now; it raises TextsDoubted for
    those that don't. `clock`: seconds."""

    def __init__(
        self,
        read: Callable[[], OwnTexts],
        *folders: Path,
        clickable_customer_links: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._folders = folders
        self._clickable = clickable_customer_links
        self._deployed = Templates(*folders, clickable_customer_links=clickable_customer_links)
        self._own: Templates | None = None
        self._number = 0
        self._read_at = float("-inf")

    def render(self, event: TicketEvent, recipient: Recipient, default_language: str) -> Rendered:
        """What `recipient` is told about `event`. Raises TemplateFailed if the deployment's text fails,
        too."""
        own = self._latest()
        if own is not None:
            try:
                return own.render(event, recipient, default_language)
            except TemplateFailed as failure:
                log.error(
                    "an operator's text failed; the deployment's is used",
                    extra={"template": failure.template},
                )
        return self._deployed.render(event, recipient, default_language)

    def shown_to(self, audience: str) -> Shown:
        return self._deployed.shown_to(audience)

    def _latest(self) -> Templates | None:
        now = self._clock()
        if 0 <= now - self._read_at < FRESH_SECONDS:
            return self._own
        self._read_at = now
        try:
            stored = self._read()
        except TextsDoubted as doubt:
            log.error(
                "what stands in the table of an operator's texts doesn't count; the last ones stay",
                extra={"why": str(doubt)},
            )
            return self._own
        except Exception as error:  # noqa: BLE001  the last ones stay in force, and the next look mends it
            log.warning("an operator's texts can't be read; the last ones stay: %s", type(error).__name__)
            return self._own
        if stored.number != self._number:
            self._number = stored.number
            self._own = (
                Templates(*self._folders, overrides=stored.files, clickable_customer_links=self._clickable)
                if stored.files
                else None
            )
        return self._own
