"""Events of others on the bus become ticket events, by the mapping of a source of kind `bus`; and webhooks
that were refused are translated again when somebody redrives them.

    {"tocsin-source": NAME, "event": {…}}            what the rule of the source hands to the planner's queue
    document of the mapping's expressions:  event    the whole event, as it stood on the bus
                                            body     its detail
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tocsin.door.answer import Answer, Entry
from tocsin.door.desks.kept import REASON, restored
from tocsin.door.desks.kind import InvalidKind
from tocsin.door.desks.of_source import kind_of_source, options_of_source
from tocsin.door.desks.translate import Refusal, Translation, translate, translate_document
from tocsin.door.tickets import restricted
from tocsin.notify.events.checks import InvalidEvent
from tocsin.notify.events.envelope import load_envelope, marked
from tocsin.notify.events.foreign import OUTCOMES_SOURCE, SOURCE, WEBHOOK_REFUSED, Untold, Untranslatable

if TYPE_CHECKING:
    from tocsin.door.sources import Source

NOT_TRANSLATED: Final = "not-translated"
"""The reason of a dead letter that an event of the bus became."""


class ForeignEvents:
    """A `notify.events.foreign.Translate`. `source(name)`: the source's record, None if there is none;
    `normal(phone)`: digits in E.164, raises ValueError."""

    def __init__(self, source: Callable[[str], Source | None], normal: Callable[[str], str]) -> None:
        self._source = source
        self._normal = normal

    def __call__(self, body: str) -> str | Untranslatable | Untold:
        try:
            envelope = load_envelope(body)
        except InvalidEvent:
            return body
        name, event = envelope.get(SOURCE), envelope.get("event")
        if isinstance(name, str) and isinstance(event, dict) and "detail-type" not in envelope:
            return self._of_bus(name, event)
        detail = envelope.get("detail")
        if envelope.get("detail-type") == WEBHOOK_REFUSED and isinstance(detail, dict):
            return self._of_webhook(detail)
        return body

    def _of_bus(self, name: str, event: Mapping[str, Any]) -> str | Untranslatable | Untold:
        source = self._source(name)
        if source is None:
            return Untranslatable((f"source: there is none named {name[:40]!r}",), NOT_TRANSLATED)
        if source.paused:
            return Untranslatable((f"source: {name[:40]} is paused",), NOT_TRANSLATED)
        if event.get("source") == OUTCOMES_SOURCE:
            # Each of them told would make others, without an end, and a pattern hears more than it names.
            return Untold(source.name, "an outcome of Tocsin's own")
        try:
            result = translate_event(source, event)
        except InvalidKind as error:
            return Untranslatable(error.findings, NOT_TRANSLATED)
        return self._told(result, source, event, NOT_TRANSLATED)

    def _of_webhook(self, detail: Mapping[str, Any]) -> str | Untranslatable | Untold:
        found = restored(detail)
        if found is None:
            return Untranslatable(("webhook: only its beginning was kept",), REASON)
        name, headers, raw, query = found
        source = self._source(name)
        if source is None:
            return Untranslatable((f"source: there is none named {name[:40]!r}",), REASON)
        try:
            kind = kind_of_source(source)
        except InvalidKind as error:
            return Untranslatable(error.findings, REASON)
        result = translate(kind, headers, raw, query, 0, options_of_source(source))
        return self._told(result, source, {}, REASON)

    def _told(
        self,
        result: Translation | Answer | Refusal,
        source: Source,
        event: Mapping[str, Any],
        reason: str,
    ) -> str | Untranslatable | Untold:
        if isinstance(result, Refusal):
            return Untranslatable(result.violations, reason)
        if isinstance(result, Answer):
            return Untold(source.name, "a ping")
        if result.entry is None:
            return Untold(source.name, result.ignored)
        entry, _ = restricted(result.entry, source, self._normal)
        return _body(entry, event, source)


def translate_event(source: Source, event: Mapping[str, Any]) -> Translation | Answer | Refusal:
    """What becomes of an event of the bus. Raises InvalidKind for a source whose mapping can't be used."""
    detail = event.get("detail")
    document = {
        "event": event,
        "body": detail if isinstance(detail, dict) else {},
        "headers": {},
        "query": {},
    }
    # The bus may hand on an event twice, and then with the same id.
    identity = str(event.get("id", "")) or json.dumps(event, sort_keys=True)
    return translate_document(
        kind_of_source(source), document, identity.encode(errors="replace"), options_of_source(source)
    )


def _body(entry: Entry, event: Mapping[str, Any], source: Source) -> str:
    """As EventBridge would hand on the ticket event: with the id and the time of the event that it was, and
    who brought it."""
    told = {name: event[name] for name in ("id", "time", "source", "account", "region") if name in event}
    told["resources"] = [marked(source.name)]
    return json.dumps({**told, "detail-type": entry.detail_type, "detail": entry.detail}, ensure_ascii=False)
