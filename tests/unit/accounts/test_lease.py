"""The lease: one holder at a time, judged by an unchanged heartbeat, each change of hands numbered."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, SEALER, Clock, Entropy, Interposed, once, raising
from tocsin.accounts.lease import (
    SILENT_SECONDS,
    TERMS,
    LeaseHeld,
    LeaseKeeper,
    LeaseLost,
    Member,
    Terms,
    clock_offsets,
    disconnected_accounts,
    read_lease,
)
from tocsin.accounts.state import AccountState
from tocsin.accounts.whereabouts import read_whereabouts
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.dynamo.writes import Delete, Put
from tocsin.tables.keys import CONNECTORS, heartbeat_key, lease_key


class Connector(LeaseKeeper):
    """A lease keeper with a clock of its own."""

    def __init__(
        self,
        table: Interposed | MemoryTable,
        name: str,
        start: float = 0,
        members_table: MemoryTable | None = None,
    ) -> None:
        self.time = Clock(start)
        super().__init__(
            table,
            name,
            url=f"https://{name}",
            certificate=f"PEM of {name}",
            sealer=SEALER,
            members_table=members_table,
            monotonic=self.time,
            clock=lambda: NOW,
            random=Entropy(name),
        )

    def wait(self, seconds: float) -> None:
        self.time.now += seconds


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def one(table: MemoryTable) -> Connector:
    return Connector(table, "one")


@pytest.fixture
def two(table: MemoryTable) -> Connector:
    return Connector(table, "two", start=1_000_000)


def test_a_free_account_is_taken_with_epoch_1(table: MemoryTable, one: Connector) -> None:
    assert read_lease(table, "main") is None
    assert one.acquire("main") == 1
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.connector, lease.epoch, lease.state, lease.since) == ("one", 1, "connecting", NOW)
    where = read_whereabouts(table, "main", SEALER)
    assert where is not None
    assert (where.connector, where.url, where.certificate) == ("one", "https://one", "PEM of one")


def test_whatsapps_clock_is_told_from_the_first_login_on(
    table: MemoryTable, one: Connector, two: Connector
) -> None:
    one.beat()
    two.beat()
    assert clock_offsets(table) == {}
    one.note_clock(-3.6)
    one.beat()
    assert clock_offsets(table) == {one.connector: -4}


def test_the_holder_may_ask_again(one: Connector) -> None:
    assert one.acquire("main") == one.acquire("main") == 1


def test_a_living_holder_keeps_it(one: Connector, two: Connector) -> None:
    one.acquire("main")
    for _ in range(10):
        with pytest.raises(LeaseHeld):
            two.acquire("main")
        two.wait(5)
        one.beat()


def test_a_dead_holder_loses_it_after_15_seconds(table: MemoryTable, one: Connector, two: Connector) -> None:
    one.acquire("main")
    with pytest.raises(LeaseHeld) as caught:
        two.acquire("main")
    assert caught.value.seconds == 15
    two.wait(14.9)
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    two.wait(0.1)
    assert two.acquire("main") == 2
    where = read_whereabouts(table, "main", SEALER)
    assert where is not None
    assert (where.connector, where.url) == ("two", "https://two")


def test_who_was_only_slow_learns_that_it_lost_everything(one: Connector, two: Connector) -> None:
    one.acquire("main")
    one.acquire("second")
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    two.wait(15)
    two.acquire("main")
    with pytest.raises(LeaseLost):
        one.set_state("main", 1, "connected")
    with pytest.raises(LeaseLost):
        one.beat()
    assert one.held == {}
    assert not one.alive
    assert two.acquire("second") == 2


def test_a_holder_that_cannot_beat_stops_before_another_may_start(one: Connector) -> None:
    one.acquire("main")
    one.wait(11.9)
    assert one.alive
    one.wait(0.2)
    assert not one.alive
    one.beat()
    assert one.alive


def test_a_beat_at_the_last_moment_keeps_the_lease(one: Connector, two: Connector) -> None:
    """The watcher saw the old version for 15 s, and the holder beats between its read and its write."""
    one.acquire("main")
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    two.wait(15)
    two._table = Interposed(two._table)
    two._table.before = once("transact", one.beat)
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    assert one.alive


def test_two_watchers_take_it_once(table: MemoryTable, one: Connector, two: Connector) -> None:
    three = Connector(table, "three", start=50)
    one.acquire("main")
    for watcher in (two, three):
        with pytest.raises(LeaseHeld):
            watcher.acquire("main")
        watcher.wait(15)
    two._table = Interposed(table)
    two._table.before = once("transact", lambda: three.acquire("main"))
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.connector, lease.epoch) == ("three", 2)


def test_a_released_lease_is_free_at_once(table: MemoryTable, one: Connector, two: Connector) -> None:
    epoch = one.acquire("main")
    one.release("main", epoch)
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.connector, lease.state) == (None, "stopped")
    assert read_whereabouts(table, "main", SEALER).url is None  # type: ignore[union-attr]
    assert two.acquire("main") == 2


def test_stopping_releases_all(table: MemoryTable, one: Connector, two: Connector) -> None:
    one.acquire("main")
    one.acquire("second")
    one.stop()
    assert [two.acquire(account) for account in ("main", "second")] == [2, 2]
    assert table.get(("connectors", "one")) is None


def test_the_state_is_fenced_by_the_epoch(table: MemoryTable, one: Connector, two: Connector) -> None:
    epoch = one.acquire("main")
    one.set_state("main", epoch, "connected", "fine")
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.state, lease.detail) == ("connected", "fine")
    one.release("main", epoch)
    two.acquire("main")
    with pytest.raises(LeaseLost):
        one.set_state("main", epoch, "stopped")


def test_unknown_states_are_refused(one: Connector) -> None:
    with pytest.raises(ValueError, match="happy"):
        one.set_state("main", one.acquire("main"), "happy")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_beat_whose_answer_was_lost(table: MemoryTable, when: str) -> None:
    shaky = Interposed(table)
    one = Connector(shaky, "one")
    one.acquire("main")
    setattr(shaky, when, once("put", raising(OutcomeUnknown())))
    with pytest.raises(OutcomeUnknown):
        one.beat()
    one.beat()
    assert one.held == {"main": 1}


# -- every case a lease can be found in -------------------------------------------------------------------


def test_lease_missing(table: MemoryTable, one: Connector) -> None:
    """Nobody ever held the account: the first epoch."""
    assert one.unheld(["main"], one.members()) == ["main"]
    assert one.acquire("main") == 1


def test_lease_missing_although_it_was_ours(table: MemoryTable, one: Connector) -> None:
    """Somebody deleted the item: what we hold is void, and is said so."""
    epoch = one.acquire("main")
    table.delete(Delete(lease_key("main")))
    with pytest.raises(LeaseLost):
        one.set_state("main", epoch, "connected")
    assert one.held == {}


def test_lease_taken(one: Connector, two: Connector) -> None:
    one.acquire("main")
    two.beat()
    assert two.unheld(["main", "second"], two.members()) == ["second"]
    with pytest.raises(LeaseHeld) as caught:
        two.acquire("main")
    assert caught.value.holder == "one"


def test_lease_taken_since_it_was_found_free(one: Connector, two: Connector) -> None:
    assert two.unheld(["main"], two.members()) == ["main"]
    one.acquire("main")
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    assert read_lease(one._table, "main").connector == "one"  # type: ignore[union-attr]


def test_a_free_lease_is_found_and_taken_with_one_read(table: MemoryTable) -> None:
    watched = Interposed(table)
    one = Connector(watched, "one")
    one.beat()
    watched.requests.clear()
    assert one.unheld(["main"], []) == ["main"]
    assert one.acquire("main") == 1
    assert watched.requests == ["get_many", "put"]


def test_lease_unreachable(table: MemoryTable) -> None:
    """What is held stays held for as long as the last beat protects it; nothing new is taken."""
    shaky = Interposed(table)
    one = Connector(shaky, "one")
    one.acquire("main")
    shaky.before = lambda operation, arguments: raising(OSError("table away"))()
    for attempt in (
        one.beat,
        one.members,
        lambda: one.acquire("second"),
        lambda: one.set_state("main", 1, "connected"),
    ):
        with pytest.raises(OSError, match="table away"):
            attempt()
    assert one.held == {"main": 1}
    assert one.alive
    one.wait(12)
    assert not one.alive


def test_lease_held_by_the_same_owner_with_an_older_epoch(table: MemoryTable, one: Connector) -> None:
    """The answer of a taking was lost: taken again, under a new epoch; the older one can do nothing."""
    older = one.acquire("main")
    one._held.clear()
    assert one.unheld(["main"], one.members()) == ["main"]
    assert one.acquire("main") == older + 1
    with pytest.raises(LeaseLost):
        one.set_state("main", older, "stopped")
    one.release("main", older)
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.connector, lease.epoch, lease.state) == ("one", older + 1, "connecting")
    assert one.held == {"main": older + 1}


@pytest.mark.parametrize("beats", [1, 2])
def test_heartbeat_that_failed_but_landed(table: MemoryTable, beats: int) -> None:
    shaky = Interposed(table)
    one, two = Connector(shaky, "one"), Connector(table, "two", start=500)
    one.acquire("main")
    for _ in range(beats):
        shaky.after = once("put", raising(OutcomeUnknown()))
        with pytest.raises(OutcomeUnknown):
            one.beat()
    one.beat()
    assert one.held == {"main": 1}
    assert one.alive
    with pytest.raises(LeaseHeld):
        two.acquire("main")


@pytest.mark.parametrize(
    ("beat", "hold", "dead"),
    [
        (7.6, 12, 15),  # one beat late, and everything is lost
        (0, 12, 15),
        (5, 15, 15),  # two may hold at once
        (5, 5, 15),  # given up between two beats
    ],
)
def test_terms_that_lose_or_double_a_lease_are_refused_at_the_start(
    beat: float, hold: float, dead: float
) -> None:
    with pytest.raises(ValueError, match=" s"):
        Terms(beat, hold, dead)


def test_the_terms_in_use_allow_for_a_late_beat() -> None:
    assert TERMS.beat <= TERMS.dead / 2
    assert TERMS.beat < TERMS.hold < TERMS.dead


# -- the others -------------------------------------------------------------------------------------------


def test_the_others_are_seen_with_what_they_hold(one: Connector, two: Connector) -> None:
    one.acquire("main")
    one.beat()
    two.beat()
    assert two.members() == [Member("one", load=1, leaving=False, alive=True)]
    assert one.members() == [Member("two", load=0, leaving=False, alive=True)]


def test_one_that_doesnt_change_any_more_is_dead_and_its_accounts_are_free(
    one: Connector, two: Connector
) -> None:
    one.acquire("main")
    two.beat()
    two.members()
    two.wait(14.9)
    assert two.members()[0].alive
    two.wait(0.1)
    members = two.members()
    assert not members[0].alive
    assert two.unheld(["main"], members) == ["main"]
    assert two.acquire("main") == 2


def test_one_that_leaves_says_so_before_its_accounts_are_free(one: Connector, two: Connector) -> None:
    epoch = one.acquire("main")
    one.leave()
    two.beat()
    members = two.members()
    assert members == [Member("one", load=0, leaving=True, alive=True)]
    assert two.unheld(["main"], members) == []
    one.release("main", epoch)
    assert two.unheld(["main"], members) == ["main"]


def test_who_looks_dead_by_an_old_reading_loses_nothing(table: MemoryTable, one: Connector) -> None:
    one.acquire("main")
    long_ago = MemoryTable()
    long_ago.put(Put(heartbeat_key("one"), table.query(CONNECTORS)[0] | {"load": 1}))
    two = Connector(table, "two", members_table=long_ago)
    two.members()
    two.wait(TERMS.dead + 1)
    one.beat()
    members = two.members()
    assert [member.alive for member in members] == [False]
    assert two.unheld(["main"], members) == ["main"]
    with pytest.raises(LeaseHeld):
        two.acquire("main")
    two.wait(TERMS.dead + 1)
    two.acquire("main")  # it is dead: what changes no more is read as it is


def test_who_is_not_logged_in_or_has_no_living_connector_is_disconnected(
    table: MemoryTable, one: Connector
) -> None:
    accounts = ["main", "other", "free"]
    one.set_state("main", one.acquire("main"), AccountState.CONNECTED)
    one.set_state("other", one.acquire("other"), AccountState.LOGGED_OUT)
    one.beat()
    assert disconnected_accounts(table, accounts, NOW + SILENT_SECONDS) == ["other", "free"]
    assert disconnected_accounts(table, accounts, NOW + SILENT_SECONDS + 1) == accounts
    one.stop()
    assert disconnected_accounts(table, accounts, NOW) == accounts


def test_who_died_without_a_word_is_disconnected(table: MemoryTable, one: Connector) -> None:
    one.set_state("main", one.acquire("main"), AccountState.CONNECTED)
    table.delete(Delete(heartbeat_key("one")))
    assert disconnected_accounts(table, ["main"], NOW) == ["main"]
