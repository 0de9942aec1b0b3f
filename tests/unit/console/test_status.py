"""The status tells how each account is, what waits and why, what lies where it shouldn't, and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tocsin.accounts.challenge import Challenge, note_challenge
from tocsin.accounts.limits import Limit, note_limit
from tocsin.accounts.login_refusal import note_refusal, refusal_of
from tocsin.accounts.quota import Quota, note_quota
from tocsin.dynamo.writes import Delete
from tocsin.notify.self_test import Result, SelfTest
from tocsin.tables.keys import heartbeat_key
from tocsin_console.errors import NeedsAttention
from tocsin_console.output import json_moment, moment
from tocsin_console.status import show


def shown(fake: FakeDeployment, said: Said, *, check: bool = False, after: float = 0) -> str:
    show(fake.deployment, said.output, check=check, clock=lambda: NOW + after)
    return said.text


def test_a_connected_account_needs_no_word(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("connected")
    text = shown(fake, said, check=True)
    assert said.lines[1].replace(" (not linked)", "").split()[:2] == ["default", "connected"]
    assert "default:" not in text


def test_an_account_that_no_connector_ever_held_says_so(fake: FakeDeployment, said: Said) -> None:
    assert "no connector has held it yet; link it: tocsin pair" in shown(fake, said)


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("unpaired", "tocsin pair"),
        ("logged_out", "link it again: tocsin pair"),
        ("replaced", "another program uses the same keys"),
        ("restricted", "are sent when the restriction ends"),
        ("connecting", "the connector's log"),
    ],
)
def test_each_state_comes_with_what_to_do(fake: FakeDeployment, said: Said, state: str, advice: str) -> None:
    fake.connector().says(state, "device-removed")
    text = shown(fake, said)
    assert "default: device-removed; " in text
    assert advice in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("few-new-chats", "its last new chats are kept for what is urgent"),
        ("new-chats", "it has used up its new chats"),
        ("cold-refusals", "so Tocsin writes to no new contacts"),
        ("first-contacts", "WhatsApp does not let it write to new contacts"),
        ("messages", "WhatsApp accepts no messages from it"),
        ("login", "WhatsApp does not let it log in"),
    ],
)
def test_what_whatsapp_keeps_it_from_is_shown_with_its_end(
    fake: FakeDeployment, said: Said, kind: str, words: str
) -> None:
    """From the table, so that it shows while no connector runs as well."""
    limit = Limit(kind, "463", int(NOW) + 3600, int(NOW))
    note_limit(fake.deployment.keys_table, "default", limit)
    text = shown(fake, said)
    assert f"{words} until {moment(limit.until * 1000)} (463)" in text
    assert shown(fake, said, after=3601).count(words) == 1, "it is over"


def test_a_connector_that_released_the_account_is_missed(fake: FakeDeployment, said: Said) -> None:
    connector = fake.connector()
    connector.keeper.release("default", connector.epoch)
    assert "no connector holds it; is the service running?" in shown(fake, said)


@pytest.mark.parametrize("state", ["stopped", "replaced"])
def test_what_no_restart_ends_is_ended_by_a_reconnect(fake: FakeDeployment, said: Said, state: str) -> None:
    """The connector that holds it wrote down that it doesn't try again."""
    fake.connector().says(state, "failure-400")
    text = shown(fake, said)
    assert "tocsin reconnect" in text
    assert "is the service running?" not in text
    assert "restart" not in text


@pytest.mark.parametrize("state", ["connected", "resuming", "restricted", "connecting", "logged_out"])
@pytest.mark.parametrize("seconds", [15, 50, 300])
def test_an_account_is_unreachable_once_its_connectors_lease_is_over(
    fake: FakeDeployment, said: Said, state: str, seconds: int
) -> None:
    """The lease goes on saying what its connector said last until another takes it over."""
    fake.connector().says(state)
    text = shown(fake, said, after=seconds)
    assert said.lines[1].replace(" (not linked)", "").split()[:4] == [
        "default",
        "unreachable",
        "2026-11-18",
        "11:06:40",
    ]
    assert f"is the service running? its last state was {state}" in text


def test_a_connector_that_beats_is_believed_until_its_lease_is_over(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("connected")
    shown(fake, said, check=True, after=14)
    assert said.lines[1].replace(" (not linked)", "").split()[:2] == ["default", "connected"]


def test_unreachable_is_told_from_the_last_beat_on(fake: FakeDeployment, told: Said) -> None:
    connector = fake.connector()
    connector.says("connected")
    fake.now += 100
    connector.keeper.beat()
    shown(fake, told, after=150)
    (account,) = told.records[0]["accounts"]
    assert (account["state"], account["last_state"], account["since"], account["well"]) == (
        "unreachable",
        "connected",
        json_moment((NOW + 100) * 1000),
        False,
    )


def test_a_connector_without_a_heartbeat_is_gone(fake: FakeDeployment, said: Said) -> None:
    connector = fake.connector("c9")
    connector.says("connected")
    fake.deployment.keys_table.delete(Delete(heartbeat_key("c9")))
    text = shown(fake, said)
    assert said.lines[1].replace(" (not linked)", "").split()[:3] == ["default", "unreachable", "-"]
    assert "its connector is gone" in text


def test_what_waits_is_counted_by_cause(fake: FakeDeployment, said: Said, told: Said) -> None:
    fake.connector().says("connected")
    for cause in ("not-connected", "not-connected", "rate-limited"):
        fake.deployment.stores.parking.park(fake.planned(), cause, NOW * 1000)
    assert "sent when the cause ends: 2 not-connected, 1 rate-limited" in shown(fake, said)
    shown(fake, told)
    (account,) = told.records[0]["accounts"]
    assert (account["waiting"], account["waiting_for"]) == (3, {"not-connected": 2, "rate-limited": 1})


def test_each_queue_that_should_be_empty_has_its_own_remedy(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.refuse({"id": "e"})
    fake.put("StanzasDead", json.dumps({}))
    text = shown(fake, said)
    assert "dead letters: tocsin dead-letters list" in text
    assert "dead ticket events: tocsin dead-letters list --queue events" in text
    assert "dead stanzas: a receipt or a reply may be missing" in text
    assert "dead outcomes:" not in text


def test_a_letter_that_nobody_needs_troubles_nobody(fake: FakeDeployment, told: Said) -> None:
    fake.connector().says("connected")
    fake.arrives(fake.failed())
    shown(fake, told, check=True)
    assert told.records[0]["queues"]["dead letters"] == {"messages": 0, "in_flight": 0}
    assert fake.count("DeadLetters") == 1, "to look takes nothing away"


def test_a_check_fails_where_somebody_must_look(fake: FakeDeployment, told: Said) -> None:
    fake.connector().says("logged_out", "device-removed")
    fake.failed()
    with pytest.raises(NeedsAttention) as caught:
        shown(fake, told, check=True)
    assert str(caught.value) == "account default is logged_out; dead letters aren't empty"
    assert told.records[0]["accounts"][0]["well"] is False


def test_a_check_fails_for_a_silent_connector_too(fake: FakeDeployment, told: Said) -> None:
    fake.connector().says("connected")
    with pytest.raises(NeedsAttention, match="account default is unreachable"):
        shown(fake, told, check=True, after=50)


def test_the_last_self_test_is_told(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("connected")
    assert "self-test" not in shown(fake, said)
    test = SelfTest(None, int(NOW) * 1000).ended(Result.FAILED, int(NOW) * 1000, "logged_out")
    assert fake.deployment.stores.self_tests.put("default", test, after=None)
    assert f"self-test: the one of {moment(NOW * 1000)} failed: logged_out" in shown(fake, said)


def test_a_lock_is_told_with_whatsapps_word_and_whether_its_end_is_a_guess(
    fake: FakeDeployment, said: Said
) -> None:
    limit = Limit(
        "first-contacts", "reachout-lock", int(NOW) + 3600, int(NOW), type="RESTRICT_ALL_COMPANIONS"
    )
    note_limit(fake.deployment.keys_table, "default", limit, guessed=True)
    text = shown(fake, said)
    assert "UTC (reachout-lock, RESTRICT_ALL_COMPANIONS), a guess" in text
    assert "and is asked each hour" in text
    assert "nothing helps but waiting; the phone itself may still open chats" in text


@pytest.mark.parametrize(("status", "is_told"), [("NONE", False), ("FIRST_WARNING", True), ("CAPPED", True)])
def test_new_chats_are_told_from_the_first_warning_on(
    fake: FakeDeployment, said: Said, status: str, is_told: bool
) -> None:
    note_quota(fake.deployment.keys_table, "default", Quota(16, 30, int(NOW) + 3600, status, int(NOW)))
    assert ("16 of 30 new chats used until" in shown(fake, said)) is is_told
    assert "new chats used" not in shown(fake, Said(), after=3601), "the cycle is over"


def test_a_locked_account_says_what_whatsapp_said_and_no_token(fake: FakeDeployment, said: Said) -> None:
    fake.connector().says("stopped", "account-locked")
    attributes = {"reason": "403", "violation_reason": "14", "url": "https://faq", "appeal_token": "t0ken"}
    refusal = refusal_of("403", attributes, int(NOW), None, guessed=False)
    deployment = fake.deployment
    note_refusal(deployment.keys_table, deployment.sealer, "default", refusal, b"t0ken", bytes(12))
    text = shown(fake, said)
    assert "open WhatsApp on the phone and follow its steps; linking again doesn't help before" in text
    assert "an appeal is possible" in text
    assert "WhatsApp said: url https://faq, violation_reason 14" in text
    assert "t0ken" not in text
    assert "is the service running" not in text


def test_a_security_check_is_told_for_some_days(fake: FakeDeployment, said: Said) -> None:
    note_challenge(fake.deployment.keys_table, "default", Challenge("PASSKEY", int(NOW) - 7200))
    assert "WhatsApp asked for a security check (PASSKEY) 2 h ago: open WhatsApp on the phone" in shown(
        fake, said
    )
    assert "security check" not in shown(fake, Said(), after=4 * 86400)


@pytest.mark.parametrize(
    ("record", "says", "mend"),
    [
        ({"state": "gone"}, "h-1 answered 410 and was switched off", "tocsin hooks resume h-1"),
        ({"state": "paused"}, "h-1 is paused", "tocsin hooks resume h-1"),
        ({"failures": 3, "last_said": "timeout"}, "h-1 failed 3 times in a row", "tocsin hooks test h-1"),
    ],
)
def test_a_webhook_that_hears_nothing_is_told_with_what_mends_it(
    fake: FakeDeployment, said: Said, record: dict[str, Any], says: str, mend: str
) -> None:
    with_hook(fake, **record)
    [line] = [line for line in shown(fake, said).splitlines() if line.startswith("webhooks: ")]
    assert says in line
    assert line.endswith(mend)


@pytest.mark.parametrize("failures", [0, 2])
def test_a_webhook_that_is_well_needs_no_word(fake: FakeDeployment, said: Said, failures: int) -> None:
    with_hook(fake, failures=failures)
    assert "h-1" not in shown(fake, said)


def test_programs_are_told_of_each_webhook(fake: FakeDeployment, told: Said) -> None:
    with_hook(fake, failures=2, last_said="500")
    shown(fake, told)
    [webhook] = told.records[0]["webhooks"]
    assert (webhook["hook"], webhook["failures"], webhook["last_said"], webhook["well"]) == (
        "h-1",
        2,
        "500",
        True,
    )


def with_hook(fake: FakeDeployment, **record: Any) -> None:
    deployment = fake.deployment
    deployment.outputs["HooksQueueUrl"] = deployment["ReceiptsQueueUrl"]  # type: ignore[index]
    fake.hears(**record)
