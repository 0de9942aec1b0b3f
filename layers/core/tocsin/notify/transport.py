"""What the domain needs of a way to reach people: where do they live, do you take it, may I send, send this.

    planned ── address_of ── takes ── check ── send ── Sent ────▶ …later… ── `receipts.Receipts`,
                                                └── `Unknown` ──▶               `replies.Replies`

WhatsApp multi-device (`multidevice.transport`) is the first transport. A transport owns its message ids, its
addresses, its receipts and how it recovers; the planner, the states and the queues don't know which one it
is. What goes wrong in a send comes back as one of the five failures; that nobody knows what became of it, as
`Unknown`. What is heard later, it reports itself: that a notification was accepted, delivered, read or lost
(`Receipts`), and what people answer (`Replies`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tocsin.notify.content import Content
from tocsin.tables.names import is_lid

UNPROVEN_DEVICE = "unproven device"
"""Ends what `Sent.left_out` says of a device that nobody vouches for: it is listed as the recipient's, and
the recipient's phone doesn't say so."""


@dataclass(frozen=True)
class Address:
    """Where a recipient lives. `user` is the canonical identity (a bare JID as text: LID where known).

    `phone` is the bare phone-number JID, `None` for somebody known by LID only. `trust`: what the transport
    remembers of them, as it was read. `is_due`: that they live there must be asked again before a send;
    `is_held`: somebody else has the number by now, and nothing goes there before an operator confirmed it.
    """

    user: str
    phone: str | None = None
    is_due: bool = False
    is_held: bool = False
    trust: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def lid(self) -> str | None:
        """The LID, if that is what they are known by."""
        return self.user if is_lid(self.user) else None


@dataclass(frozen=True)
class Outgoing:
    """One message to one recipient.

    `notification` is the id of what is sent, the same at every repeat: a transport that chooses message ids
    makes one of it, any other remembers which message it became. `address` is what is remembered of the
    recipient, `None` for a first contact. `earlier` holds the codes of this message's earlier failures: some
    refusals are worth one repair and no more, and the repair depends on what was refused. `resumed`: it was
    parked, and may pass while the account is resuming. `recheck`: an operator redrives it, so that what was
    said of the recipient earlier is asked again. `first_contact`: nothing we sent ever reached the recipient,
    and they never wrote to us; `known_at`: when either last happened (ms, 0 if nobody noted when), `None`
    where it makes no difference. `audience`, `urgent`, `digestible`: what its pace goes by, where the
    transport has one. `on_located`: called with the recipient's `Address.user` where that had to be asked
    for, before anything is sent; what it raises ends the send.
    """

    account: str
    recipient: str
    notification: str
    content: Content
    address: Address | None = None
    earlier: Collection[str] = ()
    resumed: bool = False
    recheck: bool = False
    first_contact: bool = False
    known_at: int | None = None
    audience: str = ""
    urgent: bool = False
    digestible: bool = False
    on_located: Callable[[str], None] = field(default=lambda user: None, compare=False, repr=False)


@dataclass(frozen=True)
class Sent:
    """The server accepted the message.

    `numbers` maps each user to the reserved number of this send. `devices` counts the devices it went to.
    `copies` names for each device (full JID) the type of its ciphertext and the index in its chain
    ("msg 17"), `left_out` those that got none, and why. `recipient_lid`: the LID it went to, `None` for a
    group. `message_id`: the id that the server gave it; `None` if it is the one that is made of the
    notification's, or isn't known yet (`Receipts.sent` then brings it). `settle`: to be called once the
    outcome was recorded; it does what may be lost without harm.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)
    devices: int = 0
    copies: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    recipient_lid: str | None = None
    message_id: str | None = None
    settle: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)


class Transport(Protocol):
    """A way to reach people. Every method raises a `Failure` and nothing else that it foresaw, and may be
    called by several threads at a time."""

    def address_of(self, account: str, recipient: str, known: Mapping[str, Any] | None) -> Address | None:
        """Return where `recipient` lives, by what was read of them; `None` if it must be asked for. Asks
        nobody."""

    def takes(self, account: str, recipient: str, content: Content) -> bool:
        """Return whether it can say this to `recipient` now: an edit, a file, a text in words of our own, or
        anything to a group. Asks nobody. An edit that it doesn't take is said in a message of its own."""
        ...

    def check(self, account: str, *, resumed: bool) -> None:
        """Raise `Wait` if the account can't send now. Reserves nothing."""

    def send(self, outgoing: Outgoing) -> Sent:
        """Deliver one message to every device of the recipient; return once the server accepted it. Raises
        `Unknown` if it may have."""
