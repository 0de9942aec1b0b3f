"""Group conversations with sender keys, step by step."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tests.vectors.parties import class_of
from tocsin.signal import sender_key
from tocsin.signal.curve import decode_point, key_pair, verify
from tocsin.signal.errors import SignalError

CONVERSATIONS = load("sender-key")["conversations"]


class Group:
    """Everybody's own keys (with the next iteration), and what each holds of the others."""

    def __init__(self) -> None:
        self.own: dict[str, sender_key.SenderKey] = {}
        self.next: dict[str, int] = {}
        self.held: dict[tuple[str, str], sender_key.SenderKeyRecord] = {}

    def create(self, step: dict[str, Any]) -> None:
        signing = key_pair(unhex(step["signing_priv"]))
        assert signing.public == decode_point(unhex(step["signing_pub"]))
        self.own[step["who"]] = sender_key.create(step["key_id"], unhex(step["chain_key"]), signing)
        self.next[step["who"]] = 0

    def distribute(self, step: dict[str, Any]) -> None:
        who = step["who"]
        key = sender_key.advance(self.own[who], self.next[who])
        assert sender_key.decode_key(sender_key.encode_key(key)) == key
        assert sender_key.distribution(key).hex() == step["distribution"]

    def process(self, step: dict[str, Any]) -> None:
        place = (step["who"], step["from"])
        self.held[place] = sender_key.process(self.held.get(place), unhex(step["distribution"]))
        assert len(self.held[place].states) == step["states"]

    def encrypt(self, step: dict[str, Any]) -> None:
        who, unsigned = step["who"], unhex(step["unsigned"])
        assert self.next[who] == step["iteration"]
        message = sender_key.encrypt(
            self.own[who], self.next[who], plaintext=unhex(step["plaintext"]), entropy=bytes(range(64))
        )
        assert message[:-64] == unsigned
        verify(self.own[who].signing.public, unsigned, message[-64:])
        verify(self.own[who].signing.public, unsigned, unhex(step["ciphertext"])[-64:])
        self.next[who] += 1

    def skip(self, step: dict[str, Any]) -> None:
        self.next[step["who"]] += step["count"]
        self.own[step["who"]] = sender_key.advance(self.own[step["who"]], self.next[step["who"]])

    def decrypt(self, step: dict[str, Any]) -> None:
        place, expect = (step["who"], step["from"]), step["expect"]
        before = self.held.get(place)
        if expect["result"] == "error":
            with pytest.raises(SignalError) as failure:
                sender_key.decrypt(before, unhex(step["ciphertext"]))
            assert class_of(failure.value) == expect["class"]
            return
        plaintext, after = sender_key.decrypt(before, unhex(step["ciphertext"]))
        assert plaintext.hex() == expect["plaintext"]
        assert sender_key.decode_record(sender_key.encode_record(after)) == after
        self.held[place] = after


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=by_name)
def test_conversation(conversation: dict[str, Any]) -> None:
    group = Group()
    for step in conversation["steps"]:
        getattr(group, step["op"])(step)
