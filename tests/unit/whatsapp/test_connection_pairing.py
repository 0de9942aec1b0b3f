"""An unpaired connection: QR codes, the pairing code, the reply, the restart."""

import base64
import hmac

import pytest

from tests.support.noise_peer import NOW, Talk, from_server, pair
from tests.support.pairing_stanzas import (
    KEYS,
    PHONE,
    REFS,
    code_offered,
    offer,
    offered,
    pair_success,
    phone_opens,
    primary_hello,
    refresh,
    secret_behind,
)
from tocsin.signal.curve import sign, verify
from tocsin.whatsapp import link_code
from tocsin.whatsapp.adv import Voucher
from tocsin.whatsapp.connection import NotOpen
from tocsin.whatsapp.events import (
    Event,
    PairingCodeOffered,
    PairingCodeRefused,
    PairingFailed,
    PairingHint,
    PairingSucceeded,
    QrOffered,
    StreamEnded,
)
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.pairing_pb2 import DeviceIdentity, SignedDeviceIdentity, SignedDeviceIdentityHmac


def secret_of(event: Event) -> bytes:
    assert isinstance(event, QrOffered)
    return base64.b64decode(event.text.split(",")[3])


def test_codes_follow_each_other_until_none_is_left() -> None:
    talk, events = offered()
    events += talk.waits(161)
    codes = [event for event in events if isinstance(event, QrOffered)]
    shown = [(code.text.split("#")[1].split(",")[0], code.expires_at - NOW) for code in codes]
    assert shown == list(zip(REFS, [60.0, 80.0, 100.0, 120.0, 140.0, 160.0], strict=True))
    last = events[-1]
    assert isinstance(last, StreamEnded)
    assert last.reaction.reason == "qr-expired"


def test_an_offer_without_refs_is_dropped() -> None:
    talk = Talk()
    talk.hears(offer([]))
    assert not talk.client.is_pairing


def test_a_scanned_code_pairs_and_restarts() -> None:
    talk, _ = offered()
    [event] = talk.hears(pair_success(KEYS.adv_secret))
    assert isinstance(event, PairingSucceeded)
    assert talk.says() == []  # nothing is said before the shell has stored it
    pairing = event.pairing
    assert (str(pairing.jid), str(pairing.lid)) == ("6281234567890:7@s.whatsapp.net", "1000:7@lid")
    assert (pairing.platform, pairing.time, pairing.key_index) == ("android", int(NOW), 3)
    assert Voucher(pairing.device_identity).vouches(KEYS.identity.public, pairing.account_key)

    talk.client.confirm_pairing()
    [reply] = talk.says()
    assert reply == event.reply
    signed = SignedDeviceIdentity.FromString(
        reply.require_child("pair-device-sign").require_child("device-identity").bytes()
    )
    text = b"\x06\x01" + signed.details + KEYS.identity.public + pairing.account_key
    verify(KEYS.identity.public, text, signed.device_signature)
    assert not signed.account_signature_key

    [end] = talk.hears(Node("stream:error", {"code": "515"}))
    assert isinstance(end, StreamEnded)
    assert end.reaction.reason == "restart-required"


def test_after_the_pairing_no_more_codes_are_shown() -> None:
    talk, _ = offered()
    talk.hears(pair_success(KEYS.adv_secret))
    assert not any(isinstance(event, QrOffered) for event in talk.waits(200))


@pytest.mark.parametrize("silent", [True, False])
def test_a_confirmed_pairing_restarts_even_if_the_server_doesn_t_say_so(silent: bool) -> None:
    talk, _ = offered()
    talk.hears(pair_success(KEYS.adv_secret))
    talk.client.confirm_pairing()
    if silent:
        [end] = talk.waits(21)
    else:
        talk.client.connection_lost()
        [end] = talk.client.events()
    assert isinstance(end, StreamEnded)
    assert end.reaction.reason == "restart-required"


def test_a_pairing_with_another_secret_is_refused_and_told() -> None:
    talk, _ = offered()
    failed, end = talk.hears(pair_success(b"x" * 32))
    assert failed == PairingFailed(401, "hmac-mismatch")
    assert isinstance(end, StreamEnded)
    [told] = talk.says()
    assert told.require_child("error").attrs == {"code": "401", "text": "hmac-mismatch"}
    with pytest.raises(NotOpen):
        talk.client.confirm_pairing()


@pytest.mark.parametrize("child", ["companion_reg_refresh", "pair-device-rotate-qr"])
def test_a_retired_secret_is_replaced_under_the_same_ref(child: str) -> None:
    talk, [first] = offered()
    assert isinstance(first, QrOffered)
    talk.now += 10
    [second] = talk.hears(refresh(child))
    assert isinstance(second, QrOffered)
    assert (second.text.split(",")[0], second.expires_at) == (first.text.split(",")[0], first.expires_at)
    assert secret_of(second) != secret_of(first)
    assert [node.tag for node in talk.says()] == ["ack"]
    [event] = talk.hears(pair_success(secret_of(second)))
    assert isinstance(event, PairingSucceeded)
    assert event.pairing.adv_secret == secret_of(second)


def test_an_empty_refresh_changes_nothing() -> None:
    talk, _ = offered()
    assert talk.hears(refresh("something-else")) == []


# The pairing code


def test_a_code_is_shown_only_once_the_server_knows_of_it() -> None:
    talk, _ = offered()
    talk.client.request_pairing_code(PHONE, talk.now)
    assert talk.client.events() == []
    [asked] = talk.says()
    reg = asked.require_child("link_code_companion_reg")
    assert (reg.attrs["jid"], reg.attrs["stage"]) == (PHONE, "companion_hello")


def test_a_typed_code_leads_to_a_pairing_under_the_new_secret() -> None:
    talk, code, asked = code_offered()
    assert talk.hears(primary_hello(code)) == []
    acked, finish = talk.says()
    assert acked.tag == "ack"
    reg = finish.require_child("link_code_companion_reg")
    wrapped = reg.require_child("link_code_pairing_wrapped_key_bundle").bytes(156)
    companion = link_code.unwrap_ephemeral(
        code,
        asked.require_child("link_code_companion_reg")
        .require_child("link_code_pairing_wrapped_companion_ephemeral_pub")
        .bytes(),
    )
    secret = phone_opens(wrapped, companion)
    [event] = talk.hears(pair_success(secret))
    assert isinstance(event, PairingSucceeded)
    assert event.pairing.adv_secret == secret != KEYS.adv_secret


def test_a_refused_code_is_not_shown() -> None:
    talk, _ = offered()
    talk.client.request_pairing_code(PHONE, talk.now)
    [asked] = talk.says()
    error = Node("error", {"code": "429", "text": "rate-overlimit"})
    answer = from_server("iq", {"type": "error", "id": asked.attr_str("id")}, error)
    assert talk.hears(answer) == [PairingCodeRefused(429, "rate-overlimit")]


def test_a_code_is_void_after_its_time_and_holds_the_connection_till_then() -> None:
    talk, _, _ = code_offered()
    events = talk.waits(179)
    assert not any(isinstance(event, StreamEnded) for event in events)
    expired, end = talk.waits(2)
    assert expired == PairingCodeRefused(0, "expired")
    assert isinstance(end, StreamEnded)


@pytest.mark.parametrize(
    "hello",
    [
        lambda code: primary_hello(code, ref=b"other"),
        lambda code: from_server(
            "notification",
            {"type": "link_code_companion_reg", "id": "9"},
            Node("link_code_companion_reg", {"stage": "primary_hello"}),
        ),
    ],
)
def test_a_hello_that_isn_t_for_this_code_is_ignored(hello: object) -> None:
    talk, code, _ = code_offered()
    assert callable(hello)
    assert talk.hears(hello(code)) == []
    assert [node.tag for node in talk.says()] == ["ack"]


def test_a_phone_that_can_t_open_our_bundle_voids_the_code() -> None:
    talk, code, _ = code_offered()
    talk.hears(primary_hello(code))
    assert PairingCodeRefused(0, "expired") in talk.waits(61)


def test_a_retired_secret_is_not_replaced_once_our_part_is_under_way() -> None:
    """The phone computes the same one from the code; another would make its pair-success a forgery."""
    talk, code, asked = code_offered()
    talk.hears(primary_hello(code))
    _, finish = talk.says()
    assert talk.hears(refresh("companion_reg_refresh")) == []
    [event] = talk.hears(pair_success(secret_behind(code, asked, finish)))
    assert isinstance(event, PairingSucceeded)


def test_three_tries_to_type_a_code_are_answered_and_no_more() -> None:
    talk, code, _ = code_offered()
    for _ in range(5):
        talk.hears(primary_hello(code))
    assert [node.tag for node in talk.says()] == ["ack", "iq"] * 3 + ["ack"] * 2


def test_a_code_that_is_older_than_three_minutes_is_not_answered_whatever_came_before() -> None:
    """The first try, at the last moment, gave the phone a minute to open our part. No second one follows."""
    talk, code, _ = code_offered()
    talk.waits(175)
    talk.hears(primary_hello(code))
    talk.says()
    talk.waits(10)
    talk.hears(primary_hello(code))
    assert [node.tag for node in talk.says() if node.tag != "iq" or node.child("ping") is None] == ["ack"]


@pytest.mark.parametrize("part", ["wrapped_primary_ephemeral_pub", "primary_identity_pub", "pairing_ref"])
@pytest.mark.parametrize("value", [None, b"", b"x" * 79])
def test_a_hello_with_a_part_that_is_missing_or_of_wrong_length_is_ignored(
    part: str, value: bytes | None
) -> None:
    """Seen on accounts with a passkey; the true one may still come."""
    talk, code, _ = code_offered()
    good = primary_hello(code)
    reg = good.require_child("link_code_companion_reg")
    parts = tuple(
        Node(child.tag, {}, value) if child.tag.endswith(part) else child
        for child in reg.children()
        if value is not None or not child.tag.endswith(part)
    )
    assert talk.hears(Node(good.tag, good.attrs, (Node(reg.tag, reg.attrs, parts),))) == []
    assert [node.tag for node in talk.says()] == ["ack"]
    talk.hears(good)
    assert [node.tag for node in talk.says()] == ["ack", "iq"]


def test_a_server_that_refuses_our_part_voids_the_code_at_once() -> None:
    talk, code, _ = code_offered()
    talk.hears(primary_hello(code))
    _, finish = talk.says()
    error = Node("error", {"code": "500", "text": "internal-server-error"})
    answer = from_server("iq", {"type": "error", "id": finish.attr_str("id")}, error)
    assert talk.hears(answer) == [PairingCodeRefused(500, "internal-server-error")]


def test_another_ref_does_not_withdraw_a_code() -> None:
    talk, code, _ = code_offered()
    ref = Node("link_code_pairing_ref", {}, b"another")
    reg = Node("link_code_companion_reg", {"stage": "refresh_code"}, (ref,))
    note = from_server("notification", {"type": "link_code_companion_reg", "id": "9"}, reg)
    assert talk.hears(note) == []
    talk.says()
    talk.hears(primary_hello(code))
    assert len(talk.says()) == 2


def test_a_second_code_voids_the_first() -> None:
    """The server knows one for each number: what was shown before leads nowhere."""
    talk, first, _ = code_offered()
    talk.client.request_pairing_code(PHONE, talk.now)
    [asked] = talk.says()
    talk.hears(primary_hello(first))
    assert [node.tag for node in talk.says()] == ["ack"]
    reg = Node("link_code_companion_reg", {}, (Node("link_code_pairing_ref", {}, b"ref 2"),))
    [event] = talk.hears(from_server("iq", {"type": "result", "id": asked.attr_str("id")}, reg))
    assert isinstance(event, PairingCodeOffered)
    assert event.code.replace("-", "") != first


@pytest.mark.parametrize("code", [400, 403, 429, 452, 500])
def test_every_refusal_of_a_code_is_told_by_its_number(code: int) -> None:
    talk, _ = offered()
    talk.client.request_pairing_code(PHONE, talk.now)
    [asked] = talk.says()
    error = Node("error", {"code": str(code), "text": "no"})
    answer = from_server("iq", {"type": "error", "id": asked.attr_str("id")}, error)
    assert talk.hears(answer) == [PairingCodeRefused(code, "no")]


def test_a_phone_without_multi_device_is_told_and_the_code_stands() -> None:
    talk, [first] = offered()
    assert talk.hears(from_server("ib", {}, Node("downgrade_webclient"))) == [
        PairingHint("multi-device-disabled")
    ]
    [event] = talk.hears(pair_success(secret_of(first)))
    assert isinstance(event, PairingSucceeded)


# Refusals, each with what the server is told


def changed(success: Node, **changes: object) -> Node:
    """A pair-success with some children replaced; None: left out."""
    [inner] = success.children()
    children = [
        changes.get(child.tag.replace("-", "_"), child)
        for child in inner.children()
        if changes.get(child.tag.replace("-", "_"), child) is not None
    ]
    return Node(success.tag, success.attrs, (Node(inner.tag, inner.attrs, tuple(children)),))  # type: ignore[arg-type]


def container(**changes: object) -> Node:
    """A device identity whose HMAC is right, whatever is in it."""
    key = pair("account")
    details = DeviceIdentity(raw_id=1, timestamp=2, key_index=3).SerializeToString()
    signed = SignedDeviceIdentity(details=details, account_signature_key=key.public)
    signed.account_signature = sign(key.private, b"\x06\x00" + details + KEYS.identity.public, bytes(64))
    for name, value in changes.items():
        setattr(signed, name, value)
    inner = signed.SerializeToString()
    outer = SignedDeviceIdentityHmac(details=inner, hmac=hmac.digest(KEYS.adv_secret, inner, "sha256"))
    return Node("device-identity", {}, outer.SerializeToString())


def forged_hmac() -> Node:
    outer = SignedDeviceIdentityHmac.FromString(container().bytes())
    outer.hmac = bytes(32)
    return Node("device-identity", {}, outer.SerializeToString())


def device(**attrs: str) -> Node:
    own = {"jid": PHONE.with_device(7), **{name: JID.parse(value) for name, value in attrs.items()}}
    return Node("device", own)


ACCOUNT_KEY = pair("account").public


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"device_identity": forged_hmac()}, 401, "hmac-mismatch"),
        ({"device_identity": container(account_signature=bytes(64))}, 401, "signature-mismatch"),
        ({"device_identity": container(account_signature=bytes(63))}, 401, "signature-mismatch"),
        ({"device_identity": container(account_signature=b"")}, 401, "signature-mismatch"),
        ({"device_identity": container(account_signature_key=pair("x").public)}, 401, "signature-mismatch"),
        ({"device_identity": container(account_signature_key=bytes(32))}, 401, "signature-mismatch"),
        ({"device_identity": container(account_signature_key=b"")}, 401, "signature-mismatch"),
        # The key with its type byte in front, or one of another kind of curve.
        (
            {"device_identity": container(account_signature_key=b"\x05" + ACCOUNT_KEY)},
            401,
            "signature-mismatch",
        ),
        (
            {"device_identity": container(account_signature_key=b"\x04" + bytes(64))},
            401,
            "signature-mismatch",
        ),
        ({"device_identity": container(details=b"\xff")}, 500, "internal-error"),
        ({"device_identity": Node("device-identity", {}, b"\xff")}, 500, "internal-error"),
        ({"device_identity": None}, 500, "internal-error"),
        ({"device": None}, 500, "internal-error"),
        ({"device": Node("device", {})}, 500, "internal-error"),
        ({"device": device(jid="1000:7@lid")}, 500, "internal-error"),
        ({"device": device(jid="6281234567890@s.whatsapp.net")}, 500, "internal-error"),
        ({"device": device(lid="1000:7@s.whatsapp.net")}, 500, "internal-error"),
    ],
)
def test_a_pairing_that_fails_its_checks_is_refused_and_the_connection_ends(
    changes: dict[str, object], code: int, text: str
) -> None:
    talk, _ = offered()
    failed, end = talk.hears(changed(pair_success(KEYS.adv_secret), **changes))
    assert failed == PairingFailed(code, text)
    assert isinstance(end, StreamEnded)
    assert end.reaction.reason == "pairing-refused"
    [told] = talk.says()
    assert (told.attrs["type"], told.attrs["id"]) == ("error", "6")
    assert told.require_child("error").attrs == {"code": str(code), "text": text}


def test_what_may_be_missing_may_be_missing() -> None:
    talk, _ = offered()
    [event] = talk.hears(changed(pair_success(KEYS.adv_secret), platform=None, device=device()))
    assert isinstance(event, PairingSucceeded)
    assert (event.pairing.platform, event.pairing.lid, event.pairing.business_name) == ("", None, None)


def test_a_business_phone_tells_its_platform_and_name() -> None:
    talk, _ = offered()
    success = changed(pair_success(KEYS.adv_secret), platform=Node("platform", {"name": "smba"}))
    [inner] = success.children()
    more = (
        *inner.children(),
        Node("biz", {"name": "Toko Maju"}),
        Node("client-props", {}, b"x"),
        Node("new"),
    )
    [event] = talk.hears(Node(success.tag, success.attrs, (Node(inner.tag, inner.attrs, more),)))
    assert isinstance(event, PairingSucceeded)
    assert (event.pairing.platform, event.pairing.business_name) == ("smba", "Toko Maju")


def test_a_code_the_server_withdraws_is_void() -> None:
    talk, _, _ = code_offered()
    ref = Node("link_code_pairing_ref", {}, b"ref")
    reg = Node("link_code_companion_reg", {"stage": "refresh_code"}, (ref,))
    note = from_server("notification", {"type": "link_code_companion_reg", "id": "9"}, reg)
    assert talk.hears(note) == [PairingCodeRefused(0, "refresh")]


def test_no_code_before_the_server_offers_to_pair() -> None:
    talk = Talk()
    with pytest.raises(NotOpen):
        talk.client.request_pairing_code(PHONE, talk.now)


def test_a_success_while_pairing_is_ignored() -> None:
    talk, _ = offered()
    assert talk.hears(Node("success", {"t": "1"})) == []
    assert talk.client.is_pairing
