"""Session setup, both sides, with every intermediate value."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tocsin.signal import session
from tocsin.signal.curve import KeyPair, agree, decode_point, key_pair
from tocsin.signal.kdf import session_keys
from tocsin.signal.state import State
from tocsin.signal.wire import PreKeyMessage
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate, respond

CASES = load("x3dh")["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=by_name)


def pair(party: dict[str, Any], name: str) -> KeyPair:
    made = key_pair(unhex(party[f"{name}_priv"]))
    assert made.public == decode_point(unhex(party[f"{name}_pub"]))
    return made


def initiator_of(case: dict[str, Any]) -> Local:
    return Local(pair(case["initiator"], "identity"), case["initiator"]["registration_id"], {})


def responder_of(case: dict[str, Any]) -> Local:
    party = case["responder"]
    signed = {party["signed_prekey_id"]: pair(party, "signed_prekey")}
    return Local(pair(party, "identity"), party["registration_id"], signed)


def prekey_of(case: dict[str, Any]) -> KeyPair | None:
    return pair(case["responder"], "prekey") if case["responder"].get("prekey_id") is not None else None


def bundle_of(case: dict[str, Any]) -> PreKeyBundle:
    party, prekey = case["responder"], prekey_of(case)
    return PreKeyBundle(
        registration_id=party["registration_id"],
        identity=decode_point(unhex(party["identity_pub"])),
        signed_prekey_id=party["signed_prekey_id"],
        signed_prekey=decode_point(unhex(party["signed_prekey_pub"])),
        signed_prekey_signature=unhex(party["signed_prekey_signature"]),
        prekey_id=party.get("prekey_id"),
        prekey=prekey.public if prekey else None,
    )


def initiated(case: dict[str, Any]) -> State:
    party = case["initiator"]
    base, ratchet = pair(party, "base"), pair(party, "ratchet")
    return initiate(initiator_of(case), bundle_of(case), base=base, ratchet=ratchet, now=0)


def assert_state(state: State | None, expected: dict[str, Any]) -> None:
    assert state is not None
    found = {
        "root_key": state.root_key,
        "send_chain_key": state.sending.chain_key,
        "send_index": state.used,
        "previous_counter": state.sending.previous_counter,
    }
    if state.receiving:
        found["receive_chain_key"] = state.receiving[0].chain_key
        found["receive_index"] = state.receiving[0].next_index
    wanted = {name: value if isinstance(value, int) else unhex(value) for name, value in expected.items()}
    assert {name: found[name] for name in wanted} == wanted


@every_case
def test_agreements_and_first_keys(case: dict[str, Any]) -> None:
    bundle, party = bundle_of(case), case["initiator"]
    base = pair(party, "base")
    agreements = [
        agree(pair(party, "identity").private, bundle.signed_prekey),
        agree(base.private, bundle.identity),
        agree(base.private, bundle.signed_prekey),
    ]
    if bundle.prekey is not None:
        agreements.append(agree(base.private, bundle.prekey))
    assert agreements == [unhex(value) for value in case["agreements"]]
    assert b"\xff" * 32 + b"".join(agreements) == unhex(case["master_secret"])
    keys = session_keys(b"".join(agreements))
    assert keys == (unhex(case["x3dh_root_key"]), unhex(case["x3dh_chain_key"]))


@every_case
def test_initiator(case: dict[str, Any]) -> None:
    record = session.start(None, initiated(case), 0)
    assert_state(record.current, case["initiator_after"])
    record, message = session.send(record, local=initiator_of(case), plaintext=unhex(case["first_plaintext"]))
    assert (message.type, message.body) == ("pkmsg", unhex(case["first_pkmsg"]))
    reply = session.parse("msg", unhex(case["reply_msg"]))
    ratchet = key_pair(unhex(case["initiator_next_ratchet_priv"]))
    opened = session.decrypt(record, reply, initiator_of(case), prekey=None, ratchet=ratchet, now=0)
    assert opened.plaintext == unhex(case["reply_plaintext"])
    assert_state(opened.record.current, case["initiator_after_reply"])


@every_case
def test_responder(case: dict[str, Any]) -> None:
    local, message = responder_of(case), session.parse("pkmsg", unhex(case["first_pkmsg"]))
    assert isinstance(message, PreKeyMessage)
    untaken = respond(local, message, prekey_of(case), now=0)
    assert untaken.root_key == unhex(case["x3dh_root_key"])
    ratchet = key_pair(unhex(case["responder_next_ratchet_priv"]))
    opened = session.decrypt(None, message, local, prekey=prekey_of(case), ratchet=ratchet, now=0)
    assert opened.plaintext == unhex(case["first_plaintext"])
    assert opened.consumed_prekey == case["responder"].get("prekey_id")
    assert_state(opened.record.current, case["responder_after"])
    _, reply = session.send(opened.record, local=local, plaintext=unhex(case["reply_plaintext"]))
    assert (reply.type, reply.body) == ("msg", unhex(case["reply_msg"]))
