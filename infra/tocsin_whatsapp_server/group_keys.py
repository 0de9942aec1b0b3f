"""Sender keys of a plain endpoint: its own for each group, and those that others sent it. All in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.padding import pad, unpad
from tocsin.signal.sender_key import SenderKey, SenderKeyRecord
from tocsin_whatsapp_server.endpoint import Address, Random


@dataclass
class OwnKey:
    """`holders`: the devices that were sent it."""

    key: SenderKey
    holders: set[Address] = field(default_factory=set)


class GroupKeys:
    """`group` is the group's JID as text, wherever it is asked for."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._own: dict[str, OwnKey] = {}
        self._theirs: dict[tuple[str, Address], SenderKeyRecord] = {}

    def clear(self) -> None:
        self._own.clear()
        self._theirs.clear()

    def own(self, group: str) -> OwnKey:
        """Our key for a group, made now if there is none."""
        if group not in self._own:
            key_id = int.from_bytes(self._random(4), "big") >> 1
            self._own[group] = OwnKey(sender_key.create(key_id, self._random(32), key_pair(self._random(32))))
        return self._own[group]

    def rotate(self, group: str) -> None:
        """Somebody left: the next message is under a new key."""
        self._own.pop(group, None)

    def missed(self, peer: Address) -> None:
        """A device lost what it had: send it our keys again."""
        for own in self._own.values():
            own.holders.discard(peer)

    def encrypt(self, group: str, message: bytes) -> bytes:
        """`message` is a serialised Message; the padding is put on here."""
        own = self.own(group)
        padded = pad(message, self._random(1))
        body = sender_key.encrypt(own.key, own.key.iteration, plaintext=padded, entropy=self._random(64))
        own.key = sender_key.advance(own.key, own.key.iteration + 1)
        return body

    def process(self, group: str, peer: Address, distribution: bytes) -> None:
        """Raises InvalidMessage, InvalidKey."""
        key = group, peer
        self._theirs[key] = sender_key.process(self._theirs.get(key), distribution)

    def decrypt(self, group: str, peer: Address, body: bytes) -> bytes:
        """The serialised Message. Raises the errors of `tocsin.signal`; nothing has changed then."""
        plaintext, record = sender_key.decrypt(self._theirs.get((group, peer)), body)
        message = unpad(plaintext)
        self._theirs[group, peer] = record
        return message

    def forget(self, peer: Address | None) -> int:
        """Lose the keys of one device, or of all; how many groups' keys that were."""
        lost = [key for key in self._theirs if peer in (None, key[1])]
        for key in lost:
            del self._theirs[key]
        return len(lost)

    def corrupt(self, peer: Address | None) -> int:
        """Garble the chains of one device's keys, or of all."""
        hit = [key for key in self._theirs if peer in (None, key[1])]
        for key in hit:
            states = tuple(
                replace(state, chain_key=bytes(byte ^ 0xFF for byte in state.chain_key))
                for state in self._theirs[key].states
            )
            self._theirs[key] = SenderKeyRecord(states)
        return len(hit)
