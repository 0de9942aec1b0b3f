"""What can go wrong on the wire. A peer's mistake is a `WireError`; ours is a `ValueError` of Python."""

from __future__ import annotations


class WireError(Exception):
    """What the other side sent can't be used. Our state is unchanged unless the subclass says otherwise."""


class InvalidJid(WireError, ValueError):
    """A text is no JID, or a JID can't be used in the way asked for."""


class DecodeError(WireError):
    """A frame holds no well-formed node. Drop it and log `reason`, never the bytes; the connection stays up.

    `reason`: a code of the node format's malformed-input table (`truncated`, `zlib`, `jid` …).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class EncodeError(ValueError):
    """A node that can't be put on the wire: a mistake of the caller, never of the peer."""


class InvalidStanza(WireError):
    """A well-formed node whose content breaks the protocol. Log `reason`, answer with a negative ack."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StanzaRefused(InvalidStanza):
    """A stanza whose attributes don't agree on whom it is from or for. Believe nothing of it: learn nothing,
    decrypt nothing. `reason`: a name for logs and metrics."""


class HandshakeFailed(WireError):
    """The Noise handshake can't go on: close the socket, connect again with a fresh ephemeral key."""


class InvalidCertificate(HandshakeFailed):
    """The server isn't who it claims to be (`reason` names the check). Nothing of ours was sent yet."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"server certificate refused: {reason}")
        self.reason = reason


class TransportFailed(WireError):
    """A frame didn't decrypt: the stream can't be trusted any more. Close and connect again."""


class PairingRefused(WireError):
    """A pairing step failed its checks. `code` and `text` go to the server in the iq error."""

    def __init__(self, code: int, text: str, detail: str = "") -> None:
        super().__init__(f"{code} {text}" + (f": {detail}" if detail else ""))
        self.code = code
        self.text = text
