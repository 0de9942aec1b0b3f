"""A look into a dead-letter queue.

SQS has no way to look without taking. A look takes messages one batch after the other, hides them meanwhile,
and gives back at its end what wasn't removed; should it die on the way, they come back by themselves.

Of a FIFO queue a look sees at most ten messages of each recipient: while some of a group are taken, SQS keeps
the rest of that group back. Those behind come as soon as the ones before them are removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from tocsin_console.trouble import DENIED

HIDDEN_SECONDS = 60
WAIT_SECONDS = 1
"""Without waiting, SQS asks only some of its servers and may say "empty" when it isn't."""

_BATCH = 10


Seen = Callable[[int], None]


class Look:
    """One look, to be used in a `with`. Messages are SQS's own, with their attributes."""

    def __init__(self, sqs: Any, url: str, seen: Seen = lambda count: None) -> None:
        self._sqs = sqs
        self._url = url
        self._tell_seen = seen
        self._receipts: dict[str, str] = {}
        self._seen: set[str] = set()
        self._may_discard = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what is still held. What can't be given back comes back by itself."""
        left = list(self._receipts.values())
        self._receipts.clear()
        for start in range(0, len(left), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for number, receipt in enumerate(left[start : start + _BATCH])
            ]
            with contextlib.suppress(ClientError):
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Every message that can be had, each once. Removing while iterating brings what stood behind."""
        while True:
            batch = self._receive()
            fresh = [message for message in batch if message["MessageId"] not in self._seen]
            for message in batch:
                self._receipts[message["MessageId"]] = message["ReceiptHandle"]
                self._seen.add(message["MessageId"])
            self._tell_seen(len(fresh))
            yield from fresh
            # Only known ones: the first have become visible again, so this look has come round.
            if not fresh:
                return

    def remove(self, message_id: str) -> None:
        """Take a message out of the queue for good. It must come from this look."""
        receipt = self._receipts.pop(message_id)
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)

    def discard(self, message_id: str) -> bool:
        """Take a message that nobody needs out of the queue; whether it is gone. An operator who may only
        look leaves it, and is refused but once; so does a look that took longer than messages are hidden."""
        if not self._may_discard:
            return False
        try:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=self._receipts[message_id])
        except ClientError as error:
            self._may_discard = error.response["Error"]["Code"] not in DENIED
            return False
        del self._receipts[message_id]
        return True

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", ()))


def depth(sqs: Any, url: str) -> dict[str, int]:
    """How many messages a queue holds, by SQS's own approximate count: `messages` that can be taken, and
    those `in_flight` (taken by somebody, or hidden for a while)."""
    names = {"messages": "ApproximateNumberOfMessages", "in_flight": "ApproximateNumberOfMessagesNotVisible"}
    found: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names.values()))[
        "Attributes"
    ]
    return {name: int(found[attribute]) for name, attribute in names.items()}


@dataclass(frozen=True)
class SqsQueue:
    """A queue of AWS, as `tocsin.notify.redrive` reads it. `seen`: hears how many messages came to light."""

    sqs: Any
    url: str
    seen: Seen = lambda count: None

    def look(self) -> Look:
        return Look(self.sqs, self.url, self.seen)

    def count(self) -> int:
        return sum(depth(self.sqs, self.url).values())
