"""Which parts make up send_notification: stores, the transport, the queues of orders and of dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.bootstrap.later import Later
from tocsin.bootstrap.secrets import sealed_texts, secrets_client, unsealing
from tocsin.bootstrap.settings import settings_in
from tocsin.bootstrap.stores import open_stores, open_table
from tocsin.bootstrap.transport import transport
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue

if TYPE_CHECKING:
    from tocsin.connector_client.client import Whereabouts
    from tocsin.multidevice.account import Connector
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.config import SendConfig
    from tocsin.notify.store.texts import Texts
    from tocsin.sealing import Sealer


def delivery(
    config: SendConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
    texts: Texts | None = None,
    connector: Connector | None = None,
    lease: Callable[[str], Whereabouts | None] | None = None,
    s3: Any = None,
) -> Delivery:
    """Return what carries out the orders of the notifications queue."""
    dynamodb, sqs, secrets = dynamodb or aws.client("dynamodb"), sqs or Later("sqs"), secrets_client()
    stores = open_stores(config.stores, dynamodb, texts or sealed_texts(secrets, config.texts_secret_arn))
    return Delivery(
        stores,
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        transport(
            config.stores,
            dynamodb,
            sealer or unsealing(secrets, config.stores),
            connector,
            lease,
            uploads=lambda: _uploads(s3 or aws.client("s3"), config.attachments_bucket),
        ),
        NotificationsQueue(sqs, config.notifications_queue_url),
        settings=settings_in(open_table(dynamodb, config.stores.notifications_table)),
    )


def _uploads(s3: Any, bucket: str) -> Uploads:
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.attachments import Bucket

    return Uploads(Bucket(s3, bucket))
