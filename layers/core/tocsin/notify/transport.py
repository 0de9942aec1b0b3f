"""What the domain needs of a way to reach people: may I send, where does this person live, send this.

WhatsApp multi-device (`multidevice.py`) is the first transport. The planner, the states and the queue
don't know which one it is; what went wrong comes back as one of the five failures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tocsin.notify.content import Content


@dataclass(frozen=True)
class Address:
    """Where a recipient lives. `user` is the canonical identity (a bare JID as text: LID where known).

    `phone` is the bare phone-number JID, `None` for somebody known by LID only. `trust`: the address item as
    it was read, for the privacy tokens in it.
    """

    user: str
    phone: str | None = None
    trust: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Outgoing:
    """One message to one recipient.

    `message_id` is the same at every repeat. `address` is what is remembered of the recipient, `None` for a
    first contact. `earlier` holds the codes of this message's earlier failures: some refusals are worth
    one repair and no more, and the repair depends on what was refused. `resumed`: it was parked, and may
    pass while the account is resuming. `recheck`: an operator redrives it, so that what WhatsApp said of the
    number earlier is asked again. `first_contact`: nothing we sent ever reached the recipient, and they never
    wrote to us. `on_located`: called with the recipient's `Address.user` where that had to be asked for,
    before anything is sent; what it raises ends the send.
    """

    account: str
    recipient: str
    message_id: str
    content: Content
    address: Address | None = None
    earlier: Collection[str] = ()
    resumed: bool = False
    recheck: bool = False
    first_contact: bool = False
    on_located: Callable[[str], None] = field(default=lambda user: None, compare=False, repr=False)


@dataclass(frozen=True)
class Sent:
    """The server accepted the message.

    `numbers` maps each user to the reserved number of this send. `devices` counts the ciphertexts.
    `accepted_at` is the server's time in Unix seconds, `None` if it gave none. `copies` names for each device
    (full JID) the type of its ciphertext and the index in its chain ("msg 17"), `left_out` those that got
    none, and why. `recipient_lid`: the LID it went to, `None` for a group.
    """

    numbers: Mapping[str, int] = field(default_factory=dict)
    devices: int = 0
    accepted_at: int | None = None
    copies: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    recipient_lid: str | None = None


class Transport(Protocol):
    """A way to reach people. Every method raises a `Failure` and nothing else that it foresaw."""

    def check(self, account: str, *, resumed: bool) -> None:
        """Raise `Wait` if the account can't send now. Reserves nothing."""

    def send(self, outgoing: Outgoing) -> Sent:
        """Deliver one message to every device of the recipient; return once the server accepted it."""

    def settle(self) -> None:
        """Do what may be lost without harm, after the outcome of the last `send` was recorded."""
