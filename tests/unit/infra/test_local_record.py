"""How a running stack is found and ended: its record, its name, and what is left of one that was killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tocsin_local import record
from tocsin_local.record import RecordError, check_free, claimed, owner, published, record_file, stop

STACK = """
import signal, sys, time
from pathlib import Path
from tocsin_local import record
from tocsin_local.processes import exit_on_sigterm
record.RUNS = Path(sys.argv[1])
exit_on_sigterm()
with record.claimed("local"), record.published("local", {"pid": 0}):
    print("ready", flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "RUNS", tmp_path)
    return tmp_path


@contextmanager
def another_process(runs: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has the name `local` and says so in its record."""
    with subprocess.Popen(
        [sys.executable, "-c", STACK, str(runs)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


class TestRecord:
    def test_is_there_while_the_stack_runs(self) -> None:
        with published("two", {"stack": "tocsin"}):
            assert json.loads(record_file("two").read_text()) == {"stack": "tocsin"}
        assert not record_file("two").exists()

    def test_is_never_seen_half_written(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[bool] = []
        monkeypatch.setattr(json, "dumps", lambda *_, **__: seen.append(record_file("two").exists()) or "{")
        with published("two", {}):
            assert [file.name for file in runs.iterdir()] == ["two.json"]
        assert seen == [False]

    def test_of_one_that_was_killed_goes_when_its_name_is_taken(self, runs: Path) -> None:
        with another_process(runs) as killed:
            killed.kill()
        assert record_file("local").exists()
        with claimed("local"):
            assert not record_file("local").exists()


class TestName:
    def test_is_taken_once_at_a_time(self, runs: Path) -> None:
        with (
            another_process(runs),
            pytest.raises(RecordError, match=r"a stack named 'local' runs already.*--name"),
            claimed("local"),
        ):
            pytest.fail("two have one name")

    def test_is_looked_at_before_a_process_is_started_for_it(self, runs: Path) -> None:
        with another_process(runs), pytest.raises(RecordError, match="runs already"):
            check_free("local")

    def test_others_are_free(self, runs: Path) -> None:
        with another_process(runs), claimed("two"):
            assert owner("two") != owner("local")


class TestStop:
    def test_ends_the_process_and_takes_its_record(self, runs: Path) -> None:
        with another_process(runs) as stack:
            assert owner("local") == stack.pid
            stop("local")
            assert stack.wait() == 128 + signal.SIGTERM
        assert not record_file("local").exists()

    def test_of_one_that_was_killed_touches_no_process(
        self, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with another_process(runs) as killed:
            killed.kill()
        monkeypatch.setattr("os.kill", lambda *_: pytest.fail("its process id may be somebody else's"))
        with pytest.raises(RecordError, match="no stack named 'local' runs"):
            stop("local")

    def test_without_any_says_so(self) -> None:
        with pytest.raises(RecordError, match="no stack named 'two' runs"):
            stop("two")
