"""Messages a second, sent (each ack awaited) and received, beside Baileys on the same WhatsApp server.

Sending: texts of 200 bytes for the recipient's phone and for our own, first to one recipient one after the
other, then to 32 at once. Receiving: what 32 senders wrote while the client was away, from the first to the
last receipt, as the server sees them. The parties take turns, and the median of their turns counts. The
server is one process and shares the machine, so it bounds all; what each party's own processor time is for a
message is told besides.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import process_time, sleep
from typing import Any

from botocore.config import Config

from tests.bench import node_scripts
from tests.bench.client import ACCOUNT, Client
from tests.bench.measure import Sheet, timed
from tests.bench.surroundings import ConnectorContext, descendant, tell
from tests.interop.baileys_client import Baileys, missing
from tests.support.silent_numbers import silent_numbers
from tests.support.stack import DESK, eventually
from tocsin.accounts.whereabouts import read_whereabouts
from tocsin.connector_client.client import ConnectorClient
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.store import KeyStore
from tocsin.multidevice.socket import RememberedLeases
from tocsin.multidevice.transport import MultiDevice
from tocsin.notify.content import Text
from tocsin.notify.transport import Address, Outgoing
from tocsin_whatsapp_server.control_client import ControlClient

RECIPIENTS = 32
ROUNDS = 320
TURNS = 3
AIM = 2
MAX_OWN_MS = 8
TEXT = "x" * 200

OURS, THEIRS = "6281998000001", "6281998000002"

BAILEYS = "Baileys"
BAILEYS_KEYS = {BAILEYS: "memory", f"{BAILEYS}, files": "files"}

_ids = count(1)


@dataclass(frozen=True)
class Rates:
    """Messages a second. `own`, `server`, `connector`: seconds of the client's, the server's and the
    connector's processor for each of the sequential ones."""

    sequential: float
    parallel: float
    received: float = math.nan
    own: float = math.nan
    server: float = math.nan
    connector: float = math.nan


def typical(turns: Sequence[Rates]) -> Rates:
    """The median of each figure."""
    return Rates(*(median(values) for values in zip(*map(astuple, turns), strict=True)))


@dataclass(frozen=True)
class Written:
    """So many messages, whose receipts come after an event of the server's."""

    messages: int
    after: int


def measure(bench: ConnectorContext) -> Iterator[Sheet]:
    people = [f"6281997{number:06}" for number in range(RECIPIENTS)]
    for number in people:
        bench.deployed.phones.add_phone(number, "Somebody")
    rounds = ROUNDS * 5 if bench.thorough else ROUNDS
    problem = missing()
    found: dict[str, list[Rates]] = {"tocsin": []}
    with linked_client(bench) as client:
        folder = None if problem else linked_baileys(bench)
        for turn in range(TURNS):
            found["tocsin"].append(client_rates(bench, client, people, rounds))
            for name, keys in BAILEYS_KEYS.items() if folder else ():
                if turn == 0 or name == BAILEYS:  # in files it takes long, and isn't the one to beat
                    found.setdefault(name, []).append(baileys_rates(bench, folder, keys, people, rounds))
    parties = {party: typical(turns) for party, turns in found.items()}
    parties["tocsin deployed"] = deployed_rates(bench, people, RECIPIENTS * 3)
    sheet = Sheet("Messages a second", tuple(parties))
    for name, title in {
        "sequential": "sent, one after the other",
        "parallel": f"sent to {RECIPIENTS} at once",
        "received": "received and decrypted",
    }.items():
        rates = {party: getattr(rates, name) for party, rates in parties.items()}
        ours, theirs = rates["tocsin"], rates.get(BAILEYS)
        met = None if theirs is None else ours / theirs >= AIM
        cells = (f"{rate:.0f} ({rate / ours:.2f}×)" for rate in rates.values())
        sheet.add(title, *cells, aim=f"{AIM} × {BAILEYS}", met=met)
    own = (rates.own for rates in parties.values())
    sheet.add("own processor time, one sent", *("–" if math.isnan(t) else f"{t * 1000:.2f} ms" for t in own))
    deployed = parties["tocsin deployed"]
    ours = (deployed.own + deployed.connector) * 1000
    sheet.add(
        "of it deployed: transport of send, connector",
        *["–"] * (len(parties) - 1),
        f"{deployed.own * 1000:.2f} ms, {deployed.connector * 1000:.2f} ms",
        aim=f"≤ {MAX_OWN_MS} ms together",
        met=ours <= MAX_OWN_MS,
    )
    sheet.notes.append("tocsin: its protocol, keys and transport as one client, keys in memory, as Baileys")
    sheet.notes.append(
        "deployed: through the connector, with keys and queues on the emulator, which bounds it"
    )
    if not math.isnan(server := parties["tocsin"].server):
        sheet.notes.append(
            f"of each message sent, {server * 1000:.2f} ms are the server's own, whoever the client is"
        )
    if problem:
        sheet.notes.append(f"Baileys: {problem}")
    yield sheet


# Tocsin as one client


@contextmanager
def linked_client(bench: ConnectorContext) -> Iterator[Client]:
    world = bench.deployed.world
    world.phones.add_phone(OURS, "Ours")
    with Client(world.whatsapp_url, bytes.fromhex(world.root_public_key)) as client:
        client.link(world.phones, OURS)
        yield client


def client_rates(bench: ConnectorContext, client: Client, people: Sequence[str], rounds: int) -> Rates:
    tell("messages of a client in one process")
    phones = bench.deployed.phones
    rates = sending_rates(client.transport, client.keys, client.together, people, rounds)
    client.log_out()
    written = write(phones, people, OURS, rounds)
    client.log_in()
    return replace(rates, received=client.meanwhile(lambda: receiving_rate(phones, OURS, written)))


Together = Callable[[Sequence[Callable[[], object]]], None]


def sending_rates(
    transport: Callable[[], MultiDevice],
    keys: KeyStore,
    together: Together,
    people: Sequence[str],
    rounds: int,
    *,
    connector: str = "",
) -> Rates:
    """Each recipient gets a transport of their own, as each would have a Lambda. Nothing is received yet.
    `connector`: by which command its process is known."""
    transports = {number: transport() for number in people}

    def send(number: str, times: int) -> None:
        for _ in range(times):
            phone = f"{number}@s.whatsapp.net"
            known = keys.contacts.address_item(phone)
            address = Address(str(known["lid"]), phone, trust=known) if "lid" in known else None
            notification = f"{next(_ids):018x}"
            transports[number].send(Outgoing(ACCOUNT, number, notification, Text(TEXT), address)).settle()

    def send_all(times: int) -> None:
        together([partial(send, number, times) for number in people])

    send_all(1)
    together([partial(send, people[0], 20)])
    beside = descendant(connector).seconds if connector else math.nan
    server, own = descendant("-m tocsin_whatsapp_server").seconds, process_time()
    sequential = rounds / seconds(lambda: together([partial(send, people[0], rounds)]))
    own = (process_time() - own) / rounds
    beside = (descendant(connector).seconds - beside) / rounds if connector else math.nan
    server = (descendant("-m tocsin_whatsapp_server").seconds - server) / rounds
    each = -(-rounds // len(people))
    parallel = each * len(people) / seconds(lambda: send_all(each))
    return Rates(sequential, parallel, own=own, server=server, connector=beside)


def in_threads(calls: Sequence[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


def write(phones: ControlClient, people: Sequence[str], to: str, messages: int) -> Written:
    """Everybody writes to somebody in turn. All sessions are known and in use."""
    _, last = phones.events()
    for place in range(messages):
        phones.write(people[place % len(people)], to, TEXT)
    return Written(messages, last)


def receiving_rate(phones: ControlClient, number: str, written: Written) -> float:
    """From the first to the last receipt that the server got of the companion."""

    def receipts() -> list[float]:
        events, _ = phones.events(written.after, kind="receipt")
        ours = [event for event in events if event["account"] == number and event["device"]]
        return [event["at"] for event in ours for _ in event["ids"]]

    eventually(lambda: len(receipts()) >= written.messages, "not all was received", seconds=120)
    times = receipts()
    return (len(times) - 1) / (max(times) - min(times))


# Tocsin as deployed


def deployed_rates(bench: ConnectorContext, people: Sequence[str], rounds: int) -> Rates:
    """The transport of the sending function, against the connector and the emulator's DynamoDB."""
    tell("messages through connector and emulator")
    deployment, phones = bench.deployed.world.deployment, bench.deployed.phones
    dynamodb = bench.emulator.client("dynamodb", config=Config(max_pool_connections=2 * RECIPIENTS))
    table = DynamoTable(dynamodb, deployment["KeysTable"])

    def transport() -> MultiDevice:
        leases = RememberedLeases(lambda account: read_whereabouts(table, account, deployment.sealer))
        return MultiDevice(open_keys, ConnectorClient(leases), leases, silent_numbers())

    def open_keys(account: str) -> KeyStore:
        return KeyStore(table, deployment.sealer, account)

    rates = sending_rates(
        transport, open_keys(ACCOUNT), in_threads, people, rounds, connector="-m tocsin.connector"
    )
    written = write(phones, people, DESK, rounds)
    return replace(rates, received=receiving_rate(phones, DESK, written))


# Baileys


def linked_baileys(bench: ConnectorContext) -> Path:
    """The folder with its keys."""
    world, folder = bench.deployed.world, bench.folder / "baileys-speed"
    world.phones.add_phone(THEIRS, "Theirs")
    with Baileys.start(world.whatsapp_url, folder) as client:
        client.link(world.phones, THEIRS)
        client.command("disconnect")
        sleep(1)  # it writes its keys to files by and by, and tells nobody when that is done
    return folder


def baileys_rates(
    bench: ConnectorContext, folder: Path, keys: str, people: Sequence[str], rounds: int
) -> Rates:
    tell(f"messages of Baileys, keys in {keys}")
    world = bench.deployed.world
    options = {"url": world.whatsapp_url, "folder": str(folder), "keys": keys}
    sent = run_baileys(options | {"recipients": people, "rounds": rounds})
    written = write(world.phones, people, THEIRS, rounds)
    run_baileys(options | {"expected": rounds})
    received = receiving_rate(world.phones, THEIRS, written)
    return Rates(sent["sequential"], sent["parallel"], received, own=sent["processor"])


def run_baileys(options: dict[str, Any]) -> dict[str, float]:
    command = ["node", "baileys-speed.mjs", json.dumps(options)]
    done = subprocess.run(
        command, cwd=node_scripts.FOLDER, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def seconds(work: Callable[[], object]) -> float:
    return timed(work)[1] / 1e6
