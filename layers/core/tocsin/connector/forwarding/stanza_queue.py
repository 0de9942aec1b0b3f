"""The queues that the connector fills: one SendMessageBatch at a time, in a thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from botocore.exceptions import ClientError

from tocsin.connector.forwarding.forwarder import QueueGone
from tocsin.connector.forwarding.stanza import Packed

log = logging.getLogger(__name__)

HOPELESS = frozenset({"InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"})
"""Refusals of SQS that are the message's fault. A missing right or key is another matter: that may still be
mended."""

GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


class StanzaQueue:
    """The stanza queue (FIFO), or the receipts queue (standard). `client` is boto3's for SQS, which threads
    may share."""

    def __init__(self, client: Any, url: str, threads: Executor) -> None:
        self._client = client
        self._url = url
        self._threads = threads

    async def send(self, messages: Sequence[Packed]) -> Mapping[int, bool]:
        """See `forwarder.SendBatch`. Raises QueueGone."""
        entries = [_entry(position, message) for position, message in enumerate(messages)]
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._threads, self._send, entries)
        refused = {}
        for failure in answer.get("Failed", []):
            hopeless = bool(failure.get("SenderFault")) and failure.get("Code") in HOPELESS
            refused[int(failure["Id"])] = not hopeless
            log.log(
                logging.ERROR if hopeless else logging.WARNING,
                "SQS refused a stanza",
                extra={"code": failure.get("Code"), "reason": failure.get("Message")},
            )
        return refused

    def _send(self, entries: list[dict[str, str]]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                raise QueueGone(self._url) from error
            raise
        return answer


def _entry(position: int, message: Packed) -> dict[str, str]:
    entry = {"Id": str(position), "MessageBody": message.body}
    if message.group:
        entry |= {"MessageGroupId": message.group, "MessageDeduplicationId": message.deduplication}
    return entry
