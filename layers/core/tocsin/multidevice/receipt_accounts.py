"""The accounts as receipts see them: what is known of them and of whom they write to, and nobody to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.multidevice.account import Account

if TYPE_CHECKING:
    from tocsin.keys.account import AccountProfile
    from tocsin.keys.store import KeyStore
    from tocsin.whatsapp.jid import JID
    from tocsin.whatsapp.node import Node


class MustAsk(Exception):
    """Only WhatsApp can say who speaks. Whoever has the connector at hand must handle the stanza."""


class _Nobody:
    """In the place of the connector, and of what asks through it."""

    def ask(self, account: Account, pn: JID) -> NoReturn:
        raise MustAsk

    def heed(self, account: Account, asked: JID, answered: JID | None, lid: str) -> NoReturn:
        raise MustAsk

    def lost(self, account: Account, pn: str) -> NoReturn:
        raise MustAsk

    def request(self, profile: AccountProfile, node: Node, timeout: int = 30) -> NoReturn:
        raise MustAsk

    def send_message(
        self,
        profile: AccountProfile,
        node: Node,
        *,
        resumed: bool = False,
        first_contact: bool = False,
        pace: str = "",
        timeout: int = 80,
    ) -> NoReturn:
        raise MustAsk

    def send(self, profile: AccountProfile, node: Node) -> NoReturn:
        raise MustAsk

    def upload(self, profile: AccountProfile, kind: str, blob: bytes) -> NoReturn:
        raise MustAsk

    def download(self, profile: AccountProfile, direct_path: str, file_enc_sha256: bytes) -> NoReturn:
        raise MustAsk


NOBODY = _Nobody()


class ReceiptAccounts:
    """The accounts of this container. Their profiles are remembered until a later pairing is heard of."""

    def __init__(self, open_keys: Callable[[str], KeyStore]) -> None:
        self._open_keys = open_keys
        self._accounts: dict[str, Account] = {}

    def of(self, name: str, incarnation: int) -> Account | None:
        """Return the account, if this is its present pairing. Raises DamagedRecord."""
        account = self._accounts.get(name)
        if account is None or account.profile.incarnation < incarnation:
            account = self._read(name)
        if account is None or account.profile.incarnation != incarnation:
            return None
        return account

    def _read(self, name: str) -> Account | None:
        keys = self._open_keys(name)
        try:
            profile = keys.account.profile()
        except (NoAccount, NotPaired):
            self._accounts.pop(name, None)
            return None
        account = self._accounts[name] = Account(keys, profile, NOBODY, NOBODY)
        return account
