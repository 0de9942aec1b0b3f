"""What the demo and the trial do when a connector is killed, and when an output can't show or ends."""

import ast
import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fake_cloud import ACCOUNT, memory_cloud
from tests.support.fake_deployment import FakeDeployment
from tests.support.templates import template
from tocsin.people.numbers import own_phone
from tocsin_console import cli
from tocsin_console.deployment import Deployment
from tocsin_console.page import opening
from tocsin_local import trial
from tocsin_local.paths import ROOT
from tocsin_local.processes import ProcessFailed, clean_environment
from tocsin_local.stack import STACK_NAME

PROGRAM = """
import contextlib, sys
from pathlib import Path
from tocsin_local import demo, record, trial

@contextlib.contextmanager
def world(name, *, progress, parameters=None, ports=None):
    progress("the folder is café ✓")
    raise KeyboardInterrupt
    yield

program = {"demo": demo, "trial": trial}[sys.argv[1]]
program.world = world
record.RUNS = Path(sys.argv[2])
sys.argv[1:] = []
sys.exit(program.main())
"""

both_programs = pytest.mark.parametrize("program", ["demo", "trial"])


class TestOutput:
    @pytest.mark.slow
    @both_programs
    def test_that_cannot_show_a_character_shows_another(self, program: str, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, program, str(tmp_path)],
            env=clean_environment(PYTHONIOENCODING="latin-1"),
            capture_output=True,
            check=False,
        )
        assert "café ?".encode("latin-1") in done.stdout
        assert done.returncode == {"demo": 130, "trial": 0}[program]

    @pytest.mark.slow
    @both_programs
    def test_that_nobody_reads_any_more_ends_it_without_a_word(self, program: str, tmp_path: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, program, str(tmp_path)],
            env=clean_environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, b"")


@dataclass
class FakeConnector:
    name: str
    lives: bool
    log: Path = Path("connector.log")

    def alive(self) -> bool:
        return self.lives


@dataclass
class FakeWorld:
    """Its connectors live on, and its emulator ends at the last look. `happens`: at a look, before it."""

    deployment: Deployment
    happens: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    last: int = 2
    started: list[FakeConnector] = field(default_factory=list)
    looks: int = 0

    def check(self) -> None:
        self.looks += 1
        self.happens.get(self.looks, lambda: None)()
        if self.looks == self.last:
            raise ProcessFailed("emulator", "ended with code 1", Path("emulator.log"))

    @contextlib.contextmanager
    def connector(self) -> Iterator[FakeConnector]:
        self.started.append(FakeConnector(f"connector-{len(self.started) + 2}", lives=True))
        yield self.started[-1]


class TestWhatEnds:
    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trial, "LOOK_SECONDS", 0)

    @pytest.fixture
    def fake(self) -> Iterator[FakeDeployment]:
        with memory_cloud() as aws:
            yield FakeDeployment.on(aws)

    def keep(self, world: FakeWorld, connector: FakeConnector) -> None:
        with contextlib.ExitStack() as connectors:
            trial._keep(world, connector, connectors)  # type: ignore[arg-type]

    def test_a_killed_connector_is_told_and_followed_by_another(
        self, fake: FakeDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world = FakeWorld(fake.deployment)
        with pytest.raises(ProcessFailed):
            self.keep(world, FakeConnector("connector-1", lives=False))
        assert "connector-1 ended, its log is connector.log" in capsys.readouterr().out
        assert [connector.name for connector in world.started] == ["connector-2"]

    def test_the_new_one_is_told_once_it_is_connected_itself(
        self, fake: FakeDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fake.now = time.time()
        former = fake.connector("c-1")
        former.says("connected")
        told: list[str] = []

        def take_over() -> None:
            told.append(capsys.readouterr().out)
            former.keeper.release(ACCOUNT, former.epoch)
            other = fake.connector("c-2")
            other.says("connecting")
            world.happens = {6: lambda: other.says("connected")}

        world = FakeWorld(fake.deployment, {4: take_over}, last=8)
        with pytest.raises(ProcessFailed):
            self.keep(world, FakeConnector("connector-1", lives=False))
        assert "is connected" not in told[0]
        assert capsys.readouterr().out.count("connector-2 is connected") == 1

    def test_one_that_lives_is_left_alone(
        self, fake: FakeDeployment, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world = FakeWorld(fake.deployment)
        with pytest.raises(ProcessFailed):
            self.keep(world, FakeConnector("connector-1", lives=True))
        assert world.started == []
        assert capsys.readouterr().out == ""

    def test_a_killed_emulator_ends_all(self, fake: FakeDeployment) -> None:
        with pytest.raises(ProcessFailed, match="emulator ended with code 1"):
            self.keep(FakeWorld(fake.deployment), FakeConnector("connector-1", lives=True))


def test_a_name_that_is_no_file_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        trial.main(["--name", "../two"])
    assert "a name is made of small letters, digits and hyphens: '../two'" in capsys.readouterr().err


class TestPage:
    """What `make local` does with the console's page. `opened`: what the browser was given."""

    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        given: list[str] = []
        monkeypatch.setattr(opening, "show", lambda address, folder: given.append(address))
        monkeypatch.setattr(opening, "can_show", lambda: True)
        return given

    @pytest.fixture
    def deployment(self) -> Iterator[Deployment]:
        with memory_cloud() as aws:
            yield FakeDeployment.on(aws).deployment

    def test_it_is_opened_and_printed(
        self, deployment: Deployment, opened: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with trial.console_page(deployment, browser=True):
            assert len(opened) == 1
        printed = capsys.readouterr().out
        assert "/enter?token=" in printed
        assert opened[0] not in printed

    def test_its_address_has_a_line_of_80_columns(
        self, deployment: Deployment, opened: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with trial.console_page(deployment, browser=False):
            pass
        [line] = [line for line in capsys.readouterr().out.split("\n") if "token=" in line]
        assert line.startswith("http://")
        assert len(line) <= 80

    def test_on_request_it_is_only_printed(
        self, deployment: Deployment, opened: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with trial.console_page(deployment, browser=False):
            assert opened == []
        assert "/enter?token=" in capsys.readouterr().out

    def test_without_a_screen_it_is_only_printed(
        self, deployment: Deployment, opened: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening, "can_show", lambda: False)
        with trial.console_page(deployment, browser=True):
            assert opened == []

    def test_in_the_background_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[bool] = []
        monkeypatch.setattr(trial, "_run", lambda name, *, page, browser: asked.append(page))
        trial.main(["--pageless"])
        trial.main([])
        assert asked == [False, True]


def test_ctrl_c_is_answered_before_everything_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), trial.stopping_told():
        raise KeyboardInterrupt
    assert "stopping everything" in capsys.readouterr().out


README = (ROOT / "README.md").read_text(encoding="utf-8")


class TestTheReadmesEvent:
    """Whoever pastes it sees it arrive."""

    @pytest.fixture
    def detail(self) -> dict[str, Any]:
        found = re.search(r"^detail = (\{.*?^\})", README, re.MULTILINE | re.DOTALL)
        assert found is not None
        told: dict[str, Any] = ast.literal_eval(found[1])
        return told

    def test_everybody_in_it_has_a_phone(self, detail: dict[str, Any]) -> None:
        people = [detail["customer"], *detail["technicians"]]
        numbers = {own_phone(one["phone"], "ID", "") for one in people}
        assert numbers <= {person.number for person in trial.PHONES}

    def test_a_twin_with_another_number_is_noticed(self) -> None:
        assert own_phone("0812-9999-9999", "ID", "") not in {person.number for person in trial.PHONES}

    def test_it_is_put_on_the_bus_of_the_stack(self) -> None:
        assert f'"EventBusName": "{STACK_NAME}-tickets"' in README
        source = template()["Parameters"]["EventSource"]["Default"]
        assert f'"Source": "{source}"' in README


class TestInstructions:
    HERE: Any = SimpleNamespace(
        phones=SimpleNamespace(url="http://127.0.0.1:65535"),
        stack=SimpleNamespace(
            outputs={"EventBusName": "tocsin-tickets", "EventSource": "ticketing"},
            aws=SimpleNamespace(url="http://127.0.0.1:65535"),
        ),
        folder=Path("/home/dewi/tocsin/.run/local-12345"),
    )
    TOLD = trial.instructions(HERE, "local", trial.Door("http://127.0.0.1:65535", f"trial.{'k' * 43}"))

    def test_fit_a_terminal(self) -> None:
        paths = (str(trial.CONSOLE.parent), str(trial.record_file("local")), str(self.HERE.folder))
        lines = [line for line in self.TOLD.split("\n") if not any(path in line for path in paths)]
        assert [line for line in lines if len(line) > 80] == []

    def test_are_commands_of_the_console(self) -> None:
        commands = re.findall(r"^  tocsin (.+?)(?:  .*)?$", self.TOLD, re.MULTILINE)
        assert len(commands) >= 6
        for command in commands:
            cli.read(shlex.split(command))
