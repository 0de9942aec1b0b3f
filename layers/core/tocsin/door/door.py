"""The door: authenticate, translate, put onto the bus, answer.

    find ─▶ key ─▶ source ─▶ rate ─▶ translate ─▶ reach ─▶ files ─▶ bus ─▶ answer

Nothing of a request is looked at before its key was right, but where it goes and how its dialect says no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tocsin.door.answer import Answer, Entry, Refused, not_found, unauthorised
from tocsin.door.dialect import Accepted, Call, Facts, Send, Tell
from tocsin.door.dialects import own
from tocsin.door.message import File, Message, checked, entry_of, id_of
from tocsin.door.request import BadRequest, Request
from tocsin.door.routing import DIALECTS, Found, find
from tocsin.door.sources import NAME, name_in

if TYPE_CHECKING:
    from tocsin.door.bus import Bus
    from tocsin.door.meter import Meter
    from tocsin.door.source_reader import SourceReader
    from tocsin.door.sources import Source

REMEMBERED_KEYS = 1000
REMEMBERED_MS = 600_000
_EVENTS = "events\0"
"""Before the key of events that no message stands for: no key of a message begins so."""


@dataclass
class Told:
    """What may be logged of one request: no text, no number, no key, no path. `code`: of a refusal."""

    source: str = ""
    dialect: str = ""
    status: int = 0
    code: str = ""
    ids: list[str] = field(default_factory=list)
    events: int = 0


Stow = Callable[[File, str], Mapping[str, Any]]
"""Where a file goes → how the event names it. Raises Refused."""


class Webhooks(Protocol):
    """What knows help desks (`hooks.Hooks`)."""

    def verified(self, source: Source, request: Request, now: int) -> Answer | None:
        """None if the request is the help desk's; an answer to a challenge. Raises Refused."""
        ...

    def translated(self, source: Source, request: Request, facts: Facts) -> Tell | Answer:
        """Raises Refused."""
        ...


class Door:
    """`seal`: seals the words of a sensitive event, so that the bus never sees them; `stow(file, name)`: puts
    a file where the sender finds it; `hooks`: knows help desks; `random(n)`: n random bytes. One for a
    process; not for threads."""

    def __init__(
        self,
        sources: SourceReader,
        meter: Meter,
        bus: Bus,
        facts: Callable[[int], Facts],
        seal: Callable[[Entry], Entry],
        stow: Stow,
        hooks: Webhooks,
        random: Callable[[int], bytes],
    ) -> None:
        self._sources = sources
        self._meter = meter
        self._bus = bus
        self._facts = facts
        self._seal = seal
        self._stow = stow
        self._hooks = hooks
        self._random = random
        self._keys: dict[str, tuple[int, str]] = {}

    def answer(self, request: Request, now: int) -> tuple[Answer, Told]:
        """Never raises for what a caller sent. `now`: ms."""
        told = Told()
        found = find(request)
        dialect = own if found is None or found.dialect is None else found.dialect
        told.dialect = "hooks" if found is not None and found.dialect is None else dialect.KIND
        try:
            if found is None:
                raise not_found("there is nothing at this path")
            answer = self._answered(request, found, told, now)
        except BadRequest as bad:
            refused = Refused(400, "invalid", str(bad))
            answer, told.code = dialect.refuse(refused), refused.code
        except Refused as refused:
            # What was wrong with a signature is for the operator; the sender is told one and the same.
            answer, told.code = dialect.refuse(refused), str(refused.facts.get("log", refused.code))
            if told.source:
                self._meter.refuse(told.source, told.code, now)
        told.status = answer.status
        return answer, told

    def _answered(self, request: Request, found: Found, told: Told, now: int) -> Answer:
        facts = self._facts(now)
        if found.dialect is None:
            source = self._sources.read(found.parts[0], now) if NAME.fullmatch(found.parts[0]) else None
            if source is None or source.kind in DIALECTS:
                raise unauthorised()
            told.source = source.name
            greeted = self._hooks.verified(source, request, now)
            if greeted is not None:
                return greeted
            self._admit(source, now)
            return self._done(self._hooks.translated(source, request, facts), source, told, now)
        source = self._source(found.dialect.token_of(request), told, now)
        if source.kind != found.dialect.KIND:
            raise Refused(403, "not-allowed", f"this key is of a source of kind {source.kind}")
        if found.route is None:
            raise Refused(405, "method-not-allowed", "there is no such method at this path")
        self._admit(source, now)
        result = found.route.handle(Call(request, found.parts, source, facts))
        return self._done(result, source, told, now)

    def _source(self, token: str, told: Told, now: int) -> Source:
        """Raises Refused (401), the same for whatever is wrong with a key."""
        name = name_in(token)
        source = self._sources.read(name, now) if name is not None else None
        if source is None:
            raise unauthorised()
        told.source = source.name
        if not source.is_called_with(token, now):
            raise unauthorised()
        return source

    def _admit(self, source: Source, now: int) -> None:
        if source.paused:
            raise Refused(403, "paused", "this source is paused")
        seconds = self._meter.hear(source, now)
        if seconds:
            reason = f"more than {source.per_minute} requests a minute"
            raise Refused(429, "rate-limited", reason, retry_after=seconds)

    def _done(self, result: Send | Tell | Answer, source: Source, told: Told, now: int) -> Answer:
        if isinstance(result, Answer):
            return result
        if isinstance(result, Tell):
            return self._told(result, source, told, now)
        return result.answer(self._sent(result.messages, source, told, now))

    def _told(self, result: Tell, source: Source, told: Told, now: int) -> Answer:
        name = id_of(source.name, f"{_EVENTS}{result.key}", self._random) if result.key else ""
        if name and result.again is not None and self._had(name, result.digest, now):
            return result.again
        self._bus.put(result.entries, source.name)
        if name:
            self._remember(name, result.digest, now)
        told.events = len(result.entries)
        if result.refused:
            told.code = result.refused
            self._meter.refuse(source.name, result.refused, now)
        return result.answer

    def _sent(self, messages: Sequence[Message], source: Source, told: Told, now: int) -> list[Accepted]:
        """All of them on the bus. Raises Refused: then the caller may ask for all of them again."""
        normal = self._facts(now).normal
        accepted = []
        for message in [checked(one, source, normal) for one in messages]:
            message_id = id_of(source.name, message.key, self._random)
            repeated = bool(message.key) and self._had(message_id, message.digest, now)
            accepted.append(Accepted(message_id, message, now, repeated))
        new = [one for one in accepted if not one.repeated]
        self._bus.put([self._entry(one, source) for one in new], source.name)
        for one in new:
            if one.message.key:
                self._remember(one.id, one.message.digest, now)
        told.ids, told.events = [one.id for one in accepted], len(new)
        return accepted

    def _entry(self, one: Accepted, source: Source) -> Entry:
        files = [
            self._stow(file, f"{source.name}/{one.id}/{number}")
            for number, file in enumerate(one.message.files)
        ]
        entry = entry_of(one.message, one.id, source.name, files)
        return self._seal(entry) if one.message.sensitive else entry

    def _had(self, name: str, digest: str, now: int) -> bool:
        """Whether this process put it before. Another one may have: the planner knows it by its key. Raises
        Refused (422) for a key that was another's."""
        at, known = self._keys.get(name, (0, ""))
        if not known or now - at > REMEMBERED_MS:
            return False
        if known != digest:
            raise Refused(422, "key-reused", "this key was given to another message")
        return True

    def _remember(self, name: str, digest: str, now: int) -> None:
        if len(self._keys) >= REMEMBERED_KEYS:
            for oldest in list(self._keys)[: REMEMBERED_KEYS // 2]:
                del self._keys[oldest]
        self._keys[name] = (now, digest)
