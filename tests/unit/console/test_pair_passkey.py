"""`tocsin pair` leads through the passkey ceremony: what is shown at each step, and what is asked back."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_deployment import ACCOUNT, NOW, Connector, FakeDeployment, Said, Script
from tests.support.passkey_ceremony import CHALLENGE, PASSKEY
from tocsin.accounts.operator_requests import request, take_passkey_answer
from tocsin.accounts.passkey import (
    CHALLENGED,
    COMPARE,
    CONTINUE,
    FETCHING,
    PAIRING,
    SENT,
    LinkedPhone,
    PasskeyAnswer,
    PasskeyStep,
)
from tocsin.settings.changes import read_current
from tocsin.whatsapp.assertion import REFUSALS
from tocsin.whatsapp.passkey import parse_options
from tocsin_console import pair, passkey_code
from tocsin_console.errors import ConsoleError, Interrupted, TimedOut, Usage
from tocsin_console.output import Output, json_moment
from tocsin_console.passkey import BUSY, NO_COMPARISON, NO_SOURCE, Guide, Sources
from tocsin_whatsapp_server.passkey import options

OPTIONS = parse_options(options(CHALLENGE)).ascii_json()
CHALLENGE_STEP = PasskeyStep("one", CHALLENGED, NOW + 600, OPTIONS)
PASTE = json.dumps(PASSKEY.answer(json.loads(OPTIONS)))


@pytest.fixture
def connector(fake: FakeDeployment) -> Connector:
    connector = fake.connector()
    connector.says("unpaired", "link it: tocsin pair")
    return connector


class Lines:
    """The operator's lines, one each time that is listened."""

    def __init__(self, *lines: str | None, ended: bool = False) -> None:
        self._lines = list(lines)
        self.ended = False
        self._ends = ended

    def line(self, seconds: float) -> str | None:
        if self._lines:
            return self._lines.pop(0)
        self.ended = self._ends
        return None


def guided(fake: FakeDeployment, said: Said, *lines: str | None, **more: Any) -> Guide:
    source = Lines(*lines, **more)
    return Guide(fake.deployment, ACCOUNT, said.output, Sources(source, source))


def given(fake: FakeDeployment, ceremony: str = "one") -> PasskeyAnswer | None:
    """What the connector finds."""
    return take_passkey_answer(fake.deployment.keys_table, ACCOUNT, fake.deployment.sealer, ceremony)


# What is shown


def test_the_challenge_says_what_to_open_until_when_and_what_to_paste(
    fake: FakeDeployment, said: Said
) -> None:
    guided(fake, said).follow(CHALLENGE_STEP)
    assert passkey_code.one_line(OPTIONS) in said.lines
    for words in (
        "You have until ",
        "https://web.whatsapp.com",
        "Don't scan the code that you see there",
        "F12 or Ctrl+Shift+J, on a Mac Cmd+Option+J",
        '"allow pasting"',
        "a stranger's text could take over an account",
        "press Ctrl-C, and nothing is linked",
    ):
        assert words in said.text


def test_a_step_is_shown_once(fake: FakeDeployment, said: Said) -> None:
    guide = guided(fake, said)
    guide.follow(CHALLENGE_STEP)
    before = said.text
    guide.follow(CHALLENGE_STEP)
    assert said.text == before


def test_enter_alone_shows_the_longer_one_with_a_button(fake: FakeDeployment, said: Said) -> None:
    guide = guided(fake, said, "", "")
    guide.follow(CHALLENGE_STEP)
    guide.follow(CHALLENGE_STEP)
    longer = passkey_code.with_button(OPTIONS).split("\n")
    assert said.text.count(longer[2]) == 1
    assert said.text.count("\n".join(longer)) == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (FETCHING, "WhatsApp wants the passkey of this account; asking it for its question …"),
        (CONTINUE, "On the phone, press Continue, before "),
        (COMPARE, "Does the phone show the same one?"),
        (PAIRING, "if it shows one, is ABCD-EFGH"),
    ],
)
def test_each_later_step_says_what_to_do(fake: FakeDeployment, said: Said, step: str, words: str) -> None:
    guided(fake, said).follow(PasskeyStep("one", step, NOW + 60, code="ABCD-EFGH"))
    assert words in said.text


def test_programs_get_the_options_and_both_pieces_of_code(fake: FakeDeployment, told: Said) -> None:
    guided(fake, told).follow(CHALLENGE_STEP)
    [record] = told.records
    assert record["options"] == json.loads(OPTIONS)
    assert record["line"] == passkey_code.one_line(OPTIONS)
    assert record["button"] == passkey_code.with_button(OPTIONS)
    assert (record["passkey"], record["expires_at"]) == (CHALLENGED, json_moment((NOW + 600) * 1000))


@pytest.mark.parametrize(
    "shown",
    [
        OPTIONS + ");alert(1",
        OPTIONS.replace("whatsapp.com", "evil.example"),
        json.dumps(json.loads(OPTIONS)),
        OPTIONS.replace('"required"', '"\u2028"'),
        "",
    ],
)
def test_what_no_connector_writes_does_not_become_code(fake: FakeDeployment, said: Said, shown: str) -> None:
    guide = guided(fake, said, PASTE)
    with pytest.raises(ConsoleError, match="nothing was linked"):
        guide.follow(replace(CHALLENGE_STEP, options=shown))
    assert given(fake) == PasskeyAnswer("one"), "the connector is told to stop"
    assert "navigator" not in said.text


# What is answered


def test_a_right_answer_goes_to_the_connector_sealed_and_is_not_shown(
    fake: FakeDeployment, said: Said
) -> None:
    guided(fake, said, PASTE).follow(CHALLENGE_STEP)
    found = given(fake)
    assert found is not None
    assert found.assertion == PASTE
    assert json.loads(PASTE)["response"]["signature"] not in said.text
    assert said.lines[-1].endswith("Bringing it to WhatsApp …")


def test_a_wrong_answer_is_told_at_once_and_goes_nowhere(fake: FakeDeployment, said: Said) -> None:
    guide = guided(fake, said, "Promise {<pending>}", PASTE)
    guide.follow(CHALLENGE_STEP)
    assert said.lines[-1] == REFUSALS["pending"]
    assert given(fake) is None
    guide.follow(CHALLENGE_STEP)
    assert given(fake) is not None


def test_a_second_answer_is_refused_while_one_is_on_its_way(fake: FakeDeployment, said: Said) -> None:
    guide = guided(fake, said, PASTE, PASTE)
    guide.follow(CHALLENGE_STEP)
    guide.follow(CHALLENGE_STEP)
    assert said.lines[-1] == BUSY


def test_what_the_connector_refuses_is_told_once_and_may_be_answered_anew(
    fake: FakeDeployment, said: Said
) -> None:
    guide = guided(fake, said, PASTE, None, PASTE)
    guide.follow(CHALLENGE_STEP)
    refused = replace(CHALLENGE_STEP, refusal="not so")
    guide.follow(refused)
    assert given(fake) is not None
    guide.follow(refused)
    assert given(fake) is not None
    assert said.lines.count("not so") == 1


@pytest.mark.parametrize(("typed", "same"), [("yes", True), ("Y", True), ("no", False), (" n ", False)])
def test_codes_are_compared_by_yes_or_no(fake: FakeDeployment, said: Said, typed: str, same: bool) -> None:
    guided(fake, said, typed).follow(PasskeyStep("one", COMPARE, NOW + 60, code="ABCD-EFGH"))
    assert given(fake) == PasskeyAnswer("one", same=same)


@pytest.mark.parametrize("typed", ["", "maybe", PASTE])
def test_anything_else_is_neither(fake: FakeDeployment, said: Said, typed: str) -> None:
    guided(fake, said, typed).follow(PasskeyStep("one", COMPARE, NOW + 60, code="ABCD-EFGH"))
    assert given(fake) is None
    assert said.lines[-1].startswith("yes or no?")


def test_an_input_that_ends_ends_the_attempt(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(ConsoleError, match="the input ended"):
        guided(fake, said, ended=True).follow(CHALLENGE_STEP)
    assert given(fake) == PasskeyAnswer("one")


@pytest.mark.parametrize(
    ("step", "words"),
    [(CHALLENGE_STEP, NO_SOURCE), (PasskeyStep("one", COMPARE, NOW, code="A"), NO_COMPARISON)],
)
def test_without_anybody_to_answer_the_attempt_is_dropped(
    fake: FakeDeployment, said: Said, step: PasskeyStep, words: str
) -> None:
    with pytest.raises(ConsoleError) as refused:
        Guide(fake.deployment, ACCOUNT, said.output, Sources()).follow(step)
    assert str(refused.value) == words
    assert given(fake) == PasskeyAnswer("one")


@pytest.mark.parametrize("name", [".", "/dev/null"])
def test_what_can_never_become_the_answer_is_refused_at_once(
    fake: FakeDeployment, said: Said, name: str
) -> None:
    """A device, a pipe or a folder has no size: it would be waited for until the time is over."""
    with pytest.raises(Usage, match="a file that appears"):
        Sources.of(name, said.output)


# The whole command


def paired(
    fake: FakeDeployment, said: Said, *steps: Callable[[], object], wait: float = 60, **wishes: Any
) -> Script:
    script = Script(list(steps))
    pair.pair(
        fake.deployment,
        ACCOUNT,
        wait_seconds=wait,
        output=said.output,
        wishes=pair.Wishes(**wishes),
        sleep=script.sleep,
        clock=script.clock,
    )
    return script


def test_an_answer_in_a_file_links_the_account(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    answer = tmp_path / "answer.json"
    found: list[PasskeyAnswer | None] = []
    linked = LinkedPhone("6281100000001")
    paired(
        fake,
        said,
        lambda: connector.answers(qr="code", qr_expires_at=NOW + 60),
        lambda: connector.answers(passkey=CHALLENGE_STEP),
        lambda: answer.write_text(PASTE),
        lambda: None,
        lambda: found.append(given(fake)),
        lambda: connector.answers(passkey=PasskeyStep("one", SENT, 0)),
        lambda: connector.answers(passkey=PasskeyStep("one", CONTINUE, NOW + 180)),
        lambda: connector.answers(passkey=PasskeyStep("one", PAIRING, NOW + 30, code="ABCD-EFGH")),
        lambda: connector.answers("connecting", "linked; logging in", linked=linked),
        lambda: connector.says("connected"),
        assertion=str(answer),
    )
    assert [each is not None and each.assertion for each in found] == [PASTE]
    assert said.lines[-2:] == [
        "linked on the phone +6281100000001; logging in …",
        "the account 'default' is linked and connected",
    ]


class Living(Script):
    """As a script, while the connector's heart beats. `later`: what happens once so many seconds are over."""

    def __init__(self, connector: Connector, *steps: Callable[[], object]) -> None:
        super().__init__(list(steps))
        self._connector = connector
        self.later: dict[float, Callable[[], object]] = {}

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._connector.fake.now = self.now
        self._connector.keeper.beat()
        for at in [at for at in self.later if self.now - NOW >= at]:
            self.later.pop(at)()


def paired_by(script: Script, fake: FakeDeployment, said: Said, tmp_path: Path, *, wait: float = 30) -> None:
    pair.pair(
        fake.deployment,
        ACCOUNT,
        wait_seconds=wait,
        output=said.output,
        wishes=pair.Wishes(assertion=str(tmp_path / "never")),
        sleep=script.sleep,
        clock=script.clock,
    )


def test_a_ceremony_has_fifteen_minutes_whatever_the_wish_waits(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    script = Living(connector, lambda: connector.answers(passkey=CHALLENGE_STEP))
    with pytest.raises(TimedOut):
        paired_by(script, fake, said, tmp_path)
    assert 900 <= script.now - NOW < 905


def test_whoever_compares_codes_late_has_the_time_that_the_connector_gives(
    fake: FakeDeployment, connector: Connector
) -> None:
    compare = PasskeyStep("one", COMPARE, NOW + 1150, code="ABCD-EFGH")
    script = Living(connector, lambda: connector.answers(passkey=CHALLENGE_STEP))
    script.later = {
        850: lambda: connector.answers(passkey=compare),
        1100: lambda: connector.answers("connecting"),
    }
    offers = list(
        pair.codes(fake.deployment, ACCOUNT, wait_seconds=30, sleep=script.sleep, clock=script.clock)
    )
    assert offers[-1] == compare
    assert script.now - NOW == 1100


def test_a_ceremony_whose_time_is_over_is_dropped_at_the_connector(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    """Else the phone could be linked later, and nobody would look."""
    with pytest.raises(TimedOut):
        paired_by(Living(connector, lambda: connector.answers(passkey=CHALLENGE_STEP)), fake, said, tmp_path)
    assert given(fake) == PasskeyAnswer("one")


def test_a_ceremony_that_another_operator_asked_for_since_is_left_alone(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    def another_asks() -> None:
        deployment = fake.deployment
        request(deployment.keys_table, deployment.sealer, ACCOUNT, "pair", NOW + 9, os.urandom(12))
        connector.answers(passkey=CHALLENGE_STEP)

    with pytest.raises(TimedOut):
        paired_by(Living(connector, another_asks), fake, said, tmp_path)
    assert given(fake) is None


def test_a_ceremony_whose_connector_is_gone_ends_within_seconds(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    script = Script([lambda: connector.answers(passkey=CHALLENGE_STEP)])
    with pytest.raises(ConsoleError) as ended:
        paired_by(script, fake, said, tmp_path)
    assert str(ended.value) == pair.GONE
    assert script.now - NOW < 30


def test_a_ceremony_whose_account_went_to_another_connector_ends_at_once(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    """A planned restart: the state in which the next one takes it is not the end yet."""
    others: list[Connector] = []

    def leaves() -> None:
        connector.keeper.release(ACCOUNT, connector.epoch)
        others.append(fake.connector("c2"))

    script = Script(
        [
            lambda: connector.answers(passkey=CHALLENGE_STEP),
            leaves,
            lambda: None,
            lambda: others[0].says("unpaired", "link it: tocsin pair"),
        ]
    )
    with pytest.raises(ConsoleError) as ended:
        paired_by(script, fake, said, tmp_path)
    assert str(ended.value) == pair.GONE
    assert script.now - NOW == pytest.approx(2.0)


def test_ctrl_c_drops_the_attempt_at_the_connector(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="drop the attempt"):
        paired(
            fake,
            said,
            lambda: connector.answers(passkey=CHALLENGE_STEP),
            interrupt,
            assertion=str(tmp_path / "never"),
        )
    assert given(fake) == PasskeyAnswer("one")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminal_that_is_closed_drops_the_attempt_too(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path, name: str
) -> None:
    """Else the phone could be linked behind it."""
    number = getattr(signal, name)
    at_worst = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted):
            paired(
                fake,
                said,
                lambda: connector.answers(passkey=CHALLENGE_STEP),
                lambda: os.kill(os.getpid(), number),
                lambda: connector.answers("connecting"),
                lambda: connector.says("connected"),
                assertion=str(tmp_path / "never"),
            )
    finally:
        signal.signal(number, at_worst)
    assert given(fake) == PasskeyAnswer("one")


def test_after_a_failed_ceremony_the_reason_and_a_new_code_are_shown(
    fake: FakeDeployment, connector: Connector, said: Said, tmp_path: Path
) -> None:
    why = "WhatsApp refused the passkey's answer or a later step; to try again, use the new code"
    paired(
        fake,
        said,
        lambda: connector.answers(passkey=CHALLENGE_STEP),
        lambda: connector.answers(message=why, qr="second", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
        lambda: connector.says("connected"),
        assertion=str(tmp_path / "never"),
    )
    assert why in said.lines
    assert "█" in said.text


def test_the_wishes_reach_the_connector(fake: FakeDeployment, connector: Connector, said: Said) -> None:
    def look() -> None:
        asked = connector.asked()
        assert (asked.always_ask_code, asked.shared_phone) == (True, True)
        connector.answers("connecting")

    paired(fake, said, look, lambda: connector.says("connected"), always_ask_code=True, shared_phone=True)


def test_another_phone_than_before_is_told_with_both_numbers(
    fake: FakeDeployment, connector: Connector, told: Said
) -> None:
    linked = LinkedPhone("6281100000002", "6281100000001")
    paired(
        fake,
        told,
        lambda: connector.answers("connecting", linked=linked),
        lambda: connector.says("connected"),
    )
    assert told.records[-1] == {
        "account": ACCOUNT,
        "state": "connected",
        "number": "6281100000002",
        "number_before": "6281100000001",
    }
    since = read_current(fake.deployment.outside_table).values["new-number-since"]
    assert list(since) == [f"account={ACCOUNT}"]


def test_the_same_phone_again_is_no_news(fake: FakeDeployment, connector: Connector, told: Said) -> None:
    linked = LinkedPhone("6281100000001", "6281100000001")
    paired(
        fake,
        told,
        lambda: connector.answers("connecting", linked=linked),
        lambda: connector.says("connected"),
    )
    assert read_current(fake.deployment.outside_table).values == {}


def test_where_the_settings_cannot_be_changed_the_command_for_it_is_told(
    fake: FakeDeployment, connector: Connector, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise ConsoleError("somebody else changed them")

    monkeypatch.setattr("tocsin_console.settings.change", refused)
    linked = LinkedPhone("6281100000002", "6281100000001")
    paired(
        fake,
        said,
        lambda: connector.answers("connecting", linked=linked),
        lambda: connector.says("connected"),
    )
    assert "tocsin settings set new-number-since 20" in said.text


def test_a_phone_that_is_told_after_the_login_is_told_all_the_same(
    fake: FakeDeployment, connector: Connector, told: Said
) -> None:
    paired(
        fake,
        told,
        lambda: connector.answers("connecting"),
        lambda: connector.says("connected"),
        lambda: connector.answers("connecting", linked=LinkedPhone("6281100000002")),
    )
    assert told.records[-1]["number"] == "6281100000002"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "meant"), [("n\n", False), ("no\n", False), ("\n", True), ("y\n", True)])
def test_the_operator_is_asked_whether_another_phone_is_meant(
    fake: FakeDeployment, connector: Connector, typed: str, meant: bool
) -> None:
    screen, keyboard = Terminal(), Terminal(typed)
    keyboard.fileno = lambda: 0  # type: ignore[method-assign]
    linked = LinkedPhone("6281100000002", "6281100000001")
    script = Script(
        [
            lambda: connector.answers("connecting", linked=linked),
            lambda: connector.says("connected"),
        ]
    )
    assert meant == pair.pair(
        fake.deployment,
        ACCOUNT,
        wait_seconds=60,
        output=Output(stream=screen, answers=keyboard),
        sleep=script.sleep,
        clock=script.clock,
    )
    assert "Is that the phone you meant?" in screen.getvalue()
