"""Read receipts: which kind is sent, by the account's privacy settings."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tocsin.connector_client.errors import ConnectorError
from tocsin.multidevice.account import Account
from tocsin.timestamps import from_seconds
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.iq import parse_privacy_settings, privacy_settings

log = logging.getLogger(__name__)

# The owner may change it on the phone at any time; WhatsApp's own clients ask once a session.
SETTINGS_SECONDS = 3600
READ = "read"
READ_SELF = "read-self"


class Readers:
    """Which kind of receipt says that a message was read, by the privacy settings of each account."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kinds: dict[str, tuple[str, int]] = {}

    def kind(self, account: Account) -> str:
        """`read`, or `read-self` where the owner switched read receipts off, or that can't be known."""
        name = account.profile.account
        kind, asked_at = self._kinds.get(name, ("", 0))
        if not kind or from_seconds(self._clock()) - asked_at >= SETTINGS_SECONDS * 1000:
            kind = self._ask(account)
            self._kinds[name] = kind, from_seconds(self._clock())
        return kind

    @staticmethod
    def _ask(account: Account) -> str:
        try:
            answer = account.connector.request(account.profile, privacy_settings())
            settings = parse_privacy_settings(answer)
        except (ConnectorError, WireError) as error:
            log.warning("the privacy settings are unknown", extra={"cause": getattr(error, "code", "")})
            return READ_SELF
        return READ if settings.get("readreceipts", "all") == "all" else READ_SELF
