"""What one notification, one reply, one receipt and one recovery cost in DynamoDB, on moto, with real peers.

The code is that of the functions; only the socket is replaced. Everybody has two devices and the own account
has one other, so a message is three ciphertexts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import boto3

from tests.bench.capacity import Averages, Bill, Meter
from tests.bench.measure import Sheet
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.fake_aws import REGION, aws_account
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions
from tocsin.notify.notification import Notification
from tocsin.tables.keys import session_pk

# As many as from one checkpoint to the next, and a few of what is the same each time.
ROUND = 32
FEW = 6
SESSIONS = (100, 1_000)
MANY_SESSIONS = (100, 1_000, 10_000, 100_000)
MAX_READS, MAX_WRITES, MAX_WRITE_UNITS = 2, 4, 7
BATCH = 25
MAX_RECEIPT_UNITS = 2


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    tell("requests to DynamoDB")
    with aws_account() as account:
        kitchen = Kitchen(WiredFunctions(account.furnish()))
        yield costs(kitchen)
        yield growth(kitchen, MANY_SESSIONS if bench.thorough else SESSIONS)


COLUMNS = ("reads", "writes", "read units", "write units")


def costs(kitchen: Kitchen) -> Sheet:
    sheet = Sheet("DynamoDB, for each", COLUMNS)
    sheet.add("notification, first contact", *cells(kitchen.first_contact()))
    known = kitchen.notification()
    met = round(known.reads) <= MAX_READS and round(known.writes) <= MAX_WRITES
    met = met and round(known.write_units) <= MAX_WRITE_UNITS
    aim = f"≤ {MAX_READS} reads, {MAX_WRITES} writes of {MAX_WRITE_UNITS} units"
    sheet.add("notification, known session", *cells(known), aim=aim, met=met)
    sheet.add("delivery receipt, alone in the stanza queue", *cells(kitchen.receipt()))
    both = kitchen.receipts_together()
    aim, met = f"≤ {MAX_RECEIPT_UNITS} write units", both.write_units <= MAX_RECEIPT_UNITS
    sheet.add("delivered and read, together", *cells(both), aim=aim, met=met)
    sheet.add("reply, with a turn of the session", *cells(kitchen.reply()))
    sheet.add("recovery, from retry receipt to resent", *cells(kitchen.recovery()))
    sheet.notes.append(
        f"averages; in {ROUND} notifications the checkpoint moves once for each user, which is one write more"
    )
    return sheet


def growth(kitchen: Kitchen, sizes: tuple[int, ...]) -> Sheet:
    sheet = Sheet("DynamoDB, as sessions grow", ("notification", "reply", "recovery"))
    for sessions in sizes:
        kitchen.fill(sessions)
        kitchen.meet_somebody()
        sheet.add(
            f"{sessions:,} sessions",
            total(kitchen.notification()),
            total(kitchen.reply()),
            total(kitchen.recovery()),
        )
    sheet.notes.append("requests / read units / write units")
    return sheet


def cells(cost: Averages) -> tuple[str, ...]:
    return tuple(f"{value:.3g}" for value in (cost.reads, cost.writes, cost.read_units, cost.write_units))


def total(cost: Averages) -> str:
    return f"{cost.reads + cost.writes:.3g} / {cost.read_units:.3g} / {cost.write_units:.3g}"


class Kitchen:
    """Wired functions that count the requests of every action."""

    def __init__(self, wired: WiredFunctions) -> None:
        self._wired = wired
        self._numbers = itertools.count(1)
        self._sessions = 0
        self._looking = boto3.client("dynamodb", region_name=REGION)
        self._meter = Meter(wired.aws.dynamodb, self._looking)

    def first_contact(self) -> Averages:
        return self._cost(lambda _: self._tell(), self.meet_somebody)

    def notification(self) -> Averages:
        """To somebody known, from plan to ack."""
        self._tell()
        return self._cost(lambda _: self._tell(), times=ROUND)

    def receipt(self) -> Averages:
        return self._cost(self._wired.receipt, self._tell)

    def receipts_together(self) -> Averages:
        incarnation = self._wired.paired.profile.incarnation
        self._wired.receipts_together(self._tell(), incarnation)
        return self._cost(lambda sent: self._wired.receipts_together(sent, incarnation), self._tell)

    def reply(self) -> Averages:
        """The first one after a notification, so that the session turns."""
        return self._cost(lambda _: self._wired.reply("ok", f"R{next(self._numbers)}"), self._tell)

    def recovery(self) -> Averages:
        return self._cost(lambda _: self._wired.answer_retries(), self._tell_in_vain)

    def meet_somebody(self) -> None:
        """The person who is notified from now on: nobody has written to them."""
        number = next(self._numbers)
        paired = self._wired.paired
        paired.siti = self._wired.siti = paired.network.person(
            f"62812{number:07}", f"7{number:07}", devices=2
        )

    def fill(self, sessions: int) -> None:
        """Have the key table hold that many sessions: copies of the one in use, under other names."""
        table, pk = self._wired.aws.keys, session_partition(self._wired)
        items = self._looking.query(
            TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
        )["Items"]
        copies = (
            {"PutRequest": {"Item": item | {"pk": {"S": f"{pk}{number}"}}}}
            for number in range(self._sessions, sessions)
            for item in items
        )
        while batch := list(itertools.islice(copies, BATCH)):
            self._looking.batch_write_item(RequestItems={table: batch})
        self._sessions = max(self._sessions, sessions)

    def _cost(
        self,
        action: Callable[[Any], object],
        prepare: Callable[[], Any] = lambda: None,
        *,
        times: int = FEW,
    ) -> Averages:
        """The average bill of `action`, which gets what `prepare` made; that isn't billed."""
        bill = Bill()
        for _ in range(times):
            subject = prepare()
            with self._meter.running(bill):
                action(subject)
        return bill.averaged(times)

    def _tell(self) -> Notification:
        return self._wired.tell(next(self._numbers))

    def _tell_in_vain(self) -> None:
        """A phone can't read it, and asks for it again."""
        self._wired.paired.now += 3600  # recoveries have a budget for each hour
        self._wired.siti.devices[0].corrupt()
        self._tell()


def session_partition(wired: WiredFunctions) -> str:
    """The partition of the sessions in use."""
    return session_pk(ACCOUNT, wired.paired.profile.incarnation, str(wired.siti.user))
