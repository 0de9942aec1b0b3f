"""The account: its keys, its pairing, and the public part that a Lambda may remember between calls.

The secrets lie sealed in one attribute, under the item's tag; what WhatsApp and the connector know anyway
lies beside them. `incarnation` is the number of the pairing, raised whenever the sessions of before must not
be used.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tocsin.dynamo.table import ConditionFailed, OutcomeUnknown
from tocsin.dynamo.writes import ITEM_ABSENT, ITEM_EXISTS, Equals, Item, Put, Update, Value, as_read
from tocsin.keys.context import KeyContext
from tocsin.keys.errors import Contended, NoAccount, NotPaired, OtherPairing
from tocsin.keys.profile import BOUND, bound_facts, open_secrets, read_item
from tocsin.keys.profile import AccountProfile as AccountProfile
from tocsin.signal.curve import KeyPair, encode_point, key_pair, sign
from tocsin.signal.x3dh import Local, SignedPreKey
from tocsin.tables.keys import credentials_key

# Registration ids have 14 bits in Signal's core; 0 means "none" to some peers.
_MAX_REGISTRATION_ID = 16380
# Prekey ids have 24 bits; 0 and the highest mean something else to some peers.
MAX_PREKEY_ID = 0xFFFFFE
# Seconds that a signed prekey is kept after another took its place.
SIGNED_PREKEY_LIFETIME = 60 * 86400
SKIPPED_SIGNED_PREKEY_IDS = 100
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class DatedPreKey(SignedPreKey):
    """A signed prekey of ours as it is stored. `created`: seconds."""

    created: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """All an account has. Private: read where it is needed, never remembered between calls.

    `jid`, `lid`: this device's addresses, None until it is paired. `device_identity`: the encoded
    ADVSignedDeviceIdentity, account key included. `next_prekey_id`: counts up for ever; the id is the
    counter folded into 24 bits. `login_counter`, `routing_info`: what the last login left.
    `prekeys_offered_to`, `prekeys_offered_at`: the counter behind the newest prekey that the server took, and
    when (seconds); None: not known. `mark`: see `keys.high_water_mark`.
    """

    account: str
    incarnation: int
    noise: KeyPair
    identity: KeyPair
    registration_id: int
    signed_prekeys: Mapping[int, DatedPreKey] = field(repr=False)
    current_signed_prekey_id: int
    adv_secret: bytes = field(repr=False)
    connector_token: str = field(repr=False)
    jid: str | None = None
    lid: str | None = None
    device_identity: bytes | None = field(repr=False, default=None)
    push_name: str = ""
    platform: str = ""
    next_prekey_id: int = 1
    login_counter: int = 0
    routing_info: bytes | None = field(repr=False, default=None)
    prekeys_offered_to: int | None = None
    prekeys_offered_at: int = 0
    mark: int = 0

    @property
    def signed_prekey(self) -> DatedPreKey:
        """The one that bundles offer now."""
        return self.signed_prekeys[self.current_signed_prekey_id]

    @property
    def local(self) -> Local:
        """Our side of every session."""
        pairs = {prekey_id: prekey.pair for prekey_id, prekey in self.signed_prekeys.items()}
        return Local(self.identity, self.registration_id, pairs)

    @property
    def profile(self) -> AccountProfile:
        """The part that may be remembered. Raises NotPaired."""
        if self.jid is None:
            raise NotPaired(self.account)
        return AccountProfile(
            self.account,
            self.incarnation,
            self.jid,
            self.lid,
            self.identity.public,
            self.registration_id,
            self.device_identity or b"",
            self.connector_token,
        )


def read_credentials(context: KeyContext) -> Credentials:
    """Raises NoAccount, and DamagedRecord: no new identity is made in place of one that can't be read."""
    return _decoded(context, read_item(context))


def open_credentials(context: KeyContext, item: Item | None) -> Credentials:
    """The same, from the account's item as it was read already: no request."""
    if item is None:
        raise NoAccount(context.account)
    return _decoded(context, item)


def create_account(context: KeyContext) -> Credentials:
    """The account's credentials, made now if there are none: keys to pair with, and the connector's token."""
    with contextlib.suppress(NoAccount):
        item = read_item(context)
        if BOUND in open_secrets(context, item):
            return _decoded(context, item)
        # Last written by 0.1.0: from now on nobody can change in the table who we are.
        return change_credentials(context, lambda old: old)
    made = _new_credentials(context, token=context.random(32).hex(), incarnation=1, next_prekey_id=1)
    key = credentials_key(context.account)
    try:
        context.patiently(lambda: context.table.put(Put(key, _encoded(context, made), when=(ITEM_ABSENT,))))
    except (ConditionFailed, OutcomeUnknown):
        return read_credentials(context)
    return made


def renew_account(context: KeyContext) -> Credentials:
    """Store fresh, unpaired keys. See `AccountKeys.renew`."""

    def renewed(old: Credentials) -> Credentials:
        return _new_credentials(context, old.connector_token, old.incarnation + 1, old.next_prekey_id)

    return change_credentials(context, renewed)


def save_pairing(
    context: KeyContext,
    *,
    jid: str,
    lid: str | None,
    device_identity: bytes,
    push_name: str = "",
    platform: str = "",
    adv_secret: bytes | None = None,
) -> Credentials:
    """See `AccountKeys.save_pairing`."""

    def paired(old: Credentials) -> Credentials:
        return replace(
            old,
            incarnation=old.incarnation + 1,
            jid=jid,
            lid=lid,
            device_identity=device_identity,
            push_name=push_name,
            platform=platform,
            adv_secret=adv_secret or old.adv_secret,
            login_counter=0,
            routing_info=None,
        )

    return change_credentials(context, paired)


def raise_incarnation(
    context: KeyContext, *, skip_prekey_ids: int, beyond: tuple[int, int] = (0, 0)
) -> Credentials:
    """Leave all sessions behind, and a stretch of prekey ids, as after a restored backup.

    `beyond`: incarnation and mark that were reached before the table was set back. The signed prekey is a new
    one as well, far from the ids of those that may have been made since the backup; the next upload of
    prekeys tells the server.

    One backup may be restored twice. Each incarnation that the account had since skips a stretch of its own,
    else the second reset would give out again the ids that the first one went on with.
    """

    def raised(old: Credentials) -> Credentials:
        incarnation = max(old.incarnation, beyond[0]) + 1
        stretches = incarnation - old.incarnation
        signed_id = max(old.signed_prekeys) + stretches * SKIPPED_SIGNED_PREKEY_IDS
        made = _signed_prekey(context, old.identity, signed_id)
        return replace(
            old,
            incarnation=incarnation,
            mark=max(old.mark, beyond[1]) + 1,
            next_prekey_id=old.next_prekey_id + stretches * skip_prekey_ids,
            signed_prekeys={**old.signed_prekeys, made.id: made},
            current_signed_prekey_id=made.id,
        )

    return change_credentials(context, raised)


def save_lid(context: KeyContext, lid: str) -> Credentials:
    """Remember the account's own LID, which a login may tell first. The incarnation stays."""
    return change_credentials(context, lambda old: replace(old, lid=lid))


def new_signed_prekey(context: KeyContext) -> DatedPreKey:
    """See `AccountKeys.new_signed_prekey`."""

    def added(old: Credentials) -> Credentials:
        made = _signed_prekey(context, old.identity, max(old.signed_prekeys) + 1)
        return replace(old, signed_prekeys={**_still_needed(old, context.now()), made.id: made})

    changed = change_credentials(context, added)
    return changed.signed_prekeys[max(changed.signed_prekeys)]


def _still_needed(credentials: Credentials, now: int) -> dict[int, DatedPreKey]:
    """The signed prekeys that a bundle may still name: whoever fetched it may write after weeks. A prekey was
    offered until the next one was made."""
    by_age = sorted(credentials.signed_prekeys.values(), key=lambda prekey: prekey.id)
    replaced_at = [prekey.created for prekey in by_age[1:]] + [now]
    return {
        prekey.id: prekey
        for prekey, replaced in zip(by_age, replaced_at, strict=True)
        if prekey.id == credentials.current_signed_prekey_id or replaced > now - SIGNED_PREKEY_LIFETIME
    }


def adopt_signed_prekey(context: KeyContext, prekey_id: int) -> None:
    """The server has it: from now on it is the current one."""
    change_credentials(context, lambda old: replace(old, current_signed_prekey_id=prekey_id))


def save_login(context: KeyContext, incarnation: int, **changes: int | bytes | str) -> None:
    """Store what a login left (`login_counter`, `routing_info`, `push_name`, `platform`, `prekeys_…`).

    Raises OtherPairing if the account was paired anew in the meantime.
    """
    update = Update(credentials_key(context.account), set=changes, when=(Equals("incarnation", incarnation),))
    _updated(context, update, incarnation)


def _updated(context: KeyContext, update: Update, incarnation: int) -> Item:
    """Do an update on condition of an incarnation. Raises OtherPairing, NoAccount."""
    try:
        return context.patiently(lambda: context.table.update(update))
    except ConditionFailed as failed:
        if failed.item is None:
            raise NoAccount(context.account) from None
        stored = failed.item.get("incarnation")
        raise OtherPairing(incarnation, stored if isinstance(stored, int) else 0) from None


def count_mark(context: KeyContext, incarnation: int) -> int:
    """Count the generation mark up; what it is now. Raises OtherPairing, NoAccount."""
    key = credentials_key(context.account)
    update = Update(key, add={"mark": 1}, when=(Equals("incarnation", incarnation),))
    mark = _updated(context, update, incarnation)["mark"]
    assert isinstance(mark, int)  # noqa: S101 - ADD refuses anything but a number
    return mark


def take_prekey_ids(context: KeyContext, count: int) -> list[int]:
    """Take the next `count` prekey ids. The counter is never lowered, so no id is given to a second key
    while a bundle with the first may be around."""
    update = Update(credentials_key(context.account), add={"next_prekey_id": count}, when=(ITEM_EXISTS,))
    try:
        item = context.patiently(lambda: context.table.update(update))
    except ConditionFailed:
        raise NoAccount(context.account) from None
    following = item["next_prekey_id"]
    if not isinstance(following, int):
        raise NoAccount(context.account)
    return [(counter - 1) % MAX_PREKEY_ID + 1 for counter in range(following - count, following)]


def change_credentials(context: KeyContext, change: Callable[[Credentials], Credentials]) -> Credentials:
    """Read, change, write under the tag as read; a loser reads again. Raises Contended after eight losses."""
    key = credentials_key(context.account)
    for _ in range(_ATTEMPTS):
        item = read_item(context)
        changed = change(_decoded(context, item))
        unchanged = tuple(as_read(attribute, item) for attribute in ("tag", *_WITHOUT_TAG))
        put = Put(key, _encoded(context, changed), when=unchanged)
        try:
            context.patiently(lambda put=put: context.table.put(put))  # type: ignore[misc]
        except ConditionFailed:
            continue
        except OutcomeUnknown:
            stored = context.table.get(key)
            if stored is None or stored.get("tag") != put.attributes["tag"]:
                continue
        return changed
    raise Contended


def _new_credentials(context: KeyContext, token: str, incarnation: int, next_prekey_id: int) -> Credentials:
    identity = key_pair(context.random(32))
    signed_prekey = _signed_prekey(context, identity, 1)
    return Credentials(
        account=context.account,
        incarnation=incarnation,
        noise=key_pair(context.random(32)),
        identity=identity,
        registration_id=1 + int.from_bytes(context.random(4), "big") % _MAX_REGISTRATION_ID,
        signed_prekeys={signed_prekey.id: signed_prekey},
        current_signed_prekey_id=signed_prekey.id,
        adv_secret=context.random(32),
        connector_token=token,
        next_prekey_id=next_prekey_id,
        prekeys_offered_to=next_prekey_id,
    )


def _signed_prekey(context: KeyContext, identity: KeyPair, prekey_id: int) -> DatedPreKey:
    pair = key_pair(context.random(32))
    signature = sign(identity.private, encode_point(pair.public), context.random(64))
    return DatedPreKey(prekey_id, pair, signature, context.now())


# The attributes beside the sealed ones, all optional but the first two. Who we are is sealed, too (`BOUND`).
_PLAIN = ("incarnation", "next_prekey_id", "mark", "jid", "lid", "device_identity", "push_name", "platform")
_PLAIN_OF_LOGIN = ("login_counter", "routing_info", "prekeys_offered_to", "prekeys_offered_at")
# What is also written by itself, under no new tag.
_WITHOUT_TAG = ("next_prekey_id", "mark", *_PLAIN_OF_LOGIN)


def _encoded(context: KeyContext, credentials: Credentials) -> dict[str, Value]:
    """The item's attributes, under a new tag."""
    tag = context.new_tag()
    secrets = {
        "noise": _pair_text(credentials.noise),
        "identity": _pair_text(credentials.identity),
        "registration_id": credentials.registration_id,
        "signed_prekeys": [
            [prekey.id, _pair_text(prekey.pair), prekey.signature.hex(), prekey.created]
            for prekey in credentials.signed_prekeys.values()
        ],
        "current_signed_prekey_id": credentials.current_signed_prekey_id,
        "adv_secret": credentials.adv_secret.hex(),
        "connector_token": credentials.connector_token,
        BOUND: _bound(credentials),
    }
    plain = {name: getattr(credentials, name) for name in _PLAIN + _PLAIN_OF_LOGIN}
    sealed = context.seal(json.dumps(secrets).encode(), credentials_key(context.account), "secrets", tag)
    present = {name: value for name, value in plain.items() if value is not None}
    return {"tag": tag, "secrets": sealed, **present}


def _bound(credentials: Credentials) -> list[int | str | None]:
    identity = credentials.device_identity
    hexed = None if identity is None else identity.hex()
    return [credentials.incarnation, credentials.jid, credentials.lid, hexed]


def _decoded(context: KeyContext, item: Item) -> Credentials:
    secrets = open_secrets(context, item)
    plain: dict[str, Any] = {name: item[name] for name in _PLAIN + _PLAIN_OF_LOGIN if name in item}
    plain |= bound_facts(item, secrets)._asdict()
    signed_prekeys = {
        prekey_id: DatedPreKey(prekey_id, _pair(pair), bytes.fromhex(signature), created)
        for prekey_id, pair, signature, created in secrets["signed_prekeys"]
    }
    return Credentials(
        account=context.account,
        noise=_pair(secrets["noise"]),
        identity=_pair(secrets["identity"]),
        registration_id=secrets["registration_id"],
        signed_prekeys=signed_prekeys,
        current_signed_prekey_id=secrets["current_signed_prekey_id"],
        adv_secret=bytes.fromhex(secrets["adv_secret"]),
        connector_token=secrets["connector_token"],
        **plain,
    )


def _pair_text(pair: KeyPair) -> list[str]:
    return [pair.private.hex(), pair.public.hex()]


def _pair(text: list[str]) -> KeyPair:
    return KeyPair(bytes.fromhex(text[0]), bytes.fromhex(text[1]))
