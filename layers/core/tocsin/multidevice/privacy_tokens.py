"""Privacy tokens: they show WhatsApp that a contact knows us.

    their token, if it is valid ── else a secret made with the account's salt ── else nothing
    after the send: once a week and contact, ours to them

Without either a first contact may be refused (463). Source: the protocol's "Privacy tokens".
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.connector_client.errors import ConnectorError, IqError
from tocsin.dynamo.table import TableError
from tocsin.keys.errors import Contended
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID

if TYPE_CHECKING:
    from tocsin.keys.privacy_tokens import Trust
    from tocsin.multidevice.account import Account
    from tocsin.notify.transport import Address

log = logging.getLogger(__name__)

BUCKET_SECONDS = 7 * 24 * 3600
VALID_BUCKETS = 3
ISSUE_SECONDS = 10
# The salt comes with the history after a pairing; until then it is looked for so often.
SALT_SECONDS = 3600


def is_valid(issued_at: int, now: float) -> bool:
    """Whether a contact's token may still be attached: for 21 to 28 days. In seconds, as WhatsApp counts."""
    return issued_at >= (int(now) // BUCKET_SECONDS - VALID_BUCKETS) * BUCKET_SECONDS


def is_due(issued_at: int, now: float) -> bool:
    """Whether it is time to issue ours again: once in each week of the calendar that WhatsApp counts by, in
    seconds."""
    return int(now) // BUCKET_SECONDS > issued_at // BUCKET_SECONDS


def contact_secret(salt: bytes, lid: str) -> bytes:
    """What stands for a token where a contact issued none. `lid`: bare."""
    return hmac.digest(salt, lid.encode(), "sha256")


class Tokens:
    """The privacy tokens that go along with messages of this container's accounts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._salts: dict[str, tuple[bytes | None, int]] = {}

    def forget(self, account: str) -> None:
        self._salts.pop(account, None)

    def trust(self, account: Account, address: Address) -> Trust:
        """What is known of a contact, by the address item that was read with the notification."""
        return account.keys.contacts.open_trust(account.own_user, address.user, address.trust)

    def attached(self, account: Account, user: str, trust: Trust) -> tuple[bytes | None, bytes | None]:
        """The token and the secret for a message to `user` (bare LID); at most one of them."""
        if account.is_own(user):
            return None, None
        if trust.token is not None and is_valid(trust.token_at, self._clock()):
            return trust.token, None
        salt = self._salt(account)
        return None, contact_secret(salt, user) if salt is not None else None

    def _salt(self, account: Account) -> bytes | None:
        """Not Signal's, and the same until the next pairing: so it may be remembered."""
        name = account.profile.account
        salt, read_at = self._salts.get(name, (None, 0))
        if salt is None and from_seconds(self._clock()) - read_at >= SALT_SECONDS * 1000:
            salt = account.keys.contacts.salt(account.own_user)
            self._salts[name] = salt, from_seconds(self._clock())
        return salt

    def issue(self, account: Account, user: str, trust: Trust) -> None:
        """Tell WhatsApp that we trust a contact whom we wrote to, if it is time to. Failing costs nothing:
        the next send tries again."""
        now = int(self._clock())
        if account.is_own(user) or not is_due(trust.issued_at, now):
            return
        try:
            issue_token(account, user, now)
            account.keys.contacts.note_issued(user, now)
        except (ConnectorError, WireError, Contended, TableError) as error:
            cause = getattr(error, "code", type(error).__name__)
            log.warning("the privacy token wasn't issued", extra={"cause": cause})


def issue_token(account: Account, user: str, at: int) -> None:
    """Issue our token to a contact (bare LID) as of `at` (seconds, as WhatsApp counts). A refusal is
    logged and ignored.

    Raises `ConnectorError`, `WireError`.
    """
    from tocsin.whatsapp.iq import issue_privacy_token

    try:
        account.connector.request(account.profile, issue_privacy_token(JID.parse(user), at), ISSUE_SECONDS)
    except IqError as error:
        log.warning("the privacy token was refused", extra={"code": error.error})
