"""Whole conversations, step by step: every ciphertext, every plaintext, every failure's name, every state."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tests.vectors.parties import Party, class_of
from tocsin.signal.curve import encode_point
from tocsin.signal.errors import SignalError
from tocsin.signal.state import State

CONVERSATIONS = load("ratchet")["conversations"]


def seen(state: State | None) -> dict[str, Any]:
    """A state in the words of the vectors."""
    assert state is not None
    return {
        "base_key": encode_point(state.base_key).hex(),
        "root_key": state.root_key.hex(),
        "send_ratchet_pub": encode_point(state.sending.ratchet_public).hex(),
        "send_index": state.used,
        "send_chain_key": state.sending.chain_key.hex(),
        "previous_counter": state.sending.previous_counter,
        "pending_prekey": state.sending.pending is not None,
    }


def play(step: dict[str, Any], parties: dict[str, Party], snapshots: dict[str, Party]) -> dict[str, Any]:
    """Do one step; returns what became of it, in the words of the vectors."""
    who = parties[step["who"]] if "who" in step else None
    assert who is not None or step["op"] == "forge"
    match step["op"]:
        case "init":
            who.init(step)
        case "encrypt":
            message = who.encrypt(step, unhex(step["plaintext"]))
            return {"type": message.type, "ciphertext": message.body.hex(), "expect": {"result": "ok"}}
        case "decrypt":
            opened = who.decrypt(step)
            return {
                "expect": {"result": "plaintext", "plaintext": opened.plaintext.hex()},
                "consumed_prekey": opened.consumed_prekey,
                "promoted": opened.promoted,
            }
        case "skip":
            for _ in range(step["count"]):
                who.encrypt(step, b"")
        case "forge":
            pass
        case "snapshot":
            snapshots[step["name"]] = who.copy()
        case "restore":
            parties[step["who"]] = snapshots[step["name"]].copy()
        case "delete_session":
            del who.records[step["peer"]]
        case "accept_identity":
            who.records.pop(step["peer"], None)
            who.pinned[step["peer"]] = unhex(step["identity_pub"])[1:]
        case "reinstall":
            parties[step["who"]] = Party.of(step["party"])
        case unknown:
            raise AssertionError(f"a step that nobody explained: {unknown}")
    return {"expect": {"result": "ok"}}


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=by_name)
def test_conversation(conversation: dict[str, Any]) -> None:
    parties = {name: Party.of(spec) for name, spec in conversation["parties"].items()}
    snapshots: dict[str, Party] = {}
    for number, step in enumerate(conversation["steps"]):
        where = f"step {number}: {step['op']} {step.get('msg', '')}"
        before = dict(parties[step["who"]].records) if "who" in step else None
        try:
            result = play(step, parties, snapshots)
        except SignalError as error:
            result = {"expect": {"result": "error", "class": class_of(error)}}
            assert parties[step["who"]].records == before, where
        expected = {name: step[name] for name in result if name in step}
        assert {name: result[name] for name in expected} == expected, where
        if result.get("promoted") and "promoted" not in step:
            raise AssertionError(f"{where}: promoted unexpectedly")
        if result.get("consumed_prekey") is not None and "consumed_prekey" not in step:
            raise AssertionError(f"{where}: a prekey used unexpectedly")
        if "state" in step and step.get("expect", {}).get("result") != "error":
            state = seen(parties[step["who"]].current(step["peer"]))
            assert {name: state[name] for name in step["state"]} == step["state"], where
