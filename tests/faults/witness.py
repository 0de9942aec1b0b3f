"""What the phones were seen to show, and when: the server's events, collected while they happen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tests.support.stack import DESK, Notice
from tocsin_whatsapp_server.control_client import ControlClient

Copy = tuple[str, str, int]
"""A message on one device: message id, number, device."""


class Witness:
    """`put`: when each notification was put. Times in seconds since the epoch."""

    def __init__(self, phones: ControlClient) -> None:
        self._phones = phones
        self._last = 0
        self._awaited: dict[str, set[Copy]] = {}
        self.put: list[tuple[float, str]] = []
        self.shown: dict[Copy, float] = {}
        self.asked: dict[Copy, float] = {}
        self.healed: dict[Copy, float] = {}
        self.expected_count = 0
        self.events_seen = 0

    def begin(self) -> None:
        """From now on."""
        _, self._last = self._phones.events(self._last)

    def expect(self, notices: Sequence[Notice], devices: Mapping[str, Sequence[int]]) -> None:
        """These were put; each device of their recipients must show them."""
        for notice in notices:
            number = notice.person.number
            copies = {(notice.message_id, number, device) for device in devices[number]}
            self.expected_count += len(copies)
            self.put.append((time.time(), notice.message_id))
            self._awaited[notice.message_id] = copies - self.shown.keys()

    def look(self) -> int:
        """Take note of what happened since the last look. How many messages aren't on all their devices."""
        events, self._last = self._phones.events(self._last)
        for event in events:
            if event["kind"] not in ("phone-message", "phone-retry") or event["phone"] == DESK:
                continue
            self.events_seen += 1
            copy = (event["id"], event["phone"], event["device"])
            if event["kind"] == "phone-retry":
                self.asked.setdefault(copy, event["at"])
            else:
                self._note_shown(copy, event["at"])
        return len(self._awaited)

    def _note_shown(self, copy: Copy, at: float) -> None:
        self.shown.setdefault(copy, at)
        if copy in self.asked:
            self.healed.setdefault(copy, at)
        awaited = self._awaited.get(copy[0])
        if awaited is not None:
            awaited.discard(copy)
            if not awaited:
                del self._awaited[copy[0]]

    def has_arrived(self, notice: Notice) -> bool:
        """Whether all devices of its recipient show what was expected, as of the last look."""
        return notice.message_id not in self._awaited

    def awaits(self, number: str) -> bool:
        """Whether something is on its way to this person, as of the last look."""
        return any(copy[1] == number for copies in self._awaited.values() for copy in copies)

    @property
    def arrived_count(self) -> int:
        return len(self.shown)

    @property
    def recovered_count(self) -> int:
        return len(self.healed)

    @property
    def last_shown(self) -> float:
        return max(self.shown.values(), default=0.0)

    def slowest_to_heal(self, number: int) -> list[tuple[Copy, float, float]]:
        """Of those that took longest: the copy, when it was first asked for, and how many seconds it took."""
        took = [(copy, self.asked[copy], at - self.asked[copy]) for copy, at in self.healed.items()]
        return sorted(took, key=lambda one: -one[2])[:number]

    def seconds_to_heal(self) -> dict[str, float]:
        """From the first request to the moment when it could be read."""
        took = sorted(at - self.asked[copy] for copy, at in self.healed.items())
        if not took:
            return {}
        return {
            "p50": round(took[len(took) // 2], 3),
            "p99": round(took[min(len(took) * 99 // 100, len(took) - 1)], 3),
            "max": round(took[-1], 3),
        }
