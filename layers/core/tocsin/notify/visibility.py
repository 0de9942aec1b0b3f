"""A visibility heartbeat: what a run has in hand is hidden for seconds, and again and again while it runs.

Lambda refuses a queue that hides its messages for less than the function may run. So what a killed process
had in hand would stay hidden for minutes, and a FIFO queue keeps the rest of its message group back as long.

    queue's own time    ├──────────────────────────────────────────────────────────┤  120 s, 360 s
    heartbeat           ├──┤├──┤├──┤ done, deleted
    killed              ├──┤├──×  comes again 2 to 3 s later

A beat that comes late lets a message be brought to a second run while the first one still has it. That does
no harm: a stanza is known by its record, and an order is sent again under the same message id. It counts a
receive all the same, so one request that gets no answer must not bring it about: the client gives a beat up
when the next one is due (`aws.HEARTBEAT`).

What the queue brought often may be what kills. Its time stays the queue's own: it kills once in minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.notify.lanes import Record

log = logging.getLogger(__name__)

HIDDEN_SECONDS = 3
BEAT_SECONDS = 1.0
"""From beat to beat. One may be lost, and the next one as late as its client waits for an answer."""

JOIN_SECONDS = 3.0
"""How long the end of a run waits for a beat that is under way."""

SUSPECT_RECEIVES = 3
"""What came so often may be what kills whoever handles it."""


@contextmanager
def hidden(
    sqs: Any, queue_url: str, records: Sequence[Record], *, after: float = 0.0, beat: float = BEAT_SECONDS
) -> Iterator[None]:
    """Keep records of one invocation hidden while the block runs, and not much longer.

    `after`: seconds until the first beat. A block that ends before costs no request; one that is killed
    before leaves its records to the queue's own time. When the block is left no request is under way, so
    that what is given back afterwards stays given back. A client that doesn't give up holds nobody up: a
    beat that arrives after all brings what was given back too early, once.
    """
    held = [record for record in records if record.receives < SUSPECT_RECEIVES]
    if not held:
        yield
        return
    over = Event()
    heart = Thread(
        target=_beat, args=(sqs, queue_url, held, over, after, beat), name="visibility", daemon=True
    )
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join(JOIN_SECONDS)
        if heart.is_alive():
            log.warning("a beat is still under way", extra={"messages": len(held)})


def _beat(sqs: Any, url: str, held: Sequence[Record], over: Event, after: float, beat: float) -> None:
    pause = after
    while held and not over.wait(pause):
        begun = monotonic()
        try:
            held = _renew(sqs, url, held)
        except Exception:
            # They come again when their time in the queue is over; the next beat may get through.
            log.warning("visibility not renewed", exc_info=True, extra={"messages": len(held)})
        pause = max(0.0, beat - (monotonic() - begun))


def _renew(sqs: Any, url: str, held: Sequence[Record]) -> Sequence[Record]:
    """Hide records from now on. Return those that may still be ours: not deleted, nor brought to another run.
    Where SQS itself was at fault the next beat asks again."""
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": str(place), "ReceiptHandle": record.handle, "VisibilityTimeout": HIDDEN_SECONDS}
            for place, record in enumerate(held)
        ],
    )
    refused = [failure for failure in answer.get("Failed", ()) if failure.get("SenderFault", True)]
    gone = {int(failure["Id"]): failure["Code"] for failure in refused}
    if gone:
        log.info("records left the run", extra={"messages": len(gone), "codes": sorted(set(gone.values()))})
    return [record for place, record in enumerate(held) if place not in gone]
