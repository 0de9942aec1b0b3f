"""The notifications table as its stores see it: it waits for contended items, seals texts, and forgets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.dynamo.patient_table import PatientTable
from tocsin.notify.config import RETENTION_DAYS
from tocsin.timestamps import to_seconds

if TYPE_CHECKING:
    from tocsin.dynamo.table import IndexedTable
    from tocsin.notify.store.texts import Texts

_SECONDS_PER_DAY = 86_400


class NotificationsTable(PatientTable):
    """`texts`: what seals and opens what people wrote. `retention_days`: how long a record is kept after the
    moment that it tells of."""

    def __init__(
        self,
        table: IndexedTable,
        texts: Texts,
        retention_days: int = RETENTION_DAYS,
        *,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(table, random=random, sleep=sleep)
        self.texts = texts
        self.retention_days = retention_days

    def expire_at(self, at: int) -> int:
        """The time to live (seconds) of a record about the moment `at` (ms)."""
        return to_seconds(at) + self.retention_days * _SECONDS_PER_DAY
