"""Stanzas as they leave, and as they are read: the forms of the wire, and what is refused."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.noise_peer import OWN_LID, OWN_PN, device_keys, pair
from tests.support.stanzas import (
    ALICE,
    ALICE_PN,
    OWN,
    PARSERS,
    TABLET,
    TEAM,
    VALID,
    bundle_user,
    inbound,
    note,
    parse_retry,
    result,
    usync_answer,
)
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp import (
    account_health,
    bundles,
    content,
    iq,
    message,
    notifications,
    outgoing,
    receipts,
    usync,
)
from tocsin.whatsapp.adv import KeyIndexes, Voucher
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node


@dataclass(frozen=True)
class Ciphertext:
    type: str
    body: bytes


US = OWN_LID.bare
MSG, PKMSG = Ciphertext("msg", b"m" * 40), Ciphertext("pkmsg", b"p" * 90)


def same_on_the_wire(node: Node) -> Node:
    assert decode(encode(node)) == node
    return node


# Going out


def test_a_text_goes_to_every_device_under_one_address_form() -> None:
    node = same_on_the_wire(
        message.message_stanza(
            "3EB0AA",
            ALICE,
            [(ALICE, PKMSG), (TABLET, MSG), (US, MSG)],
            device_identity=b"identity",
            peer_recipient_pn=ALICE_PN,
        )
    )
    assert node.attrs == {"id": "3EB0AA", "type": "text", "to": ALICE, "peer_recipient_pn": ALICE_PN}
    participants, identity = node.children()
    assert [to.attrs["jid"] for to in participants.children("to")] == [ALICE, TABLET, US]
    assert [to.require_child("enc").attrs for to in participants.children()] == [
        {"v": "2", "type": kind} for kind in ("pkmsg", "msg", "msg")
    ]
    assert identity == Node("device-identity", {}, b"identity")


def test_our_identity_goes_along_only_with_new_sessions() -> None:
    node = message.message_stanza("1", ALICE, [(ALICE, MSG)], device_identity=b"identity")
    assert node.child("device-identity") is None
    with pytest.raises(ValueError, match="identity"):
        message.message_stanza("1", ALICE, [(ALICE, PKMSG)], device_identity=None)


def test_a_message_to_nobody_isn_t_made() -> None:
    with pytest.raises(ValueError, match="nobody"):
        message.message_stanza("1", ALICE, [], device_identity=None)


def test_a_partial_resend_says_so() -> None:
    node = message.message_stanza("1", ALICE, [(TABLET, MSG)], device_identity=None, device_fanout=False)
    assert node.attrs["device_fanout"] == "false"


def test_a_group_message_carries_hash_mode_and_keys() -> None:
    node = same_on_the_wire(
        message.group_message_stanza(
            "1",
            TEAM,
            b"skmsg",
            addressing_mode="lid",
            phash="2:abc",
            key_recipients=[(TABLET, PKMSG)],
            device_identity=b"identity",
        )
    )
    assert (node.attrs["phash"], node.attrs["addressing_mode"]) == ("2:abc", "lid")
    assert [child.tag for child in node.children()] == ["participants", "device-identity", "enc"]


def test_a_retried_message_goes_to_the_one_device_with_its_count() -> None:
    node = same_on_the_wire(
        message.retry_message_stanza(
            "1", TABLET, PKMSG, count=2, timestamp="1788000000", device_identity=b"identity"
        )
    )
    assert node.attrs == {
        "id": "1", "to": TABLET, "type": "text", "t": "1788000000", "device_fanout": "false"
    }  # fmt: skip
    assert node.require_child("enc").attrs == {"v": "2", "type": "pkmsg", "count": "2"}


def test_a_retry_in_a_group_names_the_participant() -> None:
    node = message.retry_message_stanza("1", TEAM, MSG, count=1, device_identity=None, participant=TABLET)
    assert (node.attrs["to"], node.attrs["participant"]) == (TEAM, TABLET)
    assert "device_fanout" not in node.attrs


@pytest.mark.parametrize("kind", [outgoing.EDIT, outgoing.REACTION, outgoing.Kind("media", "document")])
def test_every_form_of_a_message_says_what_it_carries(kind: outgoing.Kind) -> None:
    first = message.message_stanza("1", ALICE, [(ALICE, MSG)], kind=kind, device_identity=None)
    again = message.retry_message_stanza("1", ALICE, MSG, kind=kind, count=1, device_identity=None)
    group = message.group_message_stanza("1", TEAM, b"sk", kind=kind, addressing_mode="lid", phash="2:abc")
    encs = [
        first.require_child("participants").children("to")[0].require_child("enc"),
        again.require_child("enc"),
        group.require_child("enc"),
    ]
    for node in (first, again, group):
        assert (node.attrs["type"], node.attrs.get("edit")) == (kind.type, kind.edit)
    for enc in encs:
        assert enc.attrs.get("mediatype") == kind.mediatype
        assert enc.attrs.get("decrypt-fail") == ("hide" if kind.hidden else None)


def test_prekeys_are_uploaded_in_the_order_the_server_wants() -> None:
    keys = device_keys()
    node = same_on_the_wire(
        iq.upload_prekeys(1234, keys.identity.public, {1: b"a" * 32, 2: b"b" * 32}, keys.signed_prekey)
    )
    assert [child.tag for child in node.children()] == ["registration", "type", "identity", "list", "skey"]
    assert node.require_child("registration").content == b"\x00\x00\x04\xd2"
    first, _ = node.require_child("list").children("key")
    assert first.require_child("id").content == b"\x00\x00\x01"
    assert node.require_child("skey").require_child("signature").bytes(64)


# Acks and receipts


def test_an_ack_echoes_what_it_acknowledges() -> None:
    receipt = Node(
        "receipt", {"from": TEAM, "id": "R", "type": "read", "participant": TABLET, "recipient": US}
    )
    assert receipts.ack(receipt).attrs == {
        "class": "receipt", "id": "R", "to": TEAM, "participant": TABLET, "recipient": US, "type": "read",
    }  # fmt: skip


def test_the_ack_of_a_message_has_no_type_but_may_have_an_error() -> None:
    assert receipts.ack(inbound(), error=491).attrs == {
        "class": "message", "id": "M1", "to": TABLET, "error": "491"
    }  # fmt: skip


def test_a_delivery_receipt_goes_back_word_for_word() -> None:
    own = inbound(recipient=ALICE, **{"from": OWN_LID.with_device(0)})
    assert receipts.delivery_receipt(own, "sender").attrs == {
        "id": "M1", "to": OWN_LID.with_device(0), "recipient": ALICE, "type": "sender"
    }  # fmt: skip
    assert receipts.delivery_receipt(inbound()).attrs["type"] == "inactive"
    assert "type" not in receipts.delivery_receipt(inbound(), None).attrs


def test_a_retry_receipt_can_be_read_by_the_one_it_asks() -> None:
    keys = device_keys()
    asked = receipts.retry_receipt(
        inbound(),
        count=2,
        registration_id=1234,
        error=7,
        keys=receipts.RetryKeys(keys.identity.public, (9, b"k" * 32), keys.signed_prekey, b"identity"),
    )
    assert (asked.attrs["to"], asked.attrs["type"]) == (TABLET, "retry")
    # As the server forwards it: from the device that couldn't read.
    forwarded = Node("receipt", {**asked.attrs, "from": OWN_LID, "sender_pn": OWN_PN.bare}, asked.content)
    request = parse_retry(same_on_the_wire(forwarded))
    assert (request.id, request.requester, request.count, request.error) == ("M1", OWN_LID, 2, 7)
    assert (request.requester_alt, request.registration_id, request.timestamp) == (OWN_PN, 1234, "1788000000")
    assert request.bundle == PreKeyBundle(
        registration_id=1234,
        identity=keys.identity.public,
        signed_prekey_id=1,
        signed_prekey=keys.signed_prekey.pair.public,
        signed_prekey_signature=keys.signed_prekey.signature,
        prekey_id=9,
        prekey=b"k" * 32,
        voucher=Voucher(b"identity"),
    )


def test_the_first_retry_receipt_has_no_keys() -> None:
    asked = receipts.retry_receipt(inbound(), count=1, registration_id=1234)
    request = parse_retry(Node("receipt", {**asked.attrs, "from": TABLET}, asked.content))
    assert request.bundle is None


@pytest.mark.parametrize("count", ["0", "1001", "x", ""])
def test_a_retry_count_out_of_range_is_refused(count: str) -> None:
    retry = Node("retry", {"count": count, "id": "M1"})
    node = Node(
        "receipt", {"from": TABLET, "id": "M1", "type": "retry"}, (retry, Node("registration", {}, bytes(4)))
    )
    with pytest.raises(InvalidStanza):
        parse_retry(node)


@pytest.mark.parametrize(
    ("type_", "status"),
    [(None, "delivered"), ("inactive", "delivered"), ("read", "read"), ("played", "read"), ("sender", None)],
)
def test_receipt_types(type_: str | None, status: str | None) -> None:
    attrs: dict[str, str | JID] = {"from": TABLET, "id": "M1", "t": "5"}
    if type_ is not None:
        attrs["type"] = type_
    assert receipts.parse_receipt(Node("receipt", attrs)).status == status


def test_a_receipt_may_name_several_messages_and_people() -> None:
    several = Node("list", {}, (Node("item", {"id": "M2"}), Node("item", {"id": "M3"})))
    gathered = Node("participants", {"key": "M1"}, (Node("user", {"jid": ALICE, "t": "5"}),))
    receipt = receipts.parse_receipt(Node("receipt", {"from": TEAM, "id": "M1"}, (several, gathered)))
    assert receipt.ids == ("M1", "M2", "M3")
    assert receipt.participants == (ALICE,)
    assert receipt.chat == TEAM


# Coming in


def test_a_message_of_a_person() -> None:
    seen = message.parse_message(inbound(notify="Alice", offline="0"), OWN)
    assert (seen.sender, seen.sender_alt) == (TABLET, ALICE_PN.with_device(12))
    assert (seen.lid, seen.pn) == (TABLET, ALICE_PN.with_device(12))
    assert (seen.chat, seen.from_me, seen.push_name, seen.offline) == (ALICE, False, "Alice", True)
    assert seen.encs == (message.Enc("msg", b"x", 2, 0),)


def test_a_message_under_the_phone_number() -> None:
    node = inbound(**{"from": ALICE_PN.with_device(3), "sender_lid": ALICE, "notify": "-"})
    seen = message.parse_message(node, OWN)
    assert (seen.sender, seen.lid) == (ALICE_PN.with_device(3), ALICE.with_device(3))
    assert seen.push_name is None


def test_a_message_of_our_own_phone() -> None:
    names = {"from": OWN_LID.with_device(0), "sender_pn": OWN_PN.bare}
    node = inbound(**names, recipient=ALICE, peer_recipient_pn=ALICE_PN)
    seen = message.parse_message(node, OWN)
    assert (seen.from_me, seen.chat, seen.recipient, seen.recipient_alt) == (True, ALICE, ALICE, ALICE_PN)


def test_a_message_in_a_group() -> None:
    node = inbound(
        **{"from": TEAM, "participant": TABLET, "participant_pn": ALICE_PN, "addressing_mode": "lid"}
    )
    seen = message.parse_message(node, OWN)
    assert (seen.chat, seen.sender, seen.is_group) == (TEAM, TABLET, True)
    assert seen.sender_alt == ALICE_PN.with_device(12)


def test_a_hosted_device_belongs_to_the_ordinary_chat() -> None:
    seen = message.parse_message(inbound(**{"from": JID("200000000000002", "hosted.lid", 99)}), OWN)
    assert seen.chat == ALICE
    assert seen.lid == JID("200000000000002", "hosted.lid", 99)


def test_no_copy_for_us() -> None:
    node = Node(
        "message", {"from": TABLET, "id": "1", "t": "5"}, (Node("unavailable", {"type": "view_once"}),)
    )
    assert message.parse_message(node).unavailable == "view_once"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "has no id"),
        ({"t": "now"}, "is no number"),
        ({"from": "nobody"}, "is no JID"),
        ({"from": SERVER}, "from nobody"),
        ({"from": JID("x", "call")}, "a message from call"),
        ({"from": TEAM}, "has no participant"),
        ({"from": TEAM, "participant": TEAM}, "is no user"),
        ({"recipient": US}, "isn't ours"),
        ({"sender_pn": ALICE}, "of another kind"),
    ],
)
def test_messages_that_can_t_be(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidStanza, match=reason):
        message.parse_message(inbound(**change), OWN)


def test_an_ack_of_a_message() -> None:
    node = Node(
        "ack",
        {
            "class": "message",
            "id": "M1",
            "from": ALICE,
            "t": "9",
            "error": "479",
            "phash": "2:x",
            "refresh_lid": "true",
        },
    )
    assert message.parse_ack(node) == message.MessageAck("M1", ALICE, 479, "2:x", True, 9)
    with pytest.raises(InvalidStanza):
        message.parse_ack(Node("ack", {"class": "receipt", "id": "M1"}))


# Queries


def test_bundles_and_what_came_instead() -> None:
    listed = (
        bundle_user(ALICE),
        Node("user", {"jid": TABLET}, (Node("error", {"code": "404", "text": "item-not-found"}),)),
        bundle_user(US, identity=b"short"),
        bundle_user(OWN_LID, type=b"\x06"),
    )
    found = bundles.parse_bundles(result(Node("list", {}, listed)))
    made = found[ALICE]
    assert isinstance(made, PreKeyBundle)
    assert (made.registration_id, made.prekey_id, made.signed_prekey_id) == (1234, 7, 1)
    assert found[TABLET] == bundles.BundleError(404, "item-not-found")
    assert isinstance(found[US], bundles.BundleError)
    assert isinstance(found[OWN_LID], bundles.BundleError)


def test_a_bundle_without_one_time_key_is_a_bundle() -> None:
    user = bundle_user(ALICE)
    user = Node("user", user.attrs, tuple(part for part in user.children() if part.tag != "key"))
    found = bundles.parse_bundles(result(Node("list", {}, (user,))))[ALICE]
    assert isinstance(found, PreKeyBundle)
    assert (found.prekey_id, found.prekey) == (None, None)


def test_bundles_are_asked_for_by_device() -> None:
    node = same_on_the_wire(bundles.fetch_bundles([ALICE, TABLET], replace=True))
    users = node.require_child("key").children("user")
    assert [user.attrs for user in users] == [{"jid": jid, "reason": "identity"} for jid in (ALICE, TABLET)]


def test_devices_of_users() -> None:
    listed = (
        Node("device", {"id": "0"}),
        Node("device", {"id": "12", "key-index": "1"}),
        Node("device", {"id": "13"}),  # no key index: the server would refuse its bundle
        Node("device", {"id": "99", "key-index": "3", "is_hosted": "true"}),
        Node("device", {"id": "98", "key-index": "3", "is_hosted": "true"}),  # hosted is one number alone
    )
    signed = Node("key-index-list", {"ts": "1"}, b"signed")
    devices = Node("devices", {}, (Node("device-list", {"hash": "2:h"}, listed), signed))
    alice = Node("user", {"jid": ALICE_PN}, (devices, Node("lid", {"val": ALICE})))
    broken = Node("user", {"jid": US}, (Node("devices", {}, (Node("error", {"code": "500"}),)),))
    first, second = usync.parse_devices(usync_answer(alice, broken))
    assert first == usync.UserDevices(
        ALICE_PN,
        ALICE,
        ALICE_PN,
        (ALICE_PN, ALICE_PN.with_device(12), JID(ALICE_PN.user, "hosted", 99)),
        device_hash="2:h",
        key_indexes={12: 1, 99: 3},
        counting=KeyIndexes(b"signed"),
    )
    assert (second.devices, second.error) == ((US,), 500)


@pytest.mark.parametrize(("form", "server"), [(ALICE, "hosted.lid"), (ALICE_PN, "hosted")])
def test_a_hosted_device_is_hosted_under_either_name(form: JID, server: str) -> None:
    hosted = form.with_device(99)
    assert (hosted.server, hosted.device, hosted.chat) == (server, 99, form.chat)
    node = Node("to", {"jid": hosted})
    assert same_on_the_wire(node) == node


def test_a_device_99_that_isn_t_hosted_is_left_out() -> None:
    listed = (Node("device", {"id": "0"}), Node("device", {"id": "99", "key-index": "3"}))
    devices = Node("devices", {}, (Node("device-list", {}, listed),))
    [found] = usync.parse_devices(usync_answer(Node("user", {"jid": ALICE}, (devices,))))
    assert found.devices == (ALICE,)


def test_a_refused_protocol_refuses_the_query() -> None:
    with pytest.raises(IqRefused) as refused:
        usync.parse_devices(usync_answer(devices=Node("error", {"code": "429", "backoff": "60"})))
    assert (refused.value.code, refused.value.backoff) == (429, 60)


def test_numbers_on_whatsapp() -> None:
    contact = Node("contact", {"type": "in"}, b"+6281234567890")
    known = Node("user", {"jid": ALICE, "pn_jid": ALICE_PN}, (contact,))
    by_number = Node(
        "user",
        {"jid": ALICE_PN},
        (Node("contact", {"type": "in"}, b"+628111@c.us"), Node("lid", {"val": ALICE})),
    )
    unknown = Node("user", {}, (Node("contact", {"type": "out"}, b"+62800"),))
    found = usync.parse_contacts(usync_answer(known, by_number, unknown))
    assert found == {
        "6281234567890": usync.Contact("6281234567890", True, ALICE_PN, ALICE),
        "628111": usync.Contact("628111", True, ALICE_PN, ALICE),
        "62800": usync.Contact("62800", False, None, None),
    }


@pytest.mark.parametrize("phone", ["6281234567890", "+6281234567890"])
def test_a_number_is_asked_for_in_international_form(phone: str) -> None:
    node = same_on_the_wire(usync.usync_contacts([phone]))
    [user] = node.require_child("usync").require_child("list").children("user")
    assert user.require_child("contact").content == b"+6281234567890"
    assert "jid" not in user.attrs


# Notifications


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (note("encrypt", Node("identity")), notifications.IdentityChanged(ALICE, None)),
        (note("encrypt", Node("identity"), **{"from": TABLET}), notifications.Other("encrypt")),
        (
            note("devices", Node("add", {"device_hash": "2:h"}, (Node("device", {"jid": TABLET}),))),
            notifications.DevicesChanged(ALICE, None, "add", (TABLET,), "2:h"),
        ),
        (
            note("devices", Node("update"), **{"from": ALICE_PN, "lid": ALICE}),
            notifications.DevicesChanged(ALICE_PN, ALICE, "update", (), None),
        ),
        (
            note("account_sync", Node("devices", {"dhash": "2:d"}, (Node("device", {"jid": OWN_PN}),))),
            notifications.OwnDevices((OWN_PN,), "2:d"),
        ),
        (
            note(
                "w:gp2",
                Node("remove", {}, (Node("participant", {"jid": ALICE, "phone_number": ALICE_PN}),)),
                **{"from": TEAM},
            ),
            notifications.GroupChanged(TEAM, ("remove",), (ALICE,), ((ALICE_PN, ALICE),)),
        ),
        (
            note(
                "privacy_token",
                Node("tokens", {}, (Node("token", {"type": "trusted_contact", "t": "5"}, b"tok"),)),
                sender_lid=ALICE,
            ),
            notifications.PrivacyToken(ALICE, b"tok", 5),
        ),
        (
            note(
                "mex",
                Node(
                    "update",
                    {"op_name": "NotificationUserReachoutTimelockUpdate"},
                    b'{"data":{"xwa2_notify_account_reachout_timelock":'
                    b'{"is_active":true,"time_enforcement_ends":"1790000000"}}}',
                ),
                **{"from": SERVER},
            ),
            notifications.AccountNotice((account_health.ReachoutLock(True, 1790000000),)),
        ),
        (note("picture"), notifications.Other("picture")),
    ],
)
def test_notifications(node: Node, expected: object) -> None:
    assert notifications.parse_notification(same_on_the_wire(node)) == expected


# Whatever comes

VALUES: list[Any] = [
    "",
    "1",
    "9" * 30,
    "a@b@c",
    "٣",
    SERVER,
    TEAM,
    TABLET,
    JID("x", "call"),
    JID("5", "new.one"),
]
CONTENTS: list[Any] = [
    None,
    b"",
    b"\xff",
    bytes(4),
    b"[" * 99999,
    (Node("error", {"code": "x"}),),
    (Node("enc"),),
]


@st.composite
def damaged(draw: st.DrawFn) -> Node:
    """A valid stanza, spoilt in one to three places."""
    node = draw(st.integers(0, len(VALID) - 1).map(VALID.__getitem__))
    for _ in range(draw(st.integers(1, 3))):
        node = spoil(node, draw)
    return node


def spoil(node: Node, draw: st.DrawFn) -> Node:
    children = node.children()
    if children and draw(st.integers(0, 2)):
        at = draw(st.integers(0, len(children) - 1))
        return replace(node, content=(*children[:at], spoil(children[at], draw), *children[at + 1 :]))
    if node.attrs and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(node.attrs)))
        return replace(node, attrs={**node.attrs, name: VALUES[draw(st.integers(0, len(VALUES) - 1))]})
    if draw(st.booleans()):
        return replace(node, tag=draw(st.sampled_from(["error", "enc", "list", "other"])))
    return replace(node, content=CONTENTS[draw(st.integers(0, len(CONTENTS) - 1))])


@given(damaged())
@settings(max_examples=600, deadline=None)
def test_parsers_raise_nothing_but_their_errors(node: Node) -> None:
    for parse in PARSERS:
        with suppress(InvalidStanza, IqRefused):
            parse(node)
    encode(receipts.ack(node))
    encode(receipts.delivery_receipt(node))
    encode(receipts.retry_receipt(node, count=1, registration_id=1))


@given(st.binary(max_size=120), st.booleans())
@settings(max_examples=400, deadline=None)
def test_plaintexts_raise_nothing_but_invalid_stanza(plaintext: bytes, from_me: bool) -> None:
    try:
        seen = content.content_of(content.parse_plaintext(plaintext), from_me=from_me)
    except InvalidStanza:
        return
    assert all(value is None or isinstance(value, str) for value in (seen.text, seen.quoted_id, seen.chat))


def test_keys_of_a_peer_are_not_in_a_repr() -> None:
    assert pair("x").private.hex() not in repr(device_keys())
    keys = receipts.RetryKeys(b"i" * 32, (9, b"k" * 32), device_keys().signed_prekey, b"identity")
    assert "identity=b'identity'" not in repr(keys)
