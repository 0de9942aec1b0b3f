"""The connector against a WhatsApp server: linked, logged in, served, cut off, unlinked."""

from __future__ import annotations

import json
import threading
import time
from itertools import count

import pytest

from tests.support.connector_processes import (
    OWN,
    SITI,
    Collected,
    RunningConnectors,
    eventually,
    make_maintain_function,
    messages_in,
    texts_arrive,
)
from tests.support.tcp_switch import Switch
from tocsin.accounts.passkey import PasskeyAnswer
from tocsin.connector_client import errors
from tocsin.keys.account import AccountProfile
from tocsin.whatsapp import iq
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.usync import parse_contacts, usync_contacts

pytestmark = pytest.mark.integration


_numbers = count(1)


def message_to(connectors: RunningConnectors, number: str, message_id: str) -> Node:
    """A message that the server routes; nobody can decrypt it."""
    lid = connectors.phones.phone(number)["lid"]
    enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + bytes(60))
    to = Node("participants", {}, (Node("to", {"jid": JID.parse(lid)}, (enc,)),))
    return Node("message", {"id": message_id, "to": JID.parse(lid), "type": "text"}, (to,))


# Linking


def test_it_is_linked_by_qr_and_connects(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    profile = connectors.pair(OWN)
    assert profile.jid.startswith(OWN)
    assert profile.lid is not None
    assert connectors.keys.account.prekey_count() == 812
    assert connectors.control().state == "connected"


def test_it_is_linked_by_a_code_typed_on_the_phone(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    connectors.wish("pair", phone=OWN)
    code = eventually(lambda: connectors.control().pairing_code, "no code")
    connectors.phones._call("POST", f"/phones/{OWN}/link", {"code": code})
    connectors.wait_for_state("connected")


def test_a_number_that_can_get_no_code_is_shown_a_qr_instead(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    connectors.wish("pair", phone="1")
    control = eventually(lambda: shown if (shown := connectors.control()).qr else None, "no QR code")
    assert "no code to type" in control.message
    connectors.phones.link(OWN, str(control.qr))
    connectors.wait_for_state("connected")


def test_an_account_is_linked_with_its_passkey(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    connectors.phones.inject("passkey", account=OWN)
    connectors.wish("pair")
    qr = eventually(lambda: connectors.control().qr, "no QR code")
    assert connectors.phones.link(OWN, qr) == {"passkey": "wanted"}
    step = eventually(lambda: connectors.control().passkey, "no challenge")
    assert connectors.control().qr is None, "the code is used up"
    assertion = connectors.phones.use_passkey(OWN, json.loads(step.options or ""))
    connectors.bring_passkey(PasskeyAnswer(step.ceremony, json.dumps(assertion)))
    connectors.wait_for_state("connected")
    assert connectors.phones.passkey(OWN)["proven"]


def test_a_business_account_is_linked_under_its_name(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.phones.add_phone("6281100000009", "Toko Maju", business=True)
    connectors.pair("6281100000009")
    assert (
        connectors.keys.account.credentials().push_name,
        connectors.keys.account.credentials().platform,
    ) == (
        "Toko Maju",
        "smba",
    )


def test_linked_anew_over_an_old_link_it_keeps_what_is_ours_and_nothing_of_the_pairing(
    connectors: RunningConnectors,
) -> None:
    connectors.start()
    first, old = connectors.pair(OWN), connectors.keys.account.credentials()
    connectors.phones.unlink(OWN, 1)
    connectors.wait_for_state("logged_out")
    second, new = connectors.pair(OWN), connectors.keys.account.credentials()
    assert (new.identity, new.noise) != (old.identity, old.noise)
    assert new.adv_secret != old.adv_secret
    assert second.incarnation > first.incarnation
    assert new.jid != old.jid
    # Lambdas hold the token; a one-time prekey's number may still be known to somebody.
    assert second.connector_token == first.connector_token
    assert new.next_prekey_id == old.next_prekey_id + 812
    assert connectors.keys.account.prekey_count() == 812
    with pytest.raises(errors.ConnectorError):
        connectors.client().send_message(first, message_to(connectors, SITI, "3EB0000000000010"))
    texts_arrive(connectors, ["after all that"])
    collected = Collected(connectors)
    eventually(lambda: collected.has(1), "lost")


def test_a_second_wish_to_pair_is_shown_a_code_of_its_own(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.wait_for_state("unpaired")
    connectors.wish("pair")
    first = eventually(lambda: connectors.control().qr, "no QR code")
    time.sleep(1)  # the wish names its second
    connectors.wish("pair")
    second = eventually(lambda: connectors.control().qr, "no second QR code")
    assert second != first


def test_a_restart_keeps_token_prekeys_and_pairing(connectors: RunningConnectors) -> None:
    first = connectors.start()
    before = connectors.pair(OWN)
    assert first.terminate() == 0
    connectors.start()
    connectors.wait_for_state("connected")
    assert connectors.keys.account.profile() == before
    assert connectors.keys.account.prekey_count() == 812
    answer = connectors.client().request(before, iq.prekey_count())
    assert iq.parse_prekey_count(answer) == 812


def test_no_secret_is_in_its_log(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    credentials = connectors.keys.account.credentials()
    log = process.log.read_text()
    for secret in (
        credentials.connector_token,
        credentials.adv_secret.hex(),
        credentials.noise.private.hex(),
        credentials.identity.private.hex(),
        "linked_devices#",
        OWN,
    ):
        assert secret not in log


# Serving the Lambdas


def test_a_lambda_reaches_whatsapp_through_it(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    client = connectors.client()
    contact = parse_contacts(client.request(profile, usync_contacts([SITI])))[SITI]
    assert contact.registered
    ack = client.send_message(profile, message_to(connectors, SITI, "3EB0000000000001"))
    assert ack.attrs["class"] == "message"
    assert ack.attrs["id"] == "3EB0000000000001"


def test_the_same_message_twice_goes_out_once(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    node = message_to(connectors, SITI, "3EB0000000000002")
    first = connectors.client().send_message(profile, node)
    assert connectors.client().send_message(profile, node) == first
    sent, _ = connectors.phones.events(kind="message")
    assert [event["id"] for event in sent].count("3EB0000000000002") == 1


def test_an_answer_that_does_not_come_is_a_timeout_by_name(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("iq-silence", xmlns="encrypt", account=OWN)
    with pytest.raises(errors.RequestTimeout):
        connectors.client().request(profile, iq.prekey_count(), timeout=1)


def test_what_the_server_refuses_comes_back_with_its_code(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("iq-error", code=429, xmlns="encrypt", account=OWN)
    with pytest.raises(errors.IqError) as raised:
        connectors.client().request(profile, iq.prekey_count())
    assert raised.value.error == 429
    connectors.phones.inject("ack-error", code=479, account=OWN)
    ack = connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000003"))
    assert ack.attrs["error"] == "479"


def routed(connectors: RunningConnectors) -> int:
    """Messages of ours that reached the server, refused ones included."""
    return len(connectors.phones.events(kind="message")[0])


def test_a_refused_first_contact_restricts_the_account_and_leaves_it_connected(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("reachout-lock", seconds=86400, told=False, enforced=True, account=OWN)
    ack = connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000004"))
    assert ack.attrs["error"] == "463"
    limit = connectors.keys.account.limit("first-contacts")
    assert limit is not None, "it was not written down before it was told"
    lease = connectors.wait_for_state("restricted")
    assert "no first contacts (reachout-lock) until" in lease.detail
    assert (ack.attrs["tocsin-verdict"], ack.attrs["tocsin-until"]) == ("locked", str(limit.until))
    assert process.said("account restricted", limit="first-contacts")


def test_a_restriction_survives_the_connector_and_no_first_contact_is_tried_against_it(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("reachout-lock", seconds=86400, told=False, enforced=True, account=OWN)
    connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000004"))
    process.terminate()
    connectors.start()
    lease = connectors.wait_for_state("restricted")
    assert "no first contacts (reachout-lock)" in lease.detail
    before = routed(connectors)
    with pytest.raises(errors.Restricted) as raised:
        connectors.client().send_message(
            profile, message_to(connectors, SITI, "3EB0000000000005"), first_contact=True
        )
    limit = connectors.keys.account.limit("first-contacts")
    assert limit is not None
    assert (raised.value.limit, raised.value.until) == ("first-contacts", limit.until)
    assert routed(connectors) == before
    connectors.phones.write(SITI, OWN, "Halo")
    ack = connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000006"))
    assert "error" not in ack.attrs, "a known contact passes"


def test_a_cold_recipient_is_told_as_such_and_the_account_goes_on(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("cold", to=SITI, account=OWN)
    ack = connectors.client().send_message(
        profile, message_to(connectors, SITI, "3EB0000000000004"), first_contact=True
    )
    assert (ack.attrs["error"], ack.attrs["tocsin-verdict"]) == ("463", "cold")
    assert connectors.keys.account.limits() == {}
    connectors.phones.write(SITI, OWN, "Halo")
    ack = connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000005"))
    assert "error" not in ack.attrs


def test_a_restriction_is_learnt_from_whatsapps_own_word_and_its_end_as_well(
    connectors: RunningConnectors,
) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("reachout-lock", seconds=3600, account=OWN)
    connectors.wait_for_state("restricted")
    with pytest.raises(errors.Restricted):
        connectors.client().send_message(
            profile, message_to(connectors, SITI, "3EB0000000000004"), first_contact=True
        )
    connectors.phones.inject("reachout-lock", seconds=0, account=OWN)
    connectors.wait_for_state("connected")
    connectors.client().send_message(
        profile, message_to(connectors, SITI, "3EB0000000000005"), first_contact=True
    )


def test_a_restriction_that_runs_out_ends_by_itself(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.pair(OWN)
    connectors.phones.inject("reachout-lock", seconds=10, account=OWN)
    connectors.wait_for_state("restricted")
    connectors.wait_for_state("connected")


def test_an_older_pairing_is_refused(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    older = AccountProfile(
        profile.account,
        profile.incarnation - 1,
        profile.jid,
        profile.lid,
        profile.identity_public,
        profile.registration_id,
        profile.device_identity,
        profile.connector_token,
    )
    with pytest.raises(errors.IncarnationRefused):
        connectors.client().request(older, iq.prekey_count())


# Forwarding


def test_what_arrives_lies_in_the_queue_in_order(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    texts_arrive(connectors, ["one", "two", "three"])
    bodies = eventually(
        lambda: connectors.queued(connectors.environment["STANZAS_QUEUE_URL"]), "nothing was forwarded"
    )
    sent = [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    collected = messages_in([body["node"] for body in bodies])
    more = Collected(connectors)
    more.ids = collected
    eventually(lambda: more.has(3), "not all were forwarded")
    assert more.ids == sent
    assert bodies[0]["account"] == "default"
    assert bodies[0]["incarnation"] == profile.incarnation
    assert bodies[0]["epoch"] == 1


def test_nothing_is_acknowledged_while_the_queue_is_away(connectors: RunningConnectors) -> None:
    """Killed with the queue away, it must find everything again at the next login."""
    switch = Switch(connectors.aws.url)
    try:
        process = connectors.start(AWS_ENDPOINT_URL_SQS=switch.url)
        connectors.pair(OWN)
        switch.off()
        texts_arrive(connectors, [f"text {number}" for number in range(10)])
        eventually(lambda: "the stanza queue is away" in process.log.read_text(), "it didn't notice")
        process.kill()
        switch.on()
        connectors.start(AWS_ENDPOINT_URL_SQS=switch.url)
        collected = Collected(connectors)
        eventually(lambda: collected.has(10), "lost")
        assert collected.ids == [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    finally:
        switch.close()


def test_a_queue_that_comes_back_gets_everything_once(connectors: RunningConnectors) -> None:
    switch = Switch(connectors.aws.url)
    try:
        process = connectors.start(AWS_ENDPOINT_URL_SQS=switch.url)
        connectors.pair(OWN)
        switch.off()
        texts_arrive(connectors, [f"text {number}" for number in range(10)])
        eventually(lambda: "the stanza queue is away" in process.log.read_text(), "it didn't notice")
        switch.on()
        collected = Collected(connectors)
        eventually(lambda: collected.has(10), "lost")
        assert collected.ids == [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    finally:
        switch.close()


# Ends of connections


def test_a_dropped_socket_is_replaced_and_nothing_is_lost(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    for number in range(3):
        connectors.phones.write(SITI, OWN, f"before {number}")
        connectors.phones.inject("drop", account=OWN, device=1)
        connectors.phones.write(SITI, OWN, f"after {number}")
    collected = Collected(connectors)
    eventually(lambda: collected.has(6), "lost")
    assert collected.ids == [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    connectors.wait_for_state("connected")
    connectors.client().request(profile, iq.prekey_count())


@pytest.mark.parametrize("code", [515, 503, 500])
def test_a_stream_error_that_asks_for_it_is_followed_by_a_new_connection(
    connectors: RunningConnectors, code: int
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.phones.inject("stream-error", code=code, account=OWN, device=1)
    process.wait_until_said("connection ended")
    connectors.wait_for_state("connected")


def hellos(connectors: RunningConnectors) -> list[str]:
    """The routing information with each handshake so far, in hex."""
    return [event["routing"] for event in connectors.phones.events(kind="hello")[0]]


def give_routing(connectors: RunningConnectors, info: bytes) -> None:
    routing = Node("edge_routing", {}, (Node("routing_info", {}, info),))
    connectors.say(Node("ib", {"from": SERVER}, (routing,)))
    eventually(lambda: connectors.keys.account.credentials().routing_info == info, "the routing is not kept")


def comes_again(connectors: RunningConnectors) -> str:
    """Cut it off; the routing information with the handshake after that."""
    before = len(hellos(connectors))
    connectors.phones.inject("drop", account=OWN, device=1)
    return eventually(lambda: hellos(connectors)[before:], "it doesn't come")[0]


def test_it_comes_again_by_the_route_that_it_was_given_last_and_so_does_the_next_process(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    assert set(hellos(connectors)) == {""}
    give_routing(connectors, b"\x08\x02")
    assert comes_again(connectors) == "0802"
    hello = connectors.phones.wait_for_event("hello", routing="0802")
    connectors.phones.wait_for_event("login", after=hello["number"])
    give_routing(connectors, b"\x08\x0d")
    process.terminate()
    connectors.start()
    connectors.wait_for_state("connected")
    assert hellos(connectors)[-1] == "080d"


def test_a_route_on_which_two_handshakes_failed_is_not_taken_a_third_time(
    connectors: RunningConnectors,
) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    give_routing(connectors, b"\x08\x02")
    before = len(hellos(connectors))
    connectors.phones.inject("spoil-handshake", n=2)
    connectors.phones.inject("drop", account=OWN, device=1)
    eventually(lambda: len(hellos(connectors)) == before + 3, "it gave up")
    assert hellos(connectors)[before:] == ["0802", "0802", ""]
    process.wait_until_said("connection ended", reason="handshake-failed")
    connectors.wait_for_state("connected")


def test_a_message_in_flight_when_the_socket_drops_is_not_confirmed(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("lose-acks", account=OWN)
    failures: list[errors.ConnectorError] = []

    def send() -> None:
        with pytest.raises(errors.ConnectorError) as raised:
            connectors.client().send_message(profile, message_to(connectors, SITI, "3EB0000000000006"))
        failures.append(raised.value)

    sender = threading.Thread(target=send)
    sender.start()
    connectors.phones.wait_for_event("message", id="3EB0000000000006")
    connectors.phones.inject("drop", account=OWN, device=1)
    sender.join(60)
    assert isinstance(failures[0], errors.NotConnected)


def test_unlinked_on_the_phone_it_stops_and_says_so(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.phones.unlink(OWN, 1)
    lease = connectors.wait_for_state("logged_out")
    assert "device-removed" in lease.detail
    [event] = eventually(lambda: connectors.queued(connectors.environment["OUTCOMES_QUEUE_URL"]), "no event")
    assert event["detail-type"] == "AccountDisconnected"
    assert event["detail"]["account"] == "default"
    assert event["detail"]["state"] == "logged_out"
    logins, _ = connectors.phones.events(kind="login")
    time.sleep(3)
    assert connectors.phones.events(kind="login")[0] == logins, "it keeps trying"
    assert process.popen.poll() is None
    connectors.pair(OWN)


def test_replaced_by_another_it_does_not_fight(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.pair(OWN)
    connectors.phones.inject("stream-error", conflict="replaced", account=OWN, device=1)
    connectors.wait_for_state("replaced")
    logins = len(connectors.phones.events(kind="login")[0])
    time.sleep(3)
    assert len(connectors.phones.events(kind="login")[0]) == logins
    with pytest.raises(errors.NotConnected):
        connectors.client().request(connectors.keys.account.profile(), iq.prekey_count())


def test_a_temporary_ban_is_sat_out(connectors: RunningConnectors) -> None:
    connectors.start()
    profile = connectors.pair(OWN)
    connectors.phones.inject("login-failure", reason=402, expire=4, account=OWN)
    connectors.phones.inject("drop", account=OWN, device=1)
    connectors.wait_for_state("restricted")
    with pytest.raises(errors.Restricted) as raised:
        connectors.client().request(profile, iq.prekey_count())
    assert raised.value.until is not None
    connectors.wait_for_state("connected")


def test_a_temporary_ban_is_sat_out_by_the_next_process_as_well(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.phones.inject("login-failure", reason=402, expire=20, account=OWN)
    connectors.phones.inject("drop", account=OWN, device=1)
    connectors.wait_for_state("restricted")
    process.terminate()
    logins = len(connectors.phones.events(kind="login")[0])
    connectors.start()
    connectors.wait_for_state("restricted")
    assert len(connectors.phones.events(kind="login")[0]) == logins
    connectors.wait_for_state("connected")


def test_a_login_refused_for_good_stops_it(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.pair(OWN)
    before = connectors.keys.account.credentials()
    connectors.phones.inject("login-failure", reason=401, account=OWN)
    connectors.phones.inject("drop", account=OWN, device=1)
    connectors.wait_for_state("logged_out")
    eventually(lambda: connectors.keys.account.credentials().jid is None, "the void keys are still there")
    assert connectors.keys.account.credentials().identity != before.identity
    assert connectors.keys.account.credentials().connector_token == before.connector_token


def test_what_a_locked_account_is_told_is_kept_and_it_stays_stopped(connectors: RunningConnectors) -> None:
    process = connectors.start()
    connectors.pair(OWN)
    connectors.phones.inject("login-failure", reason=403, violation="14", appeal="t0ken-once", account=OWN)
    connectors.phones.inject("drop", account=OWN, device=1)
    connectors.wait_for_state("stopped")
    refusal = connectors.keys.account.login_refusal()
    assert refusal is not None
    assert (refusal.told["violation_reason"], refusal.can_appeal) == ("14", True)
    assert "t0ken-once" not in str(refusal)
    process.terminate()
    logins = len(connectors.phones.events(kind="login")[0])
    connectors.start()
    connectors.wait_for_state("stopped")
    assert len(connectors.phones.events(kind="login")[0]) == logins


def test_the_operator_unlinks_it(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.pair(OWN)
    connectors.wish("unpair")
    connectors.wait_for_state("unpaired")
    connectors.phones.wait_for_event("unlinked")
    assert connectors.keys.account.credentials().jid is None


def test_a_deaf_socket_is_found_and_replaced(connectors: RunningConnectors) -> None:
    """Open, and silent: found by pings that nobody answers."""
    process = connectors.start(SILENCE_SECONDS="3")
    connectors.pair(OWN)
    connectors.phones.inject("deaf", account=OWN, device=1, cured=True)
    process.wait_until_said("connection ended", reason="deaf")
    connectors.wait_for_state("connected")


def test_deafness_that_no_fresh_socket_cures_ends_the_process(connectors: RunningConnectors) -> None:
    """Whoever runs it starts it anew; the lease is free for another at once."""
    process = connectors.start(SILENCE_SECONDS="3")
    connectors.pair(OWN)
    connectors.phones.inject("deaf", account=OWN, device=1)
    assert process.popen.wait(60) == 1
    assert connectors.lease().connector is None


# Parked notifications first


def test_after_login_parked_notifications_pass_first(connectors: RunningConnectors) -> None:
    queue = connectors.environment["OUTCOMES_QUEUE_URL"]
    function = make_maintain_function(connectors.aws, f"maintain-{next(_numbers)}", queue)
    process = connectors.start(MAINTAIN_FUNCTION=function)
    profile = connectors.pair(OWN)
    waiting = {"pk": {"S": "waiting#default"}, "sk": {"S": "0000000000001#n"}}
    notifications = connectors.environment["NOTIFICATIONS_TABLE"]
    connectors.aws.client("dynamodb").put_item(TableName=notifications, Item=waiting)
    connectors.phones.inject("drop", account=OWN, device=1)
    process.wait_until_said("resuming")

    assert eventually(lambda: connectors.queued(queue), "nobody was asked to resume") == [
        {"resume": "default"}
    ]
    assert connectors.lease().state == "resuming"
    client = connectors.client()
    with pytest.raises(errors.Resuming):
        client.send_message(profile, message_to(connectors, SITI, "3EB0000000000007"))
    client.send_message(profile, message_to(connectors, SITI, "3EB0000000000008"), resumed=True)
    client.request(profile, iq.prekey_count())

    connectors.aws.client("dynamodb").delete_item(TableName=notifications, Key=waiting)
    client.resumed(profile)
    connectors.wait_for_state("connected")
    client.send_message(profile, message_to(connectors, SITI, "3EB0000000000009"))


# Bad days of the server


@pytest.mark.slow
def test_a_backlog_of_thousands_comes_whole_in_order_and_in_bounded_memory(
    connectors: RunningConnectors,
) -> None:
    """More than what may wait in the connector at once, so that the server has to wait as well."""
    first = connectors.start()
    connectors.pair(OWN)
    before = first.resident_megabytes()
    assert first.terminate() == 0
    connectors.phones.inject("pile-up", n=5500, senders=50, account=OWN, device=1)
    process = connectors.start()
    peak = 0.0
    seen: list[Node] = []

    def collected() -> bool:
        nonlocal peak
        peak = max(peak, process.resident_megabytes())
        seen.extend(node for node in connectors.stanzas() if node.attrs.get("type") == "picture")
        return len(seen) >= 5500

    eventually(collected, "lost", seconds=300)
    connectors.wait_for_state("connected", 60)
    # The server numbers what was queued in its order.
    of_each: dict[str, list[int]] = {}
    for node in seen:
        of_each.setdefault(str(node.attrs["from"]), []).append(int(str(node.attrs["offline"])))
    assert len(seen) == 5500
    assert len(of_each) == 50
    assert all(places == sorted(set(places)) for places in of_each.values())
    assert not process.said("connection ended")
    assert connectors.phones.phone(OWN)["devices"][1]["queued"] == 0
    assert peak - before < 60, f"{before:.0f} MB grew to {peak:.0f} MB"
    print(f"5,500 stanzas: {before:.0f} MB before, {peak:.0f} MB at most")


def test_stanzas_that_come_twice_or_out_of_order_are_each_seen_once(connectors: RunningConnectors) -> None:
    connectors.start()
    connectors.pair(OWN)
    collected = Collected(connectors)
    texts_arrive(connectors, ["hello"])  # with it comes Siti's trust, a stanza of its own
    eventually(lambda: collected.has(1), "lost")
    connectors.phones.inject("duplicate", n=2, account=OWN, device=1)
    connectors.phones.inject("reorder", size=3, n=3, account=OWN, device=1)
    texts_arrive(connectors, ["one", "two", "three", "four", "five"])
    eventually(lambda: collected.has(6), "lost")
    written = [entry["id"] for entry in connectors.phones.mailbox(SITI)["sent"]]
    assert collected.ids == [*written[:3], *written[:2:-1]]
