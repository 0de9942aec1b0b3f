"""What maintenance and an operator ask for: looking at sessions, renewing and cleaning them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext
from tocsin.keys.forgetting import KeysHeld, forget, held_of, names_of
from tocsin.keys.maintenance import Cleaned, Limits, Tended, clean, clean_all, needs_care, tend, tend_group
from tocsin.keys.profile import AccountProfile
from tocsin.keys.views import Listing, UserView, view_user


class Upkeep:
    """The part `KeyStore.upkeep`."""

    def __init__(self, context: KeyContext) -> None:
        self._context = context

    def sessions(self, profile: AccountProfile) -> Listing:
        """The users with sessions, by a walk through the whole table; the listing says what it cost."""
        return Listing(self._context, profile.incarnation)

    def view(self, profile: AccountProfile, user: str) -> UserView:
        """The sessions with a user (a bare JID), without any key: one query."""
        return view_user(self._context, profile.incarnation, user)

    def clean(self, profile: AccountProfile, user: str, device: int | None = None) -> Cleaned:
        """Archive the session with one device of a user, or with all; the next send makes new ones."""
        return clean(self._context, profile.incarnation, user, device)

    def clean_all(self, profile: AccountProfile) -> Iterator[Cleaned]:
        """Clean every user, while the iterator is consumed."""
        return clean_all(self._context, profile.incarnation)

    def needs_care(self, item: Item, limits: Limits) -> bool:
        """Return whether an item of the sessions, as a walk through the table finds it, gives `tend` work."""
        return needs_care(self._context, item, limits)

    def tend(self, profile: AccountProfile, user: str, limits: Limits) -> Tended:
        """Renew, prune and rest what is due of a user's sessions; what can't be read is left.

        Raises Contended.
        """
        return tend(self._context, profile.incarnation, user, limits)

    def tend_group(self, item: Item, limits: Limits) -> bool:
        """Rest our sender key in a group, as a walk through the table finds it; return whether it was due."""
        return tend_group(self._context, item, limits)

    def names(self, user: str) -> frozenset[str]:
        """The names (bare JIDs) of a user that WhatsApp told; a number that went to somebody else is none."""
        return names_of(self._context, user)

    def held(self, users: Iterable[str], message_ids: Iterable[str] = ()) -> KeysHeld:
        """What is held of a person with these names (bare JIDs), who was sent these messages."""
        return held_of(self._context, users, message_ids)

    def forget(self, users: Iterable[str], message_ids: Iterable[str] = ()) -> None:
        """Erase what `held` counts. Somebody who writes again begins anew."""
        forget(self._context, users, message_ids)
