"""A server that means harm: each of its tricks is refused by name, and nothing of it is kept.

Forged pairings and certificates have their tables in `test_pairing` and `test_handshake`; here is what comes
over a connection that looked well.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from tests.support.noise_peer import NOW, OWN_LID, OWN_PN, ROOT, Peer, Talk, from_server, logged_in, pair
from tests.support.pairing_stanzas import KEYS, offer, offered, pair_success
from tests.support.signal_peers import LOW_ORDER
from tocsin.signal import x3dh
from tocsin.signal.curve import encode_point, key_pair, sign
from tocsin.signal.errors import BadSignature, InvalidKey, SignalError
from tocsin.whatsapp import bundles, usync
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.errors import DecodeError, HandshakeFailed, InvalidCertificate
from tocsin.whatsapp.events import FrameDropped, PairingSucceeded, QrOffered, Response, StreamEnded
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.noise import ClientHandshake
from tocsin.whatsapp.proto.handshake_pb2 import CertChain, HandshakeMessage

ALICE = JID.parse("777@lid")


# Handshake


def handshake(answer: bytes) -> None:
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=ROOT.public)
    client.hello()
    client.finish(answer, NOW)


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_a_handshake_key_of_low_order_is_refused(point: bytes) -> None:
    message = HandshakeMessage()
    message.server_hello.ephemeral = point
    message.server_hello.static = message.server_hello.payload = bytes(48)
    with pytest.raises(HandshakeFailed, match="low order"):
        handshake(message.SerializeToString())


FORGERIES = {
    "the signature of the intermediate is wrong": lambda chain: _spoil(chain.intermediate),
    "the signature of the leaf is wrong": lambda chain: _spoil(chain.leaf),
    "leaf lacks its details or signature": lambda chain: chain.leaf.ClearField("signature"),
    "intermediate lacks its details": lambda chain: chain.intermediate.ClearField("details"),
}


def _spoil(certificate: CertChain.NoiseCertificate) -> None:
    certificate.signature = certificate.signature[:-2] + bytes((certificate.signature[-2] ^ 1, 0))


@pytest.mark.parametrize("reason", FORGERIES)
def test_a_forged_certificate_is_refused_before_we_say_who_we_are(reason: str) -> None:
    peer = Peer()
    chain = CertChain.FromString(peer.certificate)
    FORGERIES[reason](chain)
    peer.certificate = chain.SerializeToString()
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=ROOT.public)
    [answer] = FrameSplitter().feed(peer.answer_hello(INTRO + frame(client.hello())))
    with pytest.raises(InvalidCertificate, match=reason):
        client.finish(answer, NOW)


# Frames


@pytest.mark.slow
def test_a_zip_bomb_is_refused_without_being_inflated() -> None:
    bomb = b"\x02" + zlib.compress(bytes(200_000_000), 9)
    with pytest.raises(DecodeError, match="inflated-size"):
        decode(bomb)


def tree(attributes: int, nodes: int) -> bytes:
    """`nodes` children of `attributes` attributes each, in as few bytes as the format allows."""
    pairs = b"".join(b"\xfc\x03" + str(100 + at).encode() + b"\x05" for at in range(attributes))
    child = b"\xf9" + (1 + 2 * attributes).to_bytes(2, "big") + b"\x03" + pairs
    return b"\xf8\x02\x03\xf9" + nodes.to_bytes(2, "big") + child * nodes


@pytest.mark.slow
def test_a_frame_of_few_bytes_may_not_become_millions_of_objects() -> None:
    with pytest.raises(DecodeError, match="node-count"):
        decode(b"\x02" + zlib.compress(tree(900, 2000), 9))
    assert len(decode(b"\x02" + zlib.compress(tree(100, 1000), 9)).children()) == 1000


def test_a_bomb_costs_one_frame_and_not_the_connection() -> None:
    talk = logged_in()
    bomb = b"\x02" + zlib.compress(bytes(20_000_000), 9)
    talk.client.receive_data(talk.peer.seal(bomb), NOW)
    assert talk.client.events() == [FrameDropped("inflated-size")]
    assert talk.client.is_open


# Stanzas


@pytest.mark.parametrize("tag", ["message", "receipt", "notification", "call"])
@pytest.mark.parametrize(
    "to", ["999@s.whatsapp.net", "999@lid", "628110000001:9@s.whatsapp.net"], ids=["number", "lid", "device"]
)
def test_a_stanza_for_another_account_is_refused_and_not_handed_on(tag: str, to: str) -> None:
    talk = logged_in()
    stanza = Node(tag, {"from": ALICE, "id": "M1", "to": JID.parse(to), "type": "text"})
    assert talk.hears(stanza) == [FrameDropped(f"<{tag}> for another account")]
    [answer] = talk.says()
    assert (answer.tag, answer.attrs["class"], answer.attrs["error"]) == ("ack", tag, "488")


@pytest.mark.parametrize("to", [OWN_PN, OWN_LID, OWN_PN.bare, OWN_LID.bare, SERVER])
def test_a_stanza_that_names_us_is_ours(to: JID) -> None:
    [event] = logged_in().hears(Node("message", {"from": ALICE, "id": "M1", "to": to}))
    assert not isinstance(event, FrameDropped)


def test_a_result_that_nobody_asked_for_is_nothing() -> None:
    talk = logged_in()
    asked = talk.client.request(Node("iq", {"to": SERVER, "type": "get", "xmlns": "usync"}), talk.now)
    wrong = from_server("iq", {"type": "result", "id": "0.0-9"}, Node("list"))
    right = from_server("iq", {"type": "result", "id": asked}, Node("list"))
    assert talk.hears(wrong) == []
    assert talk.hears(right, right) == [Response(asked, right)]


def test_an_ack_that_nobody_waits_for_is_nothing() -> None:
    ack = Node("ack", {"class": "message", "id": "3EB0", "from": ALICE})
    assert logged_in().hears(ack, ack) == []


@pytest.mark.parametrize("size", [0, 1025, 1_000_000])
def test_routing_information_of_an_impossible_length_is_not_kept(size: int) -> None:
    routing = Node("edge_routing", {}, (Node("routing_info", {}, bytes(size)),))
    [event] = logged_in().hears(from_server("ib", {}, routing))
    assert isinstance(event, FrameDropped)


# Pairing


@pytest.mark.parametrize("refs", [["x" * 513], ["x"] * 33, ["é"]], ids=["long", "many", "not ASCII"])
def test_refs_that_no_code_can_show_are_refused(refs: list[str]) -> None:
    talk = Talk()
    assert talk.hears(offer(refs)) == [FrameDropped("stanza: no usable pairing refs")]
    assert not talk.client.is_pairing


def test_a_second_pairing_over_the_first_is_not_taken() -> None:
    talk, _ = offered()
    [first] = talk.hears(pair_success(KEYS.adv_secret))
    assert isinstance(first, PairingSucceeded)
    assert talk.hears(pair_success(KEYS.adv_secret, account="thief")) == []
    assert not any(isinstance(event, QrOffered) for event in talk.hears(offer()))
    talk.client.confirm_pairing()
    assert talk.says()[-1] == first.reply


def test_a_paired_device_is_not_paired_again() -> None:
    talk = logged_in()
    assert talk.hears(offer(), pair_success(b"s" * 32)) == []
    assert talk.client.is_open


def test_a_pairing_before_the_login_of_a_paired_device_is_not_taken() -> None:
    talk = logged_in()
    [end] = talk.hears(Node("stream:error", {"code": "515"}), pair_success(b"s" * 32))
    assert isinstance(end, StreamEnded)


# Keys


def bundle(**changes: bytes) -> x3dh.PreKeyBundle:
    identity, signed, prekey = pair("peer"), pair("peer signed"), pair("peer prekey")
    good = x3dh.PreKeyBundle(
        registration_id=1,
        identity=identity.public,
        signed_prekey_id=1,
        signed_prekey=signed.public,
        signed_prekey_signature=sign(identity.private, encode_point(signed.public), bytes(64)),
        prekey_id=1,
        prekey=prekey.public,
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def initiate(made: x3dh.PreKeyBundle) -> None:
    local = x3dh.Local(pair("identity"), 1, {})
    x3dh.initiate(local, made, base=key_pair(b"b" * 32), ratchet=key_pair(b"r" * 32), now=0)


def test_a_good_bundle_makes_a_session() -> None:
    initiate(bundle())


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_a_one_time_key_of_low_order_makes_no_session(point: bytes) -> None:
    with pytest.raises(InvalidKey):
        initiate(bundle(prekey=point))


@pytest.mark.parametrize("part", ["identity", "signed_prekey"])
@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_an_identity_or_signed_key_of_low_order_makes_no_session(part: str, point: bytes) -> None:
    """Its signature can't hold either, whichever is noticed first."""
    with pytest.raises(SignalError):
        initiate(bundle(**{part: point}))


def test_a_low_order_key_that_is_signed_well_makes_no_session() -> None:
    signature = sign(pair("peer").private, encode_point(bytes(32)), bytes(64))
    with pytest.raises(InvalidKey):
        initiate(bundle(signed_prekey=bytes(32), signed_prekey_signature=signature))


def test_a_bundle_with_a_wrong_signature_makes_no_session() -> None:
    with pytest.raises(BadSignature):
        initiate(bundle(signed_prekey_signature=bytes(64)))


def user(jid: JID, *children: Node) -> Node:
    return Node("user", {"jid": jid}, children)


def answered(*users: Node) -> Node:
    return from_server("iq", {"type": "result", "id": "1"}, Node("list", {}, users))


def test_a_bundle_of_another_key_type_is_none() -> None:
    other = user(ALICE, Node("registration", {}, bytes(4)), Node("type", {}, b"\x06"))
    assert bundles.parse_bundles(answered(other)) == {ALICE: bundles.BundleError(0, "key type isn't 5")}


def listed(*devices: Node) -> usync.UserDevices:
    lists = Node("devices", {}, (Node("device-list", {}, devices),))
    usync_node = Node("usync", {}, (Node("list", {}, (user(ALICE, lists),)),))
    [found] = usync.parse_devices(from_server("iq", {"type": "result", "id": "1"}, usync_node))
    return found


def test_a_list_of_devices_names_each_once_and_none_that_can_t_be() -> None:
    many = [Node("device", {"id": str(number % 300), "key-index": "1"}) for number in range(20_000)]
    assert len(listed(*many).devices) == 255  # 99 could only be hosted


def test_a_mapping_to_an_address_of_the_wrong_kind_is_not_learnt() -> None:
    lid = Node("lid", {"val": JID.parse("888@s.whatsapp.net")})
    usync_node = Node("usync", {}, (Node("list", {}, (user(JID.parse("62@s.whatsapp.net"), lid),)),))
    [found] = usync.parse_devices(from_server("iq", {"type": "result", "id": "1"}, usync_node))
    assert found.lid is None


def test_the_same_name_twice_in_one_stanza_is_refused() -> None:
    with pytest.raises(DecodeError, match="duplicate-attr"):
        decode(b"\x00\xf8\x05\x03\x04\x05\x04\x05")
