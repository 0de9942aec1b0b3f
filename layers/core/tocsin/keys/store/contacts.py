"""Who a user is: phone number and LID, and the privacy tokens they gave us.

`own`: our own bare LID, to which privacy tokens are bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext

if TYPE_CHECKING:
    from tocsin.keys.privacy_tokens import Trust

MAX_REMEMBERED_LIDS = 10_000


class Contacts:
    """The part `KeyStore.contacts`."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context
        self._known_lids: set[str] = set()

    def address(self, user: str) -> dict[str, str] | None:
        """Both names of a user, `pn` and `lid`, by either of them; None if only this one is known."""
        from tocsin.keys.addresses import read_address

        return read_address(self._context, user)

    def is_known(self, lid: str) -> bool:
        """Return whether both names of a LID are known. A yes is remembered, because it never changes."""
        if lid in self._known_lids:
            return True
        known = self.address(lid) is not None
        if known:
            if len(self._known_lids) >= MAX_REMEMBERED_LIDS:
                self._known_lids.clear()
            self._known_lids.add(lid)
        return known

    def learn(self, pn: str, lid: str) -> bool:
        """Remember that `pn` is `lid` (bare JIDs), and move the sessions there; return whether it was new."""
        from tocsin.keys.addresses import learn

        return learn(self._context, pn, lid)

    def address_item(self, user: str) -> Item:
        """The item of a user's address, for `open_trust`."""
        from tocsin.keys.addresses import read_item

        return read_item(self._context, user)

    def absent_since(self, pn: str) -> int:
        """When WhatsApp last said that it doesn't know this number, in seconds; 0: never."""
        from tocsin.keys.addresses import absent_since

        return absent_since(self._context, pn)

    def note_absent(self, pn: str) -> None:
        """WhatsApp doesn't know this number now."""
        from tocsin.keys.addresses import note_absent

        note_absent(self._context, pn)

    def trust(self, own: str, lid: str) -> Trust:
        """What the contact `lid` entrusted to us, and when we did so."""
        from tocsin.keys.privacy_tokens import read_trust

        return read_trust(self._context, own, lid)

    def open_trust(self, own: str, lid: str, item: Item) -> Trust:
        """The same, from an address item that was read already: no request."""
        from tocsin.keys.privacy_tokens import open_trust

        return open_trust(self._context, own, lid, item)

    def keep_token(self, own: str, lid: str, token: bytes, at: int) -> bool:
        """Keep the token that the contact issued at `at`; whether it is newer than the one that is kept."""
        from tocsin.keys.privacy_tokens import keep_token

        return keep_token(self._context, own, lid, token, at)

    def note_issued(self, lid: str, at: int) -> None:
        """We issued a token to the contact."""
        from tocsin.keys.privacy_tokens import note_issued

        note_issued(self._context, lid, at)

    def save_salt(self, own: str, salt: bytes) -> None:
        """Keep what contact secrets are made with, for those who entrusted nothing to us."""
        from tocsin.keys.privacy_tokens import save_salt

        save_salt(self._context, own, salt)

    def salt(self, own: str) -> bytes | None:
        from tocsin.keys.privacy_tokens import read_salt

        return read_salt(self._context, own)
