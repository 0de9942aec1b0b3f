"""Where things lie in the keys table: the one place that spells partition and sort keys.

A user's sessions share a partition, so that one query reads them all. The incarnation (the number of the
account's pairing) is part of it: what belongs to an earlier pairing is out of reach, not merely outdated.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from tocsin.dynamo.writes import Key

OUTBOUND = "outbound"
SENDER = "sender"
INBOUND = "inbound#"
LIMIT = "limit#"
CONNECTORS = "connectors"
OPERATOR_REQUESTS = "wishes"
SOURCE_VERSIONS = "source-versions"
HOOK_VERSIONS = "hook-versions"
TEXTS_VERSIONS = "texts-versions"
ALL_NAMES = "*"
"""In a partition of versions, in the place of a name: no record is called so."""

# Stanza ids come from outside; a longer one stands in the sort key by its hash.
_MAX_STANZA_ID = 200


def credentials_key(account: str) -> Key:
    return f"account#{account}", "credentials"


def lease_key(account: str) -> Key:
    return f"account#{account}", "lease"


def control_key(account: str) -> Key:
    return f"account#{account}", "control"


def limit_key(account: str, kind: str) -> Key:
    return f"account#{account}", f"{LIMIT}{kind}"


def pace_key(account: str) -> Key:
    """How many messages the account sent lately."""
    return f"account#{account}", "pace"


def halt_key(account: str) -> Key:
    """Why the account doesn't connect by itself."""
    return f"account#{account}", "halt"


def deaf_key(account: str) -> Key:
    """When a process ended because the account's sockets were deaf."""
    return f"account#{account}", "deaf"


def quota_key(account: str) -> Key:
    """How many new chats of its cycle the account has used, as WhatsApp told last."""
    return f"account#{account}", "quota"


def challenge_key(account: str) -> Key:
    """When WhatsApp asked the account's owner for a security check."""
    return f"account#{account}", "challenge"


def login_refusal_key(account: str) -> Key:
    """What WhatsApp said when it last refused the account's login for good, or for a while."""
    return f"account#{account}", "refusal"


def operator_request_key(account: str) -> Key:
    """Says that the account's control item holds a request. All in one partition, which is empty mostly: a
    connector with hundreds of accounts asks once for all of them."""
    return OPERATOR_REQUESTS, account


def source_version_key(source: str) -> Key:
    """Apart from the source itself: whoever may write the one can't set back the other."""
    return SOURCE_VERSIONS, source


def hook_version_key(hook: str) -> Key:
    """Apart from the endpoint itself, as that of a source."""
    return HOOK_VERSIONS, hook


def texts_version_key(name: str) -> Key:
    """Apart from the operator's texts themselves, as that of a source."""
    return TEXTS_VERSIONS, name


def heartbeat_key(connector: str) -> Key:
    """All in one partition: a connector sees with one query which others there are."""
    return CONNECTORS, connector


def prekey_key(account: str, prekey_id: int) -> Key:
    return f"prekey#{account}", str(prekey_id)


def session_pk(account: str, incarnation: int, user: str) -> str:
    return f"session#{account}.{incarnation}#{user}"


def outbound_key(account: str, incarnation: int, user: str) -> Key:
    return session_pk(account, incarnation, user), OUTBOUND


def inbound_key(account: str, incarnation: int, user: str, device: int) -> Key:
    return session_pk(account, incarnation, user), f"{INBOUND}{device}"


def inbound_device(sk: str) -> int | None:
    """The device of an `inbound#D` sort key, or None for another kind of item."""
    device = sk.removeprefix(INBOUND)
    return int(device) if sk.startswith(INBOUND) and device.isdecimal() else None


def stanza_key(account: str, incarnation: int, user: str, device: int, stanza_id: str, digest: str) -> Key:
    """What one ciphertext yielded. `digest`: of the ciphertext, for a resend bears the same stanza id."""
    pk, sk = retry_key(account, incarnation, user, device, stanza_id)
    return pk, f"{sk}#{digest}"


def retry_key(account: str, incarnation: int, user: str, device: int, stanza_id: str) -> Key:
    """How often we asked for one stanza again."""
    return f"stanza#{account}.{incarnation}#{user}", f"{device}#{_stanza_part(stanza_id)}"


def message_secret_key(account: str, user: str, message_id: str) -> Key:
    """Under which `user` seals edits of a message of theirs."""
    return f"secret#{account}#{user}", _stanza_part(message_id)


def upload_key(account: str, name: str) -> Key:
    """`name`: `message#` and a message id, or `file#` and what names a file."""
    return f"upload#{account}", name


def address_key(account: str, user: str) -> Key:
    return f"user#{account}#{user}", "address"


def devices_key(account: str, user: str) -> Key:
    return f"user#{account}#{user}", "devices"


def number_key(account: str) -> Key:
    """Which phone number the account was linked to last."""
    return f"account#{account}", "number"


def privacy_key(account: str) -> Key:
    return f"account#{account}", "privacy"


class Owner(NamedTuple):
    """Whose item it is. `kind`: `session`, `stanza` or `group`; `user`: of a group its JID."""

    kind: str
    account: str
    incarnation: int
    user: str


def group_pk(account: str, incarnation: int, group: str) -> str:
    return f"group#{account}.{incarnation}#{group}"


def own_sender_key(account: str, incarnation: int, group: str) -> Key:
    return group_pk(account, incarnation, group), SENDER


def holders_key(own: Key, tag: str) -> Key:
    """Who has the sender key at `own`. `tag`: of that very key, in hex."""
    return own[0], f"holders#{tag}"


def holder_attribute(user: str, device: int) -> str:
    return f"{user}:{device}"


def holder_of(attribute: str) -> tuple[str, int] | None:
    """User and device of a holder's attribute; None for another one."""
    user, _, device = attribute.rpartition(":")
    return (user, int(device)) if "@" in user and device.isdecimal() else None


def sender_key_of(account: str, incarnation: int, group: str, user: str, device: int) -> Key:
    """Another member's sender keys."""
    return group_pk(account, incarnation, group), f"sender#{user}#{device}"


def group_key(account: str, group: str) -> Key:
    """What WhatsApp told of a group. No key material, so it outlives a pairing."""
    return f"user#{account}#{group}", "group"


def owner_of(pk: str) -> Owner | None:
    """Whose session or stanza record lies under `pk`; None for other kinds of items."""
    kind, _, rest = pk.partition("#")
    life, _, user = rest.partition("#")
    account, _, incarnation = life.rpartition(".")
    if kind not in ("session", "stanza", "group") or not incarnation.isdecimal():
        return None
    return Owner(kind, account, int(incarnation), user)


def chain_attribute(device: int) -> str:
    return f"chain#{device}"


def tag_attribute(device: int) -> str:
    return f"tag#{device}"


def _stanza_part(stanza_id: str) -> str:
    """The id without the separator, so that no id can look like another id with a digest."""
    if len(stanza_id) > _MAX_STANZA_ID:
        return "%" + sha256(stanza_id.encode()).hexdigest()
    return stanza_id.replace("%", "%25").replace("#", "%23")
