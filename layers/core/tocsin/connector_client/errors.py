"""What a call to the connector fails with, and what to do then."""

from __future__ import annotations

from tocsin.connector_client import protocol

# ConnectorError
# ├── ConnectorAway        nobody answers where the lease points
# ├── LeaseUntrusted       the lease's seal doesn't say where that is
# ├── ProtocolRefused      the connector is of a release too far from ours
# ├── NotConnected         the account has no open WhatsApp connection
# ├── LeaseMoved           the connector asked no longer holds the account
# ├── Resuming             parked notifications go first
# ├── Restricted           the server won't have the account for a while
# ├── IncarnationRefused   the caller's state is of an older pairing
# ├── KeyUsed              a message key went out before, with other content
# ├── AckTimeout           handed over, and no ack came
# ├── RequestTimeout       asked, and no answer came
# ├── IqError              the server answered the IQ with an error
# └── Refused              the request itself is wrong: a bug


class ConnectorError(Exception):
    """A call to the connector failed. `code` is for counting and for the notification's history."""

    code = "connector"


class ConnectorAway(ConnectorError):
    """No connector answers. Wait (park); a new one takes the lease within 20 s.

    A message may or may not have been handed over: repeat it under the same message id.
    """

    code = "connector-away"


class LeaseUntrusted(ConnectorError):
    """The lease isn't sealed as a connector seals it, so nobody was called. Wait (park); whoever takes the
    account next writes another."""

    code = "lease-untrusted"


class ProtocolRefused(ConnectorError):
    """The connector's release and ours are too far apart to understand each other. Wait (park): the update
    that brought the one brings the other, or the text says what helps."""

    code = protocol.PROTOCOL_REFUSED


class NotConnected(ConnectorError):
    """The account isn't connected; `state` is the lease's. Wait; a person must act where it says unpaired,
    logged_out, replaced or stopped."""

    code = protocol.NOT_CONNECTED

    def __init__(self, state: str, detail: str = "") -> None:
        super().__init__(f"account is {state}" + (f": {detail}" if detail else ""))
        self.state = state


class LeaseMoved(ConnectorError):
    """The lease changed hands and the new holder doesn't serve yet. Wait."""

    code = protocol.LEASE


class Resuming(ConnectorError):
    """Parked notifications of this account are being sent. Park behind them."""

    code = protocol.RESUMING


class Restricted(ConnectorError):
    """The server forbids the account this until `until` (Unix seconds; None when it didn't say). Wait.

    `limit`: what from, as `accounts.limits` names it; empty where it is from everything. `cause`: by what.
    """

    code = protocol.RESTRICTED

    def __init__(self, until: float | None, detail: str = "", limit: str = "", cause: str = "") -> None:
        super().__init__(detail or "account restricted")
        self.until = until
        self.limit = limit
        self.cause = cause


class DownloadFailed(ConnectorError):
    """No host gives the file out, in time and as it was encrypted."""

    code = protocol.DOWNLOAD_FAILED


class IncarnationRefused(ConnectorError):
    """The profile is of an older pairing. Forget it, read the account again, encrypt again."""

    code = protocol.INCARNATION_REFUSED


class KeyUsed(ConnectorError):
    """A ciphertext's key went out before with other content, so nothing was sent. Give up the chains to
    `names` (full JIDs of devices, and groups), encrypt again."""

    code = protocol.KEY_USED

    def __init__(self, detail: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.names = names


class AckTimeout(ConnectorError):
    """The message went out and the server didn't acknowledge it. Retry under the same message id."""

    code = protocol.ACK_TIMEOUT


class RequestTimeout(ConnectorError):
    """The server didn't answer an IQ in time. Retry."""

    code = protocol.REQUEST_TIMEOUT


class UploadFailed(ConnectorError):
    """No media host took the file. Retry."""

    code = protocol.UPLOAD_FAILED


class UploadRefused(ConnectorError):
    """A media host will never take the file."""

    code = protocol.UPLOAD_REFUSED


class IqError(ConnectorError):
    """The server refused an IQ. `error` is its code, `text` its words, `backoff` seconds it asks for."""

    code = "iq-error"

    def __init__(self, error: int, text: str, backoff: int | None) -> None:
        super().__init__(f"{error} {text}")
        self.error = error
        self.text = text
        self.backoff = backoff


class Refused(ConnectorError):
    """The connector doesn't accept the request as it is; repeating can't help. A bug of ours.

    `status` is HTTP's; `reason` one of the connector's codes.
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.code = reason
        self.status = status
