"""What WhatsApp lets an account do: asked of it, told by it, and what follows from a refused message.

    463   is the account locked? ── yes ──▶ every first contact waits for the lock's end
                                 ├─ no ───▶ this recipient must write first; others go on
                                 └─ no answer ▶ taken for a lock, for an hour
    475   this cycle's new chats are used up: first contacts wait for the cycle's end

One question of a kind at a time, and its answer is good for a minute, so a hundred refusals ask once. Asked
at login, before a first contact when the last answer is older than an hour, and each hour while something
holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

from tocsin.accounts.challenge import Challenge
from tocsin.accounts.limits import (
    COLD_REFUSALS,
    FEW_NEW_CHATS,
    FIRST_CONTACTS,
    MESSAGES,
    NEW_CHAT_QUOTA,
    NEW_CHATS,
    REACHOUT_LOCK,
    Limit,
)
from tocsin.accounts.quota import CAPPED, OPEN, SECOND_WARNING, Quota
from tocsin.connector.aws import Aws
from tocsin.connector.gateway.limits import WORDS, Limits
from tocsin.connector.notices import Notices
from tocsin.connector.socket import Line, LineClosed, LineLost
from tocsin.connector_client import protocol
from tocsin.keys.store import KeyStore
from tocsin.settings.declared import LAST_NEW_CHATS, URGENT_ONLY
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.timestamps import iso
from tocsin.whatsapp.account_health import (
    AccountNews,
    MassComplaints,
    NewChatQuota,
    ReachoutLock,
    SecurityChallenge,
    parse_quota_answer,
    parse_reachout_answer,
    quota_queries,
    reachout_query,
)
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.node import Node

log = logging.getLogger(__name__)

A = TypeVar("A")

GOOD_SECONDS: Final = 60.0
"""How long an answer, or that none came, is good for the next refusal."""

NO_ANSWER_SECONDS: Final = 600.0
"""How long nobody asks again before a first contact when no answer came: each would wait for one."""

ASK_AGAIN_SECONDS: Final = 3600.0
"""After which a first contact asks first; and how often a limit is asked about."""

QUESTION_SECONDS: Final = 10.0
"""How long an answer may take. Whoever sends a message waits for it."""

UNANSWERED_SECONDS: Final = 3600
"""How long a lock is taken to last that nobody confirmed, and one whose told end has passed."""

MANY_COLD: Final = 3
COLD_SECONDS: Final = 3600
"""So many people in an hour who must all write first: going on is what leads to a lock."""


class Question(Generic[A]):
    """One kind of question: asked by one at a time, its answer remembered."""

    def __init__(self, ask: Callable[[], Awaitable[A | None]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._answer: A | None = None
        self._at = float("-inf")

    async def answer(self, good_for: float = GOOD_SECONDS) -> A | None:
        """The answer, not older than `good_for` seconds; `None` if none came, which is good for ten minutes
        at most."""
        async with self._asking:
            if self._answer is None:
                good_for = min(good_for, NO_ANSWER_SECONDS)
            if time.monotonic() - self._at >= good_for:
                try:
                    self._answer = await self._ask()
                finally:
                    self._at = time.monotonic()
            return self._answer

    def told(self, answer: A) -> None:
        """It was told without being asked for."""
        self._answer, self._at = answer, time.monotonic()

    def forget(self) -> None:
        self._answer, self._at = None, float("-inf")


class AccountHealth:
    """Of one account, for as long as this process has it. `line`: the connection, while logged in."""

    def __init__(
        self,
        aws: Aws,
        notices: Notices,
        keys: KeyStore,
        account: str,
        limits: Limits,
        *,
        on_cold: Callable[[], None] = lambda: None,
        settings: CurrentSettings = unchanged_settings,
    ) -> None:
        """`on_cold`: called for each refused message to somebody who must write first."""
        self._on_cold = on_cold
        self._settings = settings
        self._aws = aws
        self._notices = notices
        self._keys = keys
        self._account = account
        self.limits = limits
        self._line: Line | None = None
        self._lock: Question[ReachoutLock] = Question(self._ask_lock)
        # What was heard before a message was refused says nothing of why: a lock may have begun since.
        self._why: Question[ReachoutLock] = Question(self._ask_lock)
        self._quota: Question[NewChatQuota] = Question(self._ask_quota)
        self._cold: deque[tuple[float, str]] = deque()
        self.quota: Quota | None = None

    # -- the connection ------------------------------------------------------------------------------------

    def begin(self, line: Line) -> None:
        """Logged in: what was asked before was another login's."""
        self._line = line
        self._lock.forget()
        self._why.forget()
        self._quota.forget()

    def end(self) -> None:
        self._line = None

    async def look(self) -> None:
        """After a login: ask, and forget what the last refused login said."""
        try:
            await self._aws.call(self._keys.account.forget_login_refusal)
        except Exception as exc:  # noqa: BLE001  the table is away: the record stays, and is only shown
            log.warning("the last refusal can't be forgotten: %s", exc, extra={"account": self._account})
        await self._ask_all(0)

    async def watch(self) -> None:
        """As long as connected: each hour, while something keeps first contacts back, ask about it."""
        while True:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            if self.limits.for_first_contacts() is not None:
                await self._ask_all(GOOD_SECONDS)

    async def before_first_contact(self) -> None:
        """Ask, if nobody has for an hour: to try is what makes it worse."""
        await self._ask_all(ASK_AGAIN_SECONDS)

    async def _ask_all(self, good_for: float) -> None:
        await asyncio.gather(self._lock.answer(good_for), self._quota.answer(good_for))

    # -- what is told --------------------------------------------------------------------------------------

    async def hear(self, news: AccountNews) -> None:
        """Put into effect what WhatsApp says by itself."""
        match news:
            case ReachoutLock():
                self._lock.told(news)
                self._why.told(news)
                await self._heed_lock(news)
            case NewChatQuota():
                self._quota.told(news)
                await self._heed_quota(news)
            case SecurityChallenge():
                await self._challenged(news.type)
            case MassComplaints():
                log.error("many complained about the account", extra={"account": self._account})

    async def _challenged(self, word: str) -> None:
        log.error(
            "WhatsApp asks for a security check: open it on the phone",
            extra={"account": self._account, "challenge": word},
        )
        try:
            await self._aws.call(self._keys.account.note_challenge, Challenge(word, int(time.time())))
        except Exception as exc:  # noqa: BLE001  the table is away: the bus and the log tell of it
            log.error("the security check can't be written down: %s", exc, extra={"account": self._account})
        await self._notices.tell("AccountChallenged", self._account, {"challenge": word or None})

    async def refused(self, error: str, to: str) -> Mapping[str, str]:
        """A message to `to` was refused with `error`. If that means the account, it is written down before
        anybody is told. What the function must know, as attributes of the ack."""
        if error == "463":
            return await self._first_contact_refused(to)
        if error == "475":
            return _verdict(protocol.CAPPED, await self._new_chats_used_up())
        before = self.limits.strictest()
        limit = await self.limits.refused(error)
        if limit is not None and before is None:
            await self._tell_limit(limit)
        return {}

    async def _first_contact_refused(self, to: str) -> Mapping[str, str]:
        lock = await self._why.answer()
        if lock is None:
            until = time.time() + UNANSWERED_SECONDS
            return _verdict(
                protocol.LOCKED, await self._limit(FIRST_CONTACTS, REACHOUT_LOCK, until, guessed=True)
            )
        if lock.active:
            return _verdict(protocol.LOCKED, await self._heed_lock(lock))
        log.warning("a recipient must write first", extra={"account": self._account})
        self._on_cold()
        await self._count_cold(to)
        return {protocol.VERDICT: protocol.COLD}

    async def _new_chats_used_up(self) -> Limit:
        quota = await self._quota.answer()
        end = quota.cycle_end if quota is not None else None
        if end is not None and end > time.time():
            return await self._limit(NEW_CHATS, NEW_CHAT_QUOTA, end)
        guess = time.time() + protocol.RESTRICTION_SECONDS
        return await self._limit(NEW_CHATS, NEW_CHAT_QUOTA, guess, guessed=True)

    async def _count_cold(self, to: str) -> None:
        """Several people in a row who must write first: no more strangers for an hour."""
        now = time.time()
        self._cold.append((now, to))
        while self._cold[0][0] < now - COLD_SECONDS:
            self._cold.popleft()
        if len({who for _, who in self._cold}) >= MANY_COLD:
            self._cold.clear()
            await self._limit(COLD_REFUSALS, COLD_REFUSALS, now + COLD_SECONDS)

    # -- what is asked -------------------------------------------------------------------------------------

    async def _ask_lock(self) -> ReachoutLock | None:
        answer = await self._asked(reachout_query(), QUESTION_SECONDS)
        with contextlib.suppress(WireError):
            lock = parse_reachout_answer(answer) if answer is not None else None
            if lock is not None:
                await self._heed_lock(lock)
            return lock
        return None

    async def _ask_quota(self) -> NewChatQuota | None:
        for query in quota_queries():
            answer = await self._asked(query, QUESTION_SECONDS / 2)
            if answer is None:
                return None
            with contextlib.suppress(WireError):
                quota = parse_quota_answer(answer)
                if quota is None:
                    return NewChatQuota(None, None, None)  # there is none: an answer, too
                await self._heed_quota(quota)
                return quota
        return None

    async def _asked(self, query: Node, seconds: float) -> Node | None:
        if self._line is None:
            return None
        try:
            return await self._line.request(query, seconds)
        except (TimeoutError, LineLost, LineClosed):
            return None

    # -- what follows --------------------------------------------------------------------------------------

    async def _heed_lock(self, lock: ReachoutLock) -> Limit:
        """Write down what counts. It isn't over because no end is told, nor because the told one has passed;
        it is, once WhatsApp says so."""
        now = time.time()
        if not lock.active:
            return await self._lift(FIRST_CONTACTS)
        if lock.until is not None and lock.until > now:
            return await self._limit(FIRST_CONTACTS, REACHOUT_LOCK, lock.until, word=lock.type)
        seconds = protocol.RESTRICTION_SECONDS if lock.until is None else UNANSWERED_SECONDS
        return await self._limit(FIRST_CONTACTS, REACHOUT_LOCK, now + seconds, guessed=True, word=lock.type)

    async def _heed_quota(self, told: NewChatQuota) -> None:
        now = time.time()
        quota = Quota(
            told.used, told.total, told.cycle_end, told.status, int(now), told.extension, told.verified
        )
        try:
            before = await self._aws.call(self._keys.account.note_quota, quota)
        except Exception as exc:  # noqa: BLE001  the table is away: we know it
            log.error("the quota can't be written down: %s", exc, extra={"account": self._account})
            before = self.quota
        self.quota = quota
        if told.is_used_up and (told.cycle_end is None or told.cycle_end > now):
            await self._new_chats_capped(told, now)
        elif told.status in OPEN:
            await self._lift(NEW_CHATS)
        await self._keep_the_last(told, now)
        was = (before.status, before.cycle_end) if before is not None and before.is_warning(now) else None
        if quota.is_warning(now) and was != (quota.status, quota.cycle_end):
            log.warning("new chats are running out", extra={"account": self._account, "status": quota.status})
            await self._notices.tell("AccountQuota", self._account, _quota_facts(quota))

    async def _keep_the_last(self, told: NewChatQuota, now: float) -> None:
        """After the second warning the last new chats are for what is urgent, unless a setting says else."""
        wanted = self._settings().value(LAST_NEW_CHATS, account=self._account) == URGENT_ONLY
        ends = told.cycle_end if told.cycle_end is not None and told.cycle_end > now else None
        if told.status == SECOND_WARNING and wanted and ends is not None:
            await self._limit(FEW_NEW_CHATS, NEW_CHAT_QUOTA, ends)
        elif told.status in (*OPEN, CAPPED):
            await self._lift(FEW_NEW_CHATS)

    async def _new_chats_capped(self, told: NewChatQuota, now: float) -> Limit:
        if told.cycle_end is not None:
            return await self._limit(NEW_CHATS, NEW_CHAT_QUOTA, told.cycle_end)
        guess = now + protocol.RESTRICTION_SECONDS
        return await self._limit(NEW_CHATS, NEW_CHAT_QUOTA, guess, guessed=True)

    async def _limit(
        self, kind: str, cause: str, until: float, *, guessed: bool = False, word: str = ""
    ) -> Limit:
        """Write down a limit; tell of it if it is news. What counts."""
        before = self.limits.active(kind)
        limit = await self.limits.hear(kind, cause, until, guessed=guessed, word=word)
        if before is None or _is_news(before, limit):
            await self._tell_limit(limit)
        return limit

    async def _lift(self, kind: str) -> Limit:
        before = self.limits.active(kind)
        if before is None:
            return Limit(kind, "", 0, int(time.time()))
        lifted = await self.limits.hear(kind, before.cause, 0)
        log.warning("first contacts are free again", extra={"account": self._account, "limit": kind})
        facts = {
            "kind": FIRST_CONTACTS,
            "cause": before.cause,
            "free": self.limits.for_first_contacts() is None,
        }
        await self._notices.tell("AccountRestrictionLifted", self._account, facts)
        if self.limits.for_first_contacts() is None:
            await self._notices.ask_resume(self._account)
        return lifted

    async def _tell_limit(self, limit: Limit) -> None:
        """What an operator must hear: in the log and on the bus; the lease says it by the session."""
        facts = {
            "kind": limit.kind if limit.kind == MESSAGES else FIRST_CONTACTS,
            "cause": limit.cause,
            "type": limit.type or None,
            "until": iso(limit.until * 1000),
            "guessed": limit.guessed,
        }
        log.error("account restricted", extra={"account": self._account, **_logged(facts)})
        await self._notices.tell("AccountRestricted", self._account, facts)
        why = f"{WORDS[limit.kind]} ({limit.cause})"
        await self._notices.disconnected(self._account, "restricted", why, until=limit.until)


def _verdict(word: str, limit: Limit) -> Mapping[str, str]:
    return {protocol.VERDICT: word, protocol.VERDICT_UNTIL: str(limit.until)}


def _is_news(before: Limit, now: Limit) -> bool:
    """A guess that is renewed isn't."""
    if before.guessed and now.guessed:
        return False
    return (before.until, before.guessed, before.type) != (now.until, now.guessed, now.type)


def _logged(facts: Mapping[str, object]) -> dict[str, object]:
    """As the log has called them since 0.1.0."""
    return {
        "limit": facts["kind"],
        "code": facts["cause"],
        "until": facts["until"],
        "guessed": facts["guessed"],
    }


def _quota_facts(quota: Quota) -> dict[str, object]:
    return {
        "used": quota.used,
        "total": quota.total,
        "cycle_end": iso(quota.cycle_end * 1000) if quota.cycle_end is not None else None,
        "status": quota.status,
    }
