"""Cold starts: what a function imports and sets up before its first event, in fresh processes.

The functions are as `sam build` leaves them: the layer with its compiled files, the handler's own file
without one, for Lambda couldn't store it. The yardstick is what every function that uses DynamoDB needs.
Time of the processor is counted: nothing is waited for, and what else the machine does matters little then.
A hundred processes each: the 99th percentile is a value that was measured, and not the worst of a few.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.measure import Sheet, percentile
from tests.bench.surroundings import ConnectorContext, tell
from tocsin_local.processes import clean_environment

RUNS = 100
AIM, AIM_OF_OTHERS = 1.3, 1.5
HEAVIEST = 8

YARDSTICK = "import boto3; boto3.client('dynamodb')"
TIMED = "from time import process_time; before = process_time(); {}; print((process_time() - before) * 1000)"

SEND = "send_notification"


@dataclass(frozen=True)
class Handler:
    """`folder`: what the build calls the function. `set_up`: makes its clients, if the import doesn't."""

    folder: str
    set_up: str = "pass"

    @property
    def start(self) -> str:
        return f"import app; {self.set_up}"


HANDLERS = {
    SEND: Handler("SendNotificationFunction"),
    "receive_stanza": Handler("ReceiveStanzaFunction"),
    "record_receipts": Handler("RecordReceiptsFunction"),
    "plan_notifications": Handler("PlanNotificationsFunction", "app.planner()"),
    "publish_outcomes": Handler("PublishOutcomesFunction", "app.publisher()"),
    "maintain_sessions": Handler("MaintainSessionsFunction", "app.maintainer()"),
    "receive_webhook": Handler("ReceiveWebhookFunction", "app.door()"),
    "deliver_webhooks": Handler("DeliverWebhooksFunction", "app.deliveries()"),
}

VARIABLES = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    # By this a handler knows that it is in Lambda, and sets everything up while it is imported.
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "POWERTOOLS_SERVICE_NAME": "function",
    "POWERTOOLS_METRICS_NAMESPACE": "Tocsin",
    "KEYS_TABLE": "keys",
    "NOTIFICATIONS_TABLE": "notifications",
    "NOTIFICATIONS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/notifications.fifo",
    "DEAD_LETTERS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/dead-letters.fifo",
    "STANZAS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/stanzas.fifo",
    "HOOKS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/hooks.fifo",
    "RECEIPTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/receipts",
    "TICKET_EVENTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/tickets",
    "TICKET_EVENTS_DEAD_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/0/refused",
    "SEALING_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:0:secret:sealing",
    "TEXTS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:0:secret:sealing",
    "EVENT_BUS_NAME": "bus",
    "EVENT_SOURCE": "tickets",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    built = bench.built
    tell("cold starts")
    times: dict[str, list[float]] = {name: [] for name in ("boto3", *HANDLERS)}
    for _ in range(RUNS):
        # In turn, so that all have the same share of whatever else the machine does.
        times["boto3"].append(start(YARDSTICK, environment(built, SEND)))
        for function in HANDLERS:
            times[function].append(start(HANDLERS[function].start, environment(built, function)))
    medians = {name: median(values) for name, values in times.items()}
    sheet = Sheet("Cold start: import and client set-up", ("p50", "p99", "fastest", "ratio"))
    sheet.add('import boto3; boto3.client("dynamodb")', *cells(times["boto3"], medians["boto3"]))
    for function in HANDLERS:
        ratio = medians[function] / medians["boto3"]
        most = AIM if function == SEND else AIM_OF_OTHERS
        row = cells(times[function], medians["boto3"])
        sheet.add(function, *row, aim=f"≤ {most:g} × boto3", met=ratio <= most)
    sheet.notes.append(f"heaviest in {SEND}, each without what it imports: {heaviest(built)}")
    if not list((built / "CoreLayer" / "python" / "tocsin").rglob("*.pyc")):
        sheet.notes.append("the layer is not compiled: there is no interpreter of its runtime here")
    yield sheet


def cells(values: list[float], yardstick: float) -> tuple[str, str, str, str]:
    middle = median(values)
    shown = (middle, percentile(values, 99), min(values))
    p50, p99, fastest = (f"{value:.0f} ms" for value in shown)
    return p50, p99, fastest, f"{middle / yardstick:.2f}×"


def start(statement: str, variables: dict[str, str]) -> float:
    """Milliseconds of the processor that the statement takes in a fresh interpreter."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def environment(built: Path, function: str) -> dict[str, str]:
    path = (built / HANDLERS[function].folder, built / "CoreLayer" / "python")
    return clean_environment(PYTHONPATH=os.pathsep.join(map(str, path)), **VARIABLES)


def heaviest(built: Path) -> str:
    """The packages that take longest to import for a send, with their own milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", HANDLERS[SEND].start]
    done = subprocess.run(command, env=environment(built, SEND), capture_output=True, text=True, check=True)
    own: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if len(fields) == 3 and fields[0].strip().isdecimal():
            package = fields[2].strip().partition(".")[0]
            own[name_of(package)] += int(fields[0])
    return ", ".join(f"{name} {spent / 1000:.0f}" for name, spent in own.most_common(HEAVIEST))


def name_of(package: str) -> str:
    if package == "app":
        return "the handler with its client"
    return "the standard library" if package in sys.stdlib_module_names else package
