"""A storm over the whole of Tocsin: thousands of notifications while everything that can break, breaks.

    python -m tests.faults.storm --notifications 300 --recipients 30 --kills 6 --seed 1

On the emulator, with the deployed template, several processes of each function and two connectors. While
events come in, sessions on the phones are broken, functions' processes and connectors get SIGKILL, acks and
messages are lost, events are doubled. At the end every device of every recipient must show every message,
once; no message key may have been used twice; and every dead letter must say why it is one.

The seed decides who is told what and what breaks when. What the processes make of it is up to the scheduler.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.fleet import Fleet, Function
from tests.faults.plot import svg
from tests.faults.processes import PROC
from tests.faults.storm_report import depth, report
from tests.faults.witness import Witness
from tests.support.stack import DESK, DeployedStack, Notice, Person, new_ticket
from tocsin_local.emulator import interpreter
from tocsin_local.paths import RUNS
from tocsin_local.processes import exit_on_sigterm
from tocsin_local.world import World, world

PARAMETERS = {
    "LogLevel": "WARNING",
}

# The emulator runs one process at a time for each mapping of a FIFO queue; so several mappings are made.
SENDERS = 6
RECEIVERS = 3

CORRUPTED = 0.05
FORGETFUL = 0.25
"""The part of the broken sessions that the device has forgotten instead of spoilt."""
ACKS_LOST = 0.01
CUT_OFF = 1 / 400
"""The part of the deliveries in which the connection is lost, and with it the message or its ack. More often,
and the connector would spend the storm waiting: it connects again the later, the sooner it was cut off."""
DOUBLED = 0.05
WRITES_BACK = 0.02

AT_ONCE = 150
"""So many messages may be on their way before the next event is put."""

VICTIMS = {"SendFunctionName": 9, "ReceiveFunctionName": 6, "PlanFunctionName": 2}
"""Whose process is killed, by weight."""
KILLS_PER_CONNECTOR = 6
"""One kill of so many is the connector's, so that no seed leaves it out."""

TELL_SECONDS = 10.0
MAINTAIN_SECONDS = 60.0
QUIET_SECONDS = 5.0
SETTLE_SECONDS = 300.0
"""For so long after the last progress it is waited for what is still missing."""

QUEUES = ("TicketEventsQueueUrl", "NotificationsQueueUrl", "StanzasQueueUrl", "ReceiptsQueueUrl")


@dataclass(frozen=True)
class Plan:
    """How big a storm."""

    notifications: int
    recipients: int
    kills: int
    seed: int


@dataclass(frozen=True)
class Recipient:
    """A person, and the numbers of their devices (0: the phone)."""

    person: Person
    devices: tuple[int, ...]


class Storm:
    """Puts events and breaks things until all is put; then waits until nothing moves any more."""

    def __init__(self, plan: Plan, running: World, fleet: Fleet, tell: Any) -> None:
        self.plan = plan
        self.deployed = DeployedStack(running)
        self.fleet = fleet
        self.tell = tell
        self.dice = random.Random(plan.seed)
        self.witness = Witness(self.deployed.phones)
        self.people: list[Recipient] = []
        self.notices: list[Notice] = []
        self.counts: dict[str, int] = dict.fromkeys(
            ("corrupted", "forgotten", "acks_lost", "cut_off", "doubled", "written_back"), 0
        )
        self.kills: list[tuple[float, str]] = []
        self._told_at = 0.0
        self._maintained_at = 0.0

    def run(self) -> None:
        self._invite()
        marks = self._kill_marks()
        self.witness.begin()
        while len(self.notices) < self.plan.notifications:
            self._hold_back()
            self._event()
            while marks and len(self.notices) >= marks[0]:
                marks.pop(0)
                self._kill()
            self._progress()
        self.tell("all events are put; waiting until nothing moves any more")
        while len(self.kills) < self.plan.kills:
            self._kill()
        self._settle()

    # -- before ------------------------------------------------------------------------------------------

    def _invite(self) -> None:
        self.tell(f"{self.plan.recipients} recipients with 1 to 3 devices")
        for number in range(self.plan.recipients):
            person = self.deployed.person(f"Person {number}", reads=self.dice.random() < 0.2)
            more = self.dice.randrange(3)
            added = [self.deployed.phones.add_companion(person.number) for _ in range(more)]
            self.people.append(Recipient(person, (0, *added)))
        self.devices = {one.person.number: one.devices for one in self.people}

    def _kill_marks(self) -> list[int]:
        """After how many notifications the kills come: spread over all, none at the very beginning."""
        first, last = self.plan.notifications // 10, self.plan.notifications
        return sorted(self.dice.randrange(first, last) for _ in range(self.plan.kills))

    # -- events and what breaks --------------------------------------------------------------------------

    def _event(self) -> None:
        """A ticket event that one to three people must be told of, some of whom have bad luck."""
        room = self.plan.notifications - len(self.notices)
        told = self.dice.sample(self.people, min(self.dice.choice((1, 1, 2, 3)), room, len(self.people)))
        for recipient in told:
            self._bad_luck(recipient)
        ticket = new_ticket()
        to: dict[str, Any] = {"customer": told[0].person, "technicians": [one.person for one in told[1:]]}
        notices = self.deployed.put("TicketCreated", ticket, **to)
        if self.dice.random() < DOUBLED:
            self.deployed.put("TicketCreated", ticket, **to)
            self.counts["doubled"] += 1
        self.notices += notices
        self.witness.expect(notices, self.devices)
        if self.dice.random() < WRITES_BACK:
            self.deployed.phones.write(told[0].person.number, DESK, "Terima kasih")
            self.counts["written_back"] += 1

    def _bad_luck(self, recipient: Recipient) -> None:
        number = recipient.person.number
        if self.dice.random() < CORRUPTED:
            kind = "forget-session" if self.dice.random() < FORGETFUL else "corrupt-session"
            device = self.dice.choice(recipient.devices)
            self.deployed.phones.break_phone(number, kind, contact=DESK, companion=device or None)
            self.counts["forgotten" if kind == "forget-session" else "corrupted"] += 1
        lost = self.dice.random()
        if lost < CUT_OFF:
            kind = self.dice.choice(("lose-acks", "lose-messages"))
            self.deployed.phones.inject(kind, account=DESK, device=1, to=number, drop=True)
            self.counts["cut_off"] += 1
        elif lost < CUT_OFF + ACKS_LOST:
            self.deployed.phones.inject("lose-acks", account=DESK, device=1, to=number)
            self.counts["acks_lost"] += 1

    def _kill(self) -> None:
        """SIGKILL to one process, at work or idle."""
        kind = self.dice.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        if len(self.kills) % KILLS_PER_CONNECTOR == KILLS_PER_CONNECTOR // 2:
            kind = "connector"
        if kind == "connector":
            lease = self.deployed.lease()
            running = self.fleet.running()
            victim = next(
                (one for one in running if f'"{lease.connector}"' in one.log.read_text()), running[0]
            )
            victim.process.kill()
            self.fleet.start()
        else:
            deadline = time.monotonic() + 5
            while not (processes := Function(self.deployed.world, kind).processes):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            self.dice.choice(processes).kill()
        name = kind.removesuffix("FunctionName").lower()
        self.kills.append((time.time(), name))
        self.tell(f"killed a {name} process ({len(self.kills)} of {self.plan.kills})")

    # -- looking -----------------------------------------------------------------------------------------

    def _hold_back(self) -> None:
        """Wait while too much is on its way."""
        end = time.monotonic() + SETTLE_SECONDS
        while self.witness.look() > AT_ONCE and time.monotonic() < end:
            self._progress()
            self._maintain()
            time.sleep(0.1)

    def _progress(self) -> None:
        if time.monotonic() - self._told_at < TELL_SECONDS:
            return
        self._told_at = time.monotonic()
        seen = self.witness
        self.tell(
            f"{len(self.notices):5} put, {seen.arrived_count} copies shown of {seen.expected_count},"
            f" {seen.recovered_count} of them healed, {len(self.kills)} kills"
        )

    def _settle(self) -> None:
        """Until all has arrived and the queues are empty, or nothing has moved for a long time."""
        last: tuple[Any, ...] = ()
        since = time.monotonic()
        while time.monotonic() - since < SETTLE_SECONDS:
            self._maintain()
            missing = self.witness.look()
            depths = self._depths()
            if missing == 0 and sum(depths.values()) == 0 and time.monotonic() - since > QUIET_SECONDS:
                return
            now = (missing, self.witness.events_seen, *depths.values())
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() - self._told_at > TELL_SECONDS:
                self._told_at = time.monotonic()
                lying = ", ".join(
                    f"{name.removesuffix('QueueUrl')} {depth}" for name, depth in depths.items()
                )
                self.tell(f"{missing} messages on their way; {lying}")
            time.sleep(0.5)
        self.tell(f"nothing has moved for {SETTLE_SECONDS:.0f} s")

    def _depths(self) -> dict[str, int]:
        return {name: depth(self.deployed, name) for name in QUEUES}

    def _maintain(self) -> None:
        """What the schedule does each minute: what is parked goes on."""
        if time.monotonic() - self._maintained_at < MAINTAIN_SECONDS:
            return
        self._maintained_at = time.monotonic()
        with contextlib.suppress(Exception):
            self.deployed.stack.client("lambda").invoke(
                FunctionName=self.deployed.stack.outputs["MaintainFunctionName"],
                InvocationType="Event",
                Payload=b"{}",
            )


# -- the command ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def furnished(tell: Any) -> Iterator[tuple[World, Fleet]]:
    """The whole, with several processes of each function at once, two connectors, and the account linked."""
    with (
        world("storm", parameters=PARAMETERS, progress=tell) as running,
        contextlib.ExitStack() as connectors,
    ):
        widen(running, "SendFunctionName", SENDERS)
        widen(running, "ReceiveFunctionName", RECEIVERS)
        fleet = Fleet(running, connectors)
        fleet.start()
        tell("linking the account")
        DeployedStack(running).link()
        fleet.start()
        yield running, fleet


def widen(running: World, output: str, width: int) -> None:
    """More mappings of the queue to its function: SQS keeps the order of each group over all of them."""
    functions, name = running.stack.client("lambda"), running.stack.outputs[output]
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    for _ in range(width - 1):
        functions.create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=mapping["EventSourceArn"],
            BatchSize=mapping["BatchSize"],
            FunctionResponseTypes=mapping["FunctionResponseTypes"],
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a storm over the whole of Tocsin, on this machine")
    for name, default, meaning in (
        ("notifications", 5000, "how many must be shown"),
        ("recipients", 200, "to how many people, each with 1 to 3 devices"),
        ("kills", 20, "how many processes get SIGKILL"),
        ("seed", 1, "decides who is told what, and what breaks when"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning} ({default})")
    parser.add_argument("--out", type=Path, help="the folder for the report (.run/storms/…)")
    given = parser.parse_args()
    if given.notifications < 1 or given.recipients < 1 or given.kills < 0:
        parser.error("notifications and recipients must be 1 or more, kills 0 or more")
    return given


def main() -> int:
    """0 if nothing was lost, doubled or left unexplained."""
    given = arguments()
    if not interpreter().exists() or not PROC.is_dir():
        print("faults: needs Linux and the emulator: make setup", file=sys.stderr)
        return 2
    exit_on_sigterm()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    plan = Plan(given.notifications, given.recipients, given.kills, given.seed)
    out = given.out or RUNS / "storms" / f"{plan.notifications}-seed-{plan.seed}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        with furnished(tell) as (running, fleet):
            storm = Storm(plan, running, fleet, tell)
            storm.run()
            tell("looking at every device, notification and dead letter")
            account = report(storm, began)
            if not account.good:
                shutil.copy(running.folder / "emulator.log", out)
                for connector in fleet.started:
                    shutil.copy(connector.log, out)
            tell("stopping everything")
    except KeyboardInterrupt:
        print("faults: interrupted; everything was stopped", file=sys.stderr)
        return 130
    (out / "report.txt").write_text(account.text(), encoding="utf-8")
    (out / "report.json").write_text(json.dumps(account.as_json(), indent=1, default=str), encoding="utf-8")
    (out / "storm.svg").write_text(svg(storm.witness, storm.kills, account.line()), encoding="utf-8")
    print(account.text())
    print(f"the report is in {out}")
    return 0 if account.good else 1


if __name__ == "__main__":
    sys.exit(main())
