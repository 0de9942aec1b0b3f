"""What an answer of the connector means: a body, or the error that its code stands for."""

from __future__ import annotations

import json
import math

from tocsin.accounts.state import AccountState
from tocsin.connector_client import protocol
from tocsin.connector_client.errors import (
    AckTimeout,
    ConnectorAway,
    ConnectorError,
    DownloadFailed,
    IncarnationRefused,
    IqError,
    KeyUsed,
    LeaseMoved,
    NotConnected,
    ProtocolRefused,
    Refused,
    RequestTimeout,
    Restricted,
    Resuming,
    UploadFailed,
    UploadRefused,
)
from tocsin.whatsapp.iq import refused
from tocsin.whatsapp.node import Node


class Stale(Exception):
    """What is remembered of the connector may be old. `error` is what this means if the lease agrees."""

    def __init__(self, error: ConnectorError) -> None:
        super().__init__(str(error))
        self.error = error


def understand(status: int, body: bytes) -> bytes:
    """The body of a 200. Raises what the connector's code means."""
    if status == 200:
        return body
    try:
        answer = json.loads(body)
        reason, detail = str(answer["error"]), str(answer.get("detail", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(status, protocol.BROKEN, "an answer that is not the connector's") from None
    match reason:
        # The remembered connector may simply not be the one any more: the lease knows.
        case protocol.LEASE:
            raise Stale(LeaseMoved(detail))
        case protocol.DRAINING:
            raise Stale(ConnectorAway(detail))
        case protocol.UNAUTHORIZED:
            raise Stale(Refused(status, reason, detail))
        # An update goes on behind our back: the lease knows who serves by now.
        case protocol.PROTOCOL_REFUSED:
            raise Stale(ProtocolRefused(detail))
        case protocol.NOT_CONNECTED:
            raise NotConnected(str(answer.get("state", AccountState.CONNECTING)), detail)
        case protocol.RESTRICTED:
            limit, cause = str(answer.get("limit", "")), str(answer.get("cause", ""))
            raise Restricted(_number(answer.get("until")), detail, limit, cause)
        case protocol.RESUMING:
            raise Resuming(detail)
        case protocol.INCARNATION_REFUSED:
            raise IncarnationRefused(detail)
        case protocol.KEY_USED:
            raise KeyUsed(detail, tuple(str(answer.get("names", "")).split()))
        case protocol.ACK_TIMEOUT:
            raise AckTimeout(detail)
        case protocol.REQUEST_TIMEOUT:
            raise RequestTimeout(detail)
        case protocol.UPLOAD_FAILED:
            raise UploadFailed(detail)
        case protocol.UPLOAD_REFUSED:
            raise UploadRefused(detail)
        case protocol.DOWNLOAD_FAILED:
            raise DownloadFailed(detail)
        case _:
            raise Refused(status, reason, detail)


def iq_error(answer: Node) -> IqError:
    """From `<iq type="error"><error code text [backoff]/></iq>`; whatever is no result is an error too."""
    why = refused(answer.child("error"))
    return IqError(why.code, why.text, why.backoff)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
