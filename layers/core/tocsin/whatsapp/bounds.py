"""How large a number and how long a text from outside may be. What exceeds it is refused where it is parsed.

The protocol names no limits, so these are our own: above all that is seen, below all that a table, a clock or
a queue can't hold.
"""

from __future__ import annotations

from typing import Final

MAX_LABEL: Final = 128
"""Characters of an id, a type, a hash. Message ids have 16 to 40. A label goes into sort keys of 1,024 bytes,
and into one of them with each character escaped by three."""

MAX_NUMBER: Final = 2**32 - 1
"""Counts, codes and Unix seconds. As a time it lies in 2106, which `datetime`, DynamoDB's expiry and the four
bytes of a stored session can hold."""

MAX_NAME: Final = 256
"""Characters of a name that people choose. WhatsApp allows 25 for a person and 100 for a group; the rest of a
longer one is cut off, for a message is worth more than its sender's name."""

MAX_DETAIL: Final = 4096
"""Characters of what is told of a message beside its text: an address, a contact's card."""

MAX_TOLD: Final = 200
"""Characters of a server's own words that are kept for logs and records."""

MAX_DIGITS: Final = 20
"""Of a phone number or a LID: both are numbers of 64 bits where the protobufs hold them."""

MAX_MEMBERS: Final = 1024
"""People in one group."""

MAX_TOKEN_BYTES: Final = 1024
"""Of a privacy token; a few dozen are usual. It goes into the table, and along with every message."""
