"""Upkeep of keys and sessions: what is due is done, once, a slice at a time; what serves is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.fake_aws import AwsAccount, aws_account
from tests.support.fake_whatsapp import Device, Network, Person, message_from
from tests.support.paired_account import ACCOUNT, PairedAccount, paired_on
from tests.support.silent_numbers import silent_numbers
from tocsin.connector_client.errors import ConnectorAway, IqError
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import DynamoTable, Table
from tocsin.dynamo.writes import Put, Update
from tocsin.keys.prekeys import read_prekey
from tocsin.keys.store import KeyStore
from tocsin.multidevice.key_maintenance import KeyMaintenance, Report, Run
from tocsin.notify.content import Text
from tocsin.notify.transport import Address, Outgoing
from tocsin.signal.curve import encode_point, verify
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.tables.keys import credentials_key, outbound_key, own_sender_key
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

DAY = 86400


@dataclass
class Server(Network):
    """WhatsApp, as far as our own keys go. `offered`: our one-time prekeys there, by id; `signed`: the ids of
    signed prekeys it was given."""

    offered: dict[int, bytes] = field(default_factory=dict)
    signed: list[int] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def request(self, profile: Any, node: Node, timeout: int = 30) -> Node:
        first = node.children()[0]
        what = "upload" if first.tag == "registration" else first.tag
        self.asked.append(what)
        if what in self.refusing:
            raise IqError(503, "service-unavailable", None)
        if what not in ("count", "upload", "rotate") or self.away:
            return super().request(profile, node, timeout)
        if what == "count":
            return result(Node("count", {"value": str(len(self.offered))}))
        if what == "upload":
            listed = node.require_child("list").children("key")
            self.offered |= {number(key): key.require_child("value").bytes() for key in listed}
        self._take_signed_prekey(profile, node.child("skey") or first.require_child("skey"))
        return result()

    def _take_signed_prekey(self, profile: Any, skey: Node) -> None:
        """Raises BadSignature, as the real one would refuse it."""
        public, signature = skey.require_child("value").bytes(), skey.require_child("signature").bytes()
        verify(profile.identity_public, encode_point(public), signature)
        self.signed.append(number(skey))


def number(key: Node) -> int:
    return int.from_bytes(key.require_child("id").bytes(), "big")


def result(*children: Node) -> Node:
    return Node("iq", {"type": "result", "id": "1"}, children or None)


@dataclass
class Connectors:
    connection: str | None = "connected"

    def state(self, account: str) -> str | None:
        return self.connection

    def resumed(self, account: str) -> None:
        raise AssertionError("upkeep resumes nothing")


class Scene:
    """A paired account with some people it wrote to, and who looks after it."""

    def __init__(self, paired: PairedAccount, outside: Table) -> None:
        self.paired = paired
        self.outside = outside
        self.server = Server()
        self.server.people = paired.network.people
        paired.network = self.server
        self.siti = paired.siti
        self.connectors = Connectors()
        self.time_left = lambda: 300.0
        self.messages = 0
        offer = paired.keys.account.prekeys_to_offer(20)
        paired.keys.account.note_offered(offer, paired.keys.account.credentials().incarnation)
        self.server.offered = {key.id: key.pair.public for key in offer.prekeys}

    @property
    def keys(self) -> KeyStore:
        return self.paired.keys

    def write(self, person: Person) -> None:
        self.messages += 1
        known = self.keys.contacts.address(str(person.pn))
        address = Address(known["lid"], known["pn"]) if known else None
        outgoing = Outgoing(ACCOUNT, person.phone, f"{self.messages:018x}", Text("Halo"), address)
        self.paired.new_transport().send(outgoing)

    def answer(self, person: Person) -> None:
        """Their phone writes back."""
        stanza = message_from(person.devices[0], person, f"A{self.messages}", "ok")
        enc = stanza.require_child("enc")
        user, body = str(person.user), enc.bytes()
        credentials = self.keys.account.credentials()
        self.keys.receiving.receive(
            self.paired.profile, credentials, user, 0, "A", enc.attr_str("type"), body
        )

    def look_after(self, *accounts: str, force: bool = False) -> Run:
        def open_keys(account: str, on_damage: Any) -> KeyStore:
            paired = self.paired
            return KeyStore(
                paired.table, paired.sealer, account, clock=lambda: paired.now, on_damage=on_damage
            )

        after = KeyMaintenance(
            self.paired.table,
            self.outside,
            open_keys,
            self.server,
            self.connectors,
            silent_numbers(),
            clock=lambda: self.paired.now,
        )
        return after.run(accounts or (ACCOUNT,), lambda: self.time_left(), force=force)

    def report(self, **options: Any) -> Report:
        run = self.look_after(**options)
        assert run.failures == []
        return run.accounts[0]

    def pass_days(self, days: float) -> None:
        self.paired.now += days * DAY

    def people(self, count: int) -> list[Person]:
        people = [self.server.person(f"62855000{n:04}", f"70{n:04}") for n in range(count)]
        for person in people:
            self.write(person)
        return people


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture(params=["memory", "moto"])
def scene(request: pytest.FixtureRequest, aws: AwsAccount) -> Scene:
    if request.param == "memory":
        return Scene(PairedAccount(MemoryTable(page=3)), MemoryTable())
    cloud = aws.furnish()
    paired, _ = paired_on(cloud)
    return Scene(paired, DynamoTable(aws.dynamodb, cloud.notifications))


@pytest.fixture
def small() -> Scene:
    """In memory, in pages of three items."""
    return Scene(PairedAccount(MemoryTable(page=3)), MemoryTable())


# -- the account's own keys ------------------------------------------------------------------------------


def test_nothing_is_done_where_nothing_is_due(scene: Scene) -> None:
    scene.write(scene.siti)
    scene.report()  # the first may move checkpoints, on the user's day of the week
    assert scene.report(force=True) == Report(ACCOUNT, users=2, offered=20)
    assert scene.server.signed == []


def test_a_signed_prekey_is_rotated_after_30_days(scene: Scene) -> None:
    scene.pass_days(29)
    assert scene.report().rotated == 0
    scene.pass_days(1)
    assert scene.report().rotated == 2
    assert scene.report().rotated == 0
    assert scene.server.signed == [2]
    credentials = scene.keys.account.credentials()
    assert (credentials.current_signed_prekey_id, sorted(credentials.signed_prekeys)) == (2, [1, 2])


def test_a_first_message_to_the_old_signed_prekey_is_still_read(scene: Scene) -> None:
    device = scene.siti.devices[0]
    old = scene.keys.account.credentials().signed_prekey
    ours = scene.keys.account.credentials()
    device.begin(
        PreKeyBundle(
            ours.registration_id, ours.identity.public, old.id, old.pair.public, old.signature, None, None
        )
    )
    scene.pass_days(30)
    scene.report()
    scene.answer(scene.siti)


def test_a_rotation_that_the_server_refuses_is_tried_again_with_the_same_key(scene: Scene) -> None:
    scene.pass_days(30)
    scene.server.refusing = {"rotate"}
    assert scene.report().troubles == ["rotate: iq-error"]
    assert scene.keys.account.credentials().current_signed_prekey_id == 1
    scene.server.refusing = set()
    assert scene.report().rotated == 2
    assert sorted(scene.keys.account.credentials().signed_prekeys) == [1, 2]


def test_a_crash_between_server_and_store_is_mended_by_the_next_hour(scene: Scene) -> None:
    """The server offers a key that is stored and not adopted: readable all the same."""
    scene.pass_days(30)
    made = scene.keys.account.new_signed_prekey()
    scene.server.signed.append(made.id)
    assert scene.report().rotated == made.id
    assert scene.keys.account.credentials().current_signed_prekey_id == made.id


@pytest.mark.parametrize(("left", "uploaded"), [(6, 0), (5, 50), (0, 812)])
def test_one_time_prekeys_are_topped_up(small: Scene, left: int, uploaded: int) -> None:
    small.server.offered = dict(list(small.server.offered.items())[:left])
    assert small.report().uploaded == uploaded
    assert len(small.server.offered) == left + uploaded
    assert small.report().uploaded == 0


def test_every_prekey_offered_can_be_opened(small: Scene) -> None:
    small.server.offered = {}
    small.report()
    context = small.keys._context
    for prekey_id, public in small.server.offered.items():
        stored = read_prekey(context, prekey_id)
        assert stored is not None
        assert stored.pair.public == public


def test_prekeys_that_nobody_can_open_are_not_counted(small: Scene) -> None:
    """After a reset the server still offers those whose private halves are gone."""
    small.keys.account.reset_sessions(small.outside)
    assert small.report().uploaded == 812
    assert small.server.signed == [101]


def test_prekeys_do_not_pile_up_where_the_server_takes_none(small: Scene) -> None:
    small.server.offered = {}
    small.server.refusing = {"upload"}
    before = small.keys.account.prekey_count()
    assert [small.report().troubles for _ in range(6)] == [["top_up: iq-error"]] * 6
    assert small.keys.account.prekey_count() == before + 812
    small.server.refusing = set()
    assert small.report().uploaded == 812
    assert small.keys.account.prekey_count() == before + 812


@pytest.mark.parametrize("state", [None, "connecting", "resuming", "logged_out", "stopped"])
def test_an_account_that_is_not_connected_is_asked_nothing(small: Scene, state: str | None) -> None:
    small.pass_days(40)
    small.connectors.connection = state
    report = small.report()
    assert (report.rotated, report.offered, report.troubles, small.server.asked) == (0, None, [], [])


def test_a_connector_that_went_away_is_only_noted(small: Scene) -> None:
    small.pass_days(30)
    small.server.away = ConnectorAway("gone")
    assert small.report().troubles == ["rotate: connector-away", "top_up: connector-away"]


# -- a table that was set back ---------------------------------------------------------------------------


def test_keys_that_were_set_back_are_left_alone(small: Scene) -> None:
    item = dict(small.paired.table.get(credentials_key(ACCOUNT)) or {})
    small.report()
    del item["pk"], item["sk"]
    small.paired.table.put(Put(credentials_key(ACCOUNT), item))
    small.pass_days(60)
    report = small.report()
    assert report == Report(ACCOUNT, set_back=True)
    assert small.keys.account.credentials().current_signed_prekey_id == 1
    small.keys.account.reset_sessions(small.outside)
    assert not small.report().set_back


# -- the round -------------------------------------------------------------------------------------------


def test_sessions_are_renewed_by_cause(scene: Scene) -> None:
    scene.write(scene.siti)
    scene.pass_days(31)
    report = scene.report()
    # Both devices of Siti never wrote back, nor did the account's own phone.
    assert report.renewed == {"unanswered": 3}
    scene.write(scene.siti)
    assert [len(device.shown) for device in scene.siti.devices.values()] == [2, 2]
    assert scene.server.keys_used_twice() == []


def test_what_idles_is_renewed_at_the_next_send(scene: Scene) -> None:
    scene.write(scene.siti)
    scene.answer(scene.siti)
    scene.pass_days(91)
    assert scene.report().renewed == {"unanswered": 2, "idle": 1}
    bundles = len(scene.siti.devices[0].prekeys)
    scene.write(scene.siti)
    device = scene.siti.devices[0]
    assert len(device.shown) == 2
    assert len(device.prekeys) == bundles  # one was fetched and spent
    assert scene.report(force=True).renewed == {}


def test_resting_chains_forget_what_was_sent(scene: Scene) -> None:
    scene.write(scene.siti)
    scene.write(scene.siti)
    scene.pass_days(8)
    assert scene.report().rested == 3
    view = scene.keys.upkeep.view(scene.paired.profile, str(scene.siti.user))
    assert [device.checkpoint for device in view.devices] == [device.index for device in view.devices]
    scene.write(scene.siti)
    assert len(scene.siti.devices[0].shown) == 3


def test_a_sender_key_rests_too(scene: Scene) -> None:
    profile, group = scene.paired.profile, "120363000000000001@g.us"
    scene.keys.groups.make_sender_key(profile, group, seen=None)
    said = scene.keys.groups.reserve(profile, group)
    scene.pass_days(8)
    scene.report()
    assert scene.keys.groups.reserve(profile, group).distribution() != said.distribution()


def test_a_round_begins_once_a_day(small: Scene) -> None:
    pages = []
    for _ in range(26):
        pages.append(small.look_after().pages)
        small.paired.now += 3600
    begun = [hour for hour, looked in enumerate(pages) if looked]
    assert begun == [0, 23]
    assert small.look_after(force=True).pages > 0


def test_a_round_out_of_time_goes_on_where_it_stopped(small: Scene) -> None:
    """Each run looks at one page of three items; in the end everybody was tended to once."""
    small.people(6)
    small.pass_days(31)
    total: dict[str, int] = {}
    runs = 0
    while True:
        calls = iter((300.0, 10.0))
        small.time_left = lambda calls=calls: next(calls)
        run = small.look_after()
        runs += 1
        for cause, count in run.accounts[0].renewed.items():
            total[cause] = total.get(cause, 0) + count
        if run.complete:
            break
        assert run.pages == 1
    assert runs > 5
    assert total == {"unanswered": 7}


def test_without_time_nothing_is_begun(small: Scene) -> None:
    small.time_left = lambda: 59.0
    run = small.look_after()
    assert (run.pages, run.complete) == (0, False)


def test_a_run_that_crashes_is_repeated_without_harm(small: Scene) -> None:
    small.people(4)
    small.pass_days(31)
    table, scans = small.paired.table, []
    scan = table.scan

    def fail_at_third(*args: Any, **options: Any) -> Any:
        scans.append(1)
        if len(scans) == 3:
            raise ConnectionError("gone")
        return scan(*args, **options)

    table.scan = fail_at_third  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        small.look_after()
    small.look_after()
    report = small.report(force=True)
    assert (report.renewed, report.troubles) == ({}, [])
    for person in small.server.people.values():
        if person.phone.startswith("62855"):
            small.write(person)
    assert small.server.keys_used_twice() == []


@pytest.mark.slow
def test_sessions_of_an_earlier_pairing_are_removed(scene: Scene) -> None:
    scene.write(scene.siti)
    scene.answer(scene.siti)
    scene.keys.account.reset_sessions(scene.outside)
    report = scene.report()
    # Two devices of Siti and our phone, two counters and a signpost, a text that nobody handled.
    assert (report.orphans, report.users) == (7, 0)
    assert scene.report(force=True).orphans == 0
    scene.write(scene.siti)
    assert scene.report(force=True).orphans == 0


def test_sender_keys_of_an_earlier_link_go_with_it(small: Scene) -> None:
    before = own_sender_key(ACCOUNT, small.paired.profile.incarnation, "1203@g.us")
    small.keys.account.reset_sessions(small.outside)
    now = own_sender_key(ACCOUNT, small.paired.profile.incarnation, "1203@g.us")
    for key in (before, now):
        small.paired.table.put(Put(key, {"next": 1}))
    assert small.report(force=True).orphans == 1
    assert small.paired.table.get(before) is None
    assert small.paired.table.get(now) is not None


def test_sessions_of_other_accounts_are_left_alone(small: Scene) -> None:
    small.write(small.siti)
    small.keys.account.reset_sessions(small.outside)
    run = small.look_after("other")
    assert [report.orphans for report in run.accounts] == [0]
    assert small.report(force=True).orphans == 6


def test_damaged_records_are_counted_and_left(small: Scene) -> None:
    small.write(small.siti)
    key = outbound_key(ACCOUNT, small.paired.profile.incarnation, str(small.siti.user))
    small.paired.table.update(Update(key, set={"chain#0": bytes(90)}))
    small.pass_days(31)
    assert small.report().damaged > 0
    assert "chain#0" in (small.paired.table.get(key) or {})


def test_an_account_that_fails_takes_no_other_with_it(small: Scene) -> None:
    small.paired.table.put(Put(credentials_key("broken"), {"tag": b"", "secrets": b"", "incarnation": 1}))
    run = small.look_after("broken", ACCOUNT, "unknown")
    assert [type(failure).__name__ for failure in run.failures] == ["DamagedRecord"]
    assert [report.account for report in run.accounts] == ["broken", ACCOUNT, "unknown"]
    assert run.accounts[1].offered == 20


# -- device lists ----------------------------------------------------------------------------------------


def test_lists_of_those_written_to_lately_are_compared_in_one_question() -> None:
    small = Scene(PairedAccount(MemoryTable(page=500)), MemoryTable())
    small.people(5)
    small.server.asked.clear()
    small.pass_days(0.9)
    report = small.report()
    assert (report.lists, report.lists_changed) == (6, 0)
    assert small.server.asked.count("usync") == 1
    small.server.asked.clear()
    small.pass_days(0.5)
    for person in list(small.server.people.values())[2:]:
        small.write(person)
    assert "usync" not in small.server.asked


def test_lists_of_those_not_written_to_are_left_to_the_next_send(small: Scene) -> None:
    small.write(small.siti)
    small.pass_days(7.5)
    assert small.report().lists == 0


def test_a_removed_device_gets_nothing_more(small: Scene) -> None:
    small.write(small.siti)
    del small.siti.devices[1]
    small.pass_days(0.9)
    report = small.report()
    assert (report.lists, report.lists_changed) == (2, 1)
    assert sorted(small.keys.sending.reserve(small.paired.profile, str(small.siti.user)).chains) == [0]


def test_a_new_device_gets_the_next_message(small: Scene) -> None:
    small.write(small.siti)
    small.siti.devices[2] = Device(JID.parse(str(small.siti.user)).with_device(2))
    small.pass_days(0.9)
    assert small.report().lists_changed == 1
    small.write(small.siti)
    assert len(small.siti.devices[2].shown) == 1


def test_a_refused_question_ends_the_questions(small: Scene) -> None:
    small.people(6)
    small.pass_days(0.9)
    small.server.asked.clear()
    small.server.refusing = {"usync"}
    report = small.report()
    assert (report.lists, report.troubles) == (0, ["lists: iq-error"])
    assert small.server.asked.count("usync") == 1
