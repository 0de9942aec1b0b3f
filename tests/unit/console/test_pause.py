"""`tocsin pause` and `tocsin resume`, and what is told of them and of pace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_cloud import ACCOUNT, MemoryCloud
from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said
from tocsin.dynamo.writes import Put
from tocsin.notify.notification import WOULD_HAVE_BEEN_SENT, Problem
from tocsin.pace.causes import ACCOUNT_PACE, DIGESTED, QUIET_HOURS, SANDBOX
from tocsin.pace.ledger import Ledger
from tocsin.pace.rules import is_paused
from tocsin.settings import changes
from tocsin.settings.reader import SettingsReader
from tocsin.settings.values import STACK, Scope
from tocsin.tables.keys import pace_key
from tocsin.tables.notifications import settings_key
from tocsin_console import cli, pause, settings, status
from tocsin_console.errors import Usage
from tocsin_console.explain import explain
from tocsin_console.settings import Change


def held(fake: FakeDeployment) -> set[tuple[str, str]]:
    """Which audiences of which of two accounts are paused now."""
    now = SettingsReader(fake.deployment.outside_table)()
    return {
        (account, audience)
        for account in (ACCOUNT, "second")
        for audience in ("customer", "technician", "group")
        if is_paused(now, account, audience)
    }


ALL = {
    (account, audience) for account in (ACCOUNT, "second") for audience in ("customer", "technician", "group")
}
CUSTOMERS = {(ACCOUNT, "customer"), ("second", "customer")}
OURS = {one for one in ALL if one[0] == ACCOUNT}


def paused(fake: FakeDeployment, said: Said, *scopes: Scope) -> None:
    for scope in scopes:
        pause.pause(fake.deployment, scope, said.output, clock=lambda: NOW)


def resumed(fake: FakeDeployment, said: Said, scope: Scope) -> None:
    pause.resume(fake.deployment, scope, said.output, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("scopes", "holds"),
    [
        ([STACK], ALL),
        ([Scope(ACCOUNT)], OURS),
        ([Scope(None, "customer")], CUSTOMERS),
        ([Scope(ACCOUNT, "customer")], {(ACCOUNT, "customer")}),
        ([Scope(ACCOUNT), Scope(None, "customer")], OURS | CUSTOMERS),
    ],
)
def test_what_is_named_is_paused_and_nothing_else(
    fake: FakeDeployment, said: Said, scopes: list[Scope], holds: set[tuple[str, str]]
) -> None:
    paused(fake, said, *scopes)
    assert held(fake) == holds
    resumed(fake, said, STACK)
    assert held(fake) == set()


def test_a_pause_of_all_holds_whatever_was_resumed_in_part(fake: FakeDeployment, said: Said) -> None:
    paused(fake, said, STACK)
    resumed(fake, said, Scope(ACCOUNT))
    assert held(fake) == ALL - OURS
    paused(fake, said, Scope(None, "group"))
    assert held(fake) == (ALL - OURS) | {(ACCOUNT, "group")}
    paused(fake, said, STACK)
    assert held(fake) == ALL


def test_a_part_of_a_pause_is_let_go(fake: FakeDeployment, said: Said) -> None:
    paused(fake, said, STACK)
    resumed(fake, said, Scope(ACCOUNT, "technician"))
    assert held(fake) == ALL - {(ACCOUNT, "technician")}


def test_what_waits_is_put_back_at_once(aws: MemoryCloud, fake: FakeDeployment, said: Said) -> None:
    fake.deployment.outputs["MaintainFunctionName"] = "maintain"
    paused(fake, said, STACK)
    resumed(fake, said, STACK)
    asked = {"FunctionName": "maintain", "InvocationType": "Event", "Payload": {"resume": ACCOUNT}}
    assert aws.invoked == [asked]


def test_the_history_says_who_did_it_and_when(fake: FakeDeployment, said: Said) -> None:
    paused(fake, said, Scope(ACCOUNT))
    assert f"sending paused for account={ACCOUNT}; connectors send nothing after a second" in said.text
    settings.list_history(fake.deployment, said.output)
    assert "assumed-role/Operator/dewi" in said.text


def test_twice_is_once(fake: FakeDeployment, said: Said) -> None:
    paused(fake, said, STACK, STACK)
    assert "it is so already" in said.text


def test_an_audience_that_there_is_not_is_refused(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(Usage, match="customer, technician, group"):
        paused(fake, said, Scope(None, "friends"))


def test_the_commands_are_declared() -> None:
    parsed = cli.read(["pause", "--account", "a", "--audience", "group"])
    assert (parsed.account, parsed.audience) == ("a", "group")
    assert cli.read(["resume"]).account is None


# -- what is told --------------------------------------------------------------------------------------------


def shown(fake: FakeDeployment, said: Said) -> str:
    status.show(fake.deployment, said.output, clock=lambda: NOW)
    return said.text


def test_status_says_that_sending_is_paused(fake: FakeDeployment, said: Said) -> None:
    fake.connector()
    paused(fake, said, Scope(None, "customer"))
    assert (
        "sending to customers is paused; it waits in its order: tocsin resume --audience customer"
        in shown(fake, said)
    )


def test_status_says_what_is_held_back_until_when(fake: FakeDeployment, said: Said) -> None:
    parking = fake.deployment.stores.parking
    parking.park(fake.planned(), QUIET_HOURS, NOW * 1000, due_at=(NOW + 3600) * 1000)
    parking.park(fake.planned("6281299999999"), ACCOUNT_PACE, NOW * 1000, due_at=NOW * 1000 - 5)
    text = shown(fake, said)
    assert (
        "1 wait (quiet-hours): it is night where the recipient is; they go from 2026-11-18 12:06:40" in text
    )
    assert "1 wait (account-pace): the account has sent what its budget allows; they go with the next" in text
    assert "with the next sweeps, as there is room" in text


def test_status_says_which_budget_is_used_and_how_new_an_account_is(fake: FakeDeployment, said: Said) -> None:
    ledger = Ledger(since=NOW - 86_400)
    for _ in range(9):
        ledger.sent(NOW, first_contact=False)
    fake.deployment.keys_table.put(Put(pace_key(ACCOUNT), {"number": "62", **ledger.to_item()}))
    settings.change(fake.deployment, [Change("messages-per-hour", "10")], said.output, clock=lambda: NOW)
    text = shown(fake, said)
    assert "9 of 5 messages this hour; full until 2026-11-18" in text
    assert "it is new: it has 54% of its budgets so far (warm-up-days 14)" in text


def test_without_anything_to_tell_status_tells_nothing(fake: FakeDeployment, said: Said) -> None:
    text = shown(fake, said)
    assert "paused" not in text
    assert "budget" not in text


def test_a_setting_with_numbers_is_shown_and_remembered_without_their_middle(
    fake: FakeDeployment, said: Said
) -> None:
    change = Change("sandbox-allows", f"+{SITI}")
    settings.change(fake.deployment, [change], said.output, clock=lambda: NOW)
    settings.list_history(fake.deployment, said.output)
    settings.list_settings(fake.deployment, said.output)
    assert SITI not in said.text
    assert f"sandbox-allows 62…{SITI[-4:]}" in said.text


def suppressed(fake: FakeDeployment, problem: Problem, **about: Any) -> str:
    one = fake.planned()
    fake.deployment.stores.notifications.suppress(one.id, problem, NOW * 1000, **about)
    return one.id


def test_explain_says_what_the_sandbox_kept(fake: FakeDeployment, said: Said) -> None:
    kept = suppressed(fake, Problem(SANDBOX, "permanent"), outcome=WOULD_HAVE_BEEN_SENT)
    explain(fake.deployment, kept, output=said.output, clock=lambda: NOW)
    assert "would have been sent: the sandbox is on" in said.text


def test_explain_names_the_digest_that_says_it(fake: FakeDeployment, said: Said) -> None:
    said_in = suppressed(fake, Problem(DIGESTED, "permanent", "said in the digest abc"))
    explain(fake.deployment, said_in, output=said.output, clock=lambda: NOW)
    assert "not sent by itself: said in the digest abc" in said.text


def test_explain_says_why_and_until_when_one_is_held_back(fake: FakeDeployment, said: Said) -> None:
    one = fake.planned()
    about = {"due_at": (NOW + 3600) * 1000, "detail": "it is night where the recipient is"}
    fake.deployment.stores.parking.park(replace(one), QUIET_HOURS, NOW * 1000, **about)
    explain(fake.deployment, one.id, output=said.output, clock=lambda: NOW)
    assert (
        "waits for quiet-hours (it is night where the recipient is); tried again at 2026-11-18" in said.text
    )


def test_explain_names_no_time_that_is_over_for_what_waits_for_room(fake: FakeDeployment, said: Said) -> None:
    one = fake.planned()
    fake.deployment.stores.parking.park(replace(one), ACCOUNT_PACE, NOW * 1000, due_at=(NOW - 60) * 1000)
    explain(fake.deployment, one.id, output=said.output, clock=lambda: NOW)
    assert "waits for account-pace; sent in its turn as the budget has room" in said.text
    assert "tried again at" not in said.text


@pytest.mark.parametrize("scope", [STACK, Scope(ACCOUNT), Scope(None, "customer")])
def test_a_scope_that_nobody_here_knows_is_left_alone(fake: FakeDeployment, said: Said, scope: Scope) -> None:
    odd = {"region=ID": "paused", "": "paused", "account=": "on"}
    stored = {"sending": {**odd, str(Scope(ACCOUNT, "customer")): "on"}}
    table = fake.deployment.outside_table
    table.put(Put(settings_key(), {"version": 1, "values": stored, "at": 1, "by": "x", "what": "y"}))
    paused(fake, said, scope)
    assert (ACCOUNT, "customer") in held(fake)
    resumed(fake, said, scope)
    assert held(fake) == set()
    left = changes.read_current(table).values["sending"]
    assert {text: left.get(text) for text in odd} == odd


@pytest.mark.parametrize(
    ("scope", "said_to"),
    [
        (STACK, "tocsin resume"),
        (Scope(ACCOUNT), f"tocsin resume --account {ACCOUNT}"),
        (Scope(None, "customer"), "tocsin resume --audience customer"),
        (Scope(ACCOUNT, "customer"), f"tocsin resume --account {ACCOUNT} --audience customer"),
    ],
)
def test_status_names_the_resume_that_ends_the_pause_and_leaves_nothing_behind(
    fake: FakeDeployment, said: Said, scope: Scope, said_to: str
) -> None:
    paused(fake, said, scope)
    (sentence,) = pause.sentences(fake.deployment, ACCOUNT)
    assert sentence.endswith(f": {said_to}")
    resumed(fake, said, scope)
    assert held(fake) == set()
