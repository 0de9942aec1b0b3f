"""Which parts make up the sending and the receiving function: the only place that chooses real adapters.

Everything is made once per container. What only some invocations need (the sealing secret, the receiving
half) is imported and fetched when it is first used, because most starts are cold ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.accounts.lease import read_lease
from tocsin.connector_client.client import ConnectorClient
from tocsin.dynamo.table import DynamoTable
from tocsin.keys.store import KeyStore
from tocsin.multidevice.transport import MultiDevice, RememberedLeases
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.delivery import Delivery
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue
from tocsin.notify.store.stores import Stores

if TYPE_CHECKING:
    from tocsin.connector_client.client import Whereabouts
    from tocsin.keys.observe import IdentityChange
    from tocsin.keys.seal import Sealer
    from tocsin.multidevice.account import Connector
    from tocsin.multidevice.inbound.messages import Inbound
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.config import ReceiveConfig, SendConfig, StoreConfig


class Later:
    """A boto3 client that is made when it is first used: most sends need no SQS."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._client: Any = None

    def __getattr__(self, operation: str) -> Any:
        if self._client is None:
            self._client = aws.client(self._service)
        return getattr(self._client, operation)


def delivery(
    config: SendConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
    connector: Connector | None = None,
    lease: Callable[[str], Whereabouts | None] | None = None,
    s3: Any = None,
) -> Delivery:
    """Return what carries out the orders of the notifications queue."""
    dynamodb = dynamodb or aws.client("dynamodb")
    stores = _notifications(config.stores, dynamodb)
    dead_letters = DeadLettersQueue(sqs or Later("sqs"), config.dead_letters_queue_url)
    return Delivery(
        stores,
        DeadLetters(stores, dead_letters),
        _transport(
            config.stores,
            dynamodb,
            sealer,
            connector,
            lease,
            uploads=lambda: _uploads(s3 or aws.client("s3"), config.attachments_bucket),
        ),
        config.policies,
        receipt_deadline_seconds=config.receipt_deadline_seconds,
    )


def inbound(
    config: ReceiveConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
    connector: Connector | None = None,
    lease: Callable[[str], Whereabouts | None] | None = None,
) -> Inbound:
    """Return what handles the stanzas of the queue."""
    from tocsin.multidevice.inbound.messages import Inbound
    from tocsin.multidevice.retries import RetryReceiptHandler
    from tocsin.notify.replies import Replies

    dynamodb, sqs = dynamodb or aws.client("dynamodb"), sqs or Later("sqs")
    stores = _notifications(config.stores, dynamodb)
    dead_letters = DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url))
    notifications = NotificationsQueue(sqs, config.notifications_queue_url)
    return Inbound(
        stores,
        _transport(config.stores, dynamodb, sealer, connector, lease),
        RetryReceiptHandler(
            stores,
            dead_letters,
            config.policies,
            per_hour=config.recoveries_per_hour,
            random=os.urandom,
        ),
        Replies(
            stores,
            notifications,
            expiry_seconds=config.notification_expiry_seconds,
            acknowledge_with=config.acknowledge_replies,
        ),
        read_receipts=config.read_receipts,
    )


def _notifications(stores: StoreConfig, dynamodb: Any) -> Stores:
    return Stores(DynamoTable(dynamodb, stores.notifications_table), DynamoTable(dynamodb, stores.keys_table))


def _transport(
    stores: StoreConfig,
    dynamodb: Any,
    sealer: Callable[[], Sealer] | None,
    connector: Connector | None,
    lease: Callable[[str], Whereabouts | None] | None,
    *,
    uploads: Callable[[], Uploads] | None = None,
) -> MultiDevice:
    table = DynamoTable(dynamodb, stores.keys_table)
    leases = RememberedLeases(lease or (lambda account: read_lease(table, account)))
    unsealing = sealer or cache(lambda: read_sealer(stores.sealing_secret_arn))

    @cache
    def open_keys(account: str) -> KeyStore:
        def tell(change: IdentityChange) -> None:
            from tocsin.multidevice.identity import tell_change

            tell_change(_notifications(stores, dynamodb), keys, change)

        keys = KeyStore(table, unsealing(), account, on_identity_change=tell)
        return keys

    return MultiDevice(open_keys, connector or ConnectorClient(leases), leases, uploads=uploads)


def _uploads(s3: Any, bucket: str) -> Uploads:
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.attachments import Bucket

    return Uploads(Bucket(s3, bucket))


def read_sealer(secret_arn: str) -> Sealer:
    """Fetch the sealing key. It stays in memory: without it no record is readable, and it never changes."""
    from tocsin.keys.seal import Sealer

    secret = aws.client("secretsmanager").get_secret_value(SecretId=secret_arn)
    return Sealer.from_secret(secret["SecretString"])
