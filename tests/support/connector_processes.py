"""A world for the connector: emulated AWS, a WhatsApp server with phones, and connector processes to kill."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from tocsin.accounts.lease import LeaseInfo, Terms, read_lease
from tocsin.accounts.operator_requests import Control, give_passkey_answer, read_control, request
from tocsin.accounts.passkey import PasskeyAnswer
from tocsin.accounts.whereabouts import Whereabouts, read_whereabouts
from tocsin.connector_client.client import ConnectorClient
from tocsin.dynamo.table import DynamoTable
from tocsin.dynamo.writes import Put, Value
from tocsin.keys.account import AccountProfile
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.tables.notifications import settings_key
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node
from tocsin_local.emulator import Emulator
from tocsin_whatsapp_server.control_client import ControlClient, LocalWhatsApp

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SECRET = json.dumps({"id": "k1", "key": "a sealing key for tests, long enough to be one"})

OWN = "6281100000001"
SITI = "6281200000002"

TERMS = Terms(beat=1.5, hold=5, dead=6)
"""Of the connectors here: as long as a busy machine needs, and shorter than anybody's patience."""

MAINTAIN = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""

_names = count(1)


def eventually(found: Callable[[], T], what: str, seconds: float = 60) -> T:
    """The first true answer. Polls, for what is looked at lies in another process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"after {seconds:g} s: {what}")


@dataclass
class Process:
    """One connector process, its log on a file."""

    popen: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, metrics lines included."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, message: str, **fields: Any) -> bool:
        return any(
            line.get("message") == message and all(line.get(name) == value for name, value in fields.items())
            for line in self.lines()
        )

    def wait_until_said(self, message: str, seconds: float = 60, **fields: Any) -> None:
        eventually(
            lambda: self.said(message, **fields), f"{message} {fields}\n{self.log.read_text()}", seconds
        )

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(60)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.popen.terminate()
        return self.popen.wait(60)

    def pause(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def resident_megabytes(self) -> float:
        statm = Path(f"/proc/{self.popen.pid}/statm")
        if statm.exists():
            return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        kibibytes = subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.popen.pid)], text=True)
        return int(kibibytes) * 1024 / 1e6


@dataclass
class RunningConnectors:
    """One account's surroundings, new for each test."""

    aws: Emulator
    whatsapp: LocalWhatsApp
    folder: Path
    environment: dict[str, str]
    table: DynamoTable
    keys: KeyStore
    processes: list[Process] = field(default_factory=list)

    @property
    def phones(self) -> ControlClient:
        return self.whatsapp.control

    def start(self, **environment: str) -> Process:
        log = self.folder / f"connector-{next(_names)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "tocsin.connector"],
                env=self.environment | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = Process(popen, log)
        self.processes.append(process)
        return process

    def set(self, name: str, value: Value) -> None:
        """A setting, for connectors that are started after this."""
        table = DynamoTable(self.aws.client("dynamodb"), self.environment["NOTIFICATIONS_TABLE"])
        table.put(Put(settings_key(), {"version": 1, "values": {name: {"*": value}}}))

    def lease(self, account: str = "default") -> LeaseInfo:
        lease = read_lease(self.table, account)
        assert lease is not None
        return lease

    def wait_for_state(self, state: str, seconds: float = 60, *, account: str = "default") -> LeaseInfo:
        def found() -> LeaseInfo | None:
            lease = read_lease(self.table, account)
            return lease if lease is not None and lease.state == state else None

        last = self.processes[-1].log
        return eventually(found, f"the account {account} is not {state}:\n{last.read_text()}", seconds)

    def whereabouts(self, account: str = "default") -> Whereabouts | None:
        return read_whereabouts(self.table, account, Sealer.from_secret(SECRET))

    def control(self, account: str = "default") -> Control:
        return read_control(self.table, account, Sealer.from_secret(SECRET))

    def wish(self, what: str, phone: str | None = None, *, account: str = "default") -> None:
        now, sealer = int(time.time()), Sealer.from_secret(SECRET)
        request(self.table, sealer, account, what, now, os.urandom(12), phone=phone)

    def bring_passkey(self, given: PasskeyAnswer, account: str = "default") -> None:
        give_passkey_answer(self.table, Sealer.from_secret(SECRET), account, given, os.urandom(12))

    def pair(self, number: str, account: str = "default") -> AccountProfile:
        """Link the account to a phone by its QR code, and wait until it is connected."""
        self.wish("pair", account=account)
        qr = eventually(lambda: self.control(account).qr, "no QR code")
        self.phones.link(number, qr)
        self.wait_for_state("connected", account=account)
        return KeyStore(self.table, Sealer.from_secret(SECRET), account).account.profile()

    def say(self, *stanzas: Node | bytes) -> None:
        """Have the server send the account these very stanzas, or plaintexts of frames."""
        for stanza in stanzas:
            plain = stanza if isinstance(stanza, bytes) else encode(stanza)
            self.phones.inject("say", account=OWN, device=1, plain=base64.b64encode(plain).decode())

    def client(self) -> ConnectorClient:
        return ConnectorClient(self.whereabouts)

    def stanzas(self) -> list[Node]:
        """All stanzas in the queue so far, oldest first."""
        return [body["node"] for body in self.queued(self.environment["STANZAS_QUEUE_URL"])]

    def queued(self, url: str) -> list[dict[str, Any]]:
        """Take every message out of a queue."""
        sqs, found = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            handles = [(str(place), message["ReceiptHandle"]) for place, message in enumerate(messages)]
            sqs.delete_message_batch(
                QueueUrl=url, Entries=[{"Id": place, "ReceiptHandle": handle} for place, handle in handles]
            )
            for message in messages:
                body = json.loads(message["Body"])
                if "stanza" in body:
                    body["node"] = decode(zlib.decompress(base64.b64decode(body["stanza"])))
                found.append(body)
        return found


@contextmanager
def world(aws: Emulator, whatsapp: LocalWhatsApp, folder: Path) -> Iterator[RunningConnectors]:
    """A fresh set of tables and queues; the processes started in it are gone afterwards."""
    name = f"connector-{next(_names)}"
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString=SECRET)
    environment = aws.environment() | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "layers" / "core"), str(ROOT)]),
        "PYTHONUNBUFFERED": "1",
        "KEYS_TABLE": make_table(aws, f"{name}-keys"),
        "NOTIFICATIONS_TABLE": make_table(aws, f"{name}-notifications"),
        "STANZAS_QUEUE_URL": make_queue(aws, f"{name}-stanzas.fifo"),
        "SEALING_SECRET_ARN": secret["ARN"],
        "EVENT_BUS_NAME": make_bus(aws, name),
        "OUTCOMES_QUEUE_URL": make_queue(aws, f"{name}-outcomes"),
        "WHATSAPP_URL": whatsapp.url,
        "WHATSAPP_ROOT_KEY": whatsapp.root_public_key,
        "SSL_CERT_FILE": whatsapp.media_certificate,
        "LEASE_SECONDS": f"{TERMS.beat},{TERMS.hold},{TERMS.dead}",
    }
    hear_bus(aws, name, environment["OUTCOMES_QUEUE_URL"])
    table = DynamoTable(aws.client("dynamodb"), environment["KEYS_TABLE"])
    keys = KeyStore(table, Sealer.from_secret(SECRET), "default")
    built = RunningConnectors(aws, whatsapp, folder, environment, table, keys)
    try:
        yield built
    finally:
        for process in built.processes:
            if process.popen.poll() is None:
                process.kill()


def make_table(aws: Emulator, name: str) -> str:
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return name


def make_queue(aws: Emulator, name: str) -> str:
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    url: str = aws.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def make_bus(aws: Emulator, name: str) -> str:
    aws.client("events").create_event_bus(Name=name)
    return name


def hear_bus(aws: Emulator, bus: str, queue: str) -> None:
    """Have every event of ours on the bus put into a queue."""
    events, sqs = aws.client("events"), aws.client("sqs")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=bus, EventBusName=bus, EventPattern=json.dumps({"source": ["tocsin"]}))
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])


def make_maintain_function(aws: Emulator, name: str, queue: str) -> str:
    """A stand-in for maintain_sessions that notes what it was invoked with."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", MAINTAIN)
    aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"QUEUE": queue}},
    )
    return name


def texts_arrive(connectors: RunningConnectors, texts: list[str]) -> None:
    for text in texts:
        connectors.phones.write(SITI, OWN, text)


def messages_in(stanzas: list[Node]) -> list[str]:
    return [node.attr_str("id") for node in stanzas if node.tag == "message"]


class Collected:
    """Message ids that came through the queue so far."""

    def __init__(self, connectors: RunningConnectors) -> None:
        self._connectors = connectors
        self.ids: list[str] = []

    def has(self, number: int) -> bool:
        self.ids += messages_in(self._connectors.stanzas())
        return len(self.ids) >= number
