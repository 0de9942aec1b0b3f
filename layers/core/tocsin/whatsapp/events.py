"""What a connection tells its shell.

`StreamEnded` is the last event of every connection that we didn't close ourselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.pairing import Pairing
from tocsin.whatsapp.passkey import Options
from tocsin.whatsapp.reaction import Reaction


@dataclass(frozen=True, slots=True)
class QrOffered:
    """Show this code, and only this one, until `expires_at` or the next offer. It is secret: don't log it."""

    text: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class PairingCodeOffered:
    """Show the code (`ABCD-EFGH`), to be typed in on the phone until `expires_at`."""

    code: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class PairingCodeRefused:
    """No code, or it is void by now. `code`: the server's error, 0 if it ran out. Don't ask in a loop."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class PasskeyWanted:
    """WhatsApp wants the account's passkey and didn't say what is to be signed, so it is asked until
    `expires_at`: hide the QR code, and whatever was to be signed before."""

    expires_at: float


@dataclass(frozen=True, slots=True)
class PasskeyRequested:
    """WhatsApp wants the account's passkey: hide the QR code, have `options` signed before `expires_at`, and
    hand the assertion over. It is secret like the QR. A second one replaces the first."""

    options: Options
    expires_at: float


@dataclass(frozen=True, slots=True)
class PasskeySent:
    """The assertion is used up, whatever becomes of it."""


@dataclass(frozen=True, slots=True)
class PasskeyAccepted:
    """The owner must press *Continue* on the phone before `expires_at`."""

    expires_at: float


@dataclass(frozen=True, slots=True)
class PasskeyCode:
    """The code that the phone computes as well. `must_compare`: nothing goes on before the operator has said
    whether the phone shows the same one (`compare_codes`)."""

    code: str = field(repr=False)
    must_compare: bool
    expires_at: float


@dataclass(frozen=True, slots=True)
class PasskeyEnded:
    """The attempt failed, and a new scan is needed; `StreamEnded` follows. `reason`: `no-options`,
    `too-late`, `no-answer`, `refused`, `unreadable-answer`, `no-continuation`, `bad-continuation`,
    `unexpected-continuation`, `not-compared`, `codes-differ`, `not-vouched`, `too-many-challenges`. `state`:
    of the ceremony. `detail`: for the log, such as the server's code and text."""

    reason: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PairingHint:
    """The phone can't go on by itself: `multi-device-disabled`. Tell the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class PairingSucceeded:
    """Store `pairing` durably, then call `confirm_pairing`; the server restarts the stream after that."""

    pairing: Pairing

    @property
    def reply(self) -> Node:
        return self.pairing.reply


@dataclass(frozen=True, slots=True)
class PairingFailed:
    """The offered pairing didn't hold its checks; the server was told. `StreamEnded` follows."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """`lid`: our own device's. `clock_offset`: the server's clock minus ours, seconds, if it told it."""

    lid: JID | None
    server_time: int | None
    clock_offset: float | None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the request with this id, result or error (`iq.checked` tells)."""

    id: str
    node: Node


@dataclass(frozen=True, slots=True)
class RequestTimeout:
    id: str


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The server's ack of a message. Of several messages with one id, the acks come in their order."""

    id: str
    node: Node


@dataclass(frozen=True, slots=True)
class AckTimeout:
    """No ack: the message's fate is unknown. Send it again under the same id."""

    id: str


@dataclass(frozen=True, slots=True)
class StanzaReceived:
    """A message, receipt, notification or call. Acknowledge it (`receipts.ack`) once it is stored."""

    node: Node


@dataclass(frozen=True, slots=True)
class PreKeysLow:
    """The server has this many of our one-time prekeys left. The notification is acknowledged already."""

    count: int


@dataclass(frozen=True, slots=True)
class OfflineDone:
    """What was queued for us has come. `complete` False: the server never said so within its time."""

    complete: bool


@dataclass(frozen=True, slots=True)
class RoutingInfo:
    """Keep it for the next connect; drop it after two failed handshakes in a row."""

    info: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VersionExpiring:
    """Our client version will be refused from `at` on (Unix seconds); None: withdrawn."""

    at: int | None


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """Something the server sent couldn't be read; the connection goes on. Log the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The connection is over: close the socket, fail what is pending, do as `reaction` says."""

    reaction: Reaction


Event = (
    QrOffered
    | PairingCodeOffered
    | PairingCodeRefused
    | PasskeyWanted
    | PasskeyRequested
    | PasskeySent
    | PasskeyAccepted
    | PasskeyCode
    | PasskeyEnded
    | PairingHint
    | PairingSucceeded
    | PairingFailed
    | LoggedIn
    | Response
    | RequestTimeout
    | AckReceived
    | AckTimeout
    | StanzaReceived
    | PreKeysLow
    | OfflineDone
    | RoutingInfo
    | VersionExpiring
    | FrameDropped
    | StreamEnded
)
