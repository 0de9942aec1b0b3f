"""Every end of a stream that is known, and what it makes of us."""

import pytest

from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import (
    FAILURES,
    STREAM_ERRORS,
    Kind,
    Reaction,
    on_failure,
    on_stream_error,
)


def conflict(kind: str) -> Node:
    return Node("conflict", {"type": kind})


@pytest.mark.parametrize(
    ("node", "kind", "reason", "wipe"),
    [
        (Node("stream:error", {"code": "515"}), Kind.RECONNECT_NOW, "restart-required", False),
        (Node("stream:error", {"code": "516"}), Kind.BACKOFF, "maybe-removed", False),
        (
            Node("stream:error", {"code": "401"}, (conflict("device_removed"),)),
            Kind.STOP,
            "device-removed",
            True,
        ),
        (Node("stream:error", {"code": "401"}), Kind.BACKOFF, "unauthorised", False),
        (Node("stream:error", {}, (conflict("replaced"),)), Kind.STOP, "replaced", False),
        (Node("stream:error", {"code": "409"}), Kind.STOP, "replaced", False),
        (Node("stream:error", {"code": "503"}), Kind.BACKOFF, "server-restart", False),
        (Node("stream:error", {"code": "500"}), Kind.BACKOFF, "server-fault", False),
        (Node("stream:error", {"code": "429"}), Kind.BACKOFF, "rate-limited", False),
        (Node("stream:error", {}, (Node("xml-not-well-formed"),)), Kind.BACKOFF, "malformed-stanza", False),
        (Node("stream:error", {}, (Node("ack", {"id": "1"}),)), Kind.BACKOFF, "unacked", False),
        (Node("stream:error", {}, (conflict("news"),)), Kind.BACKOFF, "unknown-stream-error", False),
        (Node("stream:error", {"code": "777"}), Kind.BACKOFF, "unknown-stream-error", False),
    ],
)
def test_stream_errors(node: Node, kind: Kind, reason: str, wipe: bool) -> None:
    found = on_stream_error(node)
    assert (found.kind, found.reason, found.wipe) == (kind, reason, wipe)


def test_a_rate_limit_skips_the_short_delays() -> None:
    assert on_stream_error(Node("stream:error", {"code": "429"})).skip == 5


def test_an_unacked_stanza_is_named() -> None:
    unacked = Node("ack", {"class": "receipt", "id": "3EB0"})
    assert on_stream_error(Node("stream:error", {}, (unacked,))).detail == "receipt 3EB0"


@pytest.mark.parametrize(
    ("reason", "kind", "state", "wipe"),
    [
        ("400", Kind.STOP, "stopped", False),
        ("401", Kind.STOP, "logged_out", True),
        ("403", Kind.STOP, "stopped", True),
        ("405", Kind.REFRESH_VERSION, "connecting", False),
        ("406", Kind.STOP, "stopped", True),
        ("409", Kind.STOP, "stopped", False),
        ("413", Kind.STOP, "stopped", False),
        ("414", Kind.STOP, "stopped", False),
        ("415", Kind.STOP, "stopped", False),
        ("418", Kind.STOP, "stopped", False),
        ("500", Kind.BACKOFF, "connecting", False),
        ("501", Kind.BACKOFF, "connecting", False),
        ("503", Kind.BACKOFF, "connecting", False),
        ("999", Kind.BACKOFF, "connecting", False),
        (None, Kind.BACKOFF, "connecting", False),
    ],
)
def test_failures(reason: str | None, kind: Kind, state: str, wipe: bool) -> None:
    found = on_failure(Node("failure", {"reason": reason} if reason else {}))
    assert (found.kind, found.state, found.wipe) == (kind, state, wipe)


@pytest.mark.parametrize(
    ("expire", "seconds"), [("3600", 3600), ("", 86400), ("soon", 86400), ("9" * 20, 86400), ("0", 86400)]
)
def test_a_ban_is_waited_out(expire: str, seconds: int) -> None:
    found = on_failure(Node("failure", {"reason": "402", "code": "104", "expire": expire}))
    assert (found.kind, found.state, found.seconds) == (Kind.WAIT, "restricted", seconds)
    assert found.detail == "the same message to too many"
    assert found.guessed is (seconds == 86400)


@pytest.mark.parametrize(("reason", "kept"), [("402", True), ("403", True), ("406", True), ("401", False)])
def test_what_is_said_once_is_kept_whole_and_not_shown(reason: str, kept: bool) -> None:
    node = Node("failure", {"reason": reason, "violation_reason": "14", "appeal_token": "once"})
    found = on_failure(node)
    assert (found.stanza == node) is kept
    assert "once" not in repr(found)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("101", "too many messages to strangers"),
        ("102", "blocked by too many"),
        ("103", "too many groups made with strangers"),
        ("104", "the same message to too many"),
        ("106", "too many messages by broadcast list"),
        ("999", "temporary ban"),
    ],
)
def test_a_ban_says_what_for(code: str, why: str) -> None:
    assert on_failure(Node("failure", {"reason": "402", "code": code})).detail == why


@pytest.mark.parametrize("known", sorted({*STREAM_ERRORS, "777"}))
def test_a_removed_device_is_removed_whatever_the_code(known: str) -> None:
    found = on_stream_error(Node("stream:error", {"code": known}, (conflict("device_removed"),)))
    assert (found.reason, found.wipe, found.alert) == ("device-removed", True, True)


@pytest.mark.parametrize("ended", [*STREAM_ERRORS.values(), *FAILURES.values()], ids=lambda each: each.reason)
def test_whoever_must_act_is_told_and_keys_are_void_only_where_the_account_is_lost(ended: Reaction) -> None:
    assert ended.alert or ended.kind is not Kind.STOP
    assert not ended.wipe or ended.kind is Kind.STOP
    assert not ended.wipe or ended.state in ("logged_out", "stopped")
