"""Outcome webhooks under load: 2,000 outcomes to twenty endpoints on loopback, of which some are bad.

One answers after ten seconds, one with 500, one with 410, one with a redirect. The rest is well. The handler
runs in a process of its own, in so many copies as the account could run at once, over the emulator's table
and queue; outcomes are dispatched as the publisher dispatches them, at an even rate. Before that the same
rate runs with all endpoints well: what the bad ones cost the others is the difference."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.bench.measure import Sheet, percentile
from tests.bench.surroundings import ConnectorContext, tell
from tests.support.connector_processes import make_table
from tocsin.dynamo.table import DynamoTable
from tocsin.hooks.delivery import DEAD, DELIVERED, WAITING, Delivery
from tocsin.hooks.dispatch import Dispatch
from tocsin.hooks.endpoint import Endpoint
from tocsin.hooks.queue import HooksQueue
from tocsin.hooks.signing import new_secret
from tocsin.hooks.store import HookStore
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer
from tocsin.versions import hook_versions
from tocsin_local.emulator import Emulator, emulator, run_folder

OUTCOMES, RATE, COPIES = 2000, 25, 16
OUTCOMES_BEFORE = 500
ENDPOINTS = 20
TICKETS = 5
"""Of each endpoint, told in turn."""

SLOW, BROKEN, GONE, MOVED = "h-slow", "h-broken", "h-gone", "h-moved"
BAD = (SLOW, BROKEN, GONE, MOVED)
SLOW_SECONDS = 10.0
OF_THE_SLOW = 12
"""Outcomes for the slow one: two at a time, they take a minute."""

PATIENCE_SECONDS = 180.0
MAX_P99_MS = 2_000
"""A fifth of what the slow one takes."""

TABLE, KEYS_TABLE = "notifications", "keys"
TEXTS_SECRET = json.dumps({"id": "t1", "key": "k" * 64})


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    with run_folder("bench-hooks") as folder, emulator(folder) as aws, listening() as heard:
        queue = furnish(aws)
        dynamodb = aws.client("dynamodb")
        versions = hook_versions(DynamoTable(dynamodb, KEYS_TABLE))
        store = HookStore(DynamoTable(dynamodb, TABLE), texts(), versions)
        names = [*BAD, *(f"h-{number:02}" for number in range(ENDPOINTS - len(BAD)))]
        for name in names:
            url = f"{heard.url}/{name}"
            store.add(Endpoint(name, url, new_secret(lambda size: b"s" * size), accounts=(name,)))
        dispatch = Dispatch(store, HooksQueue(aws.client("sqs"), queue))
        with working(aws, queue):
            tell(f"{OUTCOMES_BEFORE} outcomes to endpoints that are well")
            before = load(dispatch, heard, [name for name in names if name not in BAD], OUTCOMES_BEFORE)
            tell(f"{OUTCOMES} outcomes, four of {ENDPOINTS} endpoints bad")
            told = load(dispatch, heard, names, OUTCOMES)
            left = settled(aws, queue)
        deliveries = {name: list(store.deliveries(name)) for name in names}
    yield sheet(before, told, heard, deliveries, left)


def texts() -> Texts:
    return Texts(lambda: RecordSealer.from_secret(TEXTS_SECRET))


def furnish(aws: Emulator) -> str:
    """The tables, of the one its index, and the queue; returns the queue's URL."""
    make_table(aws, KEYS_TABLE)
    kinds = {"pk": "S", "sk": "S", "watching": "S", "watch_due": "N"}
    aws.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": kind} for one, kind in kinds.items()],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "watch",
                "KeySchema": [
                    {"AttributeName": "watching", "KeyType": "HASH"},
                    {"AttributeName": "watch_due", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    attributes = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "VisibilityTimeout": "120",
    }
    return str(aws.client("sqs").create_queue(QueueName="hooks.fifo", Attributes=attributes)["QueueUrl"])


@contextmanager
def working(aws: Emulator, queue: str) -> Iterator[None]:
    """The function works on the queue while the block lasts."""
    arn = aws.client("secretsmanager").create_secret(Name="texts", SecretString=TEXTS_SECRET)["ARN"]
    environment = {
        **aws.environment(),
        "PYTHONPATH": ".",
        "NOTIFICATIONS_TABLE": TABLE,
        "KEYS_TABLE": KEYS_TABLE,
        "HOOKS_QUEUE_URL": queue,
        "TEXTS_SECRET_ARN": arn,
        # Endpoints on this machine count.
        "TIMING": "trial",
        "POWERTOOLS_SERVICE_NAME": "deliver_webhooks",
        "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }
    command = [sys.executable, "-m", "tests.bench.hooks_copies", str(COPIES)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as copies:
        assert copies.stdout is not None
        copies.stdout.readline()
        threading.Thread(target=copies.stdout.read, daemon=True).start()
        try:
            yield
        finally:
            copies.terminate()


# -- endpoints ---------------------------------------------------------------------------------------------


class Post(NamedTuple):
    """One POST that an endpoint got. `at`: seconds; `outcome`: its number; `answered`: the status."""

    endpoint: str
    ticket: str
    outcome: int
    at: float
    answered: int


@dataclass
class Heard:
    """What endpoints got, in the order in which it came."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    followed: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, is_enough: Callable[[], bool]) -> None:
        with self.changed:
            self.changed.wait_for(is_enough, timeout=PATIENCE_SECONDS)

    def taken(self, endpoint: str) -> list[Post]:
        return [one for one in self.posts if one.endpoint == endpoint and one.answered == 200]


STATUS = {BROKEN: 500, GONE: 410, MOVED: 302}


@contextmanager
def listening() -> Iterator[Heard]:
    """All endpoints, each at a path of its own."""
    heard = Heard()

    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            at, name = time.time(), self.path.strip("/")
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            data, status = body["data"], STATUS.get(name, 200)
            if name == SLOW:
                time.sleep(SLOW_SECONDS)
            with heard.changed:
                heard.posts.append(Post(name, data["ticket_id"], data["number"], at, status))
                heard.changed.notify_all()
            self.send_response(status)
            if name == MOVED:
                self.send_header("location", f"{heard.url}/followed")
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            heard.followed += 1
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing: the report says all."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Request)
    heard.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


# -- the load ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """As the publisher has it."""

    detail_type: str
    detail: dict[str, Any]
    at: int
    sequence: str


class Told(NamedTuple):
    """An outcome that was dispatched. `at`: seconds."""

    endpoint: str
    number: int
    at: float


_numbers = itertools.count()


def load(dispatch: Dispatch, heard: Heard, names: Sequence[str], count: int) -> list[Told]:
    """Dispatch `count` outcomes at an even rate, and wait until the endpoints that take any have theirs."""
    told: list[Told] = []
    turns: Counter[str] = Counter()
    ring = itertools.cycle(names)
    began = time.monotonic()
    for place in range(count):
        name = next(ring)
        while name == SLOW and turns[name] >= OF_THE_SLOW:
            name = next(ring)
        number = next(_numbers)
        ticket = f"{name}-{turns[name] % TICKETS}"
        turns[name] += 1
        detail = {"id": f"o-{number}", "account": name, "ticket_id": ticket, "number": number}
        time.sleep(max(began + place / RATE - time.monotonic(), 0))
        now = time.time()
        outcome = Outcome("NotificationDelivered", detail, int(now * 1000), str(number))
        while dispatch([outcome]):
            pass  # the stream would bring it again
        told.append(Told(name, number, now))
    wanted = {one.number for one in told if one.endpoint not in (BROKEN, GONE, MOVED)}
    heard.wait_for(lambda: wanted <= {one.outcome for one in heard.posts if one.answered == 200})
    return told


def settled(aws: Emulator, queue: str) -> int:
    """Wait until the queue is empty; how many are left in it."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        told = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        left = sum(int(value) for value in told.values())
        if not left or time.monotonic() > ends:
            return left
        time.sleep(0.5)


# -- the report --------------------------------------------------------------------------------------------


def sheet(
    before: Sequence[Told],
    told: Sequence[Told],
    heard: Heard,
    deliveries: dict[str, list[Delivery]],
    left: int,
) -> Sheet:
    made = Sheet(f"Webhooks: {OUTCOMES} outcomes to {ENDPOINTS} endpoints, {RATE} a second", ("figure",))
    alone, beside = waits(before, heard), waits(told, heard)
    for name, values in (("all endpoints well", alone), ("beside four bad ones", beside)):
        p99 = percentile(values, 99)
        made.add(f"dispatch to arrival, {name}, p50", f"{percentile(values, 50):.0f} ms")
        met = p99 <= MAX_P99_MS
        made.add(f"dispatch to arrival, {name}, p99", f"{p99:.0f} ms", aim=f"≤ {MAX_P99_MS:,} ms", met=met)
    missing = lost(before, heard, deliveries) + lost(told, heard, deliveries)
    made.add("lost", str(missing), aim="none", met=missing == 0 and left == 0)
    late = out_of_order(heard)
    made.add("out of order for one ticket", str(late), aim="none", met=late == 0)
    wrong = uncounted(heard, deliveries)
    made.add("posts that no attempt stands for", str(wrong), aim="none", met=wrong == 0)
    made.add("redirects followed", str(heard.followed), aim="none", met=heard.followed == 0)
    twice = sum(
        times - 1 for times in Counter(one.outcome for one in heard.posts if one.answered == 200).values()
    )
    made.add("taken twice", str(twice))
    for name in BAD:
        states = Counter(one.state for one in deliveries[name])
        posts = sum(1 for one in heard.posts if one.endpoint == name)
        counted = ", ".join(f"{states[one]} {one}" for one in (DELIVERED, WAITING, DEAD) if states[one])
        made.add(f"{name}: {posts} posts", counted)
    made.notes.append(f"{COPIES} copies of the handler in one process; the emulator's own time is in it")
    made.notes.append(f"{GONE} hears of nothing more once it answered 410")
    return made


def waits(told: Sequence[Told], heard: Heard) -> list[float]:
    """Milliseconds to the first arrival, at endpoints that are well."""
    arrived: dict[int, float] = {}
    for one in heard.posts:
        arrived.setdefault(one.outcome, one.at)
    return [
        (arrived[one.number] - one.at) * 1000
        for one in told
        if one.endpoint not in BAD and one.number in arrived
    ]


def lost(told: Sequence[Told], heard: Heard, deliveries: dict[str, list[Delivery]]) -> int:
    """Outcomes that no endpoint took and no record stands for."""
    taken = {one.outcome for one in heard.posts if one.answered == 200}
    missing = 0
    for name, of_it in _by_endpoint(told).items():
        untaken = [one for one in of_it if one.number not in taken]
        kept = sum(1 for one in deliveries[name] if one.state in (WAITING, DEAD))
        missing += 0 if name == GONE else max(len(untaken) - kept, 0)
    return missing


def _by_endpoint(told: Sequence[Told]) -> dict[str, list[Told]]:
    found: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        found[one.endpoint].append(one)
    return found


def out_of_order(heard: Heard) -> int:
    """Outcomes that were taken after a later one of their ticket."""
    newest: dict[str, int] = {}
    late, seen = 0, set[int]()
    for one in heard.posts:
        if one.answered != 200 or one.outcome in seen:
            continue
        seen.add(one.outcome)
        late += one.outcome < newest.get(one.ticket, -1)
        newest[one.ticket] = max(one.outcome, newest.get(one.ticket, -1))
    return late


def uncounted(heard: Heard, deliveries: dict[str, list[Delivery]]) -> int:
    posts = Counter(one.endpoint for one in heard.posts)
    counted = {name: sum(len(one.attempts) for one in of_it) for name, of_it in deliveries.items()}
    return sum(abs(posts[name] - counted[name]) for name in counted)
