"""A message that a caller wants sent, whatever dialect it came in, and the event that it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tocsin.door.answer import Entry, Refused, invalid, not_allowed
from tocsin.door.written import Address

if TYPE_CHECKING:
    from tocsin.door.sources import Source

REQUESTED = "MessageRequested"
MAX_RECIPIENTS = 50
MAX_TEXT_CHARACTERS = 20_000
MAX_FILES = 5
MAX_KEY_CHARACTERS = 255
BAD_KEY = f"key: has 1 to {MAX_KEY_CHARACTERS} characters, and none that controls"
OWN_FOLDER = "tocsin/"
"""Of the bucket: there lie the files of messages, whoever's they are."""

ID_CHARACTERS = 24
ID_PREFIX = "msg-"


@dataclass(frozen=True)
class File:
    """One of `url`, `bucket_key` and `content` says where it is. `name`: as the recipient sees it."""

    name: str
    mime: str = ""
    url: str = ""
    bucket_key: str = ""
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Message:
    """`account` empty: the source's first one. `audience`: whose rules hold for people, `customer` or
    `technician`; empty: what the source may reach. `key`: the caller's own name for it, empty if there is
    none."""

    to: tuple[Address, ...]
    text: str = field(repr=False)
    account: str = ""
    language: str = ""
    sensitive: bool = False
    urgent: bool = False
    key: str = ""
    files: tuple[File, ...] = ()
    audience: str = ""

    @property
    def digest(self) -> str:
        """Of what it says and to whom: the same key with another digest is a mistake of the caller's."""
        said = [self.account, self.language, self.text, [list(one) for one in self.to]]
        said.append(
            [[file.name, file.url, file.bucket_key, sha256(file.content).hexdigest()] for file in self.files]
        )
        return sha256(json.dumps(said).encode(errors="replace")).hexdigest()


def checked(message: Message, source: Source, normal: Callable[[str], str]) -> Message:
    """Return the message as `source` may send it. `normal(phone)`: its digits, or raises ValueError with what
    is wrong with it. Raises Refused (400, 403)."""
    problems = []
    if not message.to:
        problems.append("to: names nobody")
    if len(message.to) > MAX_RECIPIENTS:
        problems.append(f"to: names more than {MAX_RECIPIENTS}")
    if not message.text.strip() and not message.files:
        problems.append("text: is empty")
    if len(message.text) > MAX_TEXT_CHARACTERS:
        problems.append(f"text: is longer than {MAX_TEXT_CHARACTERS} characters")
    if len(message.files) > MAX_FILES:
        problems.append(f"files: are more than {MAX_FILES}")
    if not is_key(message.key):
        problems.append(BAD_KEY)
    if problems:
        raise invalid(*problems)
    account = message.account or source.account
    if account not in source.accounts:
        raise not_allowed("this source may not use that account")
    demand_own_files([file.bucket_key for file in message.files])
    audience = message.audience or ("technician" if _is_for_technicians(source) else "customer")
    for one in message.to:
        _demand_reach(one, audience, source, normal)
    changes = {
        "account": account,
        "audience": audience,
        "language": message.language or source.language,
    }
    return Message(**{**message.__dict__, **changes, "to": tuple(dict.fromkeys(message.to))})


def is_key(text: str) -> bool:
    """Whether a caller may call something so; empty: by no name."""
    return len(text) <= MAX_KEY_CHARACTERS and text.isprintable()


def checked_key(text: str) -> str:
    """Raises Refused (400)."""
    if not is_key(text):
        raise invalid(BAD_KEY)
    return text


def demand_own_files(bucket_keys: Sequence[object]) -> None:
    """No source sends on what another one put in. Raises Refused (403)."""
    if any(isinstance(key, str) and key.startswith(OWN_FOLDER) for key in bucket_keys):
        raise not_allowed(f"what lies below {OWN_FOLDER} in the bucket is no file of this source's")


def _is_for_technicians(source: Source) -> bool:
    return source.speaks_to("technician") and not source.speaks_to("customer")


def _demand_reach(one: Address, audience: str, source: Source, normal: Callable[[str], str]) -> None:
    if not source.speaks_to("group" if one.group else audience):
        raise not_allowed(f"this source may not write to {'groups' if one.group else f'{audience}s'}")
    if one.group or not source.recipients:
        address = one.group or one.phone
    else:
        # A prefix is one of a number with its country code, so that has to be known.
        try:
            address = normal(one.phone)
        except ValueError as error:
            raise Refused(400, "invalid-recipient", f"to: {error}", facts={"number": one.phone}) from None
    if not source.reaches(address):
        raise not_allowed("this source may not write to that recipient")


def id_of(source: str, key: str, random: Callable[[int], bytes]) -> str:
    """The message's id: the same for the same source and key, else a new one. `random(n)`: n random bytes."""
    if not key:
        return ID_PREFIX + random(ID_CHARACTERS // 2).hex()
    return ID_PREFIX + sha256(f"{source}\0{key}".encode(errors="replace")).hexdigest()[:ID_CHARACTERS]


def entry_of(message: Message, message_id: str, source: str, files: Sequence[Mapping[str, Any]]) -> Entry:
    """The event. Its key is the message's id, so that two sources with the same key of theirs are apart."""
    detail: dict[str, Any] = {
        "version": "1",
        "account": message.account,
        "key": message_id,
        "recipients": [one.recipient for one in message.to],
        "text": message.text,
        "source": source,
    }
    if message.audience == "technician":
        detail["audience"] = "technician"
    if message.language:
        detail["language"] = message.language
    if message.sensitive:
        detail["sensitive"] = True
    if message.urgent:
        detail["priority"] = "urgent"
    if files:
        detail["files"] = list(files)
    return Entry(REQUESTED, detail)
