"""The multi-device transport against people with real Signal devices: who gets a ciphertext, and what an
ack leads to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.fake_whatsapp import Device
from tests.support.paired_account import ACCOUNT, OWN_DEVICE, OWN_LID, PairedAccount
from tocsin.accounts.limits import Limit
from tocsin.connector_client.errors import ConnectorAway, NotConnected, Resuming
from tocsin.dynamo.writes import Put
from tocsin.notify.content import Text
from tocsin.notify.failure import Failure, Permanent, Recover, Retry, Wait
from tocsin.notify.transport import Outgoing, Sent

NOTIFICATION = "ab" * 9


@pytest.fixture
def paired() -> PairedAccount:
    return PairedAccount()


def outgoing(paired: PairedAccount, number: int = 0, **changes: object) -> Outgoing:
    known = paired.keys.contacts.address_item(str(paired.siti.pn))
    values = {
        "account": ACCOUNT,
        "recipient": paired.siti.phone,
        "notification": f"{NOTIFICATION[:-2]}{number:02x}",
        "content": Text(f"Tiket {number}"),
        "address": paired.transport.address_of(ACCOUNT, paired.siti.phone, known),
    }
    return Outgoing(**{**values, **changes})


def send(paired: PairedAccount, number: int = 0, **changes: object) -> Sent:
    sent = paired.transport.send(outgoing(paired, number, **changes))
    sent.settle()
    return sent


def failure_of(paired: PairedAccount, **changes: object) -> Failure:
    with pytest.raises(Failure) as raised:
        send(paired, **changes)
    return raised.value


def texts(device: Device) -> list[str]:
    return [text for _, text in device.shown]


def participants(paired: PairedAccount, message: int = -1) -> list[str]:
    node = paired.network.messages[message].require_child("participants")
    return [str(to.attr_jid("jid")) for to in node.children("to")]


# -- a first contact -------------------------------------------------------------------------------------


def test_a_first_contact_reaches_every_device_of_the_recipient_and_of_ours(paired):
    send(paired)
    assert texts(paired.siti.devices[0]) == ["Tiket 0"]
    assert texts(paired.siti.devices[1]) == ["Tiket 0"]
    assert texts(paired.own.devices[0]) == ["Tiket 0"]


def test_it_asks_for_the_number_the_devices_and_the_bundles_once(paired):
    send(paired)
    assert paired.network.queries == [
        "contact +6281234567890",
        "devices 1234@lid",
        "devices 9999@lid",
        "bundle 1234@lid",
        "bundle 1234:1@lid",
        "bundle 9999@lid",
    ]


def test_the_stanza_is_addressed_by_lid_and_names_the_number(paired):
    send(paired)
    node = paired.network.messages[0]
    assert str(node.attr_jid("to")) == "1234@lid"
    assert str(node.attr_jid("peer_recipient_pn")) == "6281234567890@s.whatsapp.net"
    assert node.require_child("device-identity").bytes() == paired.profile.device_identity


def test_this_very_device_gets_no_copy(paired):
    paired.own.devices[OWN_DEVICE] = Device(paired.own.user.with_device(OWN_DEVICE))
    send(paired)
    assert f"{OWN_LID}:{OWN_DEVICE}@lid" not in participants(paired)


def test_a_number_that_is_not_on_whatsapp_is_permanent(paired):
    failure = failure_of(paired, recipient="6289999999999", address=None)
    assert isinstance(failure, Permanent)
    assert failure.code == "not-on-whatsapp"


@pytest.mark.parametrize(("after", "questions"), [(24 * 3600 - 1, 1), (24 * 3600, 2)])
def test_a_number_that_is_not_on_whatsapp_is_asked_for_once_a_day(paired, after, questions):
    failure_of(paired, recipient="6289999999999", address=None)
    paired.now += after
    failure_of(paired, recipient="6289999999999", address=None)
    assert paired.network.queries.count("contact +6289999999999") == questions


def test_a_device_without_a_bundle_does_not_hold_up_the_others(paired):
    paired.network.bundle_errors[paired.siti.devices[1].jid] = 406
    send(paired)
    assert texts(paired.siti.devices[0]) == ["Tiket 0"]
    assert participants(paired) == ["1234@lid", "9999@lid"]


def test_without_any_device_left_the_recipient_is_not_on_whatsapp(paired):
    paired.network.bundle_errors.update({device.jid: 404 for device in paired.siti.devices.values()})
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (Permanent, "not-on-whatsapp")


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [(429, Wait, "rate-limited"), (503, Retry, "server-error"), (406, Permanent, "not-acceptable")],
)
def test_a_refusal_within_an_answer_is_told_by_its_code(paired, code, kind, name):
    paired.network.usync_errors["devices"] = code
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (kind, name)


def test_a_limit_on_queries_holds_for_the_account_and_not_for_one_recipient(paired):
    paired.network.usync_errors["contact"] = 429
    failure_of(paired)
    paired.network.usync_errors.clear()
    with pytest.raises(Wait, match="rate-limited"):
        paired.transport.check(ACCOUNT, resumed=False)


def test_bundles_that_the_server_cannot_give_now_are_asked_for_later(paired):
    paired.network.bundle_errors.update({device.jid: 503 for device in paired.siti.devices.values()})
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (Retry, "no-bundles")


def test_a_wrongly_signed_bundle_makes_no_session(paired):
    paired.network.spoil_signatures = True
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (Recover, "no-bundles")
    assert paired.network.messages == []


# -- a known session -------------------------------------------------------------------------------------


def test_a_known_session_asks_the_network_nothing(paired):
    send(paired)
    paired.network.queries.clear()
    send(paired, 1)
    assert paired.network.queries == []
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_after_an_answer_messages_are_short_and_carry_no_identity(paired):
    send(paired)
    answer(paired, paired.siti.devices[0])
    answer(paired, paired.siti.devices[1])
    answer(paired, paired.own.devices[0])
    send(paired, 1)
    node = paired.network.messages[-1]
    encs = [
        to.require_child("enc").attr_str("type") for to in node.require_child("participants").children("to")
    ]
    assert encs == ["msg", "msg", "msg"]
    assert node.child("device-identity") is None


def answer(paired: PairedAccount, device: Device, text: bytes = b"\x0a\x02ok") -> None:
    """The device writes back, which turns the session."""
    ciphertext = device.encrypt(text)
    user = str(device.jid.bare)
    profile, credentials = paired.keys.account.profile(), paired.keys.account.credentials()
    paired.keys.receiving.receive(
        profile, credentials, user, device.jid.device, os_id(), ciphertext.type, ciphertext.body
    )


def os_id() -> str:
    import os

    return os.urandom(8).hex()


def test_every_send_takes_its_own_number(paired):
    numbers = [send(paired, number).numbers["1234@lid"] for number in range(4)]
    assert len(set(numbers)) == 4


def test_forty_sends_move_the_checkpoint(paired):
    for number in range(40):
        send(paired, number)
    reservation = paired.keys.sending.reserve(paired.profile, "1234@lid")
    assert all(chain.sending.index >= 32 for chain in reservation.chains.values())
    assert len(texts(paired.siti.devices[0])) == 40


def test_a_device_list_of_yesterday_is_asked_for_again(paired):
    send(paired)
    paired.siti.devices[2] = Device(paired.siti.user.with_device(2))
    paired.now += 25 * 3600 + 1
    send(paired, 1)
    assert texts(paired.siti.devices[2]) == ["Tiket 1"]
    assert paired.network.queries.count("bundle 1234@lid") == 1


def test_a_device_that_is_gone_gets_nothing_more(paired):
    send(paired)
    del paired.siti.devices[1]
    paired.now += 25 * 3600 + 1
    send(paired, 1)
    assert "1234:1@lid" not in participants(paired)


def test_a_session_unanswered_for_a_month_is_renewed(paired):
    send(paired)
    before = paired.keys.sending.session_facts(paired.profile, "1234@lid", 0)
    paired.now += 31 * 86400
    send(paired, 1)
    after = paired.keys.sending.session_facts(paired.profile, "1234@lid", 0)
    assert before.base_key != after.base_key
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_message_to_ourselves_goes_to_our_other_devices(paired):
    send(paired, recipient=paired.own.phone, address=None)
    assert texts(paired.own.devices[0]) == ["Tiket 0"]
    assert participants(paired) == ["9999@lid"]


# -- the lease and the connector -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "cause"),
    [("connecting", "not-connected"), ("logged_out", "not-connected"), ("resuming", "resuming")],
)
def test_an_account_that_cannot_send_is_parked_before_anything_is_reserved(paired, state, cause):
    paired.lease.state = state
    with pytest.raises(Wait) as raised:
        paired.transport.check(ACCOUNT, resumed=False)
    assert raised.value.code == cause


def test_without_a_lease_nobody_can_send(paired):
    paired.lease = None
    with pytest.raises(Wait):
        paired.transport.check(ACCOUNT, resumed=False)


def test_what_was_parked_may_pass_while_the_account_is_resuming(paired):
    paired.lease.state = "resuming"
    paired.transport.check(ACCOUNT, resumed=True)


def test_good_news_of_the_lease_are_remembered_and_bad_ones_are_not(paired):
    for _ in range(3):
        paired.transport.check(ACCOUNT, resumed=False)
    assert paired.lease_reads == 1
    paired.leases.forget(ACCOUNT)
    paired.lease.state = "connecting"
    for _ in range(2):
        with pytest.raises(Wait):
            paired.transport.check(ACCOUNT, resumed=False)
    assert paired.lease_reads == 3


@pytest.mark.parametrize("error", [ConnectorAway("gone"), NotConnected("connecting"), Resuming("")])
def test_a_connector_that_refuses_makes_the_notification_wait(paired, error):
    send(paired)
    paired.network.away = error
    assert isinstance(failure_of(paired, number=1), Wait)


def test_after_a_refusal_the_lease_is_read_again(paired):
    paired.transport.check(ACCOUNT, resumed=False)
    paired.network.away = ConnectorAway("gone")
    failure_of(paired)
    paired.transport.check(ACCOUNT, resumed=False)
    assert paired.lease_reads == 2


def test_a_new_pairing_is_noticed_and_its_sessions_are_made_anew(paired):
    send(paired)
    paired.pair(5)
    paired.network.incarnation = paired.profile.incarnation
    assert isinstance(failure_of(paired, number=1), Recover)
    send(paired, 1)
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


# -- what the ack says -----------------------------------------------------------------------------------


def test_a_lost_ack_is_repeated_under_the_same_id_and_shown_once(paired):
    paired.network.lose_acks = 1
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (Retry, "ack-timeout")
    assert failure.numbers == {"1234@lid": 0, "9999@lid": 0}
    assert send(paired).numbers == {"1234@lid": 1, "9999@lid": 1}
    assert texts(paired.siti.devices[0]) == ["Tiket 0"]


def test_a_refused_message_carries_the_numbers_it_had_taken(paired):
    paired.network.refuse_with = [479]
    failure = failure_of(paired)
    assert (type(failure), failure.code) == (Recover, "stale-devices")
    assert failure.numbers["1234@lid"] == 0


def test_after_479_the_device_lists_are_asked_for_again(paired):
    send(paired)
    paired.network.queries.clear()
    send(paired, 1, earlier={"stale-devices"})
    assert paired.network.queries == ["devices 1234@lid", "devices 9999@lid"]


def test_after_404_the_number_is_checked_again(paired):
    send(paired)
    paired.network.queries.clear()
    send(paired, 1, earlier={"unknown-recipient"})
    assert paired.network.queries[0] == "contact +6281234567890"


def test_a_foreign_participant_hash_leads_to_one_more_send_to_the_missing_device(paired):
    send(paired)
    paired.siti.devices[2] = Device(paired.siti.user.with_device(2))
    paired.network.extra_ack = {"phash": "2:AAAAAAAA"}
    send(paired, 1)
    assert len(paired.network.messages) == 3
    assert participants(paired) == ["1234:2@lid"]
    assert paired.network.messages[-1].attr_str("device_fanout") == "false"
    assert texts(paired.siti.devices[2]) == ["Tiket 1"]
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_participant_hash_without_missing_devices_sends_nothing_more(paired):
    send(paired)
    paired.network.extra_ack = {"phash": "2:AAAAAAAA"}
    send(paired, 1)
    assert len(paired.network.messages) == 2


def test_an_outdated_lid_is_looked_up_for_the_next_time(paired):
    send(paired)
    paired.network.queries.clear()
    paired.network.extra_ack = {"refresh_lid": "true"}
    send(paired, 1)
    assert paired.network.queries == ["contact +6281234567890"]


@pytest.mark.parametrize("code", [429, 419, 423])
def test_a_rate_limit_holds_for_everybody_and_then_is_over(paired, code):
    send(paired)
    paired.network.refuse_with = [code]
    due_at = failure_of(paired, number=1).due_at
    with pytest.raises(Wait) as raised:
        paired.transport.check(ACCOUNT, resumed=False)
    assert raised.value.due_at == due_at
    paired.now = due_at / 1000
    paired.transport.check(ACCOUNT, resumed=False)


@pytest.mark.parametrize("code", [463, 475])
def test_a_restriction_holds_for_first_contacts_and_lets_known_ones_pass(paired, code):
    send(paired)
    paired.network.person("6285555555555", "5555")
    paired.network.refuse_with = [code]
    assert isinstance(failure_of(paired, number=1, recipient="6285555555555", first_contact=True), Wait)
    attempts = len(paired.network.messages)
    paired.network.person("6286666666666", "6666")
    held = failure_of(paired, number=2, recipient="6286666666666", address=None, first_contact=True)
    assert (type(held), held.code) == (Wait, "first-contact-restricted")
    assert held.due_at == (paired.now + 24 * 3600) * 1000
    assert len(paired.network.messages) == attempts
    send(paired, 3)
    assert texts(paired.siti.devices[0])[-1] == "Tiket 3"


def test_a_restriction_is_known_to_a_function_that_never_met_it(paired):
    paired.network.refuse_with = [463]
    failure_of(paired, first_contact=True)
    attempts = len(paired.network.messages)
    paired.transport = paired.new_transport()
    held = failure_of(paired, number=1, address=None, first_contact=True)
    assert held.code == "first-contact-restricted"
    assert len(paired.network.messages) == attempts


def test_a_restriction_that_ended_before_its_day_holds_nobody(paired):
    paired.network.refuse_with = [463]
    failure_of(paired, first_contact=True)
    paired.keys.account.note_limit(Limit("first-contacts", "notification", 0, int(paired.now)))
    send(paired, 1, address=None, first_contact=True)
    assert texts(paired.siti.devices[0]) == ["Tiket 1"]


# -- crashes, races, damage ------------------------------------------------------------------------------


def test_killed_between_reservation_and_send_nothing_is_lost(paired, monkeypatch):
    send(paired)
    with monkeypatch.context() as crash:
        crash.setattr(paired.network, "send_message", _die)
        with pytest.raises(KeyboardInterrupt):
            send(paired, 1)
    paired.transport = paired.new_transport()
    send(paired, 1)
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_killed_after_the_sessions_were_made_they_serve_the_next_try(paired, monkeypatch):
    make = type(paired.keys.sending).make_sessions

    def make_and_die(*arguments, **named):
        make(*arguments, **named)
        raise KeyboardInterrupt("killed after the commit")

    with monkeypatch.context() as crash:
        crash.setattr(type(paired.keys.sending), "make_sessions", make_and_die)
        with pytest.raises(KeyboardInterrupt):
            send(paired)
    paired.transport = paired.new_transport()
    send(paired)
    assert texts(paired.siti.devices[0]) == ["Tiket 0"]
    assert paired.network.queries.count("bundle 1234@lid") == 1


def test_a_damaged_chain_is_replaced_by_a_new_session(paired):
    send(paired)
    key = ("session#default.2#1234@lid", "outbound")
    outbound = paired.table.get(key)
    damaged = {**outbound, "chain#0": outbound["chain#0"][:-1] + b"\0"}
    paired.table.put(Put(key, {name: value for name, value in damaged.items() if name not in ("pk", "sk")}))
    send(paired, 1)
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]
    assert texts(paired.siti.devices[1]) == ["Tiket 0", "Tiket 1"]


def test_with_damaged_account_secrets_everything_waits_for_a_person(paired):
    """No try of ours cures them, and nothing is wrong with the notification."""
    send(paired)
    key = ("account#default", "credentials")
    sound = {name: value for name, value in paired.table.get(key).items() if name not in ("pk", "sk")}
    paired.table.put(Put(key, {**sound, "secrets": sound["secrets"][:-1] + b"\0"}))
    paired.transport = paired.new_transport()
    failure = failure_of(paired)
    assert isinstance(failure, Wait)
    assert (failure.code, "secrets" in failure.detail) == ("damaged-account", True)
    paired.table.put(Put(key, sound))
    send(paired, 1)
    assert texts(paired.siti.devices[0]) == ["Tiket 0", "Tiket 1"]


def test_a_device_whose_bundle_failed_for_the_servers_sake_is_asked_for_at_the_next_send(paired):
    paired.network.bundle_errors[paired.siti.devices[1].jid] = 503
    send(paired)
    paired.network.bundle_errors.clear()
    send(paired, 1)
    assert texts(paired.siti.devices[1]) == ["Tiket 1"]


def test_senders_at_the_same_time_never_share_a_number(paired):
    send(paired)
    transports = [paired.new_transport() for _ in range(8)]

    def work(worker: int) -> None:
        for number in range(10):
            transports[worker].send(outgoing(paired, 16 * (worker + 1) + number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(texts(paired.siti.devices[0])) == 81
    assert paired.network.retries == []
    assert paired.network.keys_used_twice() == []


def test_first_contacts_at_the_same_time_make_one_session(paired):
    transports = [paired.new_transport() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda worker: transports[worker].send(outgoing(paired, worker)), range(6)))
    assert sorted(texts(paired.siti.devices[0])) == [f"Tiket {number}" for number in range(6)]
    assert len(paired.siti.devices[0].record.states) == 1
    assert paired.network.keys_used_twice() == []


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt("killed")
