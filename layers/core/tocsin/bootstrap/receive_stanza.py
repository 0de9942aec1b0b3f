"""Which parts make up receive_stanza: stores, the transport, and what handles retry receipts and replies."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.bootstrap.later import Later
from tocsin.bootstrap.secrets import sealed_texts, secrets_client, unsealing
from tocsin.bootstrap.settings import settings_in
from tocsin.bootstrap.stores import open_stores, open_table
from tocsin.bootstrap.transport import transport
from tocsin.multidevice.inbound.dispatch import Inbound
from tocsin.multidevice.retries import RetryReceiptHandler
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue
from tocsin.notify.receipts import Receipts
from tocsin.notify.replies import Replies

if TYPE_CHECKING:
    from tocsin.connector_client.client import Whereabouts
    from tocsin.multidevice.account import Connector
    from tocsin.notify.config import ReceiveConfig
    from tocsin.notify.store.texts import Texts
    from tocsin.sealing import Sealer


ANSWER_SECONDS_OF_STANZAS = 10
"""For which one that answers a stanza waits for WhatsApp, once for keys and once for an ack. What isn't
answered comes again: that is better than a function that is killed while it waits."""


def inbound(
    config: ReceiveConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
    texts: Texts | None = None,
    connector: Connector | None = None,
    lease: Callable[[str], Whereabouts | None] | None = None,
) -> Inbound:
    """Return what handles the stanzas of the queue."""
    dynamodb, sqs, secrets = dynamodb or aws.client("dynamodb"), sqs or Later("sqs"), secrets_client()
    stores = open_stores(config.stores, dynamodb, texts or sealed_texts(secrets, config.texts_secret_arn))
    dead_letters = DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url))
    settings = settings_in(open_table(dynamodb, config.stores.notifications_table))
    replies = Replies(stores, NotificationsQueue(sqs, config.notifications_queue_url), settings=settings)
    receipts = Receipts(stores, dead_letters, settings=settings)
    multidevice = transport(
        config.stores,
        dynamodb,
        sealer or unsealing(secrets, config.stores),
        connector,
        lease,
        patience=ANSWER_SECONDS_OF_STANZAS,
    )
    retries = RetryReceiptHandler(stores, receipts, multidevice.socket, settings=settings, random=os.urandom)
    return Inbound(stores, multidevice, retries, replies, settings=settings)
