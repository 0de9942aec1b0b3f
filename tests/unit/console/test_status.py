"""The status tells how each account is, what waits and why, what lies where it shouldn't, and what to do."""

from __future__ import annotations

import json

import pytest

from tests.support.fake_deployment import NOW, Rig, Said
from tocsin.accounts.limits import Limit, note_limit
from tocsin_console.errors import NeedsAttention
from tocsin_console.output import moment
from tocsin_console.status import show


def shown(rig: Rig, said: Said, *, check: bool = False, after: float = 0) -> str:
    show(rig.deployment, said.output, check=check, clock=lambda: NOW + after)
    return said.text


def test_a_connected_account_needs_no_word(rig: Rig, said: Said) -> None:
    rig.connector().says("connected")
    text = shown(rig, said, check=True)
    assert said.lines[1].split()[:2] == ["default", "connected"]
    assert "default:" not in text


def test_an_account_that_no_connector_ever_held_says_so(rig: Rig, said: Said) -> None:
    assert "no connector ever held it; link it: tocsin pair" in shown(rig, said)


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("unpaired", "tocsin pair"),
        ("logged_out", "link it again: tocsin pair"),
        ("replaced", "another program uses the same keys"),
        ("restricted", "waits and goes out by itself"),
        ("connecting", "the connector's log"),
    ],
)
def test_each_state_comes_with_what_to_do(rig: Rig, said: Said, state: str, advice: str) -> None:
    rig.connector().says(state, "device-removed")
    text = shown(rig, said)
    assert "default: device-removed; " in text
    assert advice in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("first-contacts", "WhatsApp lets it write to nobody new"),
        ("messages", "WhatsApp takes no message of it"),
        ("login", "WhatsApp doesn't let it log in"),
    ],
)
def test_what_whatsapp_keeps_it_from_is_shown_with_its_end(
    rig: Rig, said: Said, kind: str, words: str
) -> None:
    """From the table, so that it shows while no connector runs as well."""
    limit = Limit(kind, "463", int(NOW) + 3600, int(NOW))
    note_limit(rig.deployment.keys_table, "default", limit)
    text = shown(rig, said)
    assert f"default: {words} until {moment(limit.until * 1000)} UTC (463)" in text
    assert shown(rig, said, after=3601).count(words) == 1, "it is over"


def test_a_connector_that_released_the_account_is_missed(rig: Rig, said: Said) -> None:
    connector = rig.connector()
    connector.keeper.release("default", connector.epoch)
    assert "no connector holds it; is the service running?" in shown(rig, said)


@pytest.mark.parametrize("state", ["connected", "resuming", "restricted", "connecting", "logged_out"])
@pytest.mark.parametrize("seconds", [15, 50, 300])
def test_an_account_is_unreachable_once_its_connectors_lease_is_over(
    rig: Rig, said: Said, state: str, seconds: int
) -> None:
    """The lease goes on saying what its connector said last until another takes it over."""
    rig.connector().says(state)
    text = shown(rig, said, after=seconds)
    assert said.lines[1].split()[:4] == ["default", "unreachable", "2026-11-18", "11:06:40"]
    assert f"is the service running? the last it said is {state}" in text


def test_a_connector_that_beats_is_believed_until_its_lease_is_over(rig: Rig, said: Said) -> None:
    rig.connector().says("connected")
    shown(rig, said, check=True, after=14)
    assert said.lines[1].split()[:2] == ["default", "connected"]


def test_unreachable_is_told_from_the_last_beat_on(rig: Rig, told: Said) -> None:
    connector = rig.connector()
    connector.says("connected")
    rig.now += 100
    connector.keeper.beat()
    shown(rig, told, after=150)
    (account,) = told.records[0]["accounts"]
    assert (account["state"], account["last_state"], account["since"], account["well"]) == (
        "unreachable",
        "connected",
        NOW + 100,
        False,
    )


def test_a_connector_without_a_heartbeat_is_gone(rig: Rig, said: Said) -> None:
    connector = rig.connector("c9")
    connector.says("connected")
    rig.deployment.dynamodb.delete_item(
        TableName=rig.deployment["KeysTable"], Key={"pk": {"S": "connectors"}, "sk": {"S": "c9"}}
    )
    text = shown(rig, said)
    assert said.lines[1].split()[:3] == ["default", "unreachable", "-"]
    assert "its connector is gone" in text


def test_what_waits_is_counted_by_cause(rig: Rig, said: Said, told: Said) -> None:
    rig.connector().says("connected")
    for cause in ("not-connected", "not-connected", "rate-limited"):
        rig.deployment.stores.parking.park(rig.planned(), cause, NOW * 1000)
    assert "sent by itself when the cause ends: 2 not-connected, 1 rate-limited" in shown(rig, said)
    shown(rig, told)
    (account,) = told.records[0]["accounts"]
    assert (account["waiting"], account["waiting_for"]) == (3, {"not-connected": 2, "rate-limited": 1})


def test_each_queue_that_should_be_empty_has_its_own_remedy(rig: Rig, said: Said) -> None:
    rig.failed()
    rig.refuse({"id": "e"})
    rig.put("StanzasDead", json.dumps({}))
    text = shown(rig, said)
    assert "dead letters: tocsin dead-letters list" in text
    assert "dead ticket events: tocsin dead-letters list --queue events" in text
    assert "dead stanzas: a receipt or a reply may be missing" in text
    assert "dead outcomes:" not in text


def test_a_check_fails_where_somebody_must_look(rig: Rig, told: Said) -> None:
    rig.connector().says("logged_out", "device-removed")
    rig.failed()
    with pytest.raises(NeedsAttention) as caught:
        shown(rig, told, check=True)
    assert str(caught.value) == "account default is logged_out; dead letters aren't empty"
    assert told.records[0]["accounts"][0]["well"] is False


def test_a_check_fails_for_a_silent_connector_too(rig: Rig, told: Said) -> None:
    rig.connector().says("connected")
    with pytest.raises(NeedsAttention, match="account default is unreachable"):
        shown(rig, told, check=True, after=50)
