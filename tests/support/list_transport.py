"""A second transport, as small as one can be: it writes into a list, and learns later what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.content import Content, Edit
from tocsin.notify.failure import OUTCOME_UNKNOWN, Failure, Permanent, Unknown, Wait
from tocsin.notify.receipts import Receipts
from tocsin.notify.replies import Replies, Reply
from tocsin.notify.transport import Address, Outgoing, Sent
from tocsin.tables.names import user_of


@dataclass(frozen=True)
class Written:
    """One entry of the list. `message_id`: the transport's own."""

    message_id: str
    recipient: str
    content: Content


@dataclass
class ListTransport:
    """Gives its own message ids when it sends. `failures`: what its next sends end with; `closed`: why the
    account can't send; `lost`: seconds until a send without an answer is asked about again, the message being
    written all the same; `edits`: whether it can change what it said. Also says, for those who look after
    what waits, how the account is."""

    receipts: Receipts
    replies: Replies
    written: list[Written] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    closed: Wait | None = None
    lost: int | None = None
    edits: bool = True
    clock: Callable[[], float] = time.time
    _notifications: dict[str, str] = field(default_factory=dict)

    # -- sending ---------------------------------------------------------------------------------------

    def address_of(self, account: str, recipient: str, known: Mapping[str, Any] | None) -> Address | None:
        return None

    def takes(self, account: str, recipient: str, content: Content) -> bool:
        return self.edits or not isinstance(content, Edit)

    def check(self, account: str, *, resumed: bool) -> None:
        if self.closed:
            raise self.closed

    def send(self, outgoing: Outgoing) -> Sent:
        if self.failures:
            raise self.failures.pop(0)
        if OUTCOME_UNKNOWN in outgoing.earlier and not outgoing.urgent:
            raise Permanent(OUTCOME_UNKNOWN, "said once, and never heard of")
        message_id = f"no-{len(self.written) + 1}"
        self.written.append(Written(message_id, outgoing.recipient, outgoing.content))
        self._notifications[message_id] = outgoing.notification
        if self.lost is not None:
            raise Unknown("no answer", due_at=int((self.clock() + self.lost) * 1000))
        return Sent(devices=1, message_id=message_id)

    # -- what parking asks -----------------------------------------------------------------------------

    def state(self, account: str) -> str | None:
        return None if self.closed else "connected"

    def resumed(self, account: str) -> None:
        pass

    def takes_first_contacts(self, account: str, *, urgent: bool = False) -> bool:
        return True

    # -- what is heard later ---------------------------------------------------------------------------

    def accepted(self, message_id: str, at: int) -> bool:
        return self.receipts.sent(self._notifications[message_id], at, message_id)

    def delivered(self, message_id: str, at: int) -> None:
        self.receipts.delivered(self._notifications[message_id], at, by="list")

    def read(self, message_id: str, at: int) -> None:
        self.receipts.read(self._notifications[message_id], at, by="list")

    def bounced(self, message_id: str, at: int) -> None:
        self.receipts.failed(self._notifications[message_id], Permanent("bounced", "nobody is there"), at)

    def answered(
        self, recipient: str, text: str, at: int, quoted: str = "", *, kind: str = "text", about: str = ""
    ) -> str:
        """Somebody writes to the account, or changes (`kind`) the answer `about`."""
        return self.replies.take(
            Reply(
                account="default",
                message_id=f"answer-{at}",
                names=(user_of(recipient),),
                kind=kind,
                text=text,
                at=at,
                quoted=self._notifications.get(quoted),
                about=about or None,
            )
        )
