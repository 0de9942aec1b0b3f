"""Who a user is: phone number and LID, and the privacy tokens they gave us.

`own`: our own bare LID, to which privacy tokens are bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext

if TYPE_CHECKING:
    from tocsin.keys.addresses import KnownAddress
    from tocsin.keys.privacy_tokens import Trust
    from tocsin.keys.timers import ChatTimer

MAX_REMEMBERED_PAIRS = 10_000
REMEMBERED_SECONDS = 600


class Contacts:
    """The part `KeyStore.contacts`."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context
        self._known_pairs: dict[tuple[str, str], int] = {}

    def address(self, user: str) -> dict[str, str] | None:
        """Both names of a user, `pn` and `lid`, by either of them; None if only this one is known."""
        from tocsin.keys.addresses import read_address

        return read_address(self._context, user)

    def known(self, user: str) -> KnownAddress | None:
        """What WhatsApp told of a user, by either name, and when; None: nothing."""
        from tocsin.keys.addresses import read_known

        return read_known(self._context, user)

    def number(self, user: str, perhaps: str | None = None) -> KnownAddress | None:
        """What is known of a user's number, by either name, if it is still theirs. `perhaps`: a number that
        somebody says is theirs, which is read in the same request and decides nothing."""
        from tocsin.keys.addresses import read_number

        return read_number(self._context, user, perhaps)

    def open_known(self, user: str, item: Item | None) -> KnownAddress | None:
        """The same, from an address item that was read already: no request."""
        from tocsin.keys.addresses import open_known

        return open_known(self._context, user, item)

    def is_known(self, pn: str, lid: str) -> bool:
        """Whether `pn` is known to be `lid`. A yes is remembered for some minutes, for every stanza asks."""
        now, pair = self._context.now(), (pn, lid)
        if self.remembers(pn, lid):
            return True
        known = self.known(pn)
        if known is None or known.lid != lid or known.moved_to is not None:
            self._known_pairs.pop(pair, None)
            return False
        if len(self._known_pairs) >= MAX_REMEMBERED_PAIRS:
            self._known_pairs.clear()
        self._known_pairs[pair] = now
        return True

    def remembers(self, pn: str, lid: str) -> bool:
        """Whether that `pn` is `lid` was read so lately that it needn't be read again."""
        return self._context.now() - self._known_pairs.get((pn, lid), 0) < REMEMBERED_SECONDS

    def doubt(self, pn: str) -> bool:
        """Something contradicts what is known of a number: WhatsApp is asked before the next send there.
        False if it was asked just now."""
        from tocsin.keys.addresses import doubt

        return doubt(self._context, pn)

    def note_moved(self, pn: str, to: str) -> bool:
        """WhatsApp names the LID `to` for a number that is known as another's; whether that is news."""
        from tocsin.keys.addresses import note_moved

        return note_moved(self._context, pn, to)

    def learn(self, pn: str, lid: str) -> bool:
        """WhatsApp told that `pn` is `lid` (bare JIDs): remember it, and move the sessions there. Return
        whether it was new."""
        from tocsin.keys.addresses import learn

        return learn(self._context, pn, lid)

    def learn_own(self, pn: str, lid: str) -> bool:
        """The server told us our own names (bare JIDs). Return whether it was new.

        No session moves: the connector, which hears it, has no right to any. A new link has none; later, our
        other devices get new ones.
        """
        from tocsin.keys.addresses import learn_own

        return learn_own(self._context, pn, lid)

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

    def timer(self, own: str, chat: str) -> ChatTimer | None:
        """The timer of the chat with `chat` (a bare LID, or a group's JID); None if none is known."""
        from tocsin.keys.timers import read_timer

        return read_timer(self._context, own, chat)

    def open_timer(self, own: str, chat: str, item: Item) -> ChatTimer | None:
        """The same, from an address item that was read already: no request."""
        from tocsin.keys.timers import open_timer

        return open_timer(self._context, own, chat, item)

    def keep_timer(self, own: str, chat: str, told: ChatTimer, *, certain: bool = False) -> ChatTimer | None:
        """Take in what was told of a chat's timer; what counts then. `certain`: the server says that it is so
        now."""
        from tocsin.keys.timers import keep_timer

        return keep_timer(self._context, own, chat, told, certain=certain)

    def save_salt(self, own: str, salt: bytes) -> None:
        """Keep what contact secrets are made with, for those who entrusted nothing to us."""
        from tocsin.keys.privacy_tokens import save_salt

        save_salt(self._context, own, salt)

    def salt(self, own: str) -> bytes | None:
        from tocsin.keys.privacy_tokens import read_salt

        return read_salt(self._context, own)
