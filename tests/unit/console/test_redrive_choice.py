"""Which letters a redrive means, what it would do, when it asks, and who is said to have done it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from tests.support.fake_deployment import NOW, SITI, FakeDeployment, Said, asked, typing
from tocsin.notify.redrive import Selection
from tocsin.notify.refused_events import EventSelection
from tocsin.notify.store.audit import LETTERS_DROPPED
from tocsin_console import cli
from tocsin_console.commands.options import past
from tocsin_console.dead_letters import drop_letters, list_letters, redrive_letters, show_letter
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.refused_events import drop_refused, redrive_refused

BUDI = "6281311112222"
AT = NOW * 1000
EVENT = {"id": "e-1", "detail-type": "TicketCreated", "detail": {"ticket": {"id": "TCK-7"}}}


@pytest.fixture
def run(fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)

    def command(*words: str) -> tuple[int, str]:
        code = cli.main(["dead-letters", *words])
        heard = capsys.readouterr()
        return code, heard.out + heard.err

    return command


def left(fake: FakeDeployment) -> int:
    return fake.deployment.redriver().count()


# -- which -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(since=AT), True),
        (Selection(since=AT + 1), False),
        (Selection(until=AT + 1), True),
        (Selection(until=AT), False),
        (Selection(recipients={SITI}), True),
        (Selection(recipients={BUDI}), False),
        (Selection(reason="server-error", recipients={SITI}, since=AT), True),
        (Selection(reason="gone", recipients={SITI}, since=AT), False),
    ],
)
def test_a_selection_means_what_all_of_it_lets_through(
    fake: FakeDeployment, selection: Selection, meant: bool
) -> None:
    fake.failed()
    done = list(fake.deployment.redriver().redrive(selection, dry_run=True))
    assert bool(done) == meant


def test_a_letter_that_does_not_say_when_is_in_no_time(fake: FakeDeployment) -> None:
    fake.put("DeadLetters", "hello?")
    redriver = fake.deployment.redriver()
    assert list(redriver.drop(Selection(since=0), dry_run=True)) == []
    assert len(list(redriver.drop(Selection(), dry_run=True))) == 1


def test_those_of_a_ticket_are_redriven_alone(run, fake: FakeDeployment) -> None:  # type: ignore[no-untyped-def]
    first, second = fake.failed(), fake.failed()
    code, said = run("redrive", "--ticket", second.ticket_id)
    assert code == 0
    assert second.id in said
    assert first.id not in said
    assert left(fake) == 1


def test_those_of_a_person_are_dropped_alone_in_whatever_way_the_number_is_written(  # type: ignore[no-untyped-def]
    run, fake: FakeDeployment
) -> None:
    fake.failed(SITI)
    other = fake.failed(BUDI)
    assert run("drop", "--person", "0812-3456-7890", "--yes")[0] == 0
    assert [letter.notification for letter in fake.deployment.redriver().read()] == [other.id]


@pytest.mark.parametrize(
    "words",
    [
        ("redrive",),
        ("redrive", "ID", "--all"),
        ("redrive", "ID", "--since", "2h"),
        ("drop", "--all", "--reason", "gone"),
    ],
)
def test_what_is_meant_must_be_said_in_one_way(run, words: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    code, said = run(*words)
    assert (code, "choose which are meant" in said) == (2, True)


def test_a_refused_event_has_no_person(run) -> None:  # type: ignore[no-untyped-def]
    code, said = run("redrive", "--queue", "events", "--person", "0812-3456-7890")
    assert (code, "choose it by --ticket" in said) == (2, True)


def test_refused_events_are_chosen_by_ticket_and_time(fake: FakeDeployment) -> None:
    fake.refuse(EVENT)
    read = fake.deployment.refused_events.read
    assert len(read(EventSelection(ticket="TCK-7", since=AT, until=AT + 1))) == 1
    assert read(EventSelection(ticket="TCK-8")) == []
    assert read(EventSelection(until=AT)) == []


@pytest.mark.parametrize(
    ("text", "span"),
    [("90min", timedelta(minutes=90)), ("2h", timedelta(hours=2)), ("3d", timedelta(days=3))],
)
def test_a_time_may_be_so_long_ago(text: str, span: timedelta) -> None:
    before = int(time.time() * 1000)
    ago = past(text) + span // timedelta(milliseconds=1)
    assert before - 1 <= ago <= time.time() * 1000 + 1


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    assert past("2026-11-24T08:00Z") == 1_795_507_200_000
    assert past("2026-11-24") == datetime(2026, 11, 24).astimezone().timestamp() * 1000


def test_nonsense_is_no_time() -> None:
    with pytest.raises(Exception, match="is no time: give 2h, 3d"):
        past("yesterday")


# -- reasons -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [redrive_letters, drop_letters])
def test_an_unknown_reason_is_an_error_that_names_the_known(  # type: ignore[no-untyped-def]
    fake: FakeDeployment, said: Said, act
) -> None:
    fake.failed()
    with pytest.raises(Usage, match=r"did you mean 'server-error'.*Letters have now: server-error.*expired"):
        act(fake.deployment, Selection(reason="server-eror"), dry_run=False, output=said.output, yes=True)
    assert left(fake) == 1


def test_a_reason_of_a_later_version_is_known_where_a_letter_has_it(fake: FakeDeployment, said: Said) -> None:
    fake.failed(code="brand-new")
    redrive_letters(fake.deployment, Selection(reason="brand-new"), dry_run=False, output=said.output)
    assert left(fake) == 0


def test_a_known_reason_that_no_letter_has_is_nothing_to_do(fake: FakeDeployment, said: Said) -> None:
    redrive_letters(fake.deployment, Selection(reason="expired"), dry_run=False, output=said.output)
    assert said.lines == ["0 redriven, 0 dropped, 0 kept"]


@pytest.mark.parametrize("act", [redrive_refused, drop_refused])
def test_an_unknown_reason_of_events_is_an_error_too(fake: FakeDeployment, said: Said, act) -> None:  # type: ignore[no-untyped-def]
    fake.refuse(EVENT)
    with pytest.raises(Usage, match="did you mean 'crashed'"):
        act(fake.deployment, EventSelection(reason="crash"), dry_run=False, output=said.output, yes=True)


def test_a_reason_is_said_in_words_with_its_remedy(fake: FakeDeployment, said: Said) -> None:
    show_letter(fake.deployment, fake.failed().id, text=False, output=said.output)
    assert "means         WhatsApp or the network failed for longer than it was tried." in said.lines
    assert "remedy        Send it again." in said.lines


def test_the_list_says_each_reason_once_in_words(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.failed(BUDI)
    fake.failed(code="brand-new")
    list_letters(fake.deployment, said.output)
    words = "server-error: WhatsApp or the network failed for longer than it was tried. Send it again."
    assert said.lines.count(words) == 1
    assert not any(line.startswith("brand-new:") for line in said.lines)


# -- asking ------------------------------------------------------------------------------------------------


def many(fake: FakeDeployment, count: int, recipients: int) -> None:
    for number in range(count):
        fake.failed(f"62813{number % recipients:08}")


def test_twenty_go_without_a_question(fake: FakeDeployment, said: Said) -> None:
    many(fake, 20, 10)
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    assert said.lines[-1] == "20 redriven, 0 dropped, 0 kept"


@pytest.mark.parametrize(("answer", "stays"), [("n\n", 21), ("\n", 21), ("y\n", 0)])
def test_more_are_sent_only_to_whoever_agrees(fake: FakeDeployment, answer: str, stays: int) -> None:
    many(fake, 21, 21)
    output = typing(answer)
    try:
        redrive_letters(fake.deployment, Selection(), dry_run=False, output=output)
    except ConsoleError as error:
        assert str(error) == "nothing was done"  # noqa: PT017
    assert (
        "21 dead letters will be sent again to 21 recipients (account default (not linked)). Go on?"
        in asked(output)
    )
    assert left(fake) == stays


def test_those_that_are_hidden_behind_others_are_counted(fake: FakeDeployment) -> None:
    many(fake, 23, 1)
    output = typing("n\n")
    with pytest.raises(ConsoleError, match="nothing was done"):
        redrive_letters(fake.deployment, Selection(), dry_run=False, output=output)
    assert "10 dead letters will be sent again" in asked(output)
    assert "about 13 more can't be read yet" in asked(output)


def test_a_script_says_yes(fake: FakeDeployment, said: Said) -> None:
    many(fake, 21, 10)
    with pytest.raises(Usage, match="add --yes"):
        redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    assert left(fake) == 21
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output, yes=True)
    assert left(fake) == 0


def test_a_dry_run_counts_what_the_real_run_does(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.arrives(fake.failed(BUDI))
    fake.put("DeadLetters", "hello?")
    redrive_letters(fake.deployment, Selection(), dry_run=True, output=said.output)
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    totals = [line for line in said.lines if " kept" in line and "redriven," in line]
    assert totals == [
        "would be: 1 redriven, 1 dropped, 1 kept",
        "1 redriven, 1 dropped, 1 kept",
    ]


def test_a_dry_run_of_dropping_counts_what_the_real_run_does(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.arrives(fake.failed(BUDI))
    fake.put("DeadLetters", "hello?")
    for dry_run in (True, False):
        drop_letters(fake.deployment, Selection(), dry_run=dry_run, output=said.output, yes=True)
    expected, done = (line for line in said.lines if " kept" in line and "redriven," in line)
    assert expected == f"would be: {done}"


# -- who did it --------------------------------------------------------------------------------------------


def audited(fake: FakeDeployment) -> list[tuple[str, str, int]]:
    return [(line.by, line.what, line.count) for line in fake.deployment.stores.audit.lines()]


def test_a_redrive_leaves_a_line_with_who_what_and_how_many(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.failed(BUDI)
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    assert audited(fake) == [("assumed-role/Operator/dewi", "dead letters: 2 redriven, 0 dropped, 0 kept", 2)]


def test_a_dry_run_and_a_run_that_found_nothing_leave_none(fake: FakeDeployment, said: Said) -> None:
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    fake.failed()
    redrive_letters(fake.deployment, Selection(), dry_run=True, output=said.output)
    assert audited(fake) == []


def test_the_drop_of_one_leaves_a_line_that_names_it(fake: FakeDeployment, said: Said) -> None:
    one = fake.failed()
    chosen = Selection(notification=one.id)
    drop_letters(fake.deployment, chosen, dry_run=False, output=said.output, yes=True)
    [line] = fake.deployment.stores.audit.lines()
    assert line.what == f"dead letters: 0 redriven, 1 dropped, 0 kept ({one.id})"
    assert (line.kind, line.ids) == (LETTERS_DROPPED, (one.id,))


def test_the_drop_of_several_leaves_a_line_that_names_each(fake: FakeDeployment, said: Said) -> None:
    letters = {fake.failed().id, fake.failed(BUDI).id}
    drop_letters(fake.deployment, Selection(), dry_run=False, output=said.output, yes=True)
    [line] = fake.deployment.stores.audit.lines()
    assert set(line.ids) == letters


def test_dropping_leaves_a_line(fake: FakeDeployment, said: Said) -> None:
    fake.failed()
    fake.refuse(EVENT)
    drop_letters(fake.deployment, Selection(), dry_run=False, output=said.output, yes=True)
    drop_refused(fake.deployment, EventSelection(), dry_run=False, output=said.output, yes=True)
    assert sorted(what for _, what, _ in audited(fake)) == [
        "dead letters: 0 redriven, 1 dropped, 0 kept",
        "refused events: 1 dropped",
    ]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("settings", "set", "retries", "3"), "settings: retries 3"),
        (("pause",), "settings: sending paused"),
        (("pause", "--audience", "group"), "settings: sending paused for audience=group"),
        (("accounts", "add", "second"), "added the account second"),
    ],
)
def test_a_change_by_the_command_line_leaves_a_line(  # type: ignore[no-untyped-def]
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, words, what: str
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)
    assert cli.main(words) == 0
    assert audited(fake)[0][:2] == ("assumed-role/Operator/dewi", what)


@pytest.mark.parametrize("words", [("settings", "reset", "retries"), ("resume",)])
def test_what_is_so_already_leaves_none(  # type: ignore[no-untyped-def]
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, words
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)
    assert cli.main(words) == 0
    assert audited(fake) == []


def test_where_it_cannot_be_written_down_that_is_said_and_the_change_stands(
    fake: FakeDeployment, said: Said, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from botocore.exceptions import ClientError

    def denied(_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutItem")

    monkeypatch.setattr(type(fake.deployment.stores.audit), "add", lambda _, line: denied(line))
    fake.failed()
    redrive_letters(fake.deployment, Selection(), dry_run=False, output=said.output)
    assert "could not be written down: AWS refused it: no. Your AWS permissions" in capsys.readouterr().err
    assert left(fake) == 0


def test_a_dry_run_does_not_call_kept_what_would_be_sent_again(fake: FakeDeployment, said: Said) -> None:
    letter = fake.failed()
    redrive_letters(fake.deployment, Selection(), dry_run=True, output=said.output)
    (line, total) = said.text.splitlines()
    assert line == f"{letter.id}  server-error  would be sent again"
    assert total == "would be: 1 redriven, 0 dropped, 0 kept"
