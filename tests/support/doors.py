"""A door over tables in memory, with a bus that remembers, for tests of what callers get."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.sealed_texts import SECRET
from tocsin.accounts.state import AccountState
from tocsin.door.answer import Answer, Entry
from tocsin.door.bus import Bus
from tocsin.door.dialect import Progress
from tocsin.door.door import Door, Told
from tocsin.door.hooks import Hooks
from tocsin.door.message import File
from tocsin.door.meter import Meter
from tocsin.door.proofs import proven_item
from tocsin.door.request import Request, request_of
from tocsin.door.source_reader import SourceReader
from tocsin.door.sources import Source, hash_of, new_token
from tocsin.door.tickets import violations_of
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.notify.store.texts import Texts
from tocsin.people.numbers import normalise_phone
from tocsin.sealing import RecordSealer
from tocsin.tables.notifications import source_key
from tocsin.versions import source_versions
from tocsin_local.door import open_door

NOW = 1_796_000_000_000
"""A moment (ms), at the beginning of no minute."""


class Events:
    """EventBridge. `refusals`: for each request to come how many of its entries are refused."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.refusals: list[int] = []
        self.down = False

    def put_events(self, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if self.down:
            raise ConnectionError("nobody answers")
        refused = self.refusals.pop(0) if self.refusals else 0
        results: list[dict[str, Any]] = []
        for number, entry in enumerate(Entries):
            if number < refused:
                results.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "later"})
            else:
                self.entries.append(entry)
                results.append({"EventId": f"event-{len(self.entries)}"})
        return {"FailedEntryCount": refused, "Entries": results}

    @property
    def details(self) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.entries]


@dataclass
class FakeFacts:
    """What handlers are told. `states`: of accounts, connected if it isn't said otherwise."""

    now: int = NOW
    known: dict[str, AccountState] = field(default_factory=dict)
    found: dict[str, list[Progress]] = field(default_factory=dict)

    def states(self, accounts: Sequence[str]) -> Mapping[str, AccountState]:
        return {account: self.known.get(account, AccountState.CONNECTED) for account in accounts}

    def normal(self, phone: str) -> str:
        return normalise_phone(phone, "ID")

    def violations(self, entry: Entry, accounts: Sequence[str]) -> Sequence[str]:
        return violations_of(
            entry, accounts=accounts, default_region="ID", default_area="", attachments=False
        )

    def progress(self, source: str, message_id: str) -> Sequence[Progress]:
        return self.found.get(message_id, [])


def sealed(entry: Entry) -> Entry:
    """The words of an entry put away, as the shell does with a key."""
    kept = {name: value for name, value in entry.detail.items() if name != "text"}
    return Entry(entry.detail_type, {**kept, "sealed_text": "c2VhbGVk"})


def stow(file: File, name: str) -> dict[str, str]:
    """As the shell does without a bucket."""
    told = {"name": file.name, "mime": file.mime}
    if file.url:
        return {**told, "url": file.url}
    return {**told, "content": base64.b64encode(file.content).decode()}


class OpenDoor:
    """A door, what lies behind it, and the keys of its sources by name."""

    def __init__(self) -> None:
        self.table, self.keys = MemoryTable(), MemoryTable()
        self.versions = source_versions(self.keys)
        self.events = Events()
        self.facts = FakeFacts()
        self.tokens: dict[str, str] = {}
        self.now = NOW
        self.texts = Texts(lambda: RecordSealer.from_secret(SECRET))
        self.kept: list[tuple[str, tuple[str, ...]]] = []
        self.door = self.another_process()

    def another_process(self) -> Door:
        """A door that remembers nothing, over the same table and bus."""

        def facts(now: int) -> FakeFacts:
            self.facts = replace(self.facts, now=now)
            return self.facts

        return Door(
            SourceReader(self.table, self.texts, self.versions),
            Meter(self.table),
            Bus(self.events, "tickets", "ticketing", sleep=lambda _: None),
            facts,
            sealed,
            stow,
            Hooks(self.texts, self.keep),
            lambda count: bytes(range(count)),
        )

    def keep(self, body: str, violations: Sequence[str], at: int, *, reason: str = "") -> None:
        self.kept.append((body, tuple(violations)))

    def add(self, kind: str, name: str = "", **changes: Any) -> str:
        """A source; returns its token."""
        name = name or kind
        token = new_token(name, name.encode().ljust(32, b"x"))
        source = Source(name, kind, **{"accounts": ("default", "billing"), "hash": hash_of(token), **changes})
        self.table.put(Put(source_key(name), proven_item(source, self.texts)))
        self.versions.note(name, source.version)
        self.tokens[name] = token
        return token

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        door: Door | None = None,
        **headers: str,
    ) -> Answer:
        """`body`: JSON; `raw`: bytes as they are. Names of `headers` with _ for -."""
        place, _, query = path.partition("?")
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            told.setdefault("content-type", "application/json")
        sent = raw if raw is not None else (json.dumps(body).encode() if body is not None else b"")
        answer, self.told = (door or self.door).answer(Request(method, place, query, told, sent), self.now)
        return answer

    told: Told = Told()


@contextmanager
def door_on_loopback(*kinds: str) -> Iterator[tuple[OpenDoor, str]]:
    """A door with a source of each kind, and its URL."""
    made = OpenDoor()
    for kind in kinds:
        made.add(kind)

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        return made.door.answer(request_of(event), made.now)[0].for_lambda()

    with open_door(answer) as url:
        yield made, url


def value_of(answer: Answer) -> Any:
    return json.loads(answer.body)
