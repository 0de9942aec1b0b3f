"""The multi-device transport against people with real Signal devices: who gets a ciphertext, and what an
ack leads to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fake_whatsapp import NOW, Device
from tests.support.paired_account import ACCOUNT, OWN_DEVICE, OWN_LID, Stage
from tocsin.accounts.limits import Limit
from tocsin.connector_client.client import ConnectorAway, NotConnected, Resuming
from tocsin.dynamo.writes import Put
from tocsin.notify.content import Text
from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.transport import Outgoing, Sent

NOTIFICATION = "ab" * 9


@pytest.fixture
def stage() -> Stage:
    return Stage()


def outgoing(stage: Stage, number: int = 0, **changes: object) -> Outgoing:
    known = stage.keys.contacts.address_item(str(stage.siti.pn))
    values = {
        "account": ACCOUNT,
        "recipient": stage.siti.phone,
        "notification": f"{NOTIFICATION[:-2]}{number:02x}",
        "content": Text(f"Tiket {number}"),
        "address": stage.transport.address_of(stage.siti.phone, known),
    }
    return Outgoing(**{**values, **changes})


def send(stage: Stage, number: int = 0, **changes: object) -> Sent:
    sent = stage.transport.send(outgoing(stage, number, **changes))
    stage.transport.settle()
    return sent


def failure_of(stage: Stage, **changes: object) -> Failure:
    with pytest.raises(Failure) as raised:
        send(stage, **changes)
    return raised.value


def texts(device: Device) -> list[str]:
    return [text for _, text in device.shown]


def participants(stage: Stage, message: int = -1) -> list[str]:
    node = stage.network.messages[message].require_child("participants")
    return [str(to.attr_jid("jid")) for to in node.children("to")]


# -- a first contact -------------------------------------------------------------------------------------


def test_a_first_contact_reaches_every_device_of_the_recipient_and_of_ours(stage):
    send(stage)
    assert texts(stage.siti.devices[0]) == ["Tiket 0"]
    assert texts(stage.siti.devices[1]) == ["Tiket 0"]
    assert texts(stage.own.devices[0]) == ["Tiket 0"]


def test_it_asks_for_the_number_the_devices_and_the_bundles_once(stage):
    send(stage)
    assert stage.network.queries == [
        "contact +6281234567890",
        "devices 1234@lid",
        "devices 9999@lid",
        "bundle 1234@lid",
        "bundle 1234:1@lid",
        "bundle 9999@lid",
    ]


def test_the_stanza_is_addressed_by_lid_and_names_the_number(stage):
    send(stage)
    node = stage.network.messages[0]
    assert str(node.attr_jid("to")) == "1234@lid"
    assert str(node.attr_jid("peer_recipient_pn")) == "6281234567890@s.whatsapp.net"
    assert node.require_child("device-identity").bytes() == stage.profile.device_identity


def test_this_very_device_gets_no_copy(stage):
    stage.own.devices[OWN_DEVICE] = Device(stage.own.user.with_device(OWN_DEVICE))
    send(stage)
    assert f"{OWN_LID}:{OWN_DEVICE}@lid" not in participants(stage)


def test_a_number_that_is_not_on_whatsapp_is_permanent(stage):
    failure = failure_of(stage, recipient="6289999999999", address=None)
    assert isinstance(failure, Permanent)
    assert failure.code == "not-on-whatsapp"


@pytest.mark.parametrize(("after", "questions"), [(24 * 3600 - 1, 1), (24 * 3600, 2)])
def test_a_number_that_is_not_on_whatsapp_is_asked_for_once_a_day(stage, after, questions):
    failure_of(stage, recipient="6289999999999", address=None)
    stage.now += after
    failure_of(stage, recipient="6289999999999", address=None)
    assert stage.network.queries.count("contact +6289999999999") == questions


def test_a_device_without_a_bundle_does_not_hold_up_the_others(stage):
    stage.network.bundle_errors[stage.siti.devices[1].jid] = 406
    send(stage)
    assert texts(stage.siti.devices[0]) == ["Tiket 0"]
    assert participants(stage) == ["1234@lid", "9999@lid"]


def test_without_any_device_left_the_recipient_is_not_on_whatsapp(stage):
    stage.network.bundle_errors.update({device.jid: 404 for device in stage.siti.devices.values()})
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (Permanent, "not-on-whatsapp")


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [(429, Wait, "rate-limited"), (503, Retry, "server-error"), (406, Permanent, "not-acceptable")],
)
def test_a_refusal_within_an_answer_is_told_by_its_code(stage, code, kind, name):
    stage.network.usync_errors["devices"] = code
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (kind, name)


def test_a_limit_on_queries_holds_for_the_account_and_not_for_one_recipient(stage):
    stage.network.usync_errors["contact"] = 429
    failure_of(stage)
    stage.network.usync_errors.clear()
    with pytest.raises(Wait, match="rate-limited"):
        stage.transport.check(ACCOUNT, resumed=False)


def test_bundles_that_the_server_cannot_give_now_are_asked_for_later(stage):
    stage.network.bundle_errors.update({device.jid: 503 for device in stage.siti.devices.values()})
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (Retry, "no-bundles")


def test_a_wrongly_signed_bundle_makes_no_session(stage):
    stage.network.spoil_signatures = True
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (Recover, "no-bundles")
    assert stage.network.messages == []


# -- a known session -------------------------------------------------------------------------------------


def test_a_known_session_asks_the_network_nothing(stage):
    send(stage)
    stage.network.queries.clear()
    send(stage, 1)
    assert stage.network.queries == []
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_after_an_answer_messages_are_short_and_carry_no_identity(stage):
    send(stage)
    answer(stage, stage.siti.devices[0])
    answer(stage, stage.siti.devices[1])
    answer(stage, stage.own.devices[0])
    send(stage, 1)
    node = stage.network.messages[-1]
    encs = [
        to.require_child("enc").attr_str("type") for to in node.require_child("participants").children("to")
    ]
    assert encs == ["msg", "msg", "msg"]
    assert node.child("device-identity") is None


def answer(stage: Stage, device: Device, text: bytes = b"\x0a\x02ok") -> None:
    """The device writes back, which turns the session."""
    ciphertext = device.encrypt(text)
    user = str(device.jid.bare)
    profile, credentials = stage.keys.account.profile(), stage.keys.account.credentials()
    stage.keys.receiving.receive(
        profile, credentials, user, device.jid.device, os_id(), ciphertext.type, ciphertext.body
    )


def os_id() -> str:
    import os

    return os.urandom(8).hex()


def test_every_send_takes_its_own_number(stage):
    numbers = [send(stage, number).numbers["1234@lid"] for number in range(4)]
    assert len(set(numbers)) == 4


def test_forty_sends_move_the_checkpoint(stage):
    for number in range(40):
        send(stage, number)
    reservation = stage.keys.sending.reserve(stage.profile, "1234@lid")
    assert all(chain.sending.index >= 32 for chain in reservation.chains.values())
    assert len(texts(stage.siti.devices[0])) == 40


def test_a_device_list_of_yesterday_is_asked_for_again(stage):
    send(stage)
    stage.siti.devices[2] = Device(stage.siti.user.with_device(2))
    stage.now += 25 * 3600 + 1
    send(stage, 1)
    assert texts(stage.siti.devices[2]) == ["Tiket 1"]
    assert stage.network.queries.count("bundle 1234@lid") == 1


def test_a_device_that_is_gone_gets_nothing_more(stage):
    send(stage)
    del stage.siti.devices[1]
    stage.now += 25 * 3600 + 1
    send(stage, 1)
    assert "1234:1@lid" not in participants(stage)


def test_a_session_unanswered_for_a_month_is_renewed(stage):
    send(stage)
    before = stage.keys.sending.session_facts(stage.profile, "1234@lid", 0)
    stage.now += 31 * 86400
    send(stage, 1)
    after = stage.keys.sending.session_facts(stage.profile, "1234@lid", 0)
    assert before.base_key != after.base_key
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_message_to_ourselves_goes_to_our_other_devices(stage):
    send(stage, recipient=stage.own.phone, address=None)
    assert texts(stage.own.devices[0]) == ["Tiket 0"]
    assert participants(stage) == ["9999@lid"]


# -- the lease and the connector -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "cause"),
    [("connecting", "not-connected"), ("logged_out", "not-connected"), ("resuming", "resuming")],
)
def test_an_account_that_cannot_send_is_parked_before_anything_is_reserved(stage, state, cause):
    stage.lease.state = state
    with pytest.raises(Wait) as raised:
        stage.transport.check(ACCOUNT, resumed=False)
    assert raised.value.code == cause


def test_without_a_lease_nobody_can_send(stage):
    stage.lease = None
    with pytest.raises(Wait):
        stage.transport.check(ACCOUNT, resumed=False)


def test_what_was_parked_may_pass_while_the_account_is_resuming(stage):
    stage.lease.state = "resuming"
    stage.transport.check(ACCOUNT, resumed=True)


def test_good_news_of_the_lease_are_remembered_and_bad_ones_are_not(stage):
    for _ in range(3):
        stage.transport.check(ACCOUNT, resumed=False)
    assert stage.lease_reads == 1
    stage.leases.forget(ACCOUNT)
    stage.lease.state = "connecting"
    for _ in range(2):
        with pytest.raises(Wait):
            stage.transport.check(ACCOUNT, resumed=False)
    assert stage.lease_reads == 3


@pytest.mark.parametrize("error", [ConnectorAway("gone"), NotConnected("connecting"), Resuming("")])
def test_a_connector_that_refuses_makes_the_notification_wait(stage, error):
    send(stage)
    stage.network.away = error
    assert isinstance(failure_of(stage, number=1), Wait)


def test_after_a_refusal_the_lease_is_read_again(stage):
    stage.transport.check(ACCOUNT, resumed=False)
    stage.network.away = ConnectorAway("gone")
    failure_of(stage)
    stage.transport.check(ACCOUNT, resumed=False)
    assert stage.lease_reads == 2


def test_a_new_pairing_is_noticed_and_its_sessions_are_made_anew(stage):
    send(stage)
    stage.pair(5)
    stage.network.incarnation = stage.profile.incarnation
    assert isinstance(failure_of(stage, number=1), Recover)
    send(stage, 1)
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


# -- what the ack says -----------------------------------------------------------------------------------


def test_a_lost_ack_is_repeated_under_the_same_id_and_shown_once(stage):
    stage.network.lose_acks = 1
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (Retry, "ack-timeout")
    assert failure.numbers == {"1234@lid": 0, "9999@lid": 0}
    assert send(stage).numbers == {"1234@lid": 1, "9999@lid": 1}
    assert texts(stage.siti.devices[0]) == ["Tiket 0"]


def test_a_refused_message_carries_the_numbers_it_had_taken(stage):
    stage.network.refuse_with = [479]
    failure = failure_of(stage)
    assert (type(failure), failure.code) == (Recover, "stale-devices")
    assert failure.numbers["1234@lid"] == 0


def test_after_479_the_device_lists_are_asked_for_again(stage):
    send(stage)
    stage.network.queries.clear()
    send(stage, 1, earlier={"stale-devices"})
    assert stage.network.queries == ["devices 1234@lid", "devices 9999@lid"]


def test_after_404_the_number_is_checked_again(stage):
    send(stage)
    stage.network.queries.clear()
    send(stage, 1, earlier={"unknown-recipient"})
    assert stage.network.queries[0] == "contact +6281234567890"


def test_a_foreign_participant_hash_leads_to_one_more_send_to_the_missing_device(stage):
    send(stage)
    stage.siti.devices[2] = Device(stage.siti.user.with_device(2))
    stage.network.extra_ack = {"phash": "2:AAAAAAAA"}
    send(stage, 1)
    assert len(stage.network.messages) == 3
    assert participants(stage) == ["1234:2@lid"]
    assert stage.network.messages[-1].attr_str("device_fanout") == "false"
    assert texts(stage.siti.devices[2]) == ["Tiket 1"]
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_participant_hash_without_missing_devices_sends_nothing_more(stage):
    send(stage)
    stage.network.extra_ack = {"phash": "2:AAAAAAAA"}
    send(stage, 1)
    assert len(stage.network.messages) == 2


def test_the_server_s_time_of_acceptance_is_told_in_milliseconds(stage):
    assert send(stage).accepted_at == NOW * 1000


def test_an_outdated_lid_is_looked_up_for_the_next_time(stage):
    send(stage)
    stage.network.queries.clear()
    stage.network.extra_ack = {"refresh_lid": "true"}
    send(stage, 1)
    assert stage.network.queries == ["contact +6281234567890"]


@pytest.mark.parametrize("code", [429, 419, 423])
def test_a_rate_limit_holds_for_everybody_and_then_is_over(stage, code):
    send(stage)
    stage.network.refuse_with = [code]
    due_at = failure_of(stage, number=1).due_at
    with pytest.raises(Wait) as raised:
        stage.transport.check(ACCOUNT, resumed=False)
    assert raised.value.due_at == due_at
    stage.now = due_at / 1000
    stage.transport.check(ACCOUNT, resumed=False)


@pytest.mark.parametrize("code", [463, 475])
def test_a_restriction_holds_for_first_contacts_and_lets_known_ones_pass(stage, code):
    send(stage)
    stage.network.person("6285555555555", "5555")
    stage.network.refuse_with = [code]
    assert isinstance(failure_of(stage, number=1, recipient="6285555555555", first_contact=True), Wait)
    attempts = len(stage.network.messages)
    stage.network.person("6286666666666", "6666")
    held = failure_of(stage, number=2, recipient="6286666666666", address=None, first_contact=True)
    assert (type(held), held.code) == (Wait, "first-contact-restricted")
    assert held.due_at == (stage.now + 24 * 3600) * 1000
    assert len(stage.network.messages) == attempts
    send(stage, 3)
    assert texts(stage.siti.devices[0])[-1] == "Tiket 3"


def test_a_restriction_is_known_to_a_function_that_never_met_it(stage):
    stage.network.refuse_with = [463]
    failure_of(stage, first_contact=True)
    attempts = len(stage.network.messages)
    stage.transport = stage.new_transport()
    held = failure_of(stage, number=1, address=None, first_contact=True)
    assert held.code == "first-contact-restricted"
    assert len(stage.network.messages) == attempts


def test_a_restriction_that_ended_before_its_day_holds_nobody(stage):
    stage.network.refuse_with = [463]
    failure_of(stage, first_contact=True)
    stage.keys.account.note_limit(Limit("first-contacts", "notification", 0, int(stage.now)))
    send(stage, 1, address=None, first_contact=True)
    assert texts(stage.siti.devices[0]) == ["Tiket 1"]


# -- crashes, races, damage ------------------------------------------------------------------------------


def test_killed_between_reservation_and_send_nothing_is_lost(stage, monkeypatch):
    send(stage)
    with monkeypatch.context() as crash:
        crash.setattr(stage.network, "send_message", _die)
        with pytest.raises(KeyboardInterrupt):
            send(stage, 1)
    stage.transport = stage.new_transport()
    send(stage, 1)
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_killed_after_the_sessions_were_made_they_serve_the_next_try(stage, monkeypatch):
    make = type(stage.keys.sending).make_sessions

    def make_and_die(*arguments, **named):
        make(*arguments, **named)
        raise KeyboardInterrupt("killed after the commit")

    with monkeypatch.context() as crash:
        crash.setattr(type(stage.keys.sending), "make_sessions", make_and_die)
        with pytest.raises(KeyboardInterrupt):
            send(stage)
    stage.transport = stage.new_transport()
    send(stage)
    assert texts(stage.siti.devices[0]) == ["Tiket 0"]
    assert stage.network.queries.count("bundle 1234@lid") == 1


def test_a_damaged_chain_is_replaced_by_a_new_session(stage):
    send(stage)
    key = ("session#default.2#1234@lid", "outbound")
    outbound = stage.table.get(key)
    damaged = {**outbound, "chain#0": outbound["chain#0"][:-1] + b"\0"}
    stage.table.put(Put(key, {name: value for name, value in damaged.items() if name not in ("pk", "sk")}))
    send(stage, 1)
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]
    assert texts(stage.siti.devices[1]) == ["Tiket 0", "Tiket 1"]


def test_with_damaged_account_secrets_everything_waits_for_a_person(stage):
    """No try of ours cures them, and nothing is wrong with the notification."""
    send(stage)
    key = ("account#default", "credentials")
    sound = {name: value for name, value in stage.table.get(key).items() if name not in ("pk", "sk")}
    stage.table.put(Put(key, {**sound, "secrets": sound["secrets"][:-1] + b"\0"}))
    stage.transport = stage.new_transport()
    failure = failure_of(stage)
    assert isinstance(failure, Wait)
    assert (failure.code, "secrets" in failure.detail) == ("damaged-account", True)
    stage.table.put(Put(key, sound))
    send(stage, 1)
    assert texts(stage.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_device_whose_bundle_failed_for_the_servers_sake_is_asked_for_at_the_next_send(stage):
    stage.network.bundle_errors[stage.siti.devices[1].jid] = 503
    send(stage)
    stage.network.bundle_errors.clear()
    send(stage, 1)
    assert texts(stage.siti.devices[1]) == ["Tiket 1"]


def test_senders_at_the_same_time_never_share_a_number(stage):
    send(stage)
    transports = [stage.new_transport() for _ in range(8)]

    def work(worker: int) -> None:
        for number in range(10):
            transports[worker].send(outgoing(stage, 16 * (worker + 1) + number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(texts(stage.siti.devices[0])) == 81
    assert stage.network.retries == []
    assert stage.network.keys_used_twice() == []


def test_first_contacts_at_the_same_time_make_one_session(stage):
    transports = [stage.new_transport() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda worker: transports[worker].send(outgoing(stage, worker)), range(6)))
    assert sorted(texts(stage.siti.devices[0])) == [f"Tiket {number}" for number in range(6)]
    assert len(stage.siti.devices[0].record.states) == 1
    assert stage.network.keys_used_twice() == []


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt("killed")
