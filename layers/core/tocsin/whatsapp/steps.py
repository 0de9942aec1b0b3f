"""What follows from something that happened while a device is linked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.whatsapp.events import Event
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import Reaction


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send. `on_answer` takes its answer, result or error, and the time."""

    node: Node
    on_answer: Callable[[Node, float], Then]


@dataclass(frozen=True, slots=True)
class Then:
    """In this order: a stanza to send, events to tell, a request to send, the end of the connection."""

    events: list[Event] = field(default_factory=list)
    ask: Ask | None = None
    send: Node | None = None
    end: Reaction | None = None
