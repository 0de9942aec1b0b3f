"""The stanza queue as a function fills it: with what another function must handle."""

from __future__ import annotations

import hashlib
from typing import Any

from tocsin.multidevice.inbound.envelope import Envelope


class StanzaQueue:
    """SQS FIFO: what the connector received, in order for each sender."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, envelope: Envelope) -> None:
        """Put in a stanza whose order among its sender's doesn't matter. One that was put in just now is
        folded."""
        attrs = envelope.stanza.attrs
        sender = hashlib.sha256(f"{attrs.get('from')} {attrs.get('participant')}".encode()).hexdigest()
        body = envelope.to_body()
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageGroupId=f"{envelope.account[:60]}#{sender}",
            MessageDeduplicationId=hashlib.sha256(body.encode()).hexdigest(),
        )
