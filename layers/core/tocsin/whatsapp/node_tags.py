"""The bytes that say of which kind the next part of a binary node is, and how much one frame may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tocsin.whatsapp.jid import HOSTED, HOSTED_LID, LID, PN


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one frame may claim. A choice of ours: no client has any. `nodes`: attributes count as well,
    since either costs memory far beyond its bytes."""

    inflated_size: int = 16_777_216
    depth: int = 64
    nodes: int = 262_144


DEFAULT_LIMITS: Final = Limits()

LIST_EMPTY: Final = 0
FIRST_BOOK: Final = 236
AFTER_BOOKS: Final = 240
INTEROP_JID: Final = 245
FB_JID: Final = 246
AD_JID: Final = 247
LIST_8: Final = 248
LIST_16: Final = 249
JID_PAIR: Final = 250
HEX_8: Final = 251
BINARY_8: Final = 252
BINARY_20: Final = 253
BINARY_32: Final = 254
NIBBLE_8: Final = 255

DOMAINS: Final = {PN: 0, LID: 1, HOSTED: 128, HOSTED_LID: 129}
DOMAIN_SERVERS: Final = {number: server for server, number in DOMAINS.items()}

JID_PART: Final = re.compile(r"[!-9;-?A-~]+").fullmatch
