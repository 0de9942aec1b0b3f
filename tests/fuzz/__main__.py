"""`make fuzz`: ten million executions, shared out among the targets, and what came of them.

Each target runs in a process of its own, two at a time: guided by coverage where atheris is installed, else
by outcomes (`engine.py`). A finding is told with its input; the run then goes on with the other targets.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.engine import HANG_SECONDS, MAX_SIZE
from tests.fuzz.targets import CORPUS, corpus_file, targets
from tocsin_local.paths import ROOT

FOLDER = ROOT / ".run" / "fuzz"
MAX_MEGABYTES = 600
"""Of one process; more is a finding."""
MAX_BYTES, MAX_INPUTS = 400, 100
"""Of an input that is kept, and of those of one target."""


@dataclass(frozen=True)
class Report:
    """What one target's process told. `reached`: branches with atheris, else outcomes. `finding`: empty if
    there was none."""

    target: str
    executions: int
    seconds: float
    slowest: float
    megabytes: int
    reached: int
    finding: str

    def __str__(self) -> str:
        if self.finding:
            return f"{self.target:22}FOUND after {self.executions:,}: {self.finding}"
        return (
            f"{self.target:22}{self.executions:12,}{self.executions / self.seconds:10,.0f}{self.reached:9}"
            f"{self.slowest * 1000:7.0f} ms{self.megabytes:6} MB"
        )


def main() -> int:
    options = parse()
    names = [target.name for target in targets() if not options.only or options.only in target.name]
    share = -(-options.executions // len(names))
    guided = find_spec("atheris") is not None and not options.plain
    print(f"{'guided by coverage' if guided else 'guided by outcomes'}, seed {options.seed}, {share:,} each")
    print(
        f"{'target':22}{'executions':>12}{'a second':>10}{'reached':>9}{'slowest':>10}{'memory':>9}",
        flush=True,
    )
    began = time.monotonic()
    reports = []
    run = partial(run_guided if guided else run_plain, executions=share, seed=options.seed, keep=options.keep)
    with ThreadPoolExecutor(options.jobs) as pool:
        for report in pool.map(run, names):
            print(report, flush=True)
            reports.append(report)
    findings = sum(bool(report.finding) for report in reports)
    print(
        f"{sum(report.executions for report in reports):,} executions in {time.monotonic() - began:.0f} s, "
        f"{findings} findings, at most {max(report.megabytes for report in reports)} MB"
    )
    return 1 if findings else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("--executions", type=int, default=10_000_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to repeat a run")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (default 2)")
    parser.add_argument("--only", help="targets whose name holds this")
    parser.add_argument("--plain", action="store_true", help="without atheris, though it is installed")
    parser.add_argument(
        "--keep", action="store_true", help="put some of what reached new code into the corpus"
    )
    return parser.parse_args()


# Guided by coverage


def run_guided(name: str, *, executions: int, seed: int, keep: bool) -> Report:
    """Under atheris, which is libFuzzer: its options, its statistics."""
    inputs = fresh_folder(name)
    [seeds] = [target.seeds for target in targets() if target.name == name]
    write(inputs, seeds)
    output = libfuzzer(
        name,
        f"-runs={executions}",
        f"-seed={seed % 2**32}",
        f"-max_len={MAX_SIZE}",
        f"-timeout={HANG_SECONDS:.0f}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-artifact_prefix={inputs.parent}/",
        "-print_final_stats=1",
        str(inputs),
    )
    if keep:
        keep_inputs(name, seeds, (file.read_bytes() for file in inputs.iterdir()))
    return Report(
        target=name,
        executions=last_number(r"number_of_executed_units: (\d+)", output),
        seconds=max(last_number(r"Done \d+ runs in (\d+)", output), 1),
        slowest=max(
            last_number(r"slowest: (\d+\.\d+)", output), last_number(r"slowest_unit_time_sec: +(\d+)", output)
        ),
        megabytes=last_number(r"peak_rss_mb: +(\d+)", output),
        reached=last_number(r"cov: (\d+)", output),
        finding="" if "Done " in output else finding(output),
    )


def libfuzzer(name: str, *options: str) -> str:
    """What it printed; all of it is in a log too."""
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    (FOLDER / f"{name.replace(' ', '-')}.log").write_text(text)
    return text


def finding(output: str) -> str:
    """The exception or libFuzzer's word, and the input."""
    why = re.findall(
        r"^(?:\w+(?:\.\w+)*(?:Error|Exception|Hang)\b.*|==\d+== ?(?:ERROR|libFuzzer).*)$", output, re.M
    )
    saved = re.findall(r"Test unit written to (\S+)", output)
    data = Path(saved[-1]).read_bytes().hex() if saved else "unknown"
    return f"{why[0] if why else output[-300:]}; input {data}"


def last_number(pattern: str, text: str) -> float | int:
    """The last number that a pattern finds; 0 if it finds none."""
    found = re.findall(pattern, text)
    return (float if "." in found[-1] else int)(found[-1]) if found else 0


def fresh_folder(name: str) -> Path:
    folder = FOLDER / name.replace(" ", "-") / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def write(folder: Path, inputs: Iterable[bytes]) -> None:
    for data in inputs:
        (folder / sha256(data).hexdigest()[:20]).write_bytes(data)


def keep_inputs(name: str, seeds: Sequence[bytes], inputs: Iterable[bytes]) -> None:
    """The corpus of a target anew: of all that reached something new, small ones of every length."""
    known = set(seeds) - kept(name)
    new = sorted(
        {data for data in inputs if 0 < len(data) <= MAX_BYTES} - known, key=lambda data: (len(data), data)
    )
    CORPUS.mkdir(exist_ok=True)
    chosen = new[:: -(-len(new) // MAX_INPUTS) or 1]
    corpus_file(name).write_text("".join(f"{data.hex()}\n" for data in chosen))


def kept(name: str) -> set[bytes]:
    file = corpus_file(name)
    return set(map(bytes.fromhex, file.read_text().split())) if file.exists() else set()


# Guided by outcomes


def run_plain(name: str, *, executions: int, seed: int, keep: bool) -> Report:
    """Under our own engine, which needs nothing installed."""
    command = [sys.executable, "-m", "tests.fuzz.plain", name, str(executions), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return Report(name, 0, 1, 0, 0, 0, (done.stdout or done.stderr)[-2000:].strip())
    count, seconds, slowest, megabytes, outcomes = done.stdout.split()
    return Report(name, int(count), float(seconds), float(slowest), int(megabytes), int(outcomes), "")


if __name__ == "__main__":
    sys.exit(main())
