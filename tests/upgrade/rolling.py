"""An upgrade while messages are sent: to this release, back to the one before, and to this one again.

    python -m tests.upgrade.rolling --seconds 20

On the emulator, with the template of each release, deployed over the other. The functions change first, and
for a while work beside the other release's connector; then the connector changes. Events come in all the
time, also while `sam deploy` runs. In each phase some sessions are broken on purpose, and must heal.

At the end each device of each recipient must show every message, once; no message key may have been used
twice; nobody may have asked again whose session nobody broke; and no dead letter may lie anywhere.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.fleet import Connector, Fleet
from tests.faults.processes import PROC, Process, workers
from tests.faults.storm import Recipient
from tests.faults.storm_report import about, depth, shown_on_devices
from tests.faults.witness import Witness
from tests.support.stack import DESK, DeployedStack, Notice, eventually, new_ticket
from tests.upgrade.releases import TELLTALE, NoHistory, Release, previous_release, this_release
from tocsin.notify.notification import State
from tocsin_local.emulator import emulator, interpreter, run_folder
from tocsin_local.paths import RUNS
from tocsin_local.processes import exit_on_sigterm
from tocsin_local.stack import Stack, deploy
from tocsin_local.world import World, deployment_of, whatsapp_server
from tocsin_whatsapp_server.control_client import ControlClient

PEOPLE = 12
BREAK_EVERY = 8
"""Of so many events one meets a broken session."""
WRITE_EVERY = 15
BETWEEN_SECONDS = 0.25
AT_ONCE = 40
MAINTAIN_SECONDS = 15.0
SETTLE_SECONDS = 120.0

QUEUES = ("TicketEventsQueueUrl", "NotificationsQueueUrl", "StanzasQueueUrl", "ReceiptsQueueUrl")
DEAD = (
    "TicketEventsDeadQueueUrl",
    "DeadLettersQueueUrl",
    "StanzasDeadQueueUrl",
    "OutcomesDeadQueueUrl",
    "ReceiptsDeadQueueUrl",
)


@dataclass
class Phase:
    """A part of the upgrade, and what was put in it."""

    name: str
    functions: str
    connector: str
    began: float
    ended: float = 0.0
    notices: list[Notice] = field(default_factory=list)
    broken: int = 0


class Traffic:
    """Events without a pause, in a thread of its own, until the block ends."""

    def __init__(self, deployed: Callable[[], DeployedStack], people: list[Recipient], seed: int) -> None:
        self._deployed = deployed
        self._people = people
        self._devices = {one.person.number: one.devices for one in people}
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self._put = 0
        self._thread = threading.Thread(target=self._run)
        self.witness = Witness(deployed().phones)
        self.phase: Phase | None = None
        self.phases: list[Phase] = []
        self.broken: set[tuple[str, int]] = set()
        self.error: BaseException | None = None

    def __enter__(self) -> Traffic:
        self.witness.begin()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def enter(self, name: str, functions: str, connector: str) -> Phase:
        now = time.time()
        if self.phase is not None:
            self.phase.ended = now
        self.phase = Phase(name, functions, connector, now)
        self.phases.append(self.phase)
        return self.phase

    def until(self, more: int, seconds: float) -> None:
        """From now on so many notifications more in this phase, all of them shown, and at least so long."""
        phase = self.phase
        assert phase is not None
        begun, over = len(phase.notices), time.monotonic() + seconds

        def through() -> bool:
            fresh = phase.notices[begun : begun + more]
            arrived = len(fresh) == more and all(map(self.witness.has_arrived, fresh))
            return self.error is not None or (arrived and time.monotonic() >= over)

        eventually(through, f"nothing goes on in {phase.name}", 240)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._over.wait(BETWEEN_SECONDS):
                if self.phase is not None and self.witness.look() < AT_ONCE:
                    self._event(self.phase)
        except BaseException as exc:  # noqa: BLE001  told by the main thread
            self.error = exc

    def _event(self, phase: Phase) -> None:
        deployed = self._deployed()
        told = self._dice.sample(self._people, self._dice.choice((1, 1, 2)))
        self._put += 1
        # Whoever waits for a hundred messages and breaks again asks for each of them again.
        idle = [one for one in self._people if not self.witness.awaits(one.person.number)]
        if self._put % BREAK_EVERY == 0 and idle:
            told = [self._dice.choice(idle)]
            number, device = told[0].person.number, self._dice.choice(told[0].devices)
            self.broken.add((number, device))
            phase.broken += 1
            deployed.phones.break_phone(number, "corrupt-session", contact=DESK, companion=device or None)
        if self._put % WRITE_EVERY == 0:
            deployed.phones.write(told[-1].person.number, DESK, "Terima kasih")
        to: dict[str, Any] = {"customer": told[0].person, "technicians": [one.person for one in told[1:]]}
        notices = deployed.put("TicketCreated", new_ticket(), **to)
        phase.notices += notices
        self.witness.expect(notices, self._devices)


@dataclass
class Upgrade:
    """What runs, and how a phase is entered."""

    world: World
    fleet: Fleet
    old: Release
    new: Release
    tell: Callable[[str], None]
    deployed_release: Release
    _maintained_at: float = 0.0

    def deployed(self) -> DeployedStack:
        return DeployedStack(self.world)

    def deploy(self, release: Release) -> None:
        """The functions and the rest of the template, while the connector goes on as it is."""
        self.world.stack = deploy(self.world.stack.aws, release.built, release.parameters, root=release.root)
        self.world.deployment = deployment_of(self.world.stack)
        self.deployed_release = release

    def connector(self, release: Release) -> Connector:
        """A new connector beside those that run, then those end: as ECS does it."""
        before = self.fleet.running()
        started = self.fleet.start(release.layer)
        for old in before:
            old.process.terminate()
        eventually(lambda: self.fleet.running() == [started], "an old connector doesn't end", 90)
        eventually(lambda: started.said("connected"), lambda: started.log.read_text()[-3000:], 90)
        return started

    def check_running(self, functions: Release, connector: Release) -> None:
        """That the processes really are of these releases. Raises AssertionError."""
        temporary = self.world.folder / "tmp"
        for output in ("SendFunctionName", "ReceiveFunctionName"):
            name = self.world.stack.outputs[output]
            layers = [layer for one in workers(temporary, name) if (layer := layer_of(one, temporary))]
            assert layers, f"no process of {name} runs"
            assert all(map(functions.is_of, layers)), f"{name} isn't of the {functions.name} release"
        [running] = self.fleet.running()
        environment = (PROC / str(running.process.pid) / "environ").read_bytes().decode().split("\0")
        assert f"PYTHONPATH={connector.layer / 'python'}" in environment

    def maintain(self) -> None:
        """What the schedule does each minute, a little oftener."""
        if time.monotonic() - self._maintained_at < MAINTAIN_SECONDS:
            return
        self._maintained_at = time.monotonic()
        with contextlib.suppress(Exception):
            self.world.stack.client("lambda").invoke(
                FunctionName=self.world.stack.outputs["MaintainFunctionName"],
                InvocationType="Event",
                Payload=b"{}",
            )

    def settle(self, traffic: Traffic) -> None:
        """Until all has arrived and the queues are empty, or nothing has moved for a long time."""
        last: tuple[Any, ...] = ()
        since = time.monotonic()
        while time.monotonic() - since < SETTLE_SECONDS:
            self.maintain()
            missing = traffic.witness.look()
            depths = tuple(self.depths().values())
            if missing == 0 and sum(depths) == 0 and time.monotonic() - since > 3:
                return
            if (now := (missing, traffic.witness.events_seen, *depths)) != last:
                last, since = now, time.monotonic()
            time.sleep(0.5)
        self.tell(f"nothing has moved for {SETTLE_SECONDS:.0f} s: {last}")

    def depths(self, names: tuple[str, ...] = QUEUES) -> dict[str, int]:
        known = self.world.stack.outputs
        return {name: depth(self.deployed(), name) for name in names if name in known}


def layer_of(process: Process, temporary: Path) -> Path | None:
    """The unpacked layer that a function's process runs with; None for one that ends just now."""
    place = next(Path(part) for part in process.command if part.startswith(str(temporary)))
    layer = next(parent for parent in place.parents if parent.parent == temporary) / "layer_0"
    return layer if (layer / "python" / TELLTALE).exists() else None


@dataclass
class Account:
    """What became of everything."""

    phases: list[dict[str, Any]]
    lost: list[dict[str, Any]]
    doubled: list[dict[str, Any]]
    unconfirmed: list[dict[str, Any]]
    unprovoked: list[dict[str, Any]]
    keys_used_twice: int
    prekeys_handed_out_twice: int
    dead: dict[str, int]
    seconds_to_heal: dict[str, float]

    @property
    def good(self) -> bool:
        return not (
            self.lost
            or self.doubled
            or self.unconfirmed
            or self.unprovoked
            or self.keys_used_twice
            or self.prekeys_handed_out_twice
            or any(self.dead.values())
        )

    def text(self) -> str:
        head = ("phase", "functions", "connector", "seconds", "put", "copies", "shown", "broken", "healed")
        rows = [head, *(tuple(str(phase[name]) for name in head) for phase in self.phases)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        facts = [
            f"lost {len(self.lost)}, shown twice {len(self.doubled)}, without a receipt"
            f" {len(self.unconfirmed)}, unreadable though nobody broke it {len(self.unprovoked)}",
            f"message keys used twice {self.keys_used_twice}, prekeys handed out twice"
            f" {self.prekeys_handed_out_twice}, dead letters {sum(self.dead.values())}",
            f"seconds to heal: {self.seconds_to_heal}",
        ]
        wrong = [
            f"{name}: {json.dumps(one, default=str)}"
            for name in ("lost", "doubled", "unconfirmed", "unprovoked")
            for one in getattr(self, name)[:20]
        ]
        if any(self.dead.values()):
            wrong.append(f"dead: {self.dead}")
        return "\n".join([*table, "", *facts, *wrong])


def account_of(upgrade: Upgrade, traffic: Traffic, people: list[Recipient]) -> Account:
    deployed, seen = upgrade.deployed(), traffic.witness
    devices = {one.person.number: one.devices for one in people}
    notices = [notice for phase in traffic.phases for notice in phase.notices]
    with ThreadPoolExecutor(4) as readers:
        ids = (notice.id for notice in notices)
        stored = dict(zip(ids, readers.map(deployed.look, notices), strict=True))
    shown = shown_on_devices(deployed, people)
    lost, doubled, unconfirmed = [], [], []
    for notice in notices:
        found = stored[notice.id]
        for device in devices[notice.person.number]:
            times = shown[notice.person.number, device].count(notice.message_id)
            if times != 1:
                (doubled if times else lost).append(about(notice, found, device))
        if found is None or found.state not in (State.DELIVERED, State.READ):
            unconfirmed.append(about(notice, found))
    unprovoked = [
        {"message": message, "recipient": number, "device": device}
        for message, number, device in seen.asked
        if (number, device) not in traffic.broken
    ]
    audit = deployed.phones.audit()
    return Account(
        phases=[_row(phase, devices, seen) for phase in traffic.phases if phase.notices],
        lost=lost,
        doubled=doubled,
        unconfirmed=unconfirmed,
        unprovoked=unprovoked,
        keys_used_twice=audit["message_keys_reused"],
        prekeys_handed_out_twice=audit["prekeys_handed_out_twice"],
        dead=upgrade.depths(DEAD),
        seconds_to_heal=seen.seconds_to_heal(),
    )


def _row(phase: Phase, devices: dict[str, tuple[int, ...]], seen: Witness) -> dict[str, Any]:
    copies = {
        (notice.message_id, notice.person.number, device)
        for notice in phase.notices
        for device in devices[notice.person.number]
    }
    return {
        "phase": phase.name,
        "functions": phase.functions,
        "connector": phase.connector,
        "seconds": round((phase.ended or time.time()) - phase.began),
        "put": len(phase.notices),
        "copies": len(copies),
        "shown": len(copies & seen.shown.keys()),
        "broken": phase.broken,
        "healed": len(copies & seen.healed.keys()),
    }


def roll(
    upgrade: Upgrade,
    people: list[Recipient],
    *,
    notifications: int,
    seconds: float,
    seed: int,
    again: bool = True,
) -> Account:
    """The whole upgrade, and the rollback. `notifications`, `seconds`: at least so many, and so long, in each
    phase. `again`: and then the upgrade once more."""
    old, new = upgrade.old, upgrade.new
    with Traffic(upgrade.deployed, people, seed) as traffic:

        def phase(name: str, functions: Release, connector: Release, change: Callable[[], object]) -> None:
            upgrade.tell(f"{name}: functions {functions.name}, connector {connector.name}")
            traffic.enter(name, functions.name, connector.name)
            change()
            traffic.until(notifications, seconds)
            upgrade.check_running(functions, connector)
            upgrade.maintain()

        phase("before", old, old, lambda: None)
        phase("upgrade the functions", new, old, lambda: upgrade.deploy(new))
        phase("upgrade the connector", new, new, lambda: upgrade.connector(new))
        phase("roll the functions back", old, new, lambda: upgrade.deploy(old))
        phase("roll the connector back", old, old, lambda: upgrade.connector(old))
        if again:
            phase("upgrade the functions again", new, old, lambda: upgrade.deploy(new))
            phase("upgrade the connector again", new, new, lambda: upgrade.connector(new))
        traffic.end()
        upgrade.tell("all events are put; waiting until nothing moves any more")
        upgrade.settle(traffic)
        return account_of(upgrade, traffic, people)


@contextlib.contextmanager
def running_release(release: Release, stack: Stack, folder: Path) -> Iterator[tuple[World, Fleet]]:
    """A deployed release with its own connector and a linked account, while the block lasts."""
    with contextlib.ExitStack() as running:
        server, process = running.enter_context(whatsapp_server(folder))
        world = World(
            stack=stack,
            deployment=deployment_of(stack),
            whatsapp_url=server["url"],
            root_public_key=server["root_public_key"],
            phones=ControlClient(server["control"]),
            media_certificate=server["media_certificate"],
            folder=folder,
            children=(stack.aws.process, process),
        )
        fleet = Fleet(world, running.enter_context(contextlib.ExitStack()))
        fleet.start(release.layer)
        DeployedStack(world).link()
        yield world, fleet


@contextlib.contextmanager
def furnished(tell: Callable[[str], None], name: str = "upgrade") -> Iterator[Upgrade]:
    """The release before, deployed, its connector running, the account linked. Raises NoHistory."""
    with run_folder(name) as folder, contextlib.ExitStack() as running:
        tell("building the release before, and this one")
        old, new = previous_release(folder), this_release(folder)
        aws = running.enter_context(emulator(folder))
        tell("deploying the release before")
        stack = deploy(aws, old.built, old.parameters, root=old.root)
        tell("linking the account")
        world, fleet = running.enter_context(running_release(old, stack, folder))
        yield Upgrade(world, fleet, old, new, tell, old)


def invite(deployed: DeployedStack, count: int, seed: int) -> list[Recipient]:
    dice = random.Random(seed)
    people = []
    for number in range(count):
        person = deployed.person(f"Person {number}", reads=dice.random() < 0.3)
        added = [deployed.phones.add_companion(person.number) for _ in range(dice.randrange(3))]
        people.append(Recipient(person, (0, *added)))
    return people


def main() -> int:
    """0 if nothing was lost, doubled or broken."""
    parser = argparse.ArgumentParser(description="an upgrade, a rollback and an upgrade, while messages go")
    parser.add_argument("--notifications", type=int, default=40, help="at least so many in each phase (40)")
    parser.add_argument("--seconds", type=float, default=15, help="at least so long a phase (15)")
    parser.add_argument("--seed", type=int, default=1, help="who is told what (1)")
    given = parser.parse_args()
    if not interpreter().exists() or not PROC.is_dir():
        print("upgrade: needs Linux and the emulator: make setup", file=sys.stderr)
        return 2
    exit_on_sigterm()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    try:
        with furnished(tell) as upgrade:
            people = invite(upgrade.deployed(), PEOPLE, given.seed)
            account = roll(
                upgrade, people, notifications=given.notifications, seconds=given.seconds, seed=given.seed
            )
            print(account.text(), flush=True)
            out = RUNS / "upgrades"
            out.mkdir(parents=True, exist_ok=True)
            (out / "report.txt").write_text(account.text(), encoding="utf-8")
            print(f"logs are in {upgrade.world.folder}, the report is in {out}")
    except NoHistory as missing:
        print(f"upgrade: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("upgrade: interrupted; everything was stopped", file=sys.stderr)
        return 130
    return 0 if account.good else 1


if __name__ == "__main__":
    sys.exit(main())
