"""Waiting in a queue: a record that can't be handled now is delivered again later.

A notification waits in the table instead (`Stores.park`); this is for a retry's few seconds, and
for stanzas that need the connector while there is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from tocsin.notify.failure import Failure, Retry
from tocsin.notify.visibility import hidden

if TYPE_CHECKING:
    from tocsin.notify.lanes import Record

FIRST_WAIT_SECONDS = 1
"""Of a stanza, doubled each time: a connection that was cut off is back after a second."""
AGAIN_SECONDS = 2
"""After which a record of a standard queue comes again that could not be handled at once."""
MAX_WAIT_SECONDS = 300
MAX_RECEIVES = 50
"""Of a stanza: then the queue's redrive policy takes it for one that crashes. Refused polls count, too."""
RECEIVES_BEFORE_RENEWAL = 15
"""The later, the better: a copy is overtaken. The waits until then are over half an hour: no deployment, and
no task that AWS takes away, lasts so long."""
STANZA_EXPIRY_SECONDS = 24 * 3600
_T = TypeVar("_T")
_BATCH = 10
"""Entries that SQS takes in one request."""


class Redelivery:
    """Defers records of one SQS queue."""

    def __init__(self, sqs: Any, queue_url: str, *, heartbeat: Any = None) -> None:
        """`heartbeat`: a client of SQS that gives up within a second, for `holding`; default: `sqs`."""
        self._sqs = sqs
        self._queue_url = queue_url
        self._heartbeat = heartbeat or sqs

    def holding(self, records: Sequence[Record], *, after: float = 0.0) -> AbstractContextManager[None]:
        """While the block runs, keep at most ten records hidden; see `visibility.hidden`."""
        return hidden(self._heartbeat, self._queue_url, records, after=after)

    def give_back(self, handles: Sequence[str], seconds: float) -> None:
        """Let a lane's records be seen again after `seconds`, all of them: the queue brings nothing of a lane
        while one of it is still out. What SQS refuses comes back when its own time is over."""
        self._let_be_seen([(handle, max(0, round(seconds))) for handle in handles])

    def defer_all(self, records: Sequence[tuple[str, int]]) -> None:
        """Make records of a standard queue come again after a moment, longer each time. Of each its handle
        and how often it was received."""
        self._let_be_seen([(handle, _doubled(AGAIN_SECONDS, receives)) for handle, receives in records])

    def _let_be_seen(self, records: Sequence[tuple[str, int]]) -> None:
        """Of each its handle, and after how many seconds."""
        for some in _batches(records):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                    for place, (handle, seconds) in enumerate(some)
                ],
            )

    def forget(self, handles: Sequence[str]) -> None:
        """Delete records that are done, before the invocation says so."""
        for some in _batches(handles):
            self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(some)],
            )

    def wait_for(self, record: Record, failure: Failure, now: int) -> float | None:
        """Return in how many seconds a stanza shall come again, for a reason that may pass; `None` if a copy
        took over.

        The queue counts receives, and what comes often is tried alone, as something that crashes. So before
        that a copy starts over, at the end of its group. One that is older than a day isn't worth it any
        more: the failure itself is raised. `now`: ms.
        """
        if now - received_at(record.body) > STANZA_EXPIRY_SECONDS * 1000:
            raise failure
        if record.receives <= RECEIVES_BEFORE_RENEWAL:
            asked = failure.not_before if isinstance(failure, Retry) else 0
            return float(min(max(wait_seconds(record.receives), asked), MAX_WAIT_SECONDS))
        self.start_over(record)
        return None

    def start_over(self, record: Record, *, lane: str | None = None) -> None:
        """Put a copy of a record of a FIFO queue at the end of its group, or of another one (`lane`); its
        receives count from one."""
        digest = hashlib.sha256(f"{record.handle}\0{record.body}".encode()).hexdigest()
        self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=record.body,
            MessageGroupId=lane or record.lane or "",
            MessageDeduplicationId=digest,
        )


def wait_seconds(receives: int) -> int:
    """Return how long a stanza waits after so many receives: one second, doubling to 300."""
    return _doubled(FIRST_WAIT_SECONDS, receives)


def _doubled(first: int, receives: int) -> int:
    """Return `first` seconds, doubled with each further receive, at most MAX_WAIT_SECONDS."""
    return int(min(first * 2 ** min(receives - 1, 10), MAX_WAIT_SECONDS))


def _batches(entries: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """What fits one request, each time."""
    return (entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH))


def received_at(body: str) -> int:
    """Return when the connector received a stanza (ms); 0 if the body doesn't say."""
    try:
        return int(json.loads(body)["received_at"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return 0
