"""What happens to a message that can't be handled, and to those behind it, in each FIFO queue that is read.

| queue | malformed | the function fails at it each time |
| --- | --- | --- |
| notifications | among the dead letters at once, as it came | a dead letter `crashed` after nine tries |
| stanzas | named in the report, and done | in a lane of its own after eight tries; dead after 50 there |
| hooks | counted as a bug, and done | put aside in the table after four tries; dead there after eleven |

Whatever kills the process is counted likewise (`test_stanzas`, `test_delivery`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.support.handlers import Context, load
from tests.support.memory_aws import MemoryAccount, MemoryAws
from tests.support.sealed_texts import TEXTS
from tests.support.templates import properties, resources
from tests.support.wired_functions import WiredFunctions
from tocsin.dynamo.errors import OutcomeUnknown
from tocsin.guarded_http import Answer
from tocsin.hooks.deliver import Deliveries
from tocsin.hooks.delivery import DEAD, WAITING
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.outcome import Told
from tocsin.hooks.queue import HooksQueue
from tocsin.hooks.queue import Order as HookOrder
from tocsin.hooks.store import HookStore
from tocsin.keys.errors import Contended
from tocsin.multidevice.inbound.envelope import Report
from tocsin.multidevice.inbound.stanzas import Stanzas
from tocsin.notify.lanes import Record
from tocsin.notify.queues import Order
from tocsin.notify.redelivery import MAX_RECEIVES, wait_seconds
from tocsin.notify.transport import Outgoing
from tocsin.versions import hook_versions

MALFORMED = '{"nothing": "of ours"}'


@dataclass
class Group:
    """One message group of a FIFO queue, as the event source mapping reads it. `dead`: what the queue moved
    into its dead-letter queue; `runs`: invocations."""

    queue: str
    batch: int
    handler: Callable[[dict[str, Any], Context], dict[str, Any]]
    kept: list[str] = field(default_factory=list)
    receives: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    lanes: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def run_until(self, body: str) -> int:
        """Until this one is gone; how many invocations it took."""
        while body in self.kept:
            self._run()
        return self.runs

    def _run(self) -> None:
        self.runs += 1
        most = properties(self.queue)["RedrivePolicy"]["maxReceiveCount"]
        records = [self._received(body) for body in self.kept[: self.batch]]
        for record in [one for one in records if self.receives[one["body"]] > most]:
            self.kept.remove(record["body"])
            self.dead.append(record["body"])
            records.remove(record)
        if records:
            answer = self.handler({"Records": records}, Context())
            left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for record in records:
                if record["messageId"] not in left and record["body"] in self.kept:
                    self.kept.remove(record["body"])

    def _received(self, body: str) -> dict[str, Any]:
        self.receives[body] = self.receives.get(body, 0) + 1
        lane = self.lanes.get(body, "g")
        about = {"ApproximateReceiveCount": str(self.receives[body]), "MessageGroupId": lane}
        return {"messageId": body, "receiptHandle": body, "body": body, "attributes": about}

    # -- as `Redelivery` -----------------------------------------------------------------------------------

    def holding(self, records: list[Record], *, after: float = 0.0) -> AbstractContextManager[None]:
        return nullcontext()

    def give_back(self, handles: list[str], seconds: float) -> None: ...

    def defer_all(self, records: list[tuple[str, int]]) -> None: ...

    def forget(self, handles: list[str]) -> None:
        self.kept = [body for body in self.kept if body not in handles]

    def start_over(self, record: Record, *, lane: str | None = None) -> None:
        """The message itself is forgotten by who asks for a copy."""
        self.kept.append(f"{record.body} ")
        self.lanes[f"{record.body} "] = lane or record.lane or ""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tocsin")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "function")
    yield
    logging.getLogger("tocsin").handlers = []


def test_every_fifo_queue_that_is_read_is_looked_at_here() -> None:
    fifo = {
        name for name, queue in resources("AWS::SQS::Queue").items() if queue["Properties"].get("FifoQueue")
    }
    read = {name for name in fifo if "RedrivePolicy" in properties(name)}
    assert read == {"NotificationsQueue", "StanzasQueue", "HooksQueue"}
    assert fifo - read == {"DeadLettersQueue", "StanzasDeadQueue", "HooksDeadQueue"}, "nobody reads these"


# -- notifications -----------------------------------------------------------------------------------------


@dataclass
class Sending:
    """One person's orders. `poison`: the notification at which the transport fails."""

    wired: WiredFunctions
    group: Group
    poison: str = ""

    @classmethod
    def of(cls, monkeypatch: pytest.MonkeyPatch) -> Sending:
        app = load("send_notification")
        sending = cls(
            WiredFunctions(MemoryAccount().furnish()), Group("NotificationsQueue", 10, app.lambda_handler)
        )
        monkeypatch.setattr(app, "sender", lambda: (sending.wired.delivery, sending.group))
        send = sending.wired.transport.send

        def failing(outgoing: Outgoing) -> Any:
            if outgoing.notification == sending.poison:
                raise ZeroDivisionError
            return send(outgoing)

        monkeypatch.setattr(sending.wired.transport, "send", failing)
        return sending

    def order(self, number: int) -> str:
        planned = self.wired.plan(number)
        self.wired.queue.send(planned)
        [body] = self.wired.aws.messages("notifications")
        text = json.dumps(body)
        self.group.kept.append(text)
        return text

    @property
    def buried(self) -> list[str]:
        return [letter.get("reason", "as it came") for letter in self.wired.aws.messages("dead-letters")]


def _lane_of(body: str) -> str:
    return Order.parse(body).group


def test_a_malformed_order_is_a_dead_letter_and_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    sending = Sending.of(monkeypatch)
    sending.group.kept.append(MALFORMED)
    assert sending.group.run_until(MALFORMED) == 1
    assert sending.buried == ["as it came"]


def test_an_order_that_always_fails_is_a_dead_letter_and_frees_its_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sending = Sending.of(monkeypatch)
    poison, behind = sending.order(1), sending.order(2)
    sending.poison = Order.parse(poison).notification
    monkeypatch.setattr(Group, "_received", _in_lane(_lane_of(poison)))
    assert sending.group.run_until(poison) <= 10
    sending.group.run_until(behind)
    assert (sending.buried, sending.group.dead) == (["crashed"], [])
    assert sending.wired.stored(sending.wired.plan(2)).state == "sent"


def _in_lane(lane: str) -> Callable[[Group, str], dict[str, Any]]:
    received = Group._received

    def within(self: Group, body: str) -> dict[str, Any]:
        record = received(self, body)
        record["attributes"]["MessageGroupId"] = lane
        return record

    return within


# -- stanzas -----------------------------------------------------------------------------------------------


class Reader:
    """Fails at `poison`, and reads all else."""

    def __init__(self, fails: Exception, times: int = 1000) -> None:
        self.read: list[str] = []
        self.fails = [fails] * times

    def handle(self, body: str) -> Report:
        if body.strip() == "poison" and self.fails:
            raise self.fails.pop()
        self.read.append(body)
        return Report("message", "reply")


def test_a_malformed_stanza_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app, wired = load("receive_stanza"), WiredFunctions(MemoryAccount().furnish())
    group = Group("StanzasQueue", 10, app.lambda_handler, [MALFORMED])
    stanzas = Stanzas(wired.inbound, group)  # type: ignore[arg-type]
    monkeypatch.setattr(app, "receiver", lambda: (stanzas, group))
    assert (group.run_until(MALFORMED), group.dead) == (1, [])


def reading(monkeypatch: pytest.MonkeyPatch, reader: Reader) -> Group:
    """A sender's lane of two stanzas, the first of which is the poison."""
    app = load("receive_stanza")
    group = Group("StanzasQueue", 10, app.lambda_handler, ["poison", "behind"])
    stanzas = Stanzas(reader, group)  # type: ignore[arg-type]
    monkeypatch.setattr(app, "receiver", lambda: (stanzas, group))
    return group


def test_a_stanza_that_always_fails_frees_its_sender_after_eight_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The waits between them are two minutes together."""
    reader = Reader(ZeroDivisionError())
    group = reading(monkeypatch, reader)
    group.run_until("behind")
    assert (reader.read, group.receives["poison"]) == (["behind"], 8)
    assert sum(wait_seconds(receives) for receives in range(1, 8)) == 127


def test_a_stanza_that_always_fails_is_buried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    group = reading(monkeypatch, Reader(ZeroDivisionError()))
    while group.kept:
        group.run_until(group.kept[0])
    assert (group.dead, group.receives["poison "]) == (["poison "], MAX_RECEIVES + 1)


def test_a_stanza_that_waited_for_the_connector_and_then_raises_once_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twin: its receives tell of the wait, not of tries that failed."""
    reader = Reader(ZeroDivisionError(), times=1)
    group = reading(monkeypatch, reader)
    group.receives = dict.fromkeys(["poison", "behind"], 9)
    group.run_until("behind")
    assert reader.read == ["poison", "behind"]


@pytest.mark.parametrize(
    "away", [Contended(), OutcomeUnknown("no answer"), EndpointConnectionError(endpoint_url="x")]
)
def test_while_a_table_is_away_a_sender_s_stanzas_keep_their_order(
    monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    """Twin: it isn't the stanza's fault, and the next one would fail as well."""
    reader = Reader(away, times=20)
    group = reading(monkeypatch, reader)
    group.run_until("behind")
    assert reader.read == ["poison", "behind"]


# -- hooks -------------------------------------------------------------------------------------------------


@dataclass
class Posting:
    """One group of an endpoint's deliveries. `poison`: words at which the function fails."""

    aws: MemoryAws
    group: Group
    store: HookStore
    now: float = 1_800_000_000.0
    poison: bytes = b"poison"
    posted: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, monkeypatch: pytest.MonkeyPatch) -> Posting:
        app: ModuleType = load("deliver_webhooks")
        aws = MemoryAws()
        group = Group("HooksQueue", 1, app.lambda_handler)
        self = cls(aws, group, HookStore(aws.notifications_table, TEXTS, hook_versions(aws.keys_table)))
        queue = HooksQueue(aws.sqs, aws.queues["hooks"])
        self.work = Deliveries(self.store, queue, self.post, clock=lambda: self.now, jitter=lambda: 0.0)
        self.store.add(Endpoint("h-1", "https://desk.example.com/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        monkeypatch.setattr(app, "deliveries", lambda: self.work)
        monkeypatch.setattr(app, "redelivery", lambda: group)
        return self

    def post(self, url: str, headers: Any, body: bytes) -> Answer:
        if self.poison in body:
            raise ZeroDivisionError
        self.posted.append(body)
        return Answer(200, {}, b"")

    def order(self, words: str, ticket: str, number: int) -> HookOrder:
        detail = {"id": f"o-{number}", "account": "default", "ticket_id": ticket, "text": words}
        order = HookOrder.of("h-1", Told.of("NotificationDelivered", detail, 1_800_000_000_000 + number))
        self.group.kept.append(order.to_json())
        return order

    def later(self, seconds: float) -> None:
        """What is due by then is put into the queue, and the queue runs dry."""
        self.now += seconds
        self.work.sweep(lambda: 60.0)
        self.group.kept += [json.dumps(body) for body in self.aws.messages("hooks")]
        for body in list(self.group.kept):
            self.group.run_until(body)


def test_a_malformed_hook_order_is_done_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    posting = Posting.of(monkeypatch)
    posting.group.kept.append(MALFORMED)
    assert posting.group.run_until(MALFORMED) == 1
    assert '"Bugs"' in capsys.readouterr().out


def test_a_hook_order_that_always_fails_frees_its_group_and_holds_only_its_ticket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posting = Posting.of(monkeypatch)
    poison = posting.order("poison", "TCK-1", 1)
    same, other = posting.order("same ticket", "TCK-1", 2), posting.order("other ticket", "TCK-2", 3)
    assert posting.group.run_until(poison.to_json()) == 5
    posting.group.run_until(same.to_json())
    posting.group.run_until(other.to_json())
    assert [b"other ticket" in body for body in posting.posted] == [True]
    found = posting.store.get("h-1", poison.turn)
    assert found is not None
    assert (found.state, [one.why for one in found.attempts]) == (WAITING, ["crashed"])


def test_it_is_dead_after_its_attempts_and_its_ticket_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    posting = Posting.of(monkeypatch)
    poison, same = posting.order("poison", "TCK-1", 1), posting.order("same ticket", "TCK-1", 2)
    for _ in range(14):
        posting.later(25 * 3600)
    found = posting.store.get("h-1", poison.turn)
    assert found is not None
    assert (found.state, posting.group.dead) == (DEAD, [])
    assert posting.group.kept == []
    assert [b"same ticket" in body for body in posting.posted] == [True]
    assert same.lane == poison.lane


def test_where_it_can_t_be_put_aside_the_queue_s_own_count_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: the table is away as well, or its words can't be read."""
    posting = Posting.of(monkeypatch)

    def failing(order: HookOrder) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(posting.work, "put_aside", failing)
    poison, other = posting.order("poison", "TCK-1", 1), posting.order("other ticket", "TCK-2", 2)
    posting.group.run_until(other.to_json())
    assert posting.group.dead == [poison.to_json()]


def test_an_order_of_a_later_version_is_read() -> None:
    order = HookOrder.of("h-1", Told.of("NotificationDelivered", {"id": "o-1", "ticket_id": "T"}, 1))
    newer = order.to_json().replace('"told":{', '"told":{"priority":"high",')
    assert HookOrder.parse(newer) == order
