"""A large account's history lies at a media host. What a notifier needs of it is fetched; the rest isn't."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAccount
from tests.support.wired_groups import WiredGroup
from tocsin.connector_client.errors import ConnectorAway, DownloadFailed, Refused
from tocsin.multidevice.inbound import fetched_history, messages
from tocsin.notify.failure import Wait
from tocsin.whatsapp.proto.message_pb2 import HistorySync

TOKEN, SALT = b"token of Siti", b"s" * 32
DAY = 86400


@pytest.fixture
def wired() -> WiredGroup:
    return WiredGroup(MemoryAccount().furnish())


def chunk(wired: WiredGroup) -> HistorySync:
    made, siti = HistorySync(), wired.colleagues[0].account
    chat = made.conversations.add()
    chat.id, chat.lid_jid, chat.pn_jid = str(siti.lid), str(siti.lid), str(siti.pn)
    chat.tc_token, chat.tc_token_timestamp = TOKEN, int(wired.local.clock.now) - 100
    chat.ephemeral_expiration, chat.ephemeral_setting_timestamp = (
        DAY,
        (int(wired.local.clock.now) - 50) * 1000,
    )
    made.nct_salt = SALT
    return made


def tell(wired: WiredGroup, made: HistorySync | None = None, **how: Any) -> list[Any]:
    wired.phone.tell_history(wired.line.device, made or chunk(wired), by_reference=True, **how)
    return wired.hear()


def learnt(wired: WiredGroup) -> tuple[bytes | None, bytes | None, int | None]:
    """Token, salt, and the seconds of the timer."""
    contacts, own = wired.paired.keys.contacts, str(wired.phone.account.lid)
    siti = str(wired.colleagues[0].account.lid)
    timer = contacts.timer(own, siti)
    return contacts.trust(own, siti).token, contacts.salt(own), timer.seconds if timer else None


@pytest.mark.parametrize("kind", ["INITIAL_BOOTSTRAP", "RECENT"])
def test_token_salt_and_timer_are_learnt_from_what_the_phone_left_there(wired: WiredGroup, kind: str) -> None:
    tell(wired, kind=kind)
    assert learnt(wired) == (TOKEN, SALT, DAY)


@pytest.mark.parametrize("kind", ["FULL", "PUSH_NAMES", "INITIAL_STATUS", "ON_DEMAND", "NON_BLOCKING_DATA"])
def test_what_brings_none_of_it_is_not_fetched(wired: WiredGroup, kind: str) -> None:
    tell(wired, kind=kind)
    assert wired.line.downloaded == []
    assert learnt(wired) == (None, None, None)


def test_a_piece_that_is_gone_is_left_and_holds_up_nothing(wired: WiredGroup) -> None:
    wired.local.board.faults.make({"kind": "download-error", "code": 404, "n": 10})
    [report] = tell(wired)
    assert report.outcome == "own-device"
    assert learnt(wired) == (None, None, None)


@pytest.mark.parametrize(
    "error", [DownloadFailed("gone"), Refused(404, "no-such-path", "a connector of the release before")]
)
def test_where_nobody_can_fetch_it_it_is_left(
    wired: WiredGroup, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def download(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr(wired.line, "download", download)
    [report] = tell(wired)
    assert report.outcome == "own-device"


def test_while_the_connector_is_away_it_is_tried_again(
    wired: WiredGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any) -> bytes:
        raise ConnectorAway("nobody")

    monkeypatch.setattr(wired.line, "download", download)
    with pytest.raises(Wait, match="connector-away"):
        tell(wired)


def test_a_file_that_was_changed_is_not_believed(wired: WiredGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wired.line, "download", lambda *_: b"x" * 100)
    tell(wired)
    assert learnt(wired) == (None, None, None)


def test_nothing_larger_than_may_be_fetched_is_asked_for(
    wired: WiredGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched_history, "MAX_DOWNLOAD", 10)
    tell(wired)
    assert wired.line.downloaded == []


def test_of_thousands_of_chats_the_latest_are_taken(
    wired: WiredGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_OF_HISTORY", 3)
    made = chunk(wired)
    for number in range(50):
        chat = made.conversations.add()
        chat.id = f"9{number:014d}@lid"
        chat.tc_token, chat.tc_token_timestamp = b"t", int(wired.local.clock.now) - 100
    tell(wired, made)
    contacts, own = wired.paired.keys.contacts, str(wired.phone.account.lid)
    kept = [number for number in range(50) if contacts.trust(own, f"9{number:014d}@lid").token]
    assert kept == [0, 1]
    assert learnt(wired) == (TOKEN, SALT, DAY)
