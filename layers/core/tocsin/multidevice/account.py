"""One account as one call sees it: its keys, its public facts, and the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.tables.names import user_of
from tocsin.whatsapp.jid import JID, LID, PN, is_one_person

if TYPE_CHECKING:
    from tocsin.keys.account import AccountProfile
    from tocsin.keys.store import KeyStore
    from tocsin.whatsapp.node import Node


class Connector(Protocol):
    """What of the connector's client the domain uses."""

    def request(self, profile: AccountProfile, node: Node, timeout: int = 30) -> Node: ...

    def send_message(
        self,
        profile: AccountProfile,
        node: Node,
        *,
        resumed: bool = False,
        first_contact: bool = False,
        timeout: int = 80,
    ) -> Node: ...

    def send(self, profile: AccountProfile, node: Node) -> None: ...

    def upload(self, profile: AccountProfile, kind: str, blob: bytes) -> tuple[str, str]: ...


@dataclass(frozen=True)
class Account:
    """One account as one call sees it: its keys, its public facts, and the socket."""

    keys: KeyStore
    profile: AccountProfile
    connector: Connector

    @property
    def own_user(self) -> str:
        """The bare LID of the account itself."""
        return str(self.own_device.bare)

    @property
    def own_device(self) -> JID:
        """The device that this is, by its LID."""
        return JID.parse(self.profile.lid or self.profile.jid)

    @property
    def own_names(self) -> tuple[JID, JID]:
        """The account's bare LID and bare phone number."""
        return self.own_device.bare, JID.parse(self.profile.jid).bare

    def is_forged(self, user: str, device: int, identity: bytes) -> bool:
        """Whether a device that claims to be our own phone isn't the one that linked us.

        The server can make up devices and bundles; what our own phone tells, we believe.
        """
        key = self.account_key(user)
        return not device and key is not None and identity != key

    def account_key(self, user: str) -> bytes | None:
        """The identity of the phone that vouches for a user's companions, where it is known beside our
        session with that phone: our own account's, since the pairing."""
        if not self.is_own(user):
            return None
        from tocsin.whatsapp.pairing import account_key_of

        return account_key_of(self.profile.device_identity)

    def is_own(self, user: str) -> bool:
        """Whether a bare JID, in either address form, is the account itself."""
        return user in map(str, self.own_names)

    def lid_of(self, user: str) -> str:
        """The LID of a user (bare JID) if it is known, else the name that was given."""
        names = self.keys.contacts.address(user)
        return names["lid"] if names else user

    def canonical(self, sender: JID, sender_alt: JID | None) -> str:
        """Return the bare JID under which the sessions with a sender lie: the LID where it is known."""
        for jid in (sender, sender_alt):
            if jid is not None and jid.chat.server == LID:
                return str(jid.chat)
        return self.lid_of(str(sender.chat))

    def is_person(self, user: str, recipient: str) -> bool:
        """Whether a user (canonical bare JID) is this recipient of a notification."""
        return user in self.names_of(recipient)

    def names_of(self, recipient: str) -> frozenset[str]:
        """The bare JIDs that a recipient of a notification has now."""
        phone = user_of(recipient)
        return frozenset((phone, self.lid_of(phone)))

    def learn(self, *names: JID | None) -> None:
        """Remember that a phone number and a LID among `names` (devices or users) are one person's, which
        moves the sessions to the LID. Anything but one of each teaches nothing, nor does a stanza teach us
        our own names: those are known since the pairing.

        A LID that is known already keeps its number: after a national renumbering it is the one that the
        ticketing system uses, under which conduct is filed, while stanzas name WhatsApp's own digits. A
        number that is known gets its newest LID.
        """
        users = {jid.chat for jid in names if jid is not None and jid.user}
        pn, lid = (next((user for user in users if user.server == server), None) for server in (PN, LID))
        if pn is None or lid is None or not is_one_person(users, self.own_names):
            return
        if not self.keys.contacts.is_known(str(lid)):
            self.keys.contacts.learn(str(pn), str(lid))
