"""One account as one call sees it: its keys, its public facts, and the socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.keys.account import AccountProfile
    from tocsin.keys.store import KeyStore
    from tocsin.whatsapp.node import Node


class Connector(Protocol):
    """What of the connector's client the domain uses."""

    def request(self, profile: AccountProfile, node: Node, timeout: int = 30) -> Node: ...

    def send_message(
        self, profile: AccountProfile, node: Node, *, resumed: bool = False, timeout: int = 80
    ) -> Node: ...

    def send(self, profile: AccountProfile, node: Node) -> None: ...


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

    def is_own(self, user: str) -> bool:
        """Whether a bare JID, in either address form, is the account itself."""
        return user == self.own_user or user == str(JID.parse(self.profile.jid).bare)

    def lid_of(self, user: str) -> str:
        """The LID of a user (bare JID) if it is known, else the name that was given."""
        names = self.keys.address(user)
        return names["lid"] if names else user
