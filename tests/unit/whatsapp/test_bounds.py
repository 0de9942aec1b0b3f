"""How large and how long what is read may be: the last value that passes, and the first that is refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.noise_peer import OWN_LID, OWN_PN, Talk, from_server, logged_in
from tests.support.pairing_stanzas import KEYS, pair_success
from tests.support.stanzas import (
    ALICE,
    ALICE_PN,
    TABLET,
    TEAM,
    bundle_user,
    inbound,
    media_answer,
    note,
    parse_retry,
    result,
    usync_answer,
)
from tocsin.whatsapp import (
    account_health,
    bounds,
    bundles,
    content,
    decoder,
    encoder,
    group,
    history,
    iq,
    media,
    message,
    notifications,
    pairing,
    receipts,
    usync,
)
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.device_keys import Login
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import InvalidStanza, PairingRefused
from tocsin.whatsapp.events import FrameDropped, LoggedIn
from tocsin.whatsapp.jid import GROUP, JID, LID, MESSENGER, PN, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import HistorySync, Message, WebMessageInfo

SECONDS, SECONDS_PLUS = str(2**32 - 1), str(2**32)
EIGHTEEN = "9" * 18
LABEL, LABEL_PLUS, THOUSANDS = "L" * 128, "L" * 129, "A" * 3000
USER, USER_PLUS = JID("1" * 128, LID), JID("1" * 129, LID)


def receipt(*parts: Node, **attrs: Any) -> Node:
    return Node("receipt", {"from": TABLET, "id": "M1", "t": "5", **attrs}, parts or None)


def retry(**attrs: str) -> Node:
    asked = Node("retry", {"count": "1", "id": "M1", "t": "5", **attrs})
    return receipt(asked, Node("registration", {}, bytes(4)), type="retry")


def with_enc(**attrs: str) -> Node:
    return replace(inbound(), content=(Node("enc", {"v": "2", "type": "msg", **attrs}, b"x"),))


def token(at: str) -> Node:
    return note(
        "privacy_token", Node("tokens", {}, (Node("token", {"type": "trusted_contact", "t": at}, b"t"),))
    )


def items(*ids: str) -> Node:
    return receipt(Node("list", {}, tuple(Node("item", {"id": name}) for name in ids)))


def gathered(key: str, people: int) -> Node:
    users = tuple(Node("user", {"jid": JID(str(number), LID)}) for number in range(people))
    return receipt(Node("participants", {"key": key}, users), **{"from": TEAM, "participant": TABLET})


def removed(jid: JID) -> Node:
    return note("devices", Node("remove", {}, (Node("device", {"jid": jid}),)))


def own_devices(jid: JID) -> Node:
    return note("account_sync", Node("devices", {}, (Node("device", {"jid": jid}),)))


def device(number: str, index: str) -> Node:
    listed = Node("device-list", {}, (Node("device", {"id": number, "key-index": index}),))
    return usync_answer(Node("user", {"jid": ALICE}, (Node("devices", {}, (listed,)),)))


Case = tuple[Callable[[Node], object], Callable[[Any], Node], list[Any], list[Any]]

MESSAGE, RECEIPT, RETRY = message.parse_message, receipts.parse_receipt, parse_retry
NEWS, HOSTS = notifications.parse_notification, media.parse_hosts

FIELDS: dict[str, Case] = {
    "id of a message": (MESSAGE, lambda v: inbound(id=v), [LABEL], [LABEL_PLUS, THOUSANDS, USER]),
    "t of a message": (MESSAGE, lambda v: inbound(t=v), ["0", SECONDS], [SECONDS_PLUS, EIGHTEEN, "9" * 5000]),
    "from of a message": (MESSAGE, lambda v: inbound(**{"from": v, "sender_pn": ""}), [USER], [USER_PLUS]),
    "participant": (MESSAGE, lambda v: inbound(**{"from": TEAM, "participant": v}), [USER], [USER_PLUS]),
    "other form": (
        MESSAGE,
        lambda v: inbound(sender_pn=v),
        [JID("1" * 128, PN), f"{'1' * 128}@{PN}"],
        [JID("1" * 129, PN), f"{'1' * 129}@{PN}"],
    ),
    "group": (
        MESSAGE,
        lambda v: inbound(**{"from": JID(v, GROUP), "participant": TABLET}),
        ["1" * 128],
        ["1" * 129],
    ),
    "server": (NEWS, lambda v: note("x", **{"from": JID("1", v)}), ["s" * 64], ["s" * 65, "s" * 3000]),
    "type of a ciphertext": (MESSAGE, lambda v: with_enc(type=v), [LABEL], [LABEL_PLUS]),
    "count of a resend": (MESSAGE, lambda v: with_enc(count=v), ["1000"], ["1001", EIGHTEEN]),
    "version of a ciphertext": (MESSAGE, lambda v: with_enc(v=v), [SECONDS], [SECONDS_PLUS]),
    "edit": (MESSAGE, lambda v: inbound(edit=v), [LABEL], [LABEL_PLUS]),
    "id of a receipt": (RECEIPT, lambda v: receipt(id=v), [LABEL], [LABEL_PLUS, THOUSANDS]),
    "id of a list": (RECEIPT, lambda v: items("M2", v), [LABEL], [LABEL_PLUS, THOUSANDS]),
    "t of a receipt": (RECEIPT, lambda v: receipt(t=v), [SECONDS], [SECONDS_PLUS, EIGHTEEN]),
    "type of a receipt": (RECEIPT, lambda v: receipt(type=v), [LABEL], [LABEL_PLUS]),
    "key of gathered people": (RECEIPT, lambda v: gathered(v, 1), [LABEL], [LABEL_PLUS]),
    "people gathered": (RECEIPT, lambda v: gathered("M1", v), [5000], [5001, 50_000]),
    "retry count": (RETRY, lambda v: retry(count=v), ["1", "1000"], ["0", "1001", EIGHTEEN]),
    "retry id": (RETRY, lambda v: retry(id=v), [LABEL], [LABEL_PLUS, THOUSANDS]),
    "retry t": (RETRY, lambda v: retry(t=v), [SECONDS], [SECONDS_PLUS, EIGHTEEN, "soon"]),
    "retry error": (RETRY, lambda v: retry(error=v), [SECONDS], [SECONDS_PLUS]),
    "type of a notification": (NEWS, note, [LABEL], [LABEL_PLUS]),
    "t of a privacy token": (NEWS, token, [SECONDS], [SECONDS_PLUS, EIGHTEEN]),
    "device that is removed": (NEWS, removed, [JID("1", LID, 255)], [JID("1", MESSENGER, 256)]),
    "device of ours": (NEWS, own_devices, [JID("1", LID, 255)], [JID("1", MESSENGER, 65535)]),
    "prekeys left": (
        iq.parse_prekey_count,
        lambda v: result(Node("count", {"value": v})),
        [SECONDS],
        [SECONDS_PLUS],
    ),
    "key index": (usync.parse_devices, lambda v: device("1", v), [SECONDS], [SECONDS_PLUS]),
    "number of a device": (usync.parse_devices, lambda v: device(v, "1"), [SECONDS], [SECONDS_PLUS]),
    "ticket of the media hosts": (HOSTS, lambda v: media_answer("h", auth=v), ["a" * 4096], ["a" * 4097]),
    "port of a media host": (HOSTS, media_answer, ["h:65535"], ["h:65536", "h:99999"]),
    "label of a media host": (HOSTS, media_answer, ["h" * 63 + ".net"], ["h" * 64 + ".net", "a..b", "a."]),
    "name of a media host": (HOSTS, media_answer, ["a." * 126 + "a"], ["a." * 127 + "a"]),
    "lifetime of a media host": (HOSTS, lambda v: media_answer("h", ttl=v), [SECONDS], [SECONDS_PLUS]),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_last_value_within_passes(name: str) -> None:
    parse, stanza, inside, _ = FIELDS[name]
    for value in inside:
        parse(decode(encode(stanza(value))))


@pytest.mark.parametrize("name", FIELDS)
def test_the_first_value_beyond_is_refused(name: str) -> None:
    parse, stanza, _, outside = FIELDS[name]
    for value in outside:
        with pytest.raises(InvalidStanza):
            parse(decode(encode(stanza(value))))


@pytest.mark.parametrize("change", [{"id": THOUSANDS}, {"t": EIGHTEEN}, {"from": USER_PLUS, "sender_pn": ""}])
def test_a_message_beyond_is_acknowledged_with_its_own_words(change: dict[str, Any]) -> None:
    node = inbound(**change)
    assert receipts.refusal_of(node) == receipts.PARSE_ERROR
    answer = decode(encode(receipts.ack(node, receipts.PARSE_ERROR)))
    assert (answer.attrs["id"], answer.attrs["to"]) == (node.attrs["id"], node.attrs["from"])


def test_an_ack_is_one_whatever_it_says_of_its_time_and_of_devices() -> None:
    """Refused, it would send the message once more, which the server has accepted."""
    ack = Node("ack", {"class": "message", "id": "M", "t": EIGHTEEN, "phash": THOUSANDS})
    read = message.parse_ack(ack)
    assert (read.error, read.timestamp, read.phash) == (0, None, None)
    with pytest.raises(InvalidStanza):
        message.parse_ack(replace(ack, attrs={**ack.attrs, "error": EIGHTEEN}))


# What is cut, or counts as the most there is


@pytest.mark.parametrize("length", [256, 257, 100_000])
def test_of_a_long_name_the_beginning_is_kept(length: int) -> None:
    name = "é" * length
    told = result(Node("group", {"subject": name}))
    assert message.parse_message(inbound(notify=name)).push_name == "é" * 256
    assert group.parse_group(told, TEAM).subject == "é" * 256


def test_of_a_server_s_words_the_beginning_is_kept_and_an_absurd_wait_is_a_long_one() -> None:
    why = iq.refused(Node("error", {"code": "429", "text": "x" * 5000, "backoff": "999999999"}))
    assert (why.code, why.text, why.backoff) == (429, "x" * bounds.MAX_TOLD, iq.MAX_BACKOFF)
    why = iq.refused(Node("error", {"code": EIGHTEEN, "backoff": EIGHTEEN}))
    assert (why.code, why.backoff) == (500, None)


def test_a_ticket_of_a_hundred_years_is_asked_for_again_after_a_day() -> None:
    hosts = media.parse_hosts(media_answer("h", ttl="3153600000", auth_ttl=""))
    assert hosts.lifetime == media.MAX_LIFETIME


@pytest.mark.parametrize("url", ["x" * 2049, "\ud800", "é"], ids=["long", "half a character", "not ASCII"])
def test_an_upload_at_an_impossible_place_is_refused(url: str) -> None:
    with pytest.raises(InvalidStanza):
        media.parse_uploaded(json.dumps({"url": url, "direct_path": "/v"}).encode())
    assert media.parse_uploaded(json.dumps({"url": "x" * 2048, "direct_path": "/v"}).encode())


def test_a_member_whose_number_is_longer_than_any_is_left_out() -> None:
    members = [Node("participant", {"jid": JID("1" * digits, PN)}) for digits in (20, 21)]
    told = group.parse_group(result(Node("group", {}, tuple(members))), TEAM)
    assert [len(member.jid.user) for member in told.members] == [20]


def test_of_a_giant_change_of_a_group_as_many_names_are_learnt_as_it_can_have_members() -> None:
    people = tuple(
        Node("participant", {"jid": JID(str(number), LID), "phone_number": JID(str(number), PN)})
        for number in range(3000)
    )
    change = notifications.parse_notification(note("w:gp2", Node("remove", {}, people), **{"from": TEAM}))
    assert isinstance(change, notifications.GroupChanged)
    assert (len(change.pairs), len(change.removed)) == (1024, 3000)


@pytest.mark.parametrize(
    ("ends", "until"),
    [
        (SECONDS, 2**32 - 1),
        (2**32 - 1, 2**32 - 1),
        *((absurd, None) for absurd in (SECONDS_PLUS, EIGHTEEN, 1e300, "nan", "-1", float("inf"), ["1"])),
    ],
)
def test_a_restriction_that_ends_beyond_every_clock_has_no_end_that_is_known(
    ends: object, until: int | None
) -> None:
    lock = {"is_active": True, "time_enforcement_ends": ends}
    text = json.dumps({"data": {"xwa2_fetch_account_reachout_timelock": lock}}).encode()
    answer = Node("iq", {"type": "result"}, (Node("result", {}, text),))
    assert account_health.parse_reachout_answer(answer) == account_health.ReachoutLock(True, until)


# What our phone gives on


def resent(message_id: str, at: int = 5, name: str = "Siti") -> tuple[content.Resent, ...]:
    info = WebMessageInfo(timestamp=at, push_name=name)
    info.key.id, info.key.remote_jid, info.message.conversation = message_id, str(ALICE), "Halo"
    told = Message()
    told.protocol.type, told.protocol.peer_data_response.type = 17, 4
    part = told.protocol.peer_data_response.results.add()
    part.placeholder.web_message_info = info.SerializeToString()
    return content.content_of(told, from_me=True).resent


def test_a_message_that_is_given_on_is_bounded_as_if_it_had_come() -> None:
    [one] = resent(LABEL, 2**64 - 1, "n" * 999)
    assert (one.timestamp, len(one.push_name or "")) == (2**32 - 1, 256)
    assert resent(LABEL_PLUS) == ()


@pytest.mark.parametrize(("at", "kept"), [(2**32 - 1, 1), (2**32, 0), (2**64 - 1, 0)])
def test_a_token_of_the_history_that_is_issued_beyond_every_clock_is_left(at: int, kept: int) -> None:
    chunk = HistorySync()
    chunk.conversations.add(id=str(ALICE), tc_token=b"t", tc_token_timestamp=at, tc_token_sender_timestamp=at)
    assert len(history.history_of(zlib.compress(chunk.SerializeToString())).entrusted) == kept


# Pairing


def test_a_device_identity_of_an_impossible_length_pairs_nobody() -> None:
    node = pair_success(KEYS.adv_secret)
    success = node.require_child("pair-success")
    long = tuple(
        Node("device-identity", {}, bytes(pairing.MAX_IDENTITY_BYTES + 1))
        if part.tag == "device-identity"
        else part
        for part in success.children()
    )
    with pytest.raises(PairingRefused, match="impossible length"):
        pairing.verify_pair_success(
            replace(node, content=(replace(success, content=long),)),
            KEYS.identity,
            KEYS.adv_secret,
            bytes(64),
        )


def test_of_a_long_platform_and_business_the_beginning_is_kept() -> None:
    node = pair_success(KEYS.adv_secret)
    success = node.require_child("pair-success")
    told = (Node("platform", {"name": "p" * 999}), Node("biz", {"name": "b" * 999}))
    parts = (*(part for part in success.children() if part.tag not in ("platform", "biz")), *told)
    made = pairing.verify_pair_success(
        replace(node, content=(replace(success, content=parts),)), KEYS.identity, KEYS.adv_secret, bytes(64)
    )
    assert (made.platform, made.business_name) == ("p" * 256, "b" * 256)


# The connection


@pytest.mark.parametrize("to", ["nobody", USER_PLUS], ids=["no JID", "too long"])
@pytest.mark.parametrize("tag", ["message", "receipt", "notification", "call"])
def test_a_stanza_to_an_address_that_none_can_have_is_acknowledged_as_refused(
    tag: str, to: str | JID
) -> None:
    talk = logged_in()
    talk.hears(Node(tag, {"from": ALICE, "id": THOUSANDS, "to": to}))
    [answer] = talk.says()
    assert (answer.tag, answer.attrs["id"], answer.attrs["error"]) == ("ack", THOUSANDS, "488")


@pytest.mark.parametrize("count", [EIGHTEEN, "few"])
def test_a_count_of_prekeys_that_can_t_be_read_is_acknowledged(count: str) -> None:
    talk = logged_in()
    told = from_server("notification", {"type": "encrypt", "id": "N"}, Node("count", {"value": count}))
    [event] = talk.hears(told)
    assert isinstance(event, FrameDropped)
    assert [answer.attrs["id"] for answer in talk.says()] == ["N"]


@pytest.mark.parametrize("lid", [JID("1" * 129, LID), JID("x!y", LID, 2), ALICE_PN, SERVER, TEAM])
def test_no_address_of_ours_is_learnt_that_could_not_be_read_back(lid: JID) -> None:
    talk = Talk(Login(OWN_PN))
    assert talk.hears(Node("success", {"t": EIGHTEEN, "lid": lid})) == [LoggedIn(None, None, None)]
    talk = Talk(Login(OWN_PN))
    assert talk.hears(Node("success", {"lid": OWN_LID})) == [LoggedIn(OWN_LID, None, None)]


def test_a_long_address_is_read_and_written_and_not_remembered() -> None:
    def remembered() -> tuple[int, int]:
        return decoder._known_jid.cache_info().currsize, encoder._write_jid.cache_info().currsize

    before = remembered()
    decode(encode(Node("x", {"from": JID("1" * 100_000, LID)})))
    assert remembered() == before


def test_a_bundle_s_numbers_are_as_wide_as_their_fields() -> None:
    def registered(number: bytes) -> object:
        listed = Node("list", {}, (bundle_user(ALICE, registration=number),))
        return bundles.parse_bundles(result(listed))[ALICE]

    assert getattr(registered(b"\xff" * 4), "registration_id", None) == 2**32 - 1
    assert isinstance(registered(b"\xff" * 5), bundles.BundleError)
