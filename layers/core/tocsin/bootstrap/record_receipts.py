"""Which parts make up record_receipts: stores, keys read ahead, and threads that record side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.bootstrap.later import Later
from tocsin.bootstrap.secrets import secrets_client, unsealing
from tocsin.bootstrap.stores import open_stores, open_table
from tocsin.dynamo.read_ahead import ReadAheadTable
from tocsin.keys.store import KeyStore
from tocsin.multidevice.inbound.receipt_messages import ReceiptMessages
from tocsin.multidevice.inbound.receipts import ReceiptRecorder, one_by_one
from tocsin.multidevice.receipt_accounts import ReceiptAccounts
from tocsin.multidevice.stanza_queue import StanzaQueue

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from tocsin.notify.config import ReceiptsConfig
    from tocsin.sealing import Sealer

# As many requests at a time as a client has connections.
_SIDE_BY_SIDE = 8


def receipts(
    config: ReceiptsConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
) -> ReceiptMessages:
    """Return what handles the messages of the receipts queue."""
    dynamodb, sqs = dynamodb or aws.client("dynamodb"), sqs or Later("sqs")
    stores = open_stores(config.stores, dynamodb)
    ahead = ReadAheadTable(open_table(dynamodb, config.stores.keys_table))
    unseal = sealer or unsealing(secrets_client(), config.stores)
    return ReceiptMessages(
        stores,
        ReceiptAccounts(lambda account: KeyStore(ahead, unseal(), account)),
        ahead,
        ReceiptRecorder(stores, side_by_side),
        StanzaQueue(sqs, config.stanzas_queue_url).send,
    )


def side_by_side(function: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
    """Apply a function to each of some things, a few at a time: most of it is waiting for DynamoDB. Return
    the results in their order, an exception in place of a result that it raised."""
    if len(things) < 2:
        return one_by_one(function, things)
    return [
        result
        for results in _threads().map(lambda thing: one_by_one(function, [thing]), things)
        for result in results
    ]


@cache
def _threads() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="records")
