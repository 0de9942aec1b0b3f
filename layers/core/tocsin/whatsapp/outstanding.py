"""What the server still owes an answer: requests, and the acks of messages. Each has a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.whatsapp.events import AckReceived, AckTimeout, Event, RequestTimeout, Response
from tocsin.whatsapp.node import Node


@dataclass(slots=True)
class _Pending:
    """A request without answer yet. `on_answer`: ours; without it the answer is an event for the shell."""

    deadline: float
    on_answer: Callable[[Node], None] | None = None


class Outstanding:
    """Requests by their ids and acks by the ids of messages. Several acks of one message may be awaited."""

    def __init__(self) -> None:
        self._requests: dict[str, _Pending] = {}
        self._acks: dict[str, deque[float]] = {}

    @property
    def deadlines(self) -> list[float]:
        """When to look again: of each request, and the first of each message's acks."""
        times = [pending.deadline for pending in self._requests.values()]
        return times + [deadlines[0] for deadlines in self._acks.values()]

    def asked(
        self, request_id: str, deadline: float, on_answer: Callable[[Node], None] | None = None
    ) -> None:
        self._requests[request_id] = _Pending(deadline, on_answer)

    def answered(self, node: Node) -> list[Event]:
        """Take in an iq of type result or error. One that nobody waits for is a ping's, or came too late."""
        request_id = node.optional_str("id") or ""
        pending = self._requests.pop(request_id, None)
        if pending is None:
            return []
        if pending.on_answer is not None:
            pending.on_answer(node)
            return []
        return [Response(request_id, node)]

    def await_ack(self, message_id: str, deadline: float) -> None:
        self._acks.setdefault(message_id, deque()).append(deadline)

    def settle_acks(self, message_id: str) -> None:
        self._acks.pop(message_id, None)

    def acknowledged(self, node: Node) -> list[Event]:
        """Take in an ack. Receipts bear message ids too, so only one of class message ends the wait."""
        if node.attrs.get("class") != "message":
            return []
        message_id = node.attr_str("id")
        deadlines = self._acks.get(message_id)
        if deadlines is None:
            return []
        deadlines.popleft()
        if not deadlines:
            del self._acks[message_id]
        return [AckReceived(message_id, node)]

    def expire(self, now: float) -> list[Event]:
        """Forget what is overdue, and tell of what the shell waits for."""
        events: list[Event] = []
        for request_id in [name for name, pending in self._requests.items() if now >= pending.deadline]:
            pending = self._requests.pop(request_id)
            if pending.on_answer is None:
                events.append(RequestTimeout(request_id))
        for message_id, deadlines in list(self._acks.items()):
            while deadlines and now >= deadlines[0]:
                deadlines.popleft()
                events.append(AckTimeout(message_id))
            if not deadlines:
                del self._acks[message_id]
        return events
