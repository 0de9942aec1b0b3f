"""What waits for one device, in order, until the device confirms it.

A stanza stays here after it was sent: a connection that breaks before the confirmation brings it again at the
next login. Messages are confirmed by a receipt, everything else by an ack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, count

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
        # By stanza id, for that is what answers name.
        self._letters: defaultdict[str | None, list[Letter]] = defaultdict(list)
        self._numbers = count()
        self._acks_to_come: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._letters.values()))

    def put(self, stanza: Node) -> Letter:
        letter = Letter(next(self._numbers), stanza)
        self._letters[letter.id].append(letter)
        return letter

    def waiting(self) -> tuple[Letter, ...]:
        """Unconfirmed letters, oldest first."""
        return tuple(sorted(chain.from_iterable(self._letters.values()), key=lambda letter: letter.number))

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
        return self._remove(receipt_ids(receipt), lambda x: _is(x, "message") and x.sender == sender)

    def _refused(self, receipt: Node) -> int:
        """A retry receipt with count n answers what was sent with a lower count, and never a resend that is
        under way. An ack for the refused stanza follows, sometimes late: it must not confirm the resend,
        which bears the same id."""
        identity, sender = receipt.attr_str("id"), receipt.attr_jid("to").user
        tries = receipt.require_child("retry").optional_int("count") or 1
        removed = self._remove(
            [identity], lambda x: _is(x, "message") and x.sender == sender and x.resend < tries
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
        for letter in self._letters.get(identity, ()):
            if not _is(letter, tag) or letter.sender != sender:
                continue
            # A read receipt has the id of the delivery receipt before it; the type tells them apart.
            if tag == "receipt" and letter.stanza.optional_str("type") != kind:
                continue
            return self._remove([identity], lambda x, letter=letter: x is letter)  # type: ignore[misc]
        return 0

    def _remove(self, ids: Iterable[str], confirmed: Callable[[Letter], bool]) -> int:
        """Drop those of the letters with these ids that are confirmed; how many."""
        removed = 0
        for identity in ids:
            letters = self._letters.pop(identity, [])
            if kept := [letter for letter in letters if not confirmed(letter)]:
                self._letters[identity] = kept
            removed += len(letters) - len(kept)
        return removed


def _is(letter: Letter, tag: str) -> bool:
    return letter.stanza.tag == tag


def receipt_ids(receipt: Node) -> tuple[str, ...]:
    """The message ids of a receipt: its own, then those in `<list>`."""
    listed = receipt.child("list")
    items = listed.children("item") if listed else ()
    return (receipt.attr_str("id"), *(item.attr_str("id") for item in items))
