"""Children end with us, whatever happens to us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tocsin_local.processes import ProcessFailed, clean_environment, free_port, running

# Starts a child of its own, tells both ids, and ignores every polite request to end.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
POLITE = "import time; print('ready', flush=True); time.sleep(600)"


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def ids_in(log: Path) -> list[int]:
    return [int(word) for word in log.read_text().split()] if log.exists() else []


def is_gone(pid: int) -> bool:
    """Not there any more, or dead and waiting to be buried by somebody else."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False


def wait_until_gone(*pids: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not all(is_gone(pid) for pid in pids):
        if time.monotonic() > end:
            pytest.fail(f"still there: {[pid for pid in pids if not is_gone(pid)]}")
        time.sleep(0.05)


def test_ends_with_the_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("child", python(POLITE), environment=clean_environment(), log=log) as child:
        child.wait_until(lambda: "ready" in log.read_text())
        assert child.alive()
    assert not child.alive()


def test_ends_with_all_it_started_even_if_it_does_not_want_to(tmp_path: Path) -> None:
    log, environment = tmp_path / "log", clean_environment()
    with running("child", python(STUBBORN), environment=environment, log=log, grace_seconds=0.2) as child:
        child.wait_until(lambda: len(ids_in(log)) == 2)
    wait_until_gone(*ids_in(log))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ends_when_the_program_that_started_it_is_struck_down(tmp_path: Path, blow: signal.Signals) -> None:
    log = tmp_path / "log"
    program = f"""
import signal, time
from pathlib import Path
from tocsin_local.processes import clean_environment, exit_on_sigterm, running
# What a shell starts in the background ignores it, and so does all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
exit_on_sigterm()
inner = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
command, log = [{sys.executable!r}, "-c", inner], Path({str(log)!r})
with running("child", command, environment=clean_environment(), log=log):
    time.sleep(600)
"""
    parent = subprocess.Popen(python(program), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not ids_in(log):
        if time.monotonic() > end:
            pytest.fail("it doesn't begin")
        time.sleep(0.05)
    parent.send_signal(blow)
    parent.wait(60)
    wait_until_gone(*ids_in(log))


def test_one_that_ends_too_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    failing = python("import sys; print('no such port'); sys.exit(3)")
    with (
        running("server", failing, environment=clean_environment(), log=tmp_path / "log") as child,
        pytest.raises(ProcessFailed) as failure,
    ):
        child.wait_until(lambda: False)
    assert "server ended with code 3" in str(failure.value)
    assert "no such port" in str(failure.value)


def test_one_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with (
        running("server", python(POLITE), environment=clean_environment(), log=tmp_path / "log") as child,
        pytest.raises(ProcessFailed, match="was not ready after 0 s"),
    ):
        child.wait_until(lambda: False, seconds=0.1)


def test_nothing_of_our_environment_gets_through_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = clean_environment(AWS_REGION="us-east-1")
    assert environment["AWS_REGION"] == "us-east-1"
    assert not {"AWS_PROFILE", "PYTHONPATH"} & set(environment)


def test_a_free_port_is_one_that_can_be_bound() -> None:
    assert 1024 <= free_port() <= 65535
