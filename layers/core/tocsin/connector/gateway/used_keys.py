"""Which message keys have left this process: none may leave a second time with other content.

Functions take message numbers by an atomic count in the keys table. Who can write to that table could set the
count back. The sealed chain is a floor to it, but lags up to 32 numbers behind. Every message passes here, so
here the ciphertexts themselves are looked at: they name their chain (the sender's ratchet key, or a group's
key id) and their number in it.

    number not seen yet          remembered with a digest of the ciphertext, and sent
    the same ciphertext again    a repeat of a request, and sent
    another ciphertext           refused: its key would be used twice
    below all that is remembered refused: nobody can say

Memory is bounded three ways: numbers of one chain, numbers in all, chains in all. What goes first was used
longest ago. Of a chain whose numbers go, the floor stays; of one that goes whole, nothing. A new process
remembers nothing. No I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from tocsin.signal.errors import SignalError
from tocsin.signal.wire import parse_prekey_message, parse_sender_key_message, parse_signal_message
from tocsin.whatsapp.node import Node

WINDOW: Final = 2048
"""Numbers of one chain. More than a function can be behind the others: it gives up after 1,000 numbers."""

MAX_NUMBERS: Final = 65_536
MAX_CHAINS: Final = 32_768
"""Together some 20 MB, when they are full."""

_DIGEST_BYTES: Final = 8


class Copy(NamedTuple):
    """One ciphertext on its way. `to`: whose session or group it is of, as the stanza writes it. `chain`: 32
    bytes that name the chain. `digest`: of the ciphertext."""

    to: str
    chain: bytes
    number: int
    digest: bytes


@dataclass(slots=True)
class _Used:
    """`digests`: by number. Numbers below `floor` are remembered no more."""

    floor: int = 0
    digests: dict[int, bytes] = field(default_factory=dict)

    def refuses(self, number: int, digest: bytes) -> bool:
        return self.digests.get(number, digest) != digest or number < self.floor

    def forget(self, count: int) -> int:
        """Forget so many of the lowest numbers; how many there were to forget."""
        gone = sorted(self.digests)[:count]
        for number in gone:
            del self.digests[number]
        self.floor = gone[-1] + 1 if gone else self.floor
        return len(gone)


class UsedKeys:
    """Of all accounts of the process. `window`, `numbers`, `chains`: how much is remembered."""

    def __init__(self, *, window: int = WINDOW, numbers: int = MAX_NUMBERS, chains: int = MAX_CHAINS) -> None:
        self._window = window
        self._max_numbers = numbers
        self._max_chains = chains
        # Those used last stand last.
        self._chains: OrderedDict[bytes, _Used] = OrderedDict()
        self._numbers = 0

    @property
    def numbers(self) -> int:
        """How many are remembered now."""
        return self._numbers

    def claim(self, message: Node) -> list[str]:
        """Remember every ciphertext of a `<message>`, which may go out then: an empty list.

        Otherwise nothing is remembered, nothing may go out, and these are the names of those refused.
        """
        copies = list(copies_of(message))
        here: dict[tuple[bytes, int], bytes] = {}
        refused = [
            copy.to
            for copy in copies
            if here.setdefault((copy.chain, copy.number), copy.digest) != copy.digest or self._refuses(copy)
        ]
        if not refused:
            for copy in copies:
                self._remember(copy)
        return refused

    def _refuses(self, copy: Copy) -> bool:
        used = self._chains.get(copy.chain)
        return used is not None and used.refuses(copy.number, copy.digest)

    def _remember(self, copy: Copy) -> None:
        used = self._chains.setdefault(copy.chain, _Used())
        self._chains.move_to_end(copy.chain)
        if copy.number not in used.digests:
            used.digests[copy.number] = copy.digest
            self._numbers += 1
        if len(used.digests) > self._window:
            self._numbers -= used.forget(max(self._window // 4, 1))  # many at once: it takes a sort
        self._make_room()

    def _make_room(self) -> None:
        if len(self._chains) > self._max_chains:
            _, gone = self._chains.popitem(last=False)
            self._numbers -= len(gone.digests)
        if self._numbers <= self._max_numbers:
            return
        for used in self._chains.values():
            self._numbers -= used.forget(len(used.digests))
            if self._numbers <= self._max_numbers // 2:  # half, so that this walk is seldom
                return


def copies_of(message: Node) -> Iterator[Copy]:
    """Every ciphertext in a `<message>`. What can't be read as one has no key to use twice: left out."""
    to = message.attrs.get("participant") or message.attrs.get("to", "")
    participants = message.child("participants")
    yield from _read(message.children("enc"), str(to), message)
    for each in participants.children("to") if participants is not None else ():
        yield from _read(each.children("enc"), str(each.attrs.get("jid", "")), message)


def _read(encs: Iterable[Node], to: str, message: Node) -> Iterator[Copy]:
    for enc in encs:
        body, group = enc.content, str(message.attrs.get("to", ""))
        if not isinstance(body, bytes):
            continue
        try:
            place = _place(enc.attrs.get("type"), body, group)
        except SignalError:
            continue
        if place is not None:
            yield Copy(to, *place, sha256(body).digest()[:_DIGEST_BYTES])


def _place(kind: object, body: bytes, group: str) -> tuple[bytes, int] | None:
    """Chain and number of a ciphertext; None for other kinds. Raises SignalError."""
    match kind:
        case "msg":
            message = parse_signal_message(body)
            return message.ratchet_public, message.counter
        case "pkmsg":
            inner = parse_prekey_message(body).message
            return inner.ratchet_public, inner.counter
        case "skmsg":
            sent = parse_sender_key_message(body)
            return sha256(f"{group}\0{sent.key_id}".encode()).digest(), sent.iteration
        case _:
            return None
