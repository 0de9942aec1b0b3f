"""The door under load: 100 requests a second for a minute, on loopback, and what came out behind the bus.

The handler runs in a process of its own, in three copies, over the emulator's tables and bus. Requests are
sent when they are due, whether or not the ones before were answered, and their times count from then: what
waits in a queue is waited for. A rule hands every event to a queue, where each message is looked for."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from threading import local
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.bench.door_copies import OWN_MS, PROCESS_MS
from tests.bench.measure import Sheet, percentile
from tests.bench.surroundings import ConnectorContext, tell
from tocsin.door.proofs import proven_item
from tocsin.door.sources import Source, hash_of, new_token
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put
from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer
from tocsin.tables.notifications import source_key
from tocsin_local.emulator import Emulator, emulator, run_folder

RATE, SECONDS, COPIES = 100, 60, 3
MAX_P99_MS = 150
COLD_STARTS, MAX_COLD_MS = 10, 1_500
CALLERS = 40
BUS, TABLE, SOURCE = "bench", "notifications", "load"
TEXTS_SECRET = json.dumps({"id": "t1", "key": "k" * 64})


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    with run_folder("bench-door") as folder, emulator(folder) as aws:
        queue = furnish(aws)
        token = add_source(aws)
        environment = environment_of(aws, queue)
        tell("first answers of the door")
        cold = [first_answer(environment, token, number) for number in range(COLD_STARTS)]
        with served(environment, COPIES) as url:
            tell(f"{RATE} requests a second at the door")
            for warm in range(COPIES * 4):
                ask(url, token, f"warm-{warm}")
            told = load(url, token)
        found = arrived(aws, queue, len(told))
    yield sheet(told, found, cold)


def furnish(aws: Emulator) -> str:
    """Tables, bus and rule; returns the URL of the queue where the rule puts every event."""
    dynamodb, events, sqs = aws.client("dynamodb"), aws.client("events"), aws.client("sqs")
    for table in (TABLE, "keys"):
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
    url: str = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=BUS)
    pattern = json.dumps({"source": ["ticketing"]})
    events.put_rule(Name="all", EventBusName=BUS, EventPattern=pattern)
    events.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def add_source(aws: Emulator) -> str:
    token = new_token(SOURCE, b"x" * 32)
    source = Source(SOURCE, "api", ("default",), per_minute=100_000, hash=hash_of(token))
    texts = Texts(lambda: RecordSealer.from_secret(TEXTS_SECRET))
    DynamoTable(aws.client("dynamodb"), TABLE).put(Put(source_key(SOURCE), proven_item(source, texts)))
    return token


def environment_of(aws: Emulator, queue: str) -> dict[str, str]:
    """Of the door's process."""
    secrets = aws.client("secretsmanager")
    arn = secrets.create_secret(Name="texts", SecretString=TEXTS_SECRET)["ARN"]
    return {
        **aws.environment(),
        "PYTHONPATH": ".",
        "KEYS_TABLE": "keys",
        "NOTIFICATIONS_TABLE": TABLE,
        "EVENT_BUS_NAME": BUS,
        "EVENT_SOURCE": "ticketing",
        "TEXTS_SECRET_ARN": arn,
        "TICKET_EVENTS_DEAD_QUEUE_URL": queue,
        "POWERTOOLS_SERVICE_NAME": "receive_webhook",
        "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }


@contextmanager
def served(environment: Mapping[str, str], copies: int) -> Iterator[str]:
    """The door's URL, while the block lasts."""
    command = [sys.executable, "-m", "tests.bench.door_copies", str(copies)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as door:
        assert door.stdout is not None
        try:
            yield door.stdout.readline().strip()
        finally:
            door.terminate()


def first_answer(environment: Mapping[str, str], token: str, number: int) -> float:
    """Milliseconds of the processor that a fresh process takes until it has answered its first request."""
    with served(environment, 1) as url:
        answer = asked(
            http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60), token, f"cold-{number}"
        )
    assert answer.status == 202, answer.status
    return float(answer.headers[PROCESS_MS])


_own = local()


def ask(url: str, token: str, key: str) -> tuple[int, float]:
    """The status of one request, and what the handler took of the processor for it (ms). A connection for
    each thread, as tools keep them."""
    if not hasattr(_own, "connection"):
        _own.connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=30)
    answer = asked(_own.connection, token, key)
    return int(answer.status), float(answer.headers.get(OWN_MS, 0))


def asked(connection: http.client.HTTPConnection, token: str, key: str) -> http.client.HTTPResponse:
    body = json.dumps({"to": "+6281234567890", "text": key, "key": key})
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", "/v1/messages", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer


class Told(NamedTuple):
    """One request. `took`, `own`: ms, from when it was due, and of the handler's processor."""

    key: str
    status: int
    took: float
    own: float


def load(url: str, token: str) -> list[Told]:
    began = time.perf_counter() + 0.5

    def one(number: int) -> Told:
        due, key = began + number / RATE, f"load-{number}"
        time.sleep(max(due - time.perf_counter(), 0))
        try:
            status, own = ask(url, token, key)
        except (OSError, http.client.HTTPException):
            status, own = 0, 0.0
            del _own.connection
        return Told(key, status, (time.perf_counter() - due) * 1000, own)

    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(one, range(RATE * SECONDS)))


def arrived(aws: Emulator, queue: str, wanted: int) -> Counter[str]:
    """How often each text of the load lies behind the bus."""
    sqs, found, idle = aws.client("sqs"), Counter[str](), 0
    while idle < 3 and sum(found.values()) < wanted * 2:
        got: list[dict[str, Any]] = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages", [])
        idle = 0 if got else idle + 1
        if got:
            entries = [
                {"Id": str(place), "ReceiptHandle": one["ReceiptHandle"]} for place, one in enumerate(got)
            ]
            sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        found.update(json.loads(one["Body"])["detail"]["text"] for one in got)
    return Counter({text: times for text, times in found.items() if text.startswith("load-")})


def sheet(told: list[Told], found: Counter[str], cold: list[float]) -> Sheet:
    taken = {one.key for one in told if one.status == 202}
    times, own = [one.took for one in told], [one.own for one in told]
    lost = len(taken - set(found))
    twice = sum(1 for number in found.values() if number > 1)
    made = Sheet(f"The door: {RATE} requests a second for {SECONDS} s", ("figure",))
    made.add("answered 202", f"{len(taken)} of {len(told)}", aim="all", met=len(taken) == len(told))
    made.add("lost behind the bus", str(lost), aim="none", met=lost == 0)
    made.add("twice behind the bus", str(twice), aim="none", met=twice == 0)
    p99 = percentile(own, 99)
    made.add("of the handler's own, p50", f"{percentile(own, 50):.1f} ms")
    made.add("of the handler's own, p99", f"{p99:.1f} ms", aim=f"≤ {MAX_P99_MS} ms", met=p99 <= MAX_P99_MS)
    made.add("p50", f"{percentile(times, 50):.0f} ms")
    made.add("p99", f"{percentile(times, 99):.0f} ms")
    made.add("slowest", f"{max(times):.0f} ms")
    made.add("a fresh process, of the processor until its first answer, p50", f"{median(cold):.0f} ms")
    slowest = max(cold)
    met = slowest <= MAX_COLD_MS
    made.add(f"the same, slowest of {len(cold)}", f"{slowest:.0f} ms", aim=f"≤ {MAX_COLD_MS:,} ms", met=met)
    made.notes.append(f"{COPIES} copies of the handler in one process; the emulator's own time is in it")
    return made
