"""Receipts through the release before and through this one, each deployed with its own code, in the same run.

Both get the same receipts from their own connector's forwarding code, one release after the other, each on an
emulator of its own with a linked account. What functions and emulator spend meanwhile is read from /proc.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext, Process, processes, tell
from tests.faults.processes import workers
from tests.upgrade.releases import NoHistory, previous_release
from tests.upgrade.rolling import running_release
from tocsin_local.emulator import emulator, run_folder
from tocsin_local.paths import ROOT
from tocsin_local.stack import deploy
from tocsin_local.world import World

DRIVER = Path(__file__).with_name("receipts_driver.py")
FUNCTIONS = ("ReceiveFunctionName", "RecordReceiptsFunctionName")
WARM, FEW, MANY = 10, 150, 600
"""Notifications, each with two receipts; few for the release that takes them one by one."""

TIMES, MAX_OWN_MS = 4, 8
SECONDS = 900


@dataclass(frozen=True)
class Received:
    """`rate`: receipts a second. The rest: milliseconds of processor time for each receipt: of the functions,
    of the connector's forwarding, of the emulator."""

    rate: float
    functions: float
    forwarding: float
    emulator: float


def compared(bench: ConnectorContext) -> Sheet:
    """Raises nothing where the release before can't be had: the sheet says so."""
    sheet = Sheet("Receipts a second, from the connector's code to the table", ("0.1.0", "now"))
    try:
        with previous() as old:
            before = received(old.world, old.root, FEW)
    except NoHistory as missing:
        sheet.notes.append(str(missing))
        return sheet
    now = received(bench.deployed.world, ROOT, MANY)
    times = now.rate / before.rate
    cells = (f"{before.rate:.0f}", f"{now.rate:.0f} ({times:.1f}×)")
    sheet.add("recorded", *cells, aim=f"≥ {TIMES} ×", met=times >= TIMES)
    own = now.functions + now.forwarding
    for name, title in (
        ("functions", "processor time of a receipt: functions"),
        ("forwarding", "the connector's forwarding"),
        ("emulator", "the emulator"),
    ):
        aim = f"both ≤ {MAX_OWN_MS} ms" if name == "forwarding" else ""
        cells = (f"{getattr(before, name):.2f} ms", f"{getattr(now, name):.2f} ms")
        sheet.add(title, *cells, aim=aim, met=own <= MAX_OWN_MS if aim else None)
    sheet.notes.append("0.1.0 is deployed from its own commit, on an emulator of its own, in the same run")
    return sheet


@dataclass(frozen=True)
class Running:
    """A release that runs: its sources, and what it runs in."""

    root: Path
    world: World


@contextlib.contextmanager
def previous() -> Iterator[Running]:
    """The release before, deployed and linked, while the block lasts. Raises NoHistory."""
    with run_folder("bench-before") as folder, contextlib.ExitStack() as ends:
        tell("building the release before")
        release = previous_release(folder)
        aws = ends.enter_context(emulator(folder))
        tell("deploying the release before")
        stack = deploy(aws, release.built, release.parameters, root=release.root)
        world, _ = ends.enter_context(running_release(release, stack, folder))
        yield Running(release.root, world)


def received(world: World, root: Path, number: int) -> Received:
    """What becomes of two receipts for each of `number` notifications."""
    drive(world, root, 1, WARM)
    tell(f"{2 * number:,} receipts through {root.name}")
    functions, whole = functions_of(world), tree_of(world)
    told = drive(world, root, 1 + WARM, number)
    receipts = 2 * number
    spent = spent_since(functions, functions_of(world))
    others = spent_since(whole, tree_of(world)) - spent
    return Received(
        receipts / told["took"],
        spent * 1000 / receipts,
        told["own"] * 1000 / receipts,
        others * 1000 / receipts,
    )


def drive(world: World, root: Path, first: int, number: int) -> dict[str, float]:
    """Have a release's own code do it. Raises CalledProcessError, after what it said."""
    order = {
        "stack": world.stack.name,
        "outputs": dict(world.stack.outputs),
        "url": world.stack.aws.url,
        "first": first,
        "number": number,
    }
    path = ":".join(str(root / folder) for folder in ("", "layers/core", "infra"))
    done = subprocess.run(
        [sys.executable, "-P", str(DRIVER)],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=root,
        env={**world.stack.aws.environment(), "PYTHONPATH": path},
        timeout=SECONDS,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def functions_of(world: World) -> dict[int, float]:
    """Processor time so far of the processes that receive, by process."""
    outputs, folder = world.stack.outputs, world.folder / "tmp"
    pids = {one.pid for name in FUNCTIONS if name in outputs for one in workers(folder, outputs[name])}
    return {one.pid: one.seconds for one in processes() if one.pid in pids}


def tree_of(world: World) -> dict[int, float]:
    """The same of the emulator with all its functions."""
    found = processes()
    parents = {one.pid: one.parent for one in found}
    root = world.stack.aws.process.pid
    return {one.pid: one.seconds for one in found if root in ancestors(one, parents)}


def ancestors(one: Process, parents: dict[int, int]) -> Iterator[int]:
    pid = one.pid
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def spent_since(before: dict[int, float], after: dict[int, float]) -> float:
    """Seconds. Of what has ended meanwhile nothing is known."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
