"""An event loop whose clock can be put forward, so that a test waits for no time-out."""

from __future__ import annotations

import asyncio


class SkippingLoop(asyncio.SelectorEventLoop):
    """`skip` may be called from any thread."""

    _skipped = 0.0

    def time(self) -> float:
        return super().time() + self._skipped

    def skip(self, seconds: float) -> None:
        """What waits for so long or shorter is over."""
        self._skipped += seconds
        self.call_soon_threadsafe(lambda: None)  # it may be asleep until what was the next moment
