"""The public part of an account, which is all that sending needs to read of it.

`account` holds the rest; it isn't imported where only messages are sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.tables.keys import credentials_key

BOUND = "bound"
"""Among the secrets: incarnation, jid, lid and device identity (hex)."""


class AccountProfile(NamedTuple):
    """What sending needs of an account. It changes only with a new pairing, so a Lambda may remember it until
    the connector refuses its incarnation. No key that could decrypt anything is in it.

    `jid`, `lid`: this device's addresses. `identity_public`: 32 bytes. `device_identity`: the encoded
    ADVSignedDeviceIdentity, account key included. `connector_token`: what the connector wants to see.
    """

    account: str
    incarnation: int
    jid: str
    lid: str | None
    identity_public: bytes
    registration_id: int
    device_identity: bytes
    connector_token: str

    def __repr__(self) -> str:
        return f"AccountProfile({self.account!r}, incarnation={self.incarnation})"


class BoundFacts(NamedTuple):
    """What isn't secret of an account, and yet must be true: whoever is "our own phone" gets a copy of each
    message. It stands in the item in plain, for conditions and people, and once more under the seal."""

    incarnation: int
    jid: str | None = None
    lid: str | None = None
    device_identity: bytes | None = None


def bound_facts(item: Item, secrets: Mapping[str, Any]) -> BoundFacts:
    """The sealed facts; those in plain of an account that was last written by 0.1.0."""
    if BOUND in secrets:
        incarnation, jid, lid, identity = secrets[BOUND]
        return BoundFacts(incarnation, jid, lid, None if identity is None else bytes.fromhex(identity))
    incarnation, identity = item.get("incarnation"), item.get("device_identity")
    jid, lid = item.get("jid"), item.get("lid")
    return BoundFacts(
        incarnation if isinstance(incarnation, int) else 0,
        jid if isinstance(jid, str) else None,
        lid if isinstance(lid, str) else None,
        identity if isinstance(identity, bytes) else None,
    )


def read_profile(context: KeyContext) -> AccountProfile:
    """Raises NoAccount, NotPaired, DamagedRecord."""
    item = read_item(context)
    secrets = open_secrets(context, item)
    bound = bound_facts(item, secrets)
    if bound.jid is None or not bound.incarnation:
        raise NotPaired(context.account)
    return AccountProfile(
        context.account,
        bound.incarnation,
        bound.jid,
        bound.lid,
        bytes.fromhex(secrets["identity"][1]),
        secrets["registration_id"],
        bound.device_identity or b"",
        secrets["connector_token"],
    )


def read_item(context: KeyContext) -> Item:
    """The account's item as it lies in the table. Raises NoAccount."""
    item = context.table.get(credentials_key(context.account))
    if item is None:
        raise NoAccount(context.account)
    return item


def open_secrets(context: KeyContext, item: Item) -> dict[str, Any]:
    """What is sealed in the account's item, byte strings in hex. Raises DamagedRecord."""
    secrets: dict[str, Any] = json.loads(context.unseal(item, "secrets", "tag"))
    return secrets
