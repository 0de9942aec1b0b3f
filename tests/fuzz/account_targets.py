"""What WhatsApp says of the account itself, in whatever JSON: updates, answers to questions."""

from __future__ import annotations

import json
from dataclasses import fields

from tests.fuzz.engine import Target
from tocsin.whatsapp.account_health import (
    MAX_WORD,
    NewChatQuota,
    ReachoutLock,
    parse_quota_answer,
    parse_reachout_answer,
)
from tocsin.whatsapp.bounds import MAX_NUMBER
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.notifications import AccountNotice, parse_notification

_LOCK = {
    "is_active": True,
    "time_enforcement_ends": "1790000000",
    "enforcement_type": "RESTRICT_ALL_COMPANIONS",
}
_QUOTA = {
    "used_quota": "12",
    "total_quota": -1,
    "cycle_end_timestamp": 1_790_000_000,
    "capping_status": "CAPPED",
}
_NAMES = {
    "NotificationUserReachoutTimelockUpdate": "xwa2_notify_account_reachout_timelock",
    "MessageCappingInfoNotification": "xwa2_notify_new_chat_messages_capping_info_update",
    "NotificationIntegrityChallengeRequest": "xwa2_notify_integrity_challenge",
    "NotificationUserBrigadingUpdate": "xwa2_notify_brigading",
}


def told(data: bytes) -> str:
    """The same bytes in each kind of update, and beside each other: none breaks the stanza."""
    updates = tuple(Node("update", {"op_name": name}, data) for name in _NAMES)
    node = Node("notification", {"from": SERVER, "type": "mex", "id": "1"}, updates)
    notice = parse_notification(node)
    assert isinstance(notice, AccountNotice)
    for news in notice.news:
        _bounded(news)
    return f"{len(notice.news)} read, {notice.unreadable} not"


def answered(data: bytes) -> str:
    answer = Node("iq", {"type": "result"}, (Node("result", {}, data),))
    outcomes = []
    for parse in (parse_reachout_answer, parse_quota_answer):
        try:
            _bounded(parse(answer))
            outcomes.append("ok")
        except InvalidStanza:
            outcomes.append("InvalidStanza")
    return ", ".join(outcomes)


def _bounded(news: object) -> None:
    """No time is beyond every clock, no word longer than a table shall hold, and none steers a terminal."""
    for one in fields(news) if isinstance(news, ReachoutLock | NewChatQuota) else ():
        value = getattr(news, one.name)
        if isinstance(value, int):
            assert 0 <= value <= MAX_NUMBER
        if isinstance(value, str):
            assert len(value) <= MAX_WORD
            assert value.isprintable()


def targets() -> list[Target]:
    updates = tuple(
        _json({"data": {path: told}}) for path in _NAMES.values() for told in (_LOCK, _QUOTA, None)
    )
    odd = (_json({"errors": [{"message": "no"}]}), b"[" * 3000, b'{"data":' * 500, b"", b"null")
    answers = (
        _json({"data": {"xwa2_fetch_account_reachout_timelock": _LOCK}}),
        _json({"data": {"xwa2_message_capping_info": _QUOTA}}),
        _json({"data": None}),
    )
    return [
        Target("account news", told, (*updates, *odd)),
        Target("account answers", answered, (*answers, *odd)),
    ]


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
