"""The key store as its callers see it: one object per account, with a part for each thing that is done.

    .account    credentials, prekeys, limits        .groups     sender keys, members' devices
    .sending    numbers and sessions of a user      .contacts   phone number and LID, privacy tokens
    .receiving  decrypting, and counting retries    .upkeep     maintenance, and what an operator asks for

The work is done in the modules of `tocsin.keys`. What the send of a first text doesn't need is imported when
it is first used, to keep the cold start short.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from tocsin.dynamo.table import Table
from tocsin.keys.context import KeyContext, log_damage
from tocsin.keys.store.account import AccountKeys
from tocsin.keys.store.contacts import Contacts
from tocsin.keys.store.sending import SendingKeys
from tocsin.sealing import DamagedRecord, Sealer

if TYPE_CHECKING:
    from tocsin.keys.observe import IdentityChange, Observer
    from tocsin.keys.store.groups import GroupKeys
    from tocsin.keys.store.receiving import ReceivingKeys
    from tocsin.keys.store.upkeep import Upkeep

_log = logging.getLogger("tocsin.keys")


class KeyStore:
    """The keys of one account.

    `clock`: seconds since the epoch. `random(n)`: n random bytes. `on_damage`: hears of damaged session
    records, which count as absent and are replaced; damaged credentials are raised as DamagedRecord.
    `on_identity_change`: hears of a device's new identity just before it is stored, and again if that has to
    be repeated; what it raises keeps the identity from being stored. `observer`: hears of every read and
    write, and of what becomes of sessions; by default they go into the log.
    """

    def __init__(
        self,
        table: Table,
        sealer: Sealer,
        account: str,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], None] = time.sleep,
        on_damage: Callable[[DamagedRecord], None] = log_damage,
        on_identity_change: Callable[[IdentityChange], None] | None = None,
        observer: Observer | None = None,
    ) -> None:
        if observer is not None or _log.isEnabledFor(logging.DEBUG):
            from tocsin.keys.observe import LOG, ObservedTable

            table = ObservedTable(table, observer or LOG)
        self._context = KeyContext(
            table, sealer, account, clock, random, sleep, on_damage, on_identity_change, observer
        )
        self.account = AccountKeys(self._context)
        self.sending = SendingKeys(self._context)
        self.contacts = Contacts(self._context)

    @cached_property
    def receiving(self) -> ReceivingKeys:
        from tocsin.keys.store.receiving import ReceivingKeys

        return ReceivingKeys(self._context)

    @cached_property
    def groups(self) -> GroupKeys:
        from tocsin.keys.store.groups import GroupKeys

        return GroupKeys(self._context)

    @cached_property
    def upkeep(self) -> Upkeep:
        from tocsin.keys.store.upkeep import Upkeep

        return Upkeep(self._context)
