"""What handlers are told: true states, progress without words, and where files go."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.doors import Events
from tests.support.notifications import a_notification
from tests.support.sealed_texts import TEXTS
from tests.support.templates import as_list, statements
from tocsin.accounts.lease import HEARTBEAT_LIFETIME, SILENT_SECONDS
from tocsin.accounts.state import AccountState
from tocsin.door.answer import Entry, Refused
from tocsin.door.bus import MAX_ENTRY_BYTES, Bus
from tocsin.door.facts import LEASE_ATTRIBUTES, PROGRESS_ATTRIBUTES, Place, StoredFacts
from tocsin.door.message import File
from tocsin.door.stow import MAX_INLINE_BYTES, Stow
from tocsin.dynamo.errors import Contention
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.notify.content import Text
from tocsin.notify.notification import Problem, State, request_name
from tocsin.notify.store.stores import Stores
from tocsin.tables.keys import heartbeat_key, lease_key

NOW = 1_796_000_000_000


class Tables:
    def __init__(self) -> None:
        self.keys = MemoryTable()
        self.notifications = MemoryTable()
        self.stores = Stores(self.notifications, self.keys, texts=TEXTS)

    @property
    def facts(self) -> StoredFacts:
        return StoredFacts(NOW, self.keys, self.notifications, request_name, Place("ID"))

    def lease(
        self, account: str, state: AccountState, *, connector: str | None = "c-1", beat_ago: float = 1
    ) -> None:
        held = {} if connector is None else {"connector": connector}
        self.keys.put(Put(lease_key(account), {"state": str(state), "epoch": 1, "since": 1, **held}))
        if connector is not None:
            expire_at = int(NOW / 1000 - beat_ago) + HEARTBEAT_LIFETIME
            self.keys.put(Put(heartbeat_key(connector), {"expire_at": expire_at}))


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.mark.parametrize("state", list(AccountState))
def test_a_state_is_what_the_lease_of_a_living_connector_says(tables: Tables, state: AccountState) -> None:
    tables.lease("default", state)
    assert tables.facts.states(["default"]) == {"default": state}


def test_what_a_silent_connector_said_counts_no_more(tables: Tables) -> None:
    tables.lease("default", AccountState.CONNECTED, beat_ago=SILENT_SECONDS + 2)
    assert tables.facts.states(["default"]) == {"default": AccountState.STOPPED}


def test_who_lost_the_link_has_lost_it_whoever_holds_the_account(tables: Tables) -> None:
    tables.lease("default", AccountState.LOGGED_OUT, connector=None)
    assert tables.facts.states(["default"]) == {"default": AccountState.LOGGED_OUT}


def test_an_account_that_nobody_holds_is_stopped(tables: Tables) -> None:
    tables.lease("default", AccountState.CONNECTED, connector=None)
    assert tables.facts.states(["default", "new"]) == {
        "default": AccountState.STOPPED,
        "new": AccountState.STOPPED,
    }


def planned(tables: Tables, identity: str, request: str = "msg-1", source: str = "billing") -> None:
    notification = a_notification(
        id=identity, ticket_id=request_name(source, request), content=Text("rahasia"), created_at=NOW
    )
    assert tables.stores.notifications.put_new(notification) is None


def test_progress_tells_each_notification_and_no_word_of_it(tables: Tables) -> None:
    planned(tables, "a" * 18)
    planned(tables, "b" * 18)
    tables.stores.notifications.fail("b" * 18, Problem("not-on-whatsapp", "permanent", "x"), NOW + 5)
    first, second = tables.facts.progress("billing", "msg-1")
    assert (first.state, first.at, first.reason) == (State.PLANNED, NOW, "")
    assert (second.state, second.at, second.reason) == (State.FAILED, NOW + 5, "not-on-whatsapp")
    assert "rahasia" not in repr((first, second))


def test_a_source_learns_nothing_of_another_one_s_messages(tables: Tables) -> None:
    planned(tables, "a" * 18, source="other")
    assert list(tables.facts.progress("billing", "msg-1")) == []


def test_a_table_out_of_reach_is_a_503(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Contention("busy")

    monkeypatch.setattr(tables.keys, "get_many", fail)
    with pytest.raises(Refused, match="503"):
        tables.facts.states(["default"])


def granted(attributes: str) -> dict[str, Any]:
    """The condition of the door's right that names these attributes."""
    for owner, statement in statements():
        condition = statement.get("Condition", {})
        names = as_list(condition.get("ForAllValues:StringEquals", {}).get("dynamodb:Attributes", []))
        if owner == "ReceiveWebhookRole" and attributes in names:
            return {"names": tuple(names), **condition}
    raise AssertionError(attributes)


def test_the_right_is_on_the_attributes_that_are_asked_for_and_no_others() -> None:
    assert granted("connector")["names"] == LEASE_ATTRIBUTES
    assert granted("delivered_at")["names"] == PROGRESS_ATTRIBUTES
    assert not {"sealed", "recipient", "whereabouts", "url"} & {*LEASE_ATTRIBUTES, *PROGRESS_ATTRIBUTES}


# -- files -------------------------------------------------------------------------------------------------


class S3:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.kept[Key] = Body


def test_a_small_file_goes_within_the_event() -> None:
    s3 = S3()
    told = Stow(s3, "files")(File("a.pdf", "application/pdf", content=b"%PDF-"), "s/m/0")
    assert told == {
        "name": "a.pdf",
        "mime": "application/pdf",
        "content": base64.b64encode(b"%PDF-").decode(),
    }
    assert s3.kept == {}


def test_a_large_one_is_kept_where_the_role_may_write() -> None:
    s3 = S3()
    body = b"%PDF-" + bytes(MAX_INLINE_BYTES)
    told = Stow(s3, "files")(File("a.pdf", content=body), "s/m/0")
    assert s3.kept == {told["bucket_key"]: body}
    assert told["bucket_key"].startswith("tocsin/requested/")


@pytest.mark.parametrize(
    "name", ["../../a.pdf", "a/b.pdf", "a\\b.pdf", "a\x00\n.pdf", "x" * 900 + ".pdf", ""]
)
def test_a_name_makes_no_path_and_no_control(name: str) -> None:
    told = Stow(S3(), "files")(File(name, content=b"%PDF-"), "s/m/0")
    assert not set(told["name"]) & set("/\\\x00\n")
    assert 0 < len(told["name"]) <= 200


def test_without_a_bucket_files_are_refused_before_the_message_is_told() -> None:
    with pytest.raises(Refused, match="422"):
        Stow(S3(), "")(File("a.pdf", content=b"%PDF-"), "s/m/0")


def test_a_bucket_out_of_reach_is_a_503() -> None:
    class Down:
        def put_object(self, **_: object) -> None:
            raise ConnectionError

    with pytest.raises(Refused, match="503"):
        Stow(Down(), "files")(File("a.pdf", content=bytes(MAX_INLINE_BYTES + 1)), "s/m/0")


# -- the bus -----------------------------------------------------------------------------------------------


class Counted:
    def __init__(self) -> None:
        self.requests: list[int] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.requests.append(len(Entries))
        assert sum(len(one["Detail"].encode()) for one in Entries) <= 256 * 1024
        return {"FailedEntryCount": 0, "Entries": [{"EventId": one["Detail"][:8]} for one in Entries]}


def test_more_entries_than_a_request_takes_are_several_requests() -> None:
    events = Counted()
    ids = Bus(events, "bus", "ticketing").put([Entry("TicketCreated", {"n": n}) for n in range(23)])
    assert events.requests == [10, 10, 3]
    assert ids[22] == '{"n":22}'


def test_what_a_caller_says_of_whose_event_it_is_stays_in_its_detail() -> None:
    events = Events()
    said = {"source": "zammad", "resources": ["tocsin-source:zammad"]}
    Bus(events, "bus", "ticketing").put([Entry("TicketCreated", said)], "crm")
    (entry,) = events.entries
    assert (entry["Source"], entry["Resources"]) == ("ticketing", ["tocsin-source:crm"])
    assert json.loads(entry["Detail"]) == said


def test_large_entries_share_no_request() -> None:
    events = Counted()
    text = "x" * (MAX_ENTRY_BYTES // 2)
    Bus(events, "bus", "ticketing").put([Entry("TicketCreated", {"t": text}) for _ in range(3)])
    assert events.requests == [1, 1, 1]
