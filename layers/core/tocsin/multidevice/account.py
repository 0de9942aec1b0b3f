"""One account as one call sees it: its keys, its public facts, and the socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.tables.names import user_of
from tocsin.whatsapp.errors import StanzaRefused
from tocsin.whatsapp.jid import JID, LID, PN, is_one_person
from tocsin.whatsapp.message import SENDER_MISMATCH

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
        pace: str = "",
        timeout: int = 80,
    ) -> Node: ...

    def send(self, profile: AccountProfile, node: Node) -> None: ...

    def upload(self, profile: AccountProfile, kind: str, blob: bytes) -> tuple[str, str]: ...

    def download(self, profile: AccountProfile, direct_path: str, file_enc_sha256: bytes) -> bytes: ...


class Numbers(Protocol):
    """What of `numbers.NumberOwners` an account uses."""

    def ask(self, account: Account, pn: JID) -> str | None: ...

    def heed(self, account: Account, asked: JID, answered: JID | None, lid: str) -> bool: ...

    def lost(self, account: Account, pn: str) -> None: ...


@dataclass(frozen=True)
class Account:
    """One account as one call sees it: its keys, its public facts, and the socket."""

    keys: KeyStore
    profile: AccountProfile
    connector: Connector
    numbers: Numbers

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
        return self._present_owner(sender.chat)

    def is_person(self, user: str, recipient: str) -> bool:
        """Whether a user (canonical bare JID) is this recipient of a notification."""
        return user in self.names_of(recipient)

    def names_of(self, recipient: str) -> frozenset[str]:
        """The bare JIDs that a recipient of a notification has now."""
        phone = user_of(recipient)
        return frozenset((phone, self.lid_of(phone)))

    def sender(self, *names: JID | None) -> str:
        """Return the canonical bare JID of the one person whom all these names (devices or users, from one
        stanza) mean. Nothing is learnt from a stanza: where it says what isn't known, WhatsApp is asked.

        Raises `StanzaRefused` if the names are two people's; `ConnectorError` if nobody can be asked now.
        """
        users = [jid.chat for jid in names if jid is not None]
        if not is_one_person(users, self.own_names):
            raise StanzaRefused(SENDER_MISMATCH)
        pn, lid = (next((user for user in users if user.server == server), None) for server in (PN, LID))
        if lid is None or pn is None or not pn.user or not lid.user:
            return str(lid) if lid is not None else self._present_owner(users[0])
        if not self.is_own(str(lid)) and not self.keys.contacts.is_known(str(pn), str(lid)):
            self._demand_pair(pn, lid)
        return str(lid)

    def _present_owner(self, user: JID) -> str:
        """Whom a name alone means in a stanza: of a number whoever WhatsApp named for it last, though nothing
        may be sent there before an operator confirmed it."""
        known = self.keys.contacts.known(str(user)) if user.server == PN else None
        if known is None:
            return self.lid_of(str(user))
        return known.moved_to or known.lid

    def _demand_pair(self, pn: JID, lid: JID) -> None:
        """Raise `StanzaRefused` unless the number is this LID's, or nobody says anything else. Without an
        answer, who had the number and who has it by now are believed: the LID alone counts."""
        known = self.keys.contacts.known(str(pn))
        if known is not None and known.moved_to == str(lid):
            return  # so WhatsApp said
        answer = self.numbers.ask(self, pn)
        present = answer or (known.lid if known is not None else None)
        if present not in (None, str(lid)):
            raise StanzaRefused(SENDER_MISMATCH)

    def learn(self, *names: JID | None) -> bool:
        """Heed that an answer of WhatsApp's, or our own phone, names a phone number and a LID as one person's
        in passing. Anything but one of each teaches nothing, nor does it teach us our own names: those are
        known since the pairing.

        News is learnt. What contradicts something known is a reason to ask before the next send: False. It is
        none if that was asked just now.
        """
        pair = self._pair(names)
        if pair is None or self.keys.contacts.is_known(*pair):
            return True
        contradicted = self._contradicted(*pair)
        if not contradicted:
            self.keys.contacts.learn(*pair)
        doubts = [self.keys.contacts.doubt(number) for number in contradicted]
        return not any(doubts)

    def compare(self, *names: JID | None) -> None:
        """As `learn`, for what a stanza names in passing: it teaches nothing."""
        pair = self._pair(names)
        if pair is not None and not self.keys.contacts.is_known(*pair):
            for number in self._contradicted(*pair):
                self.keys.contacts.doubt(number)

    def _pair(self, names: Iterable[JID | None]) -> tuple[str, str] | None:
        """The number and the LID of somebody else than us, if that is what `names` are."""
        users = {jid.chat for jid in names if jid is not None and jid.user}
        pn, lid = (next((str(user) for user in users if user.server == server), "") for server in (PN, LID))
        if not pn or not lid or not is_one_person(users, self.own_names) or self.is_own(lid):
            return None
        return pn, lid

    def _contradicted(self, pn: str, lid: str) -> list[str]:
        """The known numbers that can't be right if `pn` is `lid`."""
        found = (self.keys.contacts.known(pn), self.keys.contacts.known(lid))
        return [known.pn for known in found if known is not None and (known.pn, known.lid) != (pn, lid)]
