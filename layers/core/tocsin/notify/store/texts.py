"""What people wrote, at rest: one sealed attribute of its record, opened where somebody may read it.

    sealed = seal(JSON object, place of the item ‖ what the words are bound to)

The place is the item's own key, as it lies in the table; the words are bound, besides, to whom they are for.
So a sealed attribute that is moved to another record, or whose record is given another recipient, is refused.
Erasing a person's words is deleting the attribute: what is left of the record tells nothing of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tocsin.dynamo.writes import Key
from tocsin.notify.content import DAMAGED, LOCKED

if TYPE_CHECKING:
    from tocsin.sealing import Place, RecordSealer

SEALED = "sealed"
"""The attribute."""


class TextWithheld(Exception):
    """The words of a record can't be had; `why` is `LOCKED` or `DAMAGED` of `notify.content`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    @property
    def is_damage(self) -> bool:
        """Whether nobody could open them, whatever they may."""
        return self.why == DAMAGED


class Texts:
    """Seals and opens the words of records.

    `sealer`: returns what does it, or None for who may not read texts; it is called for each record, so it
    remembers. `hides_sensitive`: words that are for their recipient alone are never opened: for the console.
    `random(n)`: n random bytes.
    """

    def __init__(
        self,
        sealer: Callable[[], RecordSealer | None] = lambda: None,
        *,
        hides_sensitive: bool = False,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._sealer = sealer
        self.hides_sensitive = hides_sensitive
        self._random = random

    def prepare(self) -> None:
        """Have the key at hand. Raises what keeps it away, before a record is blamed for it."""
        self._sealer()

    def seal(self, words: Mapping[str, Any], key: Key, *bound_to: str) -> bytes:
        """Seal a JSON object for the item at `key`. Raises TextWithheld where texts can only be locked: then
        nothing may be written, for it would be written in the clear."""
        sealer = self._sealer()
        if sealer is None:
            raise TextWithheld(LOCKED)
        from tocsin.sealing import SALT_BYTES

        # Half a surrogate pair, which UTF-8 doesn't hold, becomes "?".
        plain = json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        return sealer.seal(plain, _place(key, bound_to), self._random(SALT_BYTES))

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]:
        """Return the JSON object that was sealed for the item at `key` and this. Raises TextWithheld."""
        sealer = self._sealer()
        if sealer is None:
            raise TextWithheld(LOCKED)
        from tocsin.sealing import DamagedRecord

        try:
            words: dict[str, Any] = json.loads(sealer.unseal(sealed, _place(key, bound_to)))
        except DamagedRecord:
            raise TextWithheld(DAMAGED) from None
        return words

    def is_current(self, sealed: object) -> bool:
        """Whether it was sealed under the secret's current key; nothing is, for who may not read texts."""
        sealer = self._sealer()
        return sealer is not None and isinstance(sealed, bytes) and sealer.is_current(sealed)


def _place(key: Key, bound_to: tuple[str, ...]) -> Place:
    # Who only looks at records without a key needn't load what seals: most commands of the console.
    from tocsin.sealing import Place

    pk, sk = key
    return Place(pk, sk, SEALED, json.dumps(bound_to, ensure_ascii=False).encode())
