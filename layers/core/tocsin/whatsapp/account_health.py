"""What WhatsApp tells of the account itself: its lock for first contacts, its quota of new chats, checks.

Told in the `<update>` children of a `mex` notification, and answered to queries in the namespace `w:mex`.
Both hold JSON, with numbers as numbers or as text. Query ids belong to a client release and change: an answer
with `errors`, or a refusal, means "unknown", never "free".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from tocsin.whatsapp import iq
from tocsin.whatsapp.bounds import MAX_NUMBER
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.node import Node

MAX_UPDATES: Final = 64
"""Of one notification that are read. One or two are usual."""

MAX_WORD: Final = 64
"""Characters of a word of an open set (`enforcement_type`, `capping_status`) that are kept."""


@dataclass(frozen=True, slots=True)
class ReachoutLock:
    """The account may not open new chats, if `active`, until `until` (Unix seconds; `None`: no end was told,
    which is not "over"). `type`: WhatsApp's word for the kind of lock, as it came."""

    active: bool
    until: int | None
    type: str = ""


@dataclass(frozen=True, slots=True)
class NewChatQuota:
    """How many new chats of the cycle are used. `total`: `None` where there is no cap. `cycle_end`: Unix
    seconds. `status`: NONE, FIRST_WARNING, SECOND_WARNING, CAPPED, or another word, as it came; `extension`
    and `verified` likewise, about what the owner may do on the phone."""

    used: int | None
    total: int | None
    cycle_end: int | None
    status: str = ""
    extension: str = ""
    verified: str = ""

    @property
    def is_used_up(self) -> bool:
        return self.status == "CAPPED"


@dataclass(frozen=True, slots=True)
class SecurityChallenge:
    """WhatsApp asks the owner for a security check, which a linked device can't answer."""

    type: str = ""


@dataclass(frozen=True, slots=True)
class MassComplaints:
    """WhatsApp noticed complaints by many. What it says of them isn't known."""


AccountNews = ReachoutLock | NewChatQuota | SecurityChallenge | MassComplaints

_LOCK_UPDATE: Final = "NotificationUserReachoutTimelockUpdate"
_QUOTA_UPDATE: Final = "MessageCappingInfoNotification"
_CHALLENGE_UPDATE: Final = "NotificationIntegrityChallengeRequest"
_COMPLAINTS_UPDATE: Final = "NotificationUserBrigadingUpdate"

_LOCK_NEWS: Final = "xwa2_notify_account_reachout_timelock"
_LOCK_ANSWER: Final = "xwa2_fetch_account_reachout_timelock"
_QUOTA_NEWS: Final = "xwa2_notify_new_chat_messages_capping_info_update"
_QUOTA_ANSWER: Final = "xwa2_message_capping_info"

_REACHOUT_QUERY: Final = "23983697327930364"
_QUOTA_QUERIES: Final = ("27910975521856601", "24503548349331633")
"""The newest id first; the older one if that errs."""


def read_updates(node: Node) -> tuple[tuple[AccountNews, ...], int]:
    """What the `<update>` children of a `mex` notification tell, in their order, and how many of those that
    are known by name can't be read, or come after more than are read."""
    news: list[AccountNews] = []
    updates = node.children("update")
    unreadable = max(len(updates) - MAX_UPDATES, 0)
    for update in updates[:MAX_UPDATES]:
        try:
            found = _read_update(update)
        except InvalidStanza:
            unreadable += 1
            continue
        if found is not None:
            news.append(found)
    return tuple(news), unreadable


def _read_update(update: Node) -> AccountNews | None:
    """`None` for an update of no use to us. Raises `InvalidStanza`."""
    name = update.attrs.get("op_name")
    if name == _LOCK_UPDATE:
        return _lock(_required(_told(update.text(), _LOCK_NEWS)))
    if name == _QUOTA_UPDATE:
        return _quota(_required(_told(update.text(), _QUOTA_NEWS)))
    if name == _CHALLENGE_UPDATE:
        return SecurityChallenge(_challenge_type(update))
    return MassComplaints() if name == _COMPLAINTS_UPDATE else None


def reachout_query() -> Node:
    """Ask whether the account is locked for first contacts. The answer is for `parse_reachout_answer`."""
    return _query(_REACHOUT_QUERY, {})


def parse_reachout_answer(answer: Node) -> ReachoutLock:
    """Raises `IqRefused` or `InvalidStanza` where it tells nothing."""
    told = _told(_answered(answer), _LOCK_ANSWER)
    return ReachoutLock(False, None) if told is None else _lock(told)


def quota_queries() -> tuple[Node, ...]:
    """Ask for the quota of new chats: the next of these where one tells nothing."""
    return tuple(_query(name, {"input": {"type": "INDIVIDUAL_NEW_CHAT_THREAD"}}) for name in _QUOTA_QUERIES)


def parse_quota_answer(answer: Node) -> NewChatQuota | None:
    """`None`: there is none. Raises `IqRefused` or `InvalidStanza` where it tells nothing."""
    told = _told(_answered(answer), _QUOTA_ANSWER)
    return None if told is None else _quota(told)


def _query(name: str, variables: dict[str, Any]) -> Node:
    text = json.dumps({"variables": variables}, separators=(",", ":")).encode()
    return iq.request("get", "w:mex", Node("query", {"query_id": name}, text))


def _answered(answer: Node) -> str:
    return iq.checked(answer).require_child("result").text()


def _told(text: str, path: str) -> dict[str, Any] | None:
    """What stands under `data` and `path`; `None` where either is null, and no error is told."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidStanza("mex: no JSON") from exc
    if not isinstance(body, dict) or body.get("errors"):
        raise InvalidStanza("mex: an error is told")
    data = body.get("data", False)
    told = data.get(path, False) if isinstance(data, dict) else data
    if told is None or isinstance(told, dict):
        return told
    raise InvalidStanza("mex: of another shape")


def _required(told: dict[str, Any] | None) -> dict[str, Any]:
    if told is None:
        raise InvalidStanza("mex: nothing is told")
    return told


def _lock(told: dict[str, Any]) -> ReachoutLock:
    """An end of 0, or beyond every clock, is none. Whether it is active must be said: what is neither true
    nor false, nor null, frees nobody."""
    active = told.get("is_active")
    if active is not None and not isinstance(active, bool):
        raise InvalidStanza("mex: a lock that is neither active nor over")
    until = _number(told.get("time_enforcement_ends")) or None
    return ReachoutLock(active is True, until, _word(told.get("enforcement_type")))


def _quota(told: dict[str, Any]) -> NewChatQuota:
    return NewChatQuota(
        _number(told.get("used_quota")),
        _number(told.get("total_quota")),
        _number(told.get("cycle_end_timestamp")) or None,
        _word(told.get("capping_status")),
        _word(told.get("ote_status")),
        _word(told.get("mv_status")),
    )


def _challenge_type(update: Node) -> str:
    """The kind of challenge, as far as it can be read: that there is one is news enough."""
    try:
        data = json.loads(update.text()).get("data")
    except (ValueError, AttributeError, RecursionError, InvalidStanza):
        return ""
    inner = list(data.values()) if isinstance(data, dict) else []
    return next((_word(one.get("challenge_type")) for one in inner if isinstance(one, dict)), "")


def _number(value: object) -> int | None:
    """A count or a time, as a number or as text; `None` for what is none, below 0, or beyond every clock."""
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isdecimal()
        and len(value) <= len(str(MAX_NUMBER))
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        return None
    return value


def _word(value: object) -> str:
    return value[:MAX_WORD] if isinstance(value, str) and value.isprintable() else ""
