"""What became of everything in a storm: each device, each notification, each dead letter."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults.witness import Copy
from tests.support.stack import DeployedStack, Notice
from tocsin.notify.letters import Letter
from tocsin.notify.notification import Notification, State

if TYPE_CHECKING:
    from tests.faults.storm import Plan, Recipient, Storm

ARRIVED = frozenset({State.DELIVERED, State.READ})
DEAD_QUEUES = ("TicketEventsDeadQueueUrl", "StanzasDeadQueueUrl", "OutcomesDeadQueueUrl")

SLOWEST = 20
"""Of the copies that took longest to heal so many are told, with the kills about them."""

KILL_FELT_SECONDS = 30.0


@dataclass
class Report:
    """What became of everything. `lost`: copies that a device never showed; `doubled`: shown twice."""

    plan: Plan
    seconds: float
    sent_per_second: float
    devices: int
    copies: int
    faults: dict[str, int]
    kills: dict[str, int]
    healed: int
    seconds_to_heal: dict[str, float]
    slowest: list[dict[str, Any]]
    states: dict[str, int]
    lost: list[dict[str, Any]]
    doubled: list[dict[str, Any]]
    unconfirmed: list[dict[str, Any]]
    keys_used_twice: int
    prekeys_handed_out_twice: int
    ciphertexts: int
    identical_resends: int
    dead_letters: list[dict[str, Any]]
    dead_stanzas: int
    dead_elsewhere: dict[str, int]

    @property
    def unexplained(self) -> list[dict[str, Any]]:
        """Letters that don't say why."""
        return [letter for letter in self.dead_letters if not letter["explained"]]

    @property
    def good(self) -> bool:
        return not (
            self.lost
            or self.doubled
            or self.keys_used_twice
            or self.prekeys_handed_out_twice
            or self.unexplained
            or self.dead_stanzas
        )

    def line(self) -> str:
        return (
            f"faults: {self.plan.notifications} notifications, {self.copies} copies, {self.healed} healed,"
            f" {sum(self.kills.values())} kills, {len(self.lost)} lost, {len(self.doubled)} shown twice,"
            f" {self.keys_used_twice} keys used twice, {len(self.dead_letters)} dead letters"
            f" ({len(self.unexplained)} unexplained)"
        )

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "plan": vars(self.plan), "good": self.good}

    def text(self) -> str:
        rows: list[tuple[str, Any]] = [
            ("notifications", self.plan.notifications),
            ("recipients", f"{self.plan.recipients} with {self.devices} devices"),
            ("copies to be shown", self.copies),
            ("took", f"{self.seconds:.0f} s, {self.sent_per_second:.1f} notifications a second"),
            ("kills", named(self.kills)),
            ("faults", named(self.faults)),
            ("healed copies", f"{self.healed}; seconds to heal: {named(self.seconds_to_heal)}"),
            ("states at the end", named(self.states)),
            ("lost", len(self.lost)),
            ("shown twice", len(self.doubled)),
            ("shown, but not confirmed", len(self.unconfirmed)),
            ("message keys used twice", self.keys_used_twice),
            ("prekeys handed out twice", self.prekeys_handed_out_twice),
            ("ciphertexts", f"{self.ciphertexts}, {self.identical_resends} of them the same bytes again"),
            ("dead letters", f"{len(self.dead_letters)}, {len(self.unexplained)} without a reason"),
            ("dead stanzas", self.dead_stanzas),
            ("other dead letters", named(self.dead_elsewhere)),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        for title, found in (
            ("SLOWEST TO HEAL", self.slowest),
            ("LOST", self.lost),
            ("SHOWN TWICE", self.doubled),
            ("NOT CONFIRMED", self.unconfirmed),
            ("DEAD LETTERS", self.dead_letters),
        ):
            if found:
                lines += ["", title]
                lines += [json.dumps(one, default=str) for one in found]
        return "\n".join([*lines, "", self.line(), ""])


def report(storm: Storm, began: float) -> Report:
    """Look at every device, every notification and every dead letter."""
    deployed, seen = storm.deployed, storm.witness
    with ThreadPoolExecutor(4) as readers:
        stored = dict(
            zip(
                (notice.id for notice in storm.notices),
                readers.map(deployed.look, storm.notices),
                strict=True,
            )
        )
    shown = shown_on_devices(deployed, storm.people)
    lost: list[dict[str, Any]] = []
    doubled: list[dict[str, Any]] = []
    unconfirmed: list[dict[str, Any]] = []
    for notice in storm.notices:
        for device in storm.devices[notice.person.number]:
            times = shown[notice.person.number, device].count(notice.message_id)
            if times != 1:
                (doubled if times else lost).append(about(notice, stored[notice.id], device))
        found = stored[notice.id]
        if found is None or found.state not in ARRIVED:
            unconfirmed.append(about(notice, found))
    audit = deployed.phones.audit()
    letters = deployed.world.deployment.redriver().read()
    put = [at for at, _ in seen.put]
    return Report(
        plan=storm.plan,
        seconds=round(time.monotonic() - began, 1),
        sent_per_second=round(len(storm.notices) / max(seen.last_shown - put[0], 1), 2) if put else 0.0,
        devices=sum(len(one.devices) for one in storm.people),
        copies=seen.expected_count,
        faults=storm.counts,
        kills=tally(name for _, name in storm.kills),
        healed=seen.recovered_count,
        seconds_to_heal=seen.seconds_to_heal(),
        slowest=[slow(storm, *one) for one in seen.slowest_to_heal(SLOWEST)],
        states=tally(str(found.state) if found else "gone" for found in stored.values()),
        lost=lost,
        doubled=doubled,
        unconfirmed=unconfirmed,
        keys_used_twice=audit["message_keys_reused"],
        prekeys_handed_out_twice=audit["prekeys_handed_out_twice"],
        ciphertexts=audit["ciphertexts"],
        identical_resends=sum(one["identical_resends"] for one in audit["accounts"].values()),
        dead_letters=[explained(letter, stored.get(letter.notification)) for letter in letters],
        dead_stanzas=depth(deployed, "StanzasDeadQueueUrl"),
        dead_elsewhere={name: depth(deployed, name) for name in DEAD_QUEUES},
    )


def slow(storm: Storm, copy: Copy, asked: float, seconds: float) -> dict[str, Any]:
    """A copy that took long to heal, and the kills before its end: in seconds after it was asked for."""
    message, number, device = copy
    near = [
        f"{name} {at - asked:+.1f}" for at, name in storm.kills if -KILL_FELT_SECONDS < at - asked < seconds
    ]
    return {
        "seconds": round(seconds, 1),
        "at": round(asked - storm.witness.put[0][0]),
        "kills": near,
        "message": message,
        "recipient": number,
        "device": device,
    }


def shown_on_devices(
    deployed: DeployedStack, people: Sequence[Recipient]
) -> dict[tuple[str, int], list[str]]:
    """The ids of what each device shows, in order; an id twice if its text is shown under another id too."""
    shown = {}
    for recipient in people:
        for device in recipient.devices:
            box = deployed.phones.mailbox(recipient.person.number, companion=device or None)
            first: dict[str, str] = {}
            ids = [first.setdefault(message["text"], message["id"]) for message in box["messages"]]
            shown[recipient.person.number, device] = ids
    return shown


def about(notice: Notice, stored: Notification | None, device: int | None = None) -> dict[str, Any]:
    """One notification that isn't accounted for: its stored state and history."""
    known: dict[str, Any] = {
        "notification": notice.id,
        "message": notice.message_id,
        "ticket": notice.ticket_id,
    }
    known |= {"recipient": notice.person.number, "device": device}
    if stored is None:
        return known | {"state": "gone"}
    return known | {
        "state": str(stored.state),
        "history": [attempt.to_json() for attempt in stored.attempts],
        "recoveries": {name: recovery.to_json() for name, recovery in stored.recoveries.items()},
        "receipts": dict(stored.receipts),
        "last_error": stored.last_error.to_json() if stored.last_error else None,
    }


def explained(letter: Letter, stored: Notification | None) -> dict[str, Any]:
    """A dead letter with its reason; explained if it has one, and a history, and the record agrees."""
    agrees = stored is not None and stored.state in (State.FAILED, State.SENT, *ARRIVED)
    return {
        "notification": letter.notification,
        "reason": letter.reason,
        "class": letter.class_,
        "detail": letter.detail,
        "attempts": [attempt.get("cause") for attempt in letter.attempts],
        "state": str(stored.state) if stored else "gone",
        "explained": bool(letter.reason and letter.attempts and agrees),
    }


def depth(deployed: DeployedStack, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = deployed.world.deployment.sqs.get_queue_attributes(
        QueueUrl=deployed.stack.outputs[queue], AttributeNames=names
    )
    return sum(int(found["Attributes"][name]) for name in names)


def tally(words: Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for word in words:
        counted[word] = counted.get(word, 0) + 1
    return counted


def named(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) or "none"
