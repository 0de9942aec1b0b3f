"""What is told of keys: each read and write, the life of sessions, new identities; and never a key."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from tests.support.key_peers import Clock, End, converse, once, raising
from tocsin.dynamo.table import Conflict, Contention
from tocsin.keys.observe import IdentityChange, Observer, type_of
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.tables.keys import inbound_key, outbound_key

LID, PN = "200@lid", "6281234567890@s.whatsapp.net"


class Diary(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.requests: list[str] = []

    def session(self, what: str, user: str, device: int, **facts: object) -> None:
        self.sessions.append(what)

    def read(self, requested, item) -> None:
        self.requests.append(f"read {type_of(requested)}{'' if item else ', absent'}")

    def read_many(self, requested, found) -> None:
        self.requests.append(f"read {found} {type_of(requested)}")

    def written(self, requested, item) -> None:
        self.requests.append(f"{'written' if item is not None else 'deleted'} {type_of(requested)}")

    def refused(self, requested, why) -> None:
        self.requests.append(f"refused {type_of(requested)}: {why}")


def watch(end: End) -> Diary:
    """From now on the end's key store tells a diary."""
    diary = Diary()
    end.keys = KeyStore(
        end.table,
        Sealer.from_secret('{"id": "k1", "key": "an-entirely-random-text-of-40-characters"}'),
        "main",
        clock=end.clock,
        random=end.entropy,
        sleep=end.pauses.append,
        observer=diary,
    )
    return diary


@pytest.fixture
def diary(ann: End) -> Diary:
    return watch(ann)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="tocsin.keys"):
        yield caplog


# -- the life of sessions ----------------------------------------------------------------------------------


def test_a_first_session_is_made(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    assert diary.sessions == ["made"]


def test_nothing_becomes_of_a_session_that_goes_on(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    converse(ann, bob)
    ann.say(bob, b"more")
    assert diary.sessions == ["made"]


def test_a_session_replaced_by_the_peers_is_archived(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    bob.meet(ann)
    ann.read(bob, bob.say(ann, b"hello"))
    assert diary.sessions == ["made", "made", "archived"]


def test_a_session_that_nobody_follows_is_closed(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    ann.keys.sending.mark_stale(ann.profile, bob.user, bob.device)
    assert diary.sessions == ["made", "closed"]


def test_an_archived_session_that_speaks_again_is_promoted(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    converse(ann, bob)
    late = bob.say(ann, b"late")
    ann.meet(bob, replace=frozenset({bob.device}))
    diary.sessions.clear()
    ann.read(bob, late)
    assert diary.sessions == ["promoted", "archived"]


def test_a_session_rebuilt_because_somebody_could_not_read_is_recovered(
    ann: End, bob: End, diary: Diary
) -> None:
    ann.meet(bob)
    ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, bob.device, bob.bundle())
    assert diary.sessions == ["made", "made", "archived", "recovered"]


def test_a_removed_device_is_forgotten(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    ann.keys.sending.remove_device(ann.profile, bob.user, bob.device)
    assert diary.sessions == ["made", "forgotten"]


def test_a_session_that_an_operator_cleans_is_closed_and_cleaned(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    ann.keys.upkeep.clean(ann.profile, bob.user)
    assert diary.sessions == ["made", "closed", "cleaned"]


def test_sessions_move_to_the_lid(ann: End, bob: End, diary: Diary) -> None:
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, PN, {0: bob.bundle()}, devices=[0])
    ann.keys.contacts.learn(PN, LID)
    assert diary.sessions == ["made", "moved"]


def test_what_did_not_happen_is_not_told(ann: End, bob: End, diary: Diary) -> None:
    ann.table.before = once("transact", raising(Conflict({0: None})))
    ann.meet(bob)
    assert diary.sessions == ["made"]


# -- reads and writes --------------------------------------------------------------------------------------


def test_a_first_session_in_requests(ann: End, bob: End, diary: Diary) -> None:
    bundle = bob.bundle()
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, bob.user, {0: bundle}, devices=[0])
    assert diary.requests == ["read 0 session", "written outbound", "written inbound"]


def test_a_received_message_in_requests(ann: End, bob: End, diary: Diary) -> None:
    bob.meet(ann)
    first = bob.say(ann, b"hello")
    diary.requests.clear()
    ann.read(bob, first)
    assert diary.requests == [
        "read stanza, absent",
        "read prekey",
        "read outbound, absent",
        "read inbound, absent",
        "written outbound",
        "written inbound",
        "written stanza",
        "deleted prekey",
    ]


def test_a_lost_race_is_told_with_what_had_changed(ann: End, bob: End, diary: Diary) -> None:
    ann.table.before = once("transact", lambda: End.meet(ann, bob))
    ann.meet(bob)
    assert "refused outbound: changed since it was read" in diary.requests


def test_contention_is_told(ann: End, bob: End, diary: Diary) -> None:
    ann.meet(bob)
    ann.table.before = once("update", raising(Contention()))
    ann.reserve(bob)
    assert diary.requests[-2:] == ["refused outbound: Contention", "written outbound"]


# -- identities --------------------------------------------------------------------------------------------


@pytest.fixture
def changes(ann: End) -> list[IdentityChange]:
    """What Ann's key store tells of identities."""
    heard: list[IdentityChange] = []
    ann.keys = ann.opened(on_identity_change=heard.append)
    return heard


@pytest.fixture
def reinstalled(bob: End, clock: Clock) -> End:
    """Bob with a new phone."""
    return End(bob.user, clock=clock, entropy=End("bob's second phone").entropy)


def test_a_bundle_with_another_identity_is_told_once(
    ann: End, bob: End, reinstalled: End, changes: list[IdentityChange]
) -> None:
    ann.meet(bob)
    ann.meet(reinstalled, replace=frozenset({0}))
    [change] = changes
    assert (change.user, change.device, change.by) == (bob.user, 0, "bundle")
    assert change.old == bob.credentials.identity.public
    assert change.new == reinstalled.credentials.identity.public


def test_a_message_with_another_identity_is_told(
    ann: End, bob: End, reinstalled: End, changes: list[IdentityChange]
) -> None:
    ann.meet(bob)
    reinstalled.meet(ann)
    ann.read(bob, reinstalled.say(ann, b"new phone"))
    assert [change.by for change in changes] == ["message"]


def test_who_could_not_be_told_stores_no_new_identity(ann: End, bob: End, reinstalled: End) -> None:
    ann.meet(bob)
    reinstalled.meet(ann)
    message = reinstalled.say(ann, b"new phone")

    def unreachable(change: IdentityChange) -> None:
        raise ConnectionError("nobody there")

    ann.keys = ann.opened(on_identity_change=unreachable)
    with pytest.raises(ConnectionError):
        ann.hear(bob, message, "S1")
    heard: list[IdentityChange] = []
    ann.keys = ann.opened(on_identity_change=heard.append)
    assert ann.hear(bob, message, "S1").plaintext == b"new phone"
    assert len(heard) == 1


def test_a_first_session_and_a_rebuilt_one_are_no_change(
    ann: End, bob: End, changes: list[IdentityChange]
) -> None:
    ann.meet(bob)
    converse(ann, bob)
    ann.meet(bob, replace=frozenset({bob.device}))
    assert changes == []


# -- the log -----------------------------------------------------------------------------------------------


def test_by_default_it_goes_into_the_log(ann: End, bob: End, lines: pytest.LogCaptureFixture) -> None:
    ann.keys = ann.opened()
    ann.meet(bob)
    written = next(line for line in lines.records if line.message == "key written")
    assert (written.levelname, written.__dict__["type"], written.__dict__["found"]) == (
        "DEBUG",
        "outbound",
        True,
    )
    tag = ann.outbound(bob)["turn"]
    assert written.__dict__["version"] == f"{tag[:4].hex()}/{ann.outbound(bob)['next']}"
    made = next(line for line in lines.records if line.message == "session made")
    assert (made.levelname, made.__dict__["device"]) == ("INFO", 0)


def test_at_the_usual_level_reads_and_writes_cost_nothing(
    ann: End, bob: End, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="tocsin.keys"):
        ann.keys = ann.opened()
        ann.meet(bob)
    assert [line.message for line in caplog.records] == ["session made"]
    assert ann.keys._context.table is ann.table


def test_no_key_and_no_number_is_in_any_line(ann: End, bob: End, lines: pytest.LogCaptureFixture) -> None:
    ann.keys, bob.keys = ann.opened(), bob.opened()
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, PN, {0: bob.bundle()}, devices=[0])
    ann.keys.contacts.learn(PN, LID)
    converse(ann, bob)
    ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bob.bundle())
    stored = [
        ann.table.table.get(outbound_key("main", 1, LID)),
        ann.table.table.get(inbound_key("main", 1, LID, 0)),
    ]
    secrets = [
        value.hex()
        for item in stored
        for name, value in (item or {}).items()
        if isinstance(value, bytes) and not name.startswith(("tag", "turn"))
    ]
    secrets += [ann.credentials.identity.private.hex(), bob.credentials.identity.private.hex()]
    everything = "\n".join(f"{line.message} {line.__dict__!r}" for line in lines.records)
    assert "key written" in everything
    for secret in secrets:
        assert not any(secret[start : start + 16] in everything for start in range(0, len(secret) - 16, 2))
    assert not re.search(r"\bb'", everything)
    assert "6281234567890" not in everything
    assert "6281…90" in everything


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (("account#main", "credentials"), "credentials"),
        (("account#main", "lease"), "lease"),
        (("connectors", "c"), "heartbeat"),
        (("prekey#main", "7"), "prekey"),
        (("session#main.1#200@lid", "outbound"), "outbound"),
        (("session#main.1#200@lid", "inbound#3"), "inbound"),
        (("stanza#main.1#200@lid", "0#S1"), "stanza"),
        (("user#main#200@lid", "address"), "address"),
        (("user#main#200@lid", "devices"), "devices"),
        (("group#main#1@g.us", "sender"), "sender-key"),
    ],
)
def test_what_kind_of_item_it_is(key: tuple[str, str], kind: str) -> None:
    assert type_of(key) == kind
