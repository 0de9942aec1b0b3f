"""What every operation of the key store works with: the table, the sealer, and the world around them.

Clock, entropy and sleep come in from outside, so that a test decides what time it is and what is random.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tocsin.dynamo.contention import repeated
from tocsin.dynamo.table import Contention, OutcomeUnknown, Table
from tocsin.dynamo.writes import Item, Key
from tocsin.keys.errors import Contended
from tocsin.sealing import DamagedRecord, Place, Sealer

if TYPE_CHECKING:
    from tocsin.keys.observe import IdentityChange, Observer

T = TypeVar("T")

TAG_BYTES = 16

_log = logging.getLogger("tocsin.keys")


def log_damage(damaged: DamagedRecord) -> None:
    """The default reaction to a damaged record: say which one (users' numbers masked)."""
    _log.warning("%s", damaged)


class KeyContext(NamedTuple):
    """`clock`: seconds since the epoch. `random(n)`: n random bytes. `on_damage` hears of damaged records
    that are treated as absent; `on_identity_change` of a device's new identity, before it is stored;
    `observer` of what became of sessions (None: they are logged)."""

    table: Table
    sealer: Sealer
    account: str
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    sleep: Callable[[float], None]
    on_damage: Callable[[DamagedRecord], None] = log_damage
    on_identity_change: Callable[[IdentityChange], None] | None = None
    observer: Observer | None = None

    def now(self) -> int:
        return int(self.clock())

    def new_tag(self) -> bytes:
        """16 random bytes: no later life of an item looks like an earlier one."""
        return self.random(TAG_BYTES)

    def seal(self, plain: bytes, key: Key, attribute: str, tag: bytes = b"") -> bytes:
        return self.sealer.seal(plain, Place(*key, attribute, tag), self.random(12))

    def unseal(self, item: Item, attribute: str, tag_attribute: str | None = None) -> bytes:
        """What is sealed in `attribute` of an item as read. Raises DamagedRecord."""
        tag = item.get(tag_attribute, b"") if tag_attribute else b""
        place = Place(str(item["pk"]), str(item["sk"]), attribute, tag if isinstance(tag, bytes) else b"?")
        return self.sealer.unseal(item.get(attribute), place)

    def patiently(self, operation: Callable[[], T]) -> T:
        """Repeat `operation` as it is while the table is contended. Raises Contended after a second."""
        try:
            return repeated(operation, random=self.random, sleep=self.sleep)
        except Contention:
            raise Contended from None

    def insistently(self, operation: Callable[[], T]) -> T:
        """As `patiently`, for a write that may be done twice: a lost answer is no reason to give up."""
        causes = (Contention, OutcomeUnknown)
        try:
            return repeated(operation, causes=causes, random=self.random, sleep=self.sleep)
        except causes:
            raise Contended from None
