"""What follows from something that happened while a device is linked: events to tell, a request to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.whatsapp.events import Event
from tocsin.whatsapp.node import Node


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send. `on_answer` takes its answer, result or error, and the time."""

    node: Node
    on_answer: Callable[[Node, float], Then]


@dataclass(frozen=True, slots=True)
class Then:
    events: list[Event] = field(default_factory=list)
    ask: Ask | None = None
