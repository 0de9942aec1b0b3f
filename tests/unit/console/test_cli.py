"""The command line: what can be typed, what a program reads, with which code it ends, what nobody sees."""

from __future__ import annotations

import json
import pkgutil
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_cloud import REGION, MemoryCloud
from tests.support.fake_deployment import SITI, FakeDeployment
from tocsin_console import cli, commands, status, tail
from tocsin_console.errors import EXIT_CODES, Usage
from tocsin_console.look import Look


@pytest.fixture
def run(aws: MemoryCloud, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in the region; its exit code, what it said and what it complained of."""

    def command(*words: str, region: str | None = REGION) -> tuple[int, str, str]:
        place = ["--region", region] if region else []
        try:
            code = cli.main([*place, *words])
        except SystemExit as left:  # as argparse leaves
            code = int(left.code or 0)
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return command


def test_the_version_is_the_packages(run: Any) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("tocsin 0.")


@pytest.mark.parametrize(
    "words", [("settings", "--reveal", "list"), ("settings", "list", "--reveal"), ("settings", "--reveal")]
)
def test_an_option_counts_before_an_action_and_after_it(words: tuple[str, ...]) -> None:
    assert cli.read(words).reveal
    assert not cli.read([word for word in words if word != "--reveal"]).reveal


@pytest.mark.parametrize(
    ("words", "account"),
    [
        (("people", "opt-outs", "--account", "desk", "list"), "desk"),
        (("people", "opt-outs", "list", "--account", "desk"), "desk"),
        (("people", "opt-outs", "--account", "desk"), "desk"),
        (("people", "opt-outs"), None),
    ],
)
def test_an_account_counts_before_an_action_and_after_it(words: tuple[str, ...], account: str | None) -> None:
    assert cli.read(words).account == account


@pytest.mark.parametrize("group", ["accounts", "hooks", "people opt-outs", "settings", "sources"])
def test_without_an_action_it_lists(group: str) -> None:
    words = group.split()
    bare, listing = cli.read(words), cli.read([*words, "list"])
    assert (bare.run, bare.changes) == (listing.run, False)


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "--most"),
        ("waiting", "list", "--most"),
        ("recoveries", "--days"),
        ("sources", "add", "billing", "--kind", "api", "--per-minute"),
        ("tail", "--seconds"),
    ],
)
def test_a_number_of_which_none_makes_no_sense_is_one_or_more(run: Any, words: tuple[str, ...]) -> None:
    code, _, complaint = run(*words, "0")
    assert (code, "a whole number, 1 or more" in complaint) == (2, True)
    assert cli.read([*words, "1"])


def test_a_limit_of_none_and_an_hour_less_than_one_have_their_meaning() -> None:
    assert cli.read(["sessions", "list", "--limit", "0"]).limit == 0
    assert cli.read(["sources", "rotate", "billing", "--hours", "0"]).hours == 0


def test_every_module_of_commands_is_a_command() -> None:
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)} - {"options"}
    assert {module.__name__.rpartition(".")[2] for module in cli.COMMANDS} == modules


@pytest.mark.parametrize("module", cli.COMMANDS, ids=lambda module: module.__name__)
def test_each_command_is_listed_and_explains_itself(run: Any, module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    assert f"\n    {name} " in run("--help")[1]
    code, out, _ = run(name, "--help")
    assert (code, out.split()[:3]) == (0, ["usage:", "tocsin", name])


@pytest.mark.parametrize("module", cli.COMMANDS, ids=lambda module: module.__name__)
def test_a_command_is_called_by_no_other_names_than_its_parser_has(module: ModuleType) -> None:
    names = cli.parser([module])._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert cli.names_of(module) == set(names or ())


def test_a_mistake_beside_the_name_of_a_command_is_compared_with_all_commands() -> None:
    with pytest.raises(Usage, match="did you mean 'status'"):
        cli.read(["statsu", "--stack", "pair"])


def test_help_lists_all_commands_whatever_else_stands_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.read(["--help", "status"])
    assert "\n    pair " in capsys.readouterr().out


def test_options_stand_before_the_command_or_after_it(fake: FakeDeployment, run: Any) -> None:
    assert run("--stack", fake.stack, "status")[0] == 0
    assert run("status", "--stack", fake.stack)[0] == 0
    assert run("--stack", "elsewhere", "status", "--stack", fake.stack)[0] == 0


def test_the_stack_can_come_from_the_environment(
    fake: FakeDeployment, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_STACK", fake.stack)
    assert run("status")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status", "--stack", "nowhere"), 3),
        (("dead-letters", "show", "f" * 18), 3),
        (("dead-letters", "show", "nobody", "--queue", "events"), 3),
        (("send", "--to", "0812"), 2),
        (("pair", "--code", "12"), 2),
        (("unpair", "--wait", "0"), 3),
        (("pair", "--account", "unknown"), 3),
        (("status", "--check"), 5),
        (("send", "--to", f"+{SITI}", "--wait", "0.1"), 4),
        (("send", "--to", f"+{SITI}", "--wait", "0"), 0),
        (("send", "--to", f"+{SITI}", "--language", "pt-BR", "--wait", "0"), 0),
        (("dead-letters", "list"), 0),
        (("dead-letters", "list", "--queue", "events"), 0),
        (("dead-letters", "redrive", "--all"), 0),
        (("dead-letters", "drop", "--all", "--queue", "events", "--yes"), 0),
    ],
)
def test_exit_codes_and_errors_are_for_people_and_programs(
    fake: FakeDeployment, run: Any, words: tuple[str, ...], code: int
) -> None:
    place = () if "--stack" in words else ("--stack", fake.stack)
    ended, out, complaint = run(*words, *place)
    assert ended == code
    assert complaint.startswith("tocsin: ") == (code != 0)
    ended, out, complaint = run(*words, *place, "--json")
    assert ended == code
    assert complaint == ""
    records = [json.loads(line) for line in out.splitlines()]
    if code:
        assert records[-1]["exit_code"] == code


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("people",),
        ("dead-letters", "redrive"),
        ("dead-letters", "redrive", "ID", "--all"),
        ("send",),
        ("send", "--to", "1", "--wait", "-1"),
        ("send", "--to", "1", "--wait", "nan"),
        ("no-such-command",),
    ],
)
def test_a_wrong_command_line_is_an_error_in_json_too(
    run: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*words)[0] == 2
    code, out, complaint = run("--json", *words)
    assert (code, complaint) == (2, "")
    assert json.loads(out)["exit_code"] == 2


def test_an_unexpected_error_shows_neither_trace_nor_text(
    fake: FakeDeployment, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"the key of {SITI} is 0xdeadbeef")

    monkeypatch.setattr(status, "show", broken)
    code, out, complaint = run("status", "--stack", fake.stack)
    assert code == 1
    assert "unexpected RuntimeError" in complaint
    assert "deadbeef" not in out + complaint
    assert "Traceback" not in out + complaint


def test_whoever_debugs_sees_the_trace(
    fake: FakeDeployment, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_DEBUG", "1")
    monkeypatch.setattr(status, "show", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in run("status", "--stack", fake.stack)[2]


def test_ctrl_c_gives_back_what_a_look_holds(
    fake: FakeDeployment, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.failed()

    def interrupted(self: Look, message_id: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Look, "remove", interrupted)
    code, _, complaint = run("dead-letters", "redrive", "--all", "--stack", fake.stack)
    assert (code, complaint) == (130, "tocsin: interrupted\n")
    assert len(fake.taken("DeadLetters")) == 1


def test_ctrl_c_is_how_a_tail_ends_without_a_word_and_with_no_error(
    fake: FakeDeployment, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tail, "_begin", interrupted)
    assert run("tail", "--stack", fake.stack) == (0, "", "")
    assert "not `tail`" in EXIT_CODES[130]


def test_without_credentials_the_operator_is_told_to_log_in(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, _, complaint = run("status")
    assert code == 1
    assert "aws sso login" in complaint


def test_a_profile_that_isnt_there_is_named(run: Any) -> None:
    code, _, complaint = run("status", "--profile", "ops")
    assert code == 1
    assert "(ops)" in complaint


def test_an_endpoint_that_is_down_is_named(run: Any) -> None:
    code, _, complaint = run("status", "--endpoint-url", "http://127.0.0.1:9")
    assert code == 1
    assert "http://127.0.0.1:9" in complaint
