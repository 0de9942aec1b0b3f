"""Where an account's connector answers, sealed into the lease: what a function trusts before it connects.

    account#A   lease     `whereabouts`: sealed JSON {connector, url, certificate, protocol}, tag: the epoch

A function hands the account's bearer token to whoever answers at `url` with `certificate`. So neither is read
from a plain attribute, which anybody with write access to the table could change. The seal names account and
epoch: the whereabouts of another account, or of an earlier holder under a later epoch, don't open.

A whole lease of earlier, epoch included, opens again. It leads to a process of ours or to nobody: the key of
its certificate died with the process that wrote it, and TLS fails before the token is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tocsin.accounts.state import AccountState
from tocsin.tables.keys import lease_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.dynamo.writes import Item
    from tocsin.sealing import Place, Sealer

# `sealing` is imported where it is needed: a console's command that shows a state needs no cryptography.

WHEREABOUTS = "whereabouts"
_EPOCH_BYTES = 8

UNSAID_PROTOCOL: Final = 1
"""What a holder speaks whose lease doesn't say it: one of 0.1.0."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`url`, `certificate` (PEM): where the holder answers and the only certificate to trust there; None if
    nobody holds the account. `state` is the lease's plain one: it may keep a function from connecting, and
    lead it nowhere else. `protocol`: the version that the holder speaks (`connector_client.protocol`)."""

    account: str
    state: AccountState
    connector: str | None = None
    url: str | None = None
    certificate: str | None = field(repr=False, default=None)
    protocol: int = UNSAID_PROTOCOL


class LeaseRefused(Exception):
    """The lease doesn't say in a trustworthy way where its holder answers: hand nothing over. Wait; a
    connector that takes the account seals the lease anew. `reason`: `unsealed` (by a connector of before
    0.2, or by a stranger), or `damaged` (changed, moved, or of another epoch)."""

    def __init__(self, account: str, reason: str) -> None:
        super().__init__(account, reason)
        self.account = account
        self.reason = reason

    def __str__(self) -> str:
        return f"the lease of {self.account} is {self.reason}"


def read_whereabouts(table: Table, account: str, sealer: Sealer) -> Whereabouts | None:
    """Where the account's holder answers, or None if no connector ever held the account.

    Raises LeaseRefused.
    """
    item = table.get(lease_key(account))
    return open_whereabouts(account, item, sealer) if item is not None else None


def open_whereabouts(account: str, lease: Item, sealer: Sealer) -> Whereabouts:
    """What a lease item tells of its holder. Raises LeaseRefused."""
    from tocsin.sealing import DamagedRecord

    state = AccountState.read(lease.get("state"))
    if "connector" not in lease:
        return Whereabouts(account, state)
    if WHEREABOUTS not in lease:
        raise LeaseRefused(account, "unsealed")
    try:
        told = json.loads(sealer.unseal(lease[WHEREABOUTS], _place(account, lease.get("epoch"))))
    except DamagedRecord:
        raise LeaseRefused(account, "damaged") from None
    spoken = int(told.get("protocol", UNSAID_PROTOCOL))
    return Whereabouts(account, state, told["connector"], told["url"], told["certificate"], spoken)


def seal_whereabouts(
    sealer: Sealer,
    account: str,
    epoch: int,
    *,
    connector: str,
    url: str,
    certificate: str,
    protocol: int,
    nonce: bytes,
) -> bytes:
    """The attribute `whereabouts` of a lease. `nonce`: 12 random bytes."""
    told = {"connector": connector, "url": url, "certificate": certificate, "protocol": protocol}
    return sealer.seal(json.dumps(told).encode(), _place(account, epoch), nonce)


def _place(account: str, epoch: object) -> Place:
    """An epoch that is no number of eight bytes was written by no connector, and fits no seal."""
    from tocsin.sealing import Place

    usable = isinstance(epoch, int) and not isinstance(epoch, bool) and 0 <= epoch < 1 << 8 * _EPOCH_BYTES
    tag = epoch.to_bytes(_EPOCH_BYTES, "big") if usable and isinstance(epoch, int) else b""
    return Place(*lease_key(account), WHEREABOUTS, tag)
