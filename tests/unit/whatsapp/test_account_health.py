"""What WhatsApp tells of the account itself: every update of a stanza, and "unknown" never read as "free"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tocsin.whatsapp.account_health import (
    MAX_UPDATES,
    MassComplaints,
    NewChatQuota,
    ReachoutLock,
    SecurityChallenge,
    parse_quota_answer,
    parse_reachout_answer,
    quota_queries,
    reachout_query,
)
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.jid import JID, PN, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.notifications import AccountNotice, Other, parse_notification

LOCK = "NotificationUserReachoutTimelockUpdate"
QUOTA = "MessageCappingInfoNotification"
LOCK_NEWS = "xwa2_notify_account_reachout_timelock"
QUOTA_NEWS = "xwa2_notify_new_chat_messages_capping_info_update"
LOCK_ANSWER = "xwa2_fetch_account_reachout_timelock"
QUOTA_ANSWER = "xwa2_message_capping_info"
ENDS = 1_790_000_000


def update(name: str, body: Any) -> Node:
    return Node("update", {"op_name": name}, body if isinstance(body, bytes) else json.dumps(body).encode())


def told(*updates: Node, sender: JID = SERVER) -> Any:
    return parse_notification(Node("notification", {"from": sender, "type": "mex", "id": "1"}, updates))


def locked(**changes: Any) -> Node:
    return update(
        LOCK, {"data": {LOCK_NEWS: {"is_active": True, "time_enforcement_ends": str(ENDS), **changes}}}
    )


def answer(path: str, value: Any, **more: Any) -> Node:
    text = json.dumps({"data": {path: value}, **more}).encode()
    return Node("iq", {"type": "result"}, (Node("result", {}, text),))


# -- notifications -------------------------------------------------------------------------------------------


def test_every_update_of_a_stanza_is_read_and_not_only_the_first() -> None:
    quota = {
        "used_quota": "12",
        "total_quota": 30,
        "cycle_end_timestamp": str(ENDS),
        "capping_status": "FIRST_WARNING",
    }
    news = told(
        update("SomethingElse", {"data": {}}),
        locked(),
        update(QUOTA, {"data": {QUOTA_NEWS: quota}}),
        update("NotificationUserBrigadingUpdate", {"data": {"what": "ever"}}),
    )
    assert news == AccountNotice(
        (ReachoutLock(True, ENDS), NewChatQuota(12, 30, ENDS, "FIRST_WARNING"), MassComplaints())
    )


@pytest.mark.parametrize(
    "broken",
    [
        b"no json",
        b"[]",
        {"errors": [{"message": "no"}]},
        {"errors": [{"message": "no"}], "data": {LOCK_NEWS: {"is_active": False}}},
        {"data": None},
        {"data": {LOCK_NEWS: None}},
        {"data": {LOCK_NEWS: 1}},
        {"data": {}},
    ],
)
def test_an_update_that_tells_nothing_hides_none_beside_it(broken: Any) -> None:
    assert told(update(LOCK, broken), locked()) == AccountNotice((ReachoutLock(True, ENDS),), unreadable=1)


@pytest.mark.parametrize(
    "word", ["RESTRICT_ALL_COMPANIONS", "BIZ_COMMERCE_VIOLATION_DRUGS", "SOMETHING_NEW", "DEFAULT"]
)
def test_the_type_is_an_open_set_and_kept_as_it_came(word: str) -> None:
    assert told(locked(enforcement_type=word)).news == (ReachoutLock(True, ENDS, word),)


@pytest.mark.parametrize("ends", ["0", 0, "", None, "soon", True, -1, "9" * 18])
def test_no_end_is_not_an_end(ends: Any) -> None:
    assert told(locked(time_enforcement_ends=ends)).news == (ReachoutLock(True, None),)


@pytest.mark.parametrize("active", [False, None])
def test_false_and_null_are_free(active: Any) -> None:
    assert not told(locked(is_active=active)).news[0].active


@pytest.mark.parametrize("active", ["true", "false", 1, 0, {}])
def test_what_is_neither_true_nor_false_frees_nobody(active: Any) -> None:
    assert told(locked(is_active=active)) == AccountNotice((), unreadable=1)
    with pytest.raises(InvalidStanza):
        parse_reachout_answer(answer(LOCK_ANSWER, {"is_active": active}))


def test_a_challenge_is_told_whatever_else_can_be_read_of_it() -> None:
    name = "NotificationIntegrityChallengeRequest"
    body = {"data": {"xwa2_anything": {"challenge_type": "PASSKEY"}}}
    assert told(update(name, body), update(name, b"?")).news == (
        SecurityChallenge("PASSKEY"),
        SecurityChallenge(),
    )


def test_a_flood_of_updates_is_read_to_a_bound() -> None:
    notice = told(*[locked()] * (MAX_UPDATES + 5))
    assert (len(notice.news), notice.unreadable) == (MAX_UPDATES, 5)


def test_what_is_of_no_use_is_ignored() -> None:
    assert told(update("NotificationLidChange", {"data": {}})) == Other("mex")


def test_nobody_but_the_server_tells_of_the_account() -> None:
    assert told(locked(is_active=False), sender=JID("6281", PN)) == Other("mex")


# -- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "lock"),
    [
        ({"is_active": True, "time_enforcement_ends": ENDS}, ReachoutLock(True, ENDS)),
        ({"is_active": False}, ReachoutLock(False, None)),
        (None, ReachoutLock(False, None)),
    ],
)
def test_whether_the_account_is_locked(value: Any, lock: ReachoutLock) -> None:
    assert parse_reachout_answer(answer(LOCK_ANSWER, value)) == lock


@pytest.mark.parametrize("parse", [parse_reachout_answer, parse_quota_answer])
def test_an_answer_with_errors_is_unknown_and_not_free(parse: Any) -> None:
    with pytest.raises(InvalidStanza):
        parse(answer(LOCK_ANSWER, None, errors=[{"message": "unknown query"}]))


@pytest.mark.parametrize("code", ["400", "404"])
@pytest.mark.parametrize("parse", [parse_reachout_answer, parse_quota_answer])
def test_so_is_a_refusal(parse: Any, code: str) -> None:
    with pytest.raises(IqRefused):
        parse(Node("iq", {"type": "error"}, (Node("error", {"code": code}),)))


@pytest.mark.parametrize("empty", [None, (Node("result", {}, b"{}"),), (Node("result"),)])
def test_so_is_an_empty_result(empty: Any) -> None:
    with pytest.raises(InvalidStanza):
        parse_reachout_answer(Node("iq", {"type": "result"}, empty))


@pytest.mark.parametrize(("total", "known"), [(30, 30), ("30", 30), (-1, None), ("-1", None), (None, None)])
def test_a_quota_without_a_cap_has_no_total(total: Any, known: int | None) -> None:
    quota = parse_quota_answer(answer(QUOTA_ANSWER, {"used_quota": 3, "total_quota": total}))
    assert quota == NewChatQuota(3, known, None)


def test_there_may_be_no_quota() -> None:
    assert parse_quota_answer(answer(QUOTA_ANSWER, None)) is None


def test_what_the_owner_may_do_is_kept_in_whatsapps_words() -> None:
    told_of = {"capping_status": "CAPPED", "ote_status": "ELIGIBLE", "mv_status": "NOT_ACTIVE"}
    quota = parse_quota_answer(answer(QUOTA_ANSWER, told_of))
    assert quota is not None
    assert (quota.is_used_up, quota.extension, quota.verified) == (True, "ELIGIBLE", "NOT_ACTIVE")


def test_the_queries_go_to_the_server_with_the_newest_id_first() -> None:
    assert reachout_query().require_child("query").text() == '{"variables":{}}'
    ids = [query.require_child("query").attrs["query_id"] for query in quota_queries()]
    assert ids == ["27910975521856601", "24503548349331633"]
    [text] = {query.require_child("query").text() for query in quota_queries()}
    assert json.loads(text) == {"variables": {"input": {"type": "INDIVIDUAL_NEW_CHAT_THREAD"}}}
