"""JIDs: who a stanza is from and for. Text form, derived names and the participant hash.

Source: the multi-device clients' JID forms; the text parser is stricter than theirs, on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from tocsin.whatsapp.errors import InvalidJid

PN: Final = "s.whatsapp.net"
LID: Final = "lid"
GROUP: Final = "g.us"
BROADCAST: Final = "broadcast"
NEWSLETTER: Final = "newsletter"
HOSTED: Final = "hosted"
HOSTED_LID: Final = "hosted.lid"
MESSENGER: Final = "msgr"
INTEROP: Final = "interop"
LEGACY: Final = "c.us"

# The servers whose JIDs name Signal devices, and the suffix that keeps their sessions apart.
_SIGNAL_SUFFIX: Final = {PN: "", LID: "_1", HOSTED: "_128", HOSTED_LID: "_129"}

MAX_USER: Final = 128
"""Characters. Users stand in the keys of a table, which hold 1,024 bytes; numbers have 20 digits at most."""

MAX_SERVER: Final = 64
"""Characters. The longest server that is known has 14."""

MAX_DEVICE: Final = 255
"""The wire writes a device of ours or of a contact in one byte."""

HOSTED_DEVICE: Final = 99
"""The number of the device that Meta operates for a business, and of no other."""

_HOSTED_SERVER: Final = {PN: HOSTED, LID: HOSTED_LID}
_CHAT_SERVER: Final = {LEGACY: PN, HOSTED: PN, HOSTED_LID: LID}

_KINDS: Final = {
    PN: "user",
    LID: "lid",
    GROUP: "group",
    BROADCAST: "broadcast",
    NEWSLETTER: "newsletter",
    "call": "call",
    "bot": "bot",
    LEGACY: "legacy-user",
    HOSTED: "hosted",
    HOSTED_LID: "hosted-lid",
    MESSENGER: "messenger",
    INTEROP: "interop",
}

_NUMBER: Final = r"0|[1-9][0-9]{0,4}"
_USER: Final = rf"(?P<user>[0-9A-Za-z-]{{1,{MAX_USER}}})"
_DEVICE: Final = rf"(?::(?P<device>{_NUMBER}))?"

# local part of each family: with agent and device, with device, with integrator, bare.
_WITH_AGENT: Final = re.compile(rf"{_USER}(?:\.(?P<agent>{_NUMBER}))?{_DEVICE}", re.ASCII)
_WITH_DEVICE: Final = re.compile(rf"{_USER}{_DEVICE}", re.ASCII)
_WITH_INTEGRATOR: Final = re.compile(
    rf"(?P<integrator>{_NUMBER})-(?P<user>[!-9;-?A-~]{{1,{MAX_USER}}}){_DEVICE}", re.ASCII
)
_BARE: Final = re.compile(_USER, re.ASCII)

_LOCAL: Final = {
    **dict.fromkeys(_KINDS, _BARE),
    **dict.fromkeys((PN, LID, HOSTED, HOSTED_LID), _WITH_AGENT),
    MESSENGER: _WITH_DEVICE,
    INTEROP: _WITH_INTEGRATOR,
}

_RECIPIENT: Final = re.compile(
    r"(?!10)(?!1313555[0-9]{4}\Z)(?!131655500[0-9]{2}\Z)[1-9][0-9]{4,19}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class JID:
    """One address. Equality is over all five fields.

    `user`: empty for a bare server. `device`: 0 is the phone, 1 and up are linked companions. `agent`: an
    unknown domain byte kept from the wire; `integrator`: third-party messenger, for server `interop` only.
    """

    user: str
    server: str
    device: int = 0
    agent: int = 0
    integrator: int = 0

    @classmethod
    def parse(cls, text: str) -> JID:
        """Read the text form. Raises `InvalidJid` on anything that is not exactly one."""
        return _parse(text)

    def __str__(self) -> str:
        if not self.user:
            return self.server
        user = f"{self.integrator}-{self.user}" if self.server == INTEROP else self.user
        if self.agent:
            return f"{user}.{self.agent}:{self.device}@{self.server}"
        if self.device:
            return f"{user}:{self.device}@{self.server}"
        return f"{user}@{self.server}"

    def __repr__(self) -> str:
        return f"JID({mask(str(self))})"

    @property
    def is_too_long(self) -> bool:
        """True if user or server is longer than any real one. Such a stanza can be answered, but its JID must
        not become a key."""
        return len(self.user) > MAX_USER or len(self.server) > MAX_SERVER

    @property
    def bare(self) -> JID:
        """The user without device and agent, on the same server."""
        if not self.device and not self.agent:
            return self
        return JID(self.user, self.server, 0, 0, self.integrator)

    @property
    def chat(self) -> JID:
        """The key of a conversation: bare, hosted and legacy servers folded into the ordinary ones."""
        bare = self.bare
        server = _CHAT_SERVER.get(bare.server)
        return bare if server is None else replace(bare, server=server)

    def with_device(self, device: int) -> JID:
        """This user's device of that number; the hosted one is found on a server of its own."""
        server = _HOSTED_SERVER.get(self.server, self.server) if device == HOSTED_DEVICE else self.server
        return JID(self.user, server, device, 0, self.integrator)

    @property
    def signal_address(self) -> str:
        """`name.device` under which Signal sessions are known. Raises `InvalidJid` where none exists."""
        if not self.user or self.server not in _SIGNAL_SUFFIX or self.agent:
            raise InvalidJid(f"no Signal address for {self!r}")
        return f"{self.user}{_SIGNAL_SUFFIX[self.server]}.{self.device}"

    @property
    def ad_string(self) -> str:
        """The form hashed by `phash`: agent (always 0) and device are both written."""
        return f"{self.user}.0:{self.device}@{self.server}"

    @property
    def kind(self) -> str:
        """`user`, `lid`, `group`, `server` …; `unknown` for a server that isn't in the table."""
        if not self.user:
            return "server"
        if self.server == BROADCAST and self.user == "status":
            return "status"
        if self.server == PN and self.user == "0":
            return "psa"
        return _KINDS.get(self.server, "unknown")

    @property
    def is_group(self) -> bool:
        return self.server == GROUP and bool(self.user)

    @property
    def is_recipient(self) -> bool:
        """True if a notification may go to this phone number: a person, not a device, bot or list."""
        plain = self.server == PN and not self.device and not self.agent
        return plain and _RECIPIENT.fullmatch(self.user) is not None

    def same_user(self, other: JID) -> bool:
        """Equal but for the device. A LID and a phone number of one person are not equal here."""
        return self.chat == other.chat


def is_one_person(names: Iterable[JID | None], own: Collection[JID]) -> bool:
    """Whether JIDs of users can all be one person's: one phone number and one LID at most, and either all of
    them are `own` (the account's names) or none is. JIDs of groups and servers say nothing."""
    users = {jid.chat for jid in names if jid is not None and jid.user and jid.chat.server in (PN, LID)}
    ours = users & {name.chat for name in own}
    return len({user.server for user in users}) == len(users) and ours in (set(), users)


@lru_cache(maxsize=4096)
def _parse(text: str) -> JID:
    """Remembered, for the few people one talks to come again and again."""
    local, _, server = text.rpartition("@")
    if server not in _LOCAL:
        raise InvalidJid(f"unknown server in {mask(text)!r}")
    if not local:
        return JID("", server)
    match = _LOCAL[server].fullmatch(local)
    if match is None:
        raise InvalidJid(f"not a JID: {mask(text)!r}")
    parts = match.groupdict()
    numbers = {name: int(parts.get(name) or 0) for name in ("device", "agent", "integrator")}
    highest_device = 65535 if server in (MESSENGER, INTEROP) else MAX_DEVICE
    if numbers["device"] > highest_device or numbers["agent"] > 255 or numbers["integrator"] > 65535:
        raise InvalidJid(f"number too large in {mask(text)!r}")
    return JID(parts["user"], server, **numbers)


SERVER: Final = JID("", PN)
STATUS: Final = JID("status", BROADCAST)


def mask(text: str) -> str:
    """A JID's text fit for logs: long digit runs keep their first four and last two digits."""
    return _DIGITS.sub(lambda run: f"{run[0][:4]}…{run[0][-2:]}", text[:128])


_DIGITS: Final = re.compile(r"[0-9]{7,}")


def phash(devices: Iterable[JID]) -> str:
    """Participant hash of a device list, as in `phash`, `dhash` and `device_hash`: `2:` and 8 characters."""
    text = "".join(sorted(device.ad_string for device in devices))
    digest = hashlib.sha256(text.encode()).digest()[:6]
    return "2:" + base64.b64encode(digest).decode()
