"""What a dialect is: the paths it answers, where its callers put the key, and how it says yes and no.

A dialect computes and asks nobody. What it has to know of the accounts, of messages and of the time, `Facts`
tells; what it wants done, it returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tocsin.door.answer import Answer, Entry
from tocsin.door.message import Message

if TYPE_CHECKING:
    from tocsin.accounts.state import AccountState
    from tocsin.door.request import Request
    from tocsin.door.sources import Source

ANY = "*"
"""In the pattern of a route: any one part of the path, handed on in `Call.parts`."""

ON, OFF = "on", "off"
SENSITIVE = "sensitive"
"""An option of a source: whether its texts hold passwords or codes."""


class Progress(NamedTuple):
    """How far one recipient's notification of a message got. `at`: ms. `reason`: of a failure."""

    notification: str
    state: str
    at: int
    reason: str = ""


class Facts(Protocol):
    """What handlers may ask. It reads, and changes nothing."""

    @property
    def now(self) -> int:
        """Milliseconds."""
        ...

    def states(self, accounts: Sequence[str]) -> Mapping[str, AccountState]:
        """The true state of each account."""
        ...

    def normal(self, phone: str) -> str:
        """The digits of a number in E.164. Raises ValueError with what is wrong with it."""
        ...

    def violations(self, entry: Entry, accounts: Sequence[str]) -> Sequence[str]:
        """What the schema of ticket events finds wrong with an event."""
        ...

    def progress(self, source: str, message_id: str) -> Sequence[Progress]:
        """What became of a message of a source; empty if nothing of that id is known (yet)."""
        ...


class Call(NamedTuple):
    """One request of a known source. `parts`: what stood in the path where the route has `*`."""

    request: Request
    parts: tuple[str, ...]
    source: Source
    facts: Facts


class Accepted(NamedTuple):
    """A message that the bus has. `at`: ms. `repeated`: it had it already, by the same key."""

    id: str
    message: Message
    at: int
    repeated: bool = False


@dataclass(frozen=True)
class Send:
    """What a handler wants sent, and how the caller is told once the bus has it."""

    messages: tuple[Message, ...]
    answer: Callable[[Sequence[Accepted]], Answer]


@dataclass(frozen=True)
class Tell:
    """Events that a handler wants on the bus as they are, and the answer once it has them. `refused`: the
    code of what was kept for the operator instead of told, for a caller who is answered as if it were.
    `key`: the caller's own name for them; `again`: the answer if they were told by that key before."""

    entries: tuple[Entry, ...]
    answer: Answer
    refused: str = ""
    key: str = ""
    again: Answer | None = None

    @property
    def digest(self) -> str:
        """Of what is told: the same key with another digest is a mistake of the caller's. In which order an
        object names its members says nothing: a caller may write it anew for each try."""
        said = json.dumps([[one.detail_type, one.detail] for one in self.entries], sort_keys=True)
        return sha256(said.encode(errors="replace")).hexdigest()


Handler = Callable[[Call], "Send | Tell | Answer"]


class Route(NamedTuple):
    """`pattern`: the parts of the path, `*` for any."""

    method: str
    pattern: tuple[str, ...]
    handle: Handler


class Dialect(Protocol):
    """A module of `dialects`."""

    KIND: str
    ROUTES: Sequence[Route]

    def token_of(self, request: Request) -> str:
        """The key as callers of this dialect send it; empty if there is none."""
        ...

    def refuse(self, refused: Any) -> Answer:
        """Say no as this dialect does."""
        ...


def bearer(request: Request) -> str:
    """The token behind `Authorization: Bearer`."""
    scheme, _, token = request.header("authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def basic(request: Request) -> tuple[str, str]:
    """User and password of `Authorization: Basic`; both empty if there is none."""
    import base64
    import binascii

    scheme, _, credentials = request.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return user, password


def idempotency_key(request: Request) -> str:
    """The caller's name for this request, in every dialect: draft-ietf-httpapi-idempotency-key-header."""
    return request.header("idempotency-key").strip('"')


def is_sensitive(source: Source, default: str = OFF) -> bool:
    return source.options.get(SENSITIVE, default) == ON


def account_named(source: Source, name: str) -> str | None:
    """Which of its accounts a source means by the name of an instance, session or device; None for none."""
    if name in source.accounts:
        return name
    return source.account if name in ("", source.name) else None
