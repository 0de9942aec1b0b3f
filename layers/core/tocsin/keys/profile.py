"""The public part of an account, which is all that sending needs to read of it.

`account` holds the rest; it isn't imported where only messages are sent.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tocsin.dynamo.writes import Item
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.tables.keys import credentials_key


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


def read_profile(context: KeyContext) -> AccountProfile:
    """Raises NoAccount, NotPaired, DamagedRecord."""
    item = read_item(context)
    jid, lid, incarnation = item.get("jid"), item.get("lid"), item.get("incarnation")
    device_identity = item.get("device_identity", b"")
    if not isinstance(jid, str) or not isinstance(incarnation, int):
        raise NotPaired(context.account)
    secrets = open_secrets(context, item)
    return AccountProfile(
        context.account,
        incarnation,
        jid,
        lid if isinstance(lid, str) else None,
        bytes.fromhex(secrets["identity"][1]),
        secrets["registration_id"],
        device_identity if isinstance(device_identity, bytes) else b"",
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
