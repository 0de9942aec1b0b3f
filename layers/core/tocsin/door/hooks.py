"""Webhooks of help desks: verified, translated, and told to the bus.

greeting ─▶ signature ─▶ translate ─▶ phones ─▶ whom the source may reach ─▶ the bus
               │             └ refused: kept with every violation, and answered 200, for to try again is
               of no use └ 401, the same for whatever is wrong with it
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tocsin.door.answer import Answer, Refused, json_answer, unauthorised
from tocsin.door.desks.kept import REASON, kept
from tocsin.door.desks.kind import InvalidKind, Kind
from tocsin.door.desks.of_source import kind_of_source, options_of_source
from tocsin.door.desks.translate import Refusal, Translation, greeting, translate
from tocsin.door.dialect import Facts, Tell
from tocsin.door.signatures import TokenScheme, Verdict, tokens, verify
from tocsin.door.sources import FORMER_SECRET, SECRET
from tocsin.door.tickets import restricted
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import source_key

if TYPE_CHECKING:
    from tocsin.door.request import Request
    from tocsin.door.sources import Source
    from tocsin.dynamo.writes import Key

log = logging.getLogger(__name__)

METHODS = frozenset({"POST", "PUT", "PATCH"})

MAX_SECRETS = 200
"""Opened secrets that are remembered."""


class Vault(Protocol):
    """What opens sealed words, as `notify.store.texts.Texts` does."""

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]: ...


class Keep(Protocol):
    """Keeps what no event could be made of, as `notify.queues.TicketEventsDeadQueue.send` does."""

    def __call__(
        self, body: str, violations: Sequence[str], refused_at: int, *, reason: str = ...
    ) -> object: ...


Phones = Callable[["Source", Kind, Sequence[str]], Mapping[str, str]]
"""The phones of these ids of the help desk, as far as it tells them in time. Never raises."""


def no_phones(source: Source, kind: Kind, ids: Sequence[str]) -> Mapping[str, str]:
    return {}


class Hooks:
    """`vault`: opens the secrets of sources; `keep`: takes what is refused; `phones`: asks help desks for
    them."""

    def __init__(self, vault: Vault, keep: Keep, phones: Phones = no_phones) -> None:
        self._vault = vault
        self._keep = keep
        self._phones = phones
        self._secrets: dict[tuple[str, bytes], str] = {}

    def __call__(self, source: Source, request: Request, facts: Facts) -> Tell | Answer:
        """Both of what follows. Raises Refused."""
        return self.verified(source, request, facts.now) or self.translated(source, request, facts)

    def verified(self, source: Source, request: Request, now: int) -> Answer | None:
        """None if the request is the source's; an answer to a challenge or a ping. `now`: ms. Raises Refused:
        401, whose fact `log` says to the operator what was wrong; 503 for a source whose record is
        damaged."""
        kind = _kind(source)
        secrets = self._of(source, now)
        greeted = greeting(kind, secrets, request.method, request.headers, request.body, request.raw_query)
        if greeted is not None:
            return greeted
        verdict = authentic(kind, source, secrets, request, now)
        if verdict is not Verdict.RIGHT:
            log.warning(
                "a webhook is not its help desk's", extra={"source": source.name, "why": verdict.value}
            )
            refused = unauthorised()
            refused.facts = {"log": verdict.value}
            raise refused
        return None

    def translated(self, source: Source, request: Request, facts: Facts) -> Tell | Answer:
        """Raises Refused: 405 for a method that no help desk uses; 503 as above."""
        if request.method not in METHODS:
            raise Refused(405, "method-not-allowed", "webhooks are posted")
        return self._told(source, _kind(source), request, facts)

    def _told(self, source: Source, kind: Kind, request: Request, facts: Facts) -> Tell | Answer:
        options = options_of_source(source)
        result = translate(kind, request.headers, request.body, request.raw_query, facts.now / 1000, options)
        if isinstance(result, Answer):
            return result
        if isinstance(result, Refusal):
            return self._refused(source, kind, request, result, facts.now)
        if result.entry is None:
            return json_answer(200, {"ignored": result.ignored})
        if result.repairs:
            log.info("a webhook was repaired", extra={"source": source.name, "repairs": result.repairs})
        entry, left_out = restricted(self._with_phones(source, kind, result).entry, source, facts.normal)  # type: ignore[arg-type]
        if left_out:
            log.info("a source may not reach them", extra={"source": source.name, "left_out": left_out})
        return Tell((entry,), json_answer(200, {"accepted": entry.detail_type}))

    def _with_phones(self, source: Source, kind: Kind, told: Translation) -> Translation:
        if not told.wanted or kind.lookup is None or not source.client:
            return told
        ids = list(dict.fromkeys(one.id for one in told.wanted))
        return told.with_phones(self._phones(source, kind, ids))

    def _refused(self, source: Source, kind: Kind, request: Request, refusal: Refusal, now: int) -> Tell:
        log.error("a webhook can't be read", extra={"source": source.name, "violations": refusal.violations})
        body = kept(source.name, kind, request.headers, request.body, request.raw_query, refusal.ticket)
        self._keep(body, refusal.violations, now, reason=REASON)
        return Tell((), json_answer(200, {"refused": refusal.violations}), REASON)

    def _of(self, source: Source, now: int) -> list[str]:
        """The secrets that count now, opened. Raises Refused (503), and what keeps the vault's key away."""
        sealed = [(SECRET, source.secret)]
        if now < source.former_until:
            sealed.append((FORMER_SECRET, source.former_secret))
        try:
            return [self._opened(source, attribute, value) for attribute, value in sealed if value]
        except TextWithheld as refusal:
            log.error("a source's secret can't be opened", extra={"source": source.name, "why": refusal.why})
            reason = "the secret of this source can't be opened: tocsin sources rotate"
            raise Refused(503, "unavailable", reason, retry_after=300) from None

    def _opened(self, source: Source, attribute: str, sealed: bytes) -> str:
        known = self._secrets.get((source.name, sealed))
        if known is not None:
            return known
        if len(self._secrets) >= MAX_SECRETS:
            self._secrets.clear()
        opened = str(self._vault.open(sealed, source_key(source.name), attribute)["secret"])
        self._secrets[source.name, sealed] = opened
        return opened


def _kind(source: Source) -> Kind:
    """Raises Refused (503)."""
    try:
        return kind_of_source(source)
    except InvalidKind as error:
        log.error("a source's kind can't be used", extra={"source": source.name, "findings": error.findings})
        raise Refused(503, "unavailable", "this source's record is damaged", retry_after=300) from None


def authentic(kind: Kind, source: Source, secrets: Sequence[str], request: Request, now: int) -> Verdict:
    """Whether a request is the source's: signed with one of its secrets, or with its token. `now`: ms."""
    verdict = verify(kind.schemes, secrets, request.headers, request.body, request.raw_query, now / 1000)
    if verdict is Verdict.RIGHT or not source.hash:
        return verdict
    presented = [
        token
        for one in kind.schemes
        if isinstance(one, TokenScheme)
        for token in tokens(one, request.headers, request.raw_query)
    ]
    right = [source.is_called_with(token, now) for token in presented]
    return Verdict.RIGHT if any(right) else verdict
