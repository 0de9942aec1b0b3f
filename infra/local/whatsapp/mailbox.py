"""What waits for one device, in order, until the device confirms it.

A stanza stays here after it was sent: a connection that breaks before the confirmation brings it again at the
next login. Messages are confirmed by a receipt, everything else by an ack.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tocsin.whatsapp.node import Node

CONFIRMING = {None, "inactive", "sender", "peer_msg", "hist_sync"}
"""Types of receipt that say "I have decrypted it"."""


@dataclass(frozen=True)
class Letter:
    """`number` tells two letters apart that hold the same stanza id: a message and its resend."""

    number: int
    stanza: Node

    @property
    def id(self) -> str | None:
        return self.stanza.optional_str("id")

    @property
    def sender(self) -> str:
        """User part of `from`: a client may confirm to the device or to the bare address."""
        return self.stanza.attr_jid("from").user

    @property
    def resend(self) -> int:
        """The largest `count` of its ciphertexts; 0 for a first delivery."""
        return max((enc.optional_int("count") or 0 for enc in self.stanza.children("enc")), default=0)


class Mailbox:
    """Letters of one device. `confirm` takes what the device answers."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._numbers = count()
        self._acks_to_come: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, stanza: Node) -> Letter:
        letter = Letter(next(self._numbers), stanza)
        self._letters.append(letter)
        return letter

    def waiting(self) -> tuple[Letter, ...]:
        """Unconfirmed letters, oldest first."""
        return tuple(self._letters)

    def clear(self) -> None:
        self._letters.clear()
        self._acks_to_come.clear()

    def confirm(self, answer: Node) -> int:
        """Take a receipt or an ack of the device; how many letters it confirmed. Raises InvalidStanza."""
        if answer.tag == "ack":
            return self._acked(answer)
        kind = answer.optional_str("type")
        if kind == "retry":
            return self._refused(answer)
        return self._decrypted(answer) if kind in CONFIRMING else 0

    def _decrypted(self, receipt: Node) -> int:
        sender = receipt.attr_jid("to").user
        ids = receipt_ids(receipt)
        return self._remove(lambda x: _is(x, "message") and x.id in ids and x.sender == sender)

    def _refused(self, receipt: Node) -> int:
        """A retry receipt with count n answers what was sent with a lower count, and never a resend that is
        under way. An ack for the refused stanza follows, sometimes late: it must not confirm the resend,
        which bears the same id."""
        identity, sender = receipt.attr_str("id"), receipt.attr_jid("to").user
        tries = receipt.require_child("retry").optional_int("count") or 1
        removed = self._remove(
            lambda x: _is(x, "message") and x.id == identity and x.sender == sender and x.resend < tries
        )
        if removed:
            self._acks_to_come[identity, sender] += 1
        return removed

    def _acked(self, ack: Node) -> int:
        tag, identity = ack.attr_str("class"), ack.attr_str("id")
        sender = ack.attr_jid("to").user
        if tag == "message" and self._acks_to_come[identity, sender] > 0:
            self._acks_to_come[identity, sender] -= 1
            return 0
        kind = ack.optional_str("type")
        for letter in self._letters:
            if not _is(letter, tag) or letter.id != identity or letter.sender != sender:
                continue
            # A read receipt has the id of the delivery receipt before it; the type tells them apart.
            if tag == "receipt" and letter.stanza.optional_str("type") != kind:
                continue
            self._letters.remove(letter)
            return 1
        return 0

    def _remove(self, confirmed: Callable[[Letter], bool]) -> int:
        before = len(self._letters)
        self._letters = [letter for letter in self._letters if not confirmed(letter)]
        return before - len(self._letters)


def _is(letter: Letter, tag: str) -> bool:
    return letter.stanza.tag == tag


def receipt_ids(receipt: Node) -> tuple[str, ...]:
    """The message ids of a receipt: its own, then those in `<list>`."""
    listed = receipt.child("list")
    items = listed.children("item") if listed else ()
    return (receipt.attr_str("id"), *(item.attr_str("id") for item in items))
