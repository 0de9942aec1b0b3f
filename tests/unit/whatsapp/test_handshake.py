"""The handshake against a responder on the same symmetric state: who is trusted, and what is said to whom."""

import pytest

from tests.support.noise_peer import NOW, OWN_PN, ROOT, Peer, device_keys, entropy, logged_in, pair
from tocsin.signal.curve import key_pair
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.device_keys import Login
from tocsin.whatsapp.errors import HandshakeFailed, InvalidCertificate, TransportFailed
from tocsin.whatsapp.events import StreamEnded
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame
from tocsin.whatsapp.noise import ClientHandshake, Transport
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload


def finish(peer: Peer, *, root: bytes = ROOT.public, now: float = NOW) -> tuple[bytes, Transport]:
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=root)
    hello = INTRO + frame(client.hello())
    [answer] = FrameSplitter().feed(peer.answer_hello(hello))
    return client.finish(answer, now)


def test_both_sides_arrive_at_the_same_keys() -> None:
    peer = Peer()
    message, transport = finish(peer)
    peer.take_finish(frame(message))
    assert peer.client_payload == b"payload"
    [sealed] = FrameSplitter().feed(peer.seal(b"hello"))
    assert transport.decrypt(sealed) == b"hello"


def test_a_server_under_another_root_is_refused() -> None:
    with pytest.raises(InvalidCertificate, match="intermediate"):
        finish(Peer(), root=pair("other root").public)


def test_a_server_whose_time_is_over_is_refused() -> None:
    with pytest.raises(InvalidCertificate, match="not valid now"):
        finish(Peer(), now=NOW + 10**9)


def test_a_server_with_a_stolen_certificate_is_refused() -> None:
    peer = Peer()
    peer.static = pair("thief")
    with pytest.raises(InvalidCertificate, match="another key"):
        finish(peer)


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 40, b"\x1a\x02\x0a\x00"])
def test_a_garbled_hello_is_refused(garbage: bytes) -> None:
    client = ClientHandshake(pair("noise"), pair("ephemeral"), b"payload", root_key=ROOT.public)
    client.hello()
    with pytest.raises(HandshakeFailed):
        client.finish(garbage, NOW)


def test_a_tampered_frame_closes_the_stream() -> None:
    talk = logged_in()
    sealed = bytearray(talk.peer.seal(b"\x00\xf8\x01\x02"))
    sealed[-1] ^= 1
    talk.client.receive_data(bytes(sealed), NOW)
    [ended] = talk.client.events()
    assert isinstance(ended, StreamEnded)
    assert ended.reaction.reason == "undecryptable"


def test_a_replayed_frame_is_refused() -> None:
    sender, receiver = Transport(b"a" * 32, b"b" * 32), Transport(b"b" * 32, b"a" * 32)
    sealed = sender.encrypt(b"once")
    receiver.decrypt(sealed)
    with pytest.raises(TransportFailed):
        receiver.decrypt(sealed)


def test_a_paired_device_logs_in_under_its_number_and_an_unpaired_one_registers() -> None:
    peers = {}
    for login in (None, Login(OWN_PN, None, 3)):
        peer = peers[login] = Peer()
        client = Connection(device_keys(login), Config(root_key=ROOT.public), random=entropy())
        client.start(NOW)
        [hello] = client.data_to_send()
        client.receive_data(peer.answer_hello(hello), NOW)
        peer.take_finish(b"".join(client.data_to_send()))
    registration, login_form = (ClientPayload.FromString(peer.client_payload) for peer in peers.values())
    assert registration.device_pairing_data.registration_id == (1234).to_bytes(4, "big")
    assert not registration.HasField("username")
    assert (login_form.username, login_form.device, login_form.login_counter) == (628110000001, 2, 3)
    assert login_form.lid_db_migrated
    assert not login_form.HasField("device_pairing_data")


def test_routing_info_goes_before_the_intro() -> None:
    client = Connection(device_keys(routing_info=b"route"), Config(root_key=ROOT.public), random=entropy())
    client.start(NOW)
    [first] = client.data_to_send()
    assert first.startswith(b"ED\x00\x01\x00\x00\x05route" + INTRO)


def test_nothing_secret_is_in_a_repr() -> None:
    keys = device_keys(routing_info=b"route")
    assert "ssss" not in repr(keys)
    assert keys.noise.private.hex() not in repr(keys)
    assert repr(key_pair(bytes(32))) == "KeyPair(<hidden>)"
    assert repr(ClientHandshake(keys.noise, keys.identity, b"payload")) == "ClientHandshake()"
