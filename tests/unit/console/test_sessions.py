"""`tocsin sessions` shows counters and ages and never a key, and cleans exactly what it was told to."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.support.fake_deployment import Said, asked, typing
from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions, texts
from tests.support.wired_steps import reply_of_everybody
from tocsin.accounts.operator_requests import read_request
from tocsin_console import cli
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.sessions import Sessions, clean_sessions, list_sessions, reset_sessions, show_sessions


@pytest.fixture
def functions() -> WiredFunctions:
    """Siti's two devices and the own phone have read one message and written back."""
    functions = WiredFunctions(MemoryAws())
    functions.tell(1)
    reply_of_everybody(functions)
    return functions


@pytest.fixture
def sessions(functions: WiredFunctions) -> Sessions:
    return Sessions.of(deployment_of(functions), "default")


def devices(functions: WiredFunctions, *numbers: int) -> list[bool]:
    """Whether there is a current session with each of Siti's devices."""
    return [
        functions.paired.keys.sending.session_facts(functions.paired.profile, "1234@lid", number) is not None
        for number in numbers
    ]


# -- looking -----------------------------------------------------------------------------------------------


def test_the_list_has_a_line_for_each_user(sessions, said):
    list_sessions(sessions, most=0, output=said.output)
    assert [line.split()[:3] for line in said.lines[1:3]] == [
        ["1234@lid", "0,1", "1"],
        ["9999@lid", "0", "1"],
    ]
    assert said.lines[-1] == "2 users"


def test_a_long_list_says_that_there_are_more(sessions, said):
    list_sessions(sessions, most=1, output=said.output)
    assert said.lines[-1].endswith("there are more: --limit 0 shows all")


def test_one_user_is_shown_device_by_device(functions, sessions, said):
    functions.tell(2)
    show_sessions(sessions, "0812-3456-7890", output=said.output, clock=lambda: functions.paired.now + 600)
    assert said.lines[0] == "user          1234@lid  (account default)"
    assert "next number   2" in said.lines
    [first, second] = said.lines[-2:]
    assert (first.split()[0], first.split()[1], second.split()[0]) == ("0", "1", "1")
    assert "10 min ago" in first


def test_recoveries_since_the_last_receipt_and_a_new_identity_are_told(functions, sessions, said):
    functions.siti.devices[0].reinstall()
    notification = functions.tell(2)
    functions.answer_retries()
    now = functions.paired.now + 600
    show_sessions(sessions, "1234@lid", output=said.output, clock=lambda: now)
    assert "recoveries    1 since the last receipt" in said.lines
    assert "new identity  10 min ago: a new phone, or another person" in said.lines
    functions.receipt(notification)
    show_sessions(sessions, "1234@lid", output=said.output, clock=lambda: now)
    assert "recoveries    0 since the last receipt" in said.lines


def test_what_a_device_needs_is_said(functions, sessions, said):
    functions.paired.keys.sending.mark_stale(functions.paired.profile, "1234@lid", 0)
    show_sessions(sessions, "1234@lid", output=said.output)
    assert said.lines[-1] == "device 0: no current session; the next send creates one"


def test_nothing_shown_is_a_key(functions, sessions, told):
    show_sessions(sessions, "1234@lid", output=told.output)
    list_sessions(sessions, most=0, output=told.output)
    device = functions.siti.devices[0]
    secrets = [device.identity.public, device.record.current.root_key, device.signed.public]
    assert not any(secret.hex() in told.text or str(list(secret)) in told.text for secret in secrets)
    shown = told.records[0]["devices"][0]
    assert {type(value) for value in shown.values()} <= {int, bool, str, type(None)}
    assert not any(isinstance(value, str) and len(value) > 40 for value in shown.values())


@pytest.mark.parametrize("wanted", ["not a number", "x@y@z", "1234:2@lid", "120363000000000000@g.us", ""])
def test_what_names_nobody_is_refused(sessions, said, wanted):
    with pytest.raises(Usage):
        show_sessions(sessions, wanted, output=said.output)


def test_somebody_without_sessions_is_said_to_have_none(sessions, said):
    with pytest.raises(NotFound, match="the next notification creates them"):
        show_sessions(sessions, "+62 811 0000 0000", output=said.output)


def test_an_account_that_was_never_linked_has_none(functions):
    with pytest.raises(NotFound, match="tocsin pair"):
        Sessions.of(deployment_of(functions), "other")


# -- cleaning ----------------------------------------------------------------------------------------------


def test_exactly_one_device_is_cleaned(functions, sessions, said):
    clean_sessions(sessions, "1234@lid", device=1, dry_run=False, output=said.output, yes=True)
    assert said.text == "1234@lid: archived device 1\n"
    assert devices(functions, 0, 1) == [True, False]


def test_one_user_is_cleaned_and_heals_at_the_next_send(functions, sessions, said):
    clean_sessions(sessions, "0812-3456-7890", device=None, dry_run=False, output=said.output, yes=True)
    assert devices(functions, 0, 1) == [False, False]
    functions.tell(2)
    assert [texts(device)[-1] for device in functions.siti.devices.values()] == ["Tiket 2", "Tiket 2"]
    assert functions.network.retries == []


def test_what_was_on_its_way_is_read_from_the_archive(functions, sessions, said):
    clean_sessions(sessions, "1234@lid", device=None, dry_run=False, output=said.output, yes=True)
    assert functions.reply("terlambat", "R7").outcome == "reply"


def test_everybody_is_cleaned(functions, sessions, said):
    clean_sessions(sessions, None, device=None, dry_run=False, output=said.output, yes=True)
    assert said.lines[-1] == "cleaned 3 devices of 2 users"
    assert devices(functions, 0, 1) == [False, False]


@pytest.mark.parametrize("wanted", ["1234@lid", None])
def test_a_rehearsal_changes_nothing(functions, sessions, said, wanted):
    clean_sessions(sessions, wanted, device=None, dry_run=True, output=said.output, yes=True)
    assert "would clean" in said.text
    assert devices(functions, 0, 1) == [True, True]


def test_a_device_that_isnt_there_is_named(sessions, said):
    with pytest.raises(NotFound, match="no session with device 7, only with 0,1"):
        clean_sessions(sessions, "1234@lid", device=7, dry_run=False, output=said.output, yes=True)


# -- reset -------------------------------------------------------------------------------------------------


def test_a_reset_leaves_all_behind_and_has_the_connector_log_in_again(functions, sessions, told):
    before = functions.paired.profile.incarnation
    reset_sessions(sessions, dry_run=False, output=told.output, yes=True)
    assert told.records[-1]["incarnation"] > before
    assert devices(functions, 0, 1) == [False, False]
    assert read_request(sessions.deployment.keys_table, "default").what == "reconnect"


def test_after_a_reset_the_next_send_is_read(functions, sessions, said):
    reset_sessions(sessions, dry_run=False, output=said.output, yes=True)
    functions.restart()
    functions.tell(2)
    assert texts(functions.siti.devices[0])[-1] == "Tiket 2"


def test_a_rehearsed_reset_changes_nothing(functions, sessions, said):
    before = functions.paired.profile.incarnation
    reset_sessions(sessions, dry_run=True, output=said.output, yes=True)
    assert functions.paired.profile.incarnation == before


# -- the command line --------------------------------------------------------------------------------------


@pytest.fixture
def found(functions: WiredFunctions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the deployment of these functions."""
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: deployment_of(functions))


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (["list"], 0, "next"),
        (["show", "1234@lid"], 0, "devices"),
        (["clean", "1234@lid", "--device", "0"], 0, "archived"),
        (["clean", "--all", "--dry-run"], 0, "would_clean_users"),
        (["reset", "--dry-run"], 0, "incarnation"),
        (["clean"], 2, "error"),
        (["clean", "--all", "--device", "0"], 2, "error"),
        (["clean", "1234@lid", "--device", "-1"], 2, "error"),
        (["show", "0899-9999-9999"], 3, "error"),
    ],
)
def test_the_command_line(found, capsys, words, code, key):
    assert cli.main(["--json", "sessions", *words]) == code
    assert key in json.loads(capsys.readouterr().out.splitlines()[0])


# -- the question before -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            partial(clean_sessions, wanted=None, device=None),
            "the sessions of the account 'default' with 3 devices of 2 users will be archived",
        ),
        (reset_sessions, "all sessions of the account 'default' (3 devices of 2 users) will be abandoned"),
    ],
)
def test_everybody_s_sessions_are_asked_about_and_need_yes_in_a_script(functions, sessions, act, sentence):
    terminal = typing("n\n")
    with pytest.raises(ConsoleError, match="nothing was done"):
        act(sessions, dry_run=False, output=terminal, yes=False)
    assert sentence in asked(terminal)
    with pytest.raises(Usage, match="--yes"):
        act(sessions, dry_run=False, output=Said().output, yes=False)
    assert devices(functions, 0, 1) == [True, True]
    assert sessions.keys.account.profile().incarnation == sessions.profile.incarnation
