"""The handshake byte for byte, step by step, and every hello and certificate that must be refused."""

from typing import Any

import pytest

from tests.vectors.wire_files import load
from tocsin.signal.curve import KeyPair, key_pair
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.certificate import verify_chain
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import HandshakeFailed, InvalidCertificate
from tocsin.whatsapp.frames import INTRO, FrameSplitter, frame, routing_prefix
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.noise import ClientHandshake, SymmetricState, Transport
from tocsin.whatsapp.payload import ClientInfo, login_payload, registration_payload
from tocsin.whatsapp.proto.payload_pb2 import ClientPayload

VECTORS = load("noise")
HANDSHAKES = {case["name"]: case for case in VECTORS["handshakes"]}
by_name = {"ids": lambda case: case.get("name") or case["id"]}


def unhex(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def pair(case: dict[str, Any], name: str) -> KeyPair:
    made = key_pair(unhex(case, f"{name}_private"))
    assert made.public == unhex(case, f"{name}_public")
    return made


def handshake(case: dict[str, Any]) -> ClientHandshake:
    inputs = case["inputs"]
    return ClientHandshake(
        pair(inputs, "client_static"),
        pair(inputs, "client_ephemeral"),
        unhex(inputs, "client_payload"),
        root_key=unhex(inputs, "test_root_public"),
    )


@pytest.mark.parametrize("case", HANDSHAKES.values(), **by_name)
def test_handshake_writes_the_expected_bytes(case: dict[str, Any]) -> None:
    client = handshake(case)
    prefix = routing_prefix(unhex(case["inputs"], "routing_info")) if case["inputs"]["routing_info"] else b""
    assert prefix + INTRO + frame(client.hello()) == unhex(case["wire"], "client_first_write")

    [hello] = FrameSplitter().feed(unhex(case["wire"], "server_first_write"))
    finish, transport = client.finish(hello, case["now_unix"])
    assert frame(finish) == unhex(case["wire"], "client_second_write")
    assert client.hash == unhex(case, "final_hash")

    for sent in case["transport_frames"]["client_to_server"]:
        assert frame(transport.encrypt(unhex(sent, "plaintext"))) == unhex(sent, "wire")
    for received in case["transport_frames"]["server_to_client"]:
        assert transport.decrypt(unhex(received, "ciphertext")) == unhex(received, "plaintext")


@pytest.mark.parametrize("case", HANDSHAKES.values(), **by_name)
def test_symmetric_state_step_by_step(case: dict[str, Any]) -> None:
    first, prologue, *steps = case["client_steps"]
    assert first["op"] == "init"
    state = SymmetricState(unhex(prologue, "data"))
    for step in [prologue, *steps]:
        match step["op"]:
            case "mix_hash" if step is not prologue:
                state.mix_hash(unhex(step, "data"))
            case "mix_key":
                state.mix_key(unhex(step, "ikm"))
            case "encrypt_and_hash":
                assert state.encrypt(unhex(step, "plaintext")) == unhex(step, "ciphertext")
            case "decrypt_and_hash":
                assert state.decrypt(unhex(step, "ciphertext")) == unhex(step, "plaintext")
        assert (state.hash, state.chaining_key) == (unhex(step, "hash"), unhex(step, "salt")), step
        assert state.counter == step["counter"]
    keys = case["transport_keys"]
    assert state.split() == (unhex(keys, "client_to_server"), unhex(keys, "server_to_client"))


@pytest.mark.parametrize("case", HANDSHAKES.values(), **by_name)
def test_frames_hold_nodes(case: dict[str, Any]) -> None:
    for direction, stanzas in case["stanzas"].items():
        frames = case["transport_frames"][direction]
        for one, stanza in zip(frames, stanzas, strict=True):
            node = decode(unhex(one, "plaintext"))
            assert (node.tag, {k: str(v) for k, v in node.attrs.items()}) == (stanza["tag"], stanza["attrs"])
            if not unhex(one, "plaintext")[0] & 2:
                assert encode(node) == unhex(one, "plaintext")


@pytest.mark.parametrize("case", VECTORS["rejected_server_hellos"], **by_name)
def test_hello_is_refused(case: dict[str, Any]) -> None:
    origin = HANDSHAKES[case["handshake"]]
    client = handshake(origin)
    client.hello()
    with pytest.raises(HandshakeFailed):
        client.finish(unhex(case, "server_hello"), case.get("now_unix", origin["now_unix"]))


@pytest.mark.parametrize("case", VECTORS["cert_chains"]["cases"], **by_name)
def test_certificate_chain(case: dict[str, Any]) -> None:
    root = unhex(VECTORS["cert_chains"], "test_root_public")
    arguments = (unhex(case, "cert_chain"), unhex(case, "server_static_public"), root, case["now_unix"])
    if case["valid"]:
        verify_chain(*arguments)
    else:
        with pytest.raises(InvalidCertificate):
            verify_chain(*arguments)


@pytest.mark.parametrize("case", VECTORS["framing"], **by_name)
def test_framing(case: dict[str, Any]) -> None:
    splitter = FrameSplitter()
    frames = [one.hex() for data in case["websocket_messages"] for one in splitter.feed(bytes.fromhex(data))]
    assert frames == case["frames"]


def test_registration_payload() -> None:
    case = HANDSHAKES["pairing"]
    source = case["client_payload_source"]
    info = ClientInfo(tuple(source["version"]), source["os"], tuple(source["osver"]))
    payload = registration_payload(
        info,
        registration_id=source["registration_id"],
        identity=unhex(source, "identity_public"),
        signed_prekey=SignedPreKey(source["skey_id"], pair(source, "skey"), unhex(source, "skey_signature")),
    )
    assert payload.hex() == case["inputs"]["client_payload"]


def test_login_payload() -> None:
    case = HANDSHAKES["login-with-routing-info"]
    source = case["client_payload_source"]
    jid = JID(source["user"], "s.whatsapp.net", source["device"])
    payload = login_payload(ClientInfo(tuple(source["version"])), jid, source["lc"])
    expected = ClientPayload.FromString(unhex(case["inputs"], "client_payload"))
    expected.lid_db_migrated = True  # the vector's client keeps its sessions by phone number
    assert payload == expected.SerializeToString()


def test_each_direction_has_its_own_counter() -> None:
    client, server = Transport(b"a" * 32, b"b" * 32), Transport(b"b" * 32, b"a" * 32)
    for text in (b"one", b"two", b"three"):
        assert server.decrypt(client.encrypt(text)) == text
    assert client.decrypt(server.encrypt(b"back")) == b"back"
