"""A source: somebody outside who may put events onto the bus by HTTP, and what they may reach.

    token = name of the source ‖ "." ‖ 43 characters of randomness

The name leads to the record with one read, so the table needs no index, and the randomness makes it a secret.
Of a token the SHA-256 is stored: whoever reads the table can't call. A help desk that signs its webhooks
needs its secret itself; that one is sealed, in a record of which the same function reads nothing else."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.dynamo.writes import Item, Value

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
GROUP = re.compile(r"[0-9]{1,20}(-[0-9]{10})?@g[.]us")
PREFIX = re.compile(r"\+[0-9]{1,15}")

SECRET_BYTES = 32
PER_MINUTE = 600
"""Requests that a source may make in a minute, unless its record says otherwise."""

MAX_PER_MINUTE = 100_000
AUDIENCES = ("customer", "technician", "group")

SECRET = "secret"  # noqa: S105 - the name of an attribute
FORMER_SECRET = "former_secret"  # noqa: S105 - the name of an attribute


class DamagedSource(ValueError):
    """The stored record can't be what was written there; the text names the attribute."""


@dataclass(frozen=True)
class Source:
    """`kind`: a dialect or a kind of help desk. `accounts`: those it may use, the first one by default.
    `audiences`, `recipients`: whom it may reach; empty means all. A recipient is a prefix of a number
    (`+62812`) or a group. `per_minute`: requests. `hash`: SHA-256 of its token; `former_hash` counts until
    `former_until` (ms). `secret`, `former_secret`: sealed, of a help desk that signs. `client`: sealed, how
    the help desk is asked for phones (`desks/phones.py`). `mapping`: the file of an operator's own kind;
    `options`: what else the kind wants to know. `version`: grows with each change (`tocsin.versions`)."""

    name: str
    kind: str
    accounts: tuple[str, ...]
    language: str = ""
    audiences: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    per_minute: int = PER_MINUTE
    paused: bool = False
    created_at: int = 0
    hash: str = field(default="", repr=False)
    former_hash: str = field(default="", repr=False)
    former_until: int = 0
    secret: bytes = field(default=b"", repr=False)
    former_secret: bytes = field(default=b"", repr=False)
    client: bytes = field(default=b"", repr=False)
    mapping: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    @property
    def account(self) -> str:
        return self.accounts[0]

    def is_called_with(self, token: str, now: int) -> bool:
        """Whether a token is its own. `now`: ms."""
        given = hash_of(token)
        current = hmac.compare_digest(given, self.hash)
        former = hmac.compare_digest(given, self.former_hash) and now < self.former_until
        return (current or former) and bool(self.hash)

    def reaches(self, address: str) -> bool:
        """Whether it may write to a group, or to a number in E.164 with or without its +."""
        if not self.recipients:
            return True
        if "@" in address:
            return address in self.recipients
        number = "+" + address.removeprefix("+")
        return any(one.startswith("+") and number.startswith(one) for one in self.recipients)

    def speaks_to(self, audience: str) -> bool:
        return not self.audiences or audience in self.audiences

    def item(self) -> dict[str, Value]:
        """The record's attributes. What is empty is left out."""
        told: dict[str, Value] = {
            "kind": self.kind,
            "accounts": list(self.accounts),
            "language": self.language,
            "audiences": list(self.audiences),
            "recipients": list(self.recipients),
            "per_minute": self.per_minute,
            "paused": self.paused,
            "created_at": self.created_at,
            "hash": self.hash,
            "former_hash": self.former_hash,
            "former_until": self.former_until,
            SECRET: self.secret,
            FORMER_SECRET: self.former_secret,
            "client": self.client,
            "mapping": self.mapping,
            "options": dict(self.options),
            "version": self.version,
        }
        return {name: value for name, value in told.items() if value}


def source_of(name: str, item: Item) -> Source:
    """Read a record. Raises DamagedSource: a source of which nobody knows what it may do, may do nothing."""
    kind, accounts = item.get("kind"), _texts(item, "accounts")
    if not isinstance(kind, str) or not kind:
        raise DamagedSource("kind")
    if not accounts:
        raise DamagedSource("accounts")
    options = item.get("options", {})
    if not isinstance(options, Mapping):
        raise DamagedSource("options")
    return Source(
        name=name,
        kind=kind,
        accounts=accounts,
        language=_of(item, "language", ""),
        audiences=_texts(item, "audiences"),
        recipients=_texts(item, "recipients"),
        per_minute=_of(item, "per_minute", PER_MINUTE),
        paused=_of(item, "paused", False),
        created_at=_of(item, "created_at", 0),
        hash=_of(item, "hash", ""),
        former_hash=_of(item, "former_hash", ""),
        former_until=_of(item, "former_until", 0),
        secret=_of(item, SECRET, b""),
        former_secret=_of(item, FORMER_SECRET, b""),
        client=_of(item, "client", b""),
        mapping=_of(item, "mapping", ""),
        options={str(option): str(value) for option, value in options.items()},
        version=_of(item, "version", 0),
    )


def _of(item: Item, attribute: str, default: Any) -> Any:
    value = item.get(attribute, default)
    if type(value) is not type(default):
        raise DamagedSource(attribute)
    return value


def _texts(item: Item, attribute: str) -> tuple[str, ...]:
    value = item.get(attribute, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DamagedSource(attribute)
    return tuple(value)


# -- tokens ------------------------------------------------------------------------------------------------


def new_token(name: str, randomness: bytes) -> str:
    """`randomness`: SECRET_BYTES of it."""
    return f"{name}.{urlsafe_b64encode(randomness).rstrip(b'=').decode()}"


def name_in(token: str) -> str | None:
    """The name of the source whose token it claims to be; None for what is no token."""
    name, dot, secret = token.partition(".")
    return name if dot and secret and NAME.fullmatch(name) else None


def hash_of(token: str) -> str:
    """The token's randomness is as long as the hash, so one round of it is enough."""
    return sha256(token.encode(errors="replace")).hexdigest()


# -- whom it may reach -------------------------------------------------------------------------------------


def problems_of(source: Source) -> Iterable[str]:
    """What an operator typed that can't be meant, in sentences."""
    if not NAME.fullmatch(source.name):
        yield "a name has 1 to 32 of a-z, 0-9 and -"
    for one in source.recipients:
        if not (PREFIX.fullmatch(one) or GROUP.fullmatch(one)):
            yield f"'{one}' is neither the beginning of a number (+62812) nor a group (…@g.us)"
    for one in source.audiences:
        if one not in AUDIENCES:
            yield f"there is no audience '{one}': {', '.join(AUDIENCES)}"
    if not 1 <= source.per_minute <= MAX_PER_MINUTE:
        yield f"a rate is 1 to {MAX_PER_MINUTE} requests a minute"
