"""Which parts make up each function: the only place that chooses real adapters.

    plan_notifications ── planner        send_notification ── delivery     receive_stanza ─── inbound
    publish_outcomes ──── publisher      maintain_sessions ── maintainer, key_maintenance
    record_receipts ───── receipts       receive_webhook ─── door, deliver_webhooks ─── hook_deliveries

Everything is made once per container. Each function imports its own parts only, and what only some
invocations need (the sealing secret, the receiving half) when it is first used: most starts are cold ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue
from tocsin.notify.store.stores import Stores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from tocsin.connector_client.client import ConnectorClient, Whereabouts
    from tocsin.door.answer import Entry
    from tocsin.door.door import Door, Webhooks
    from tocsin.door.hooks import Hooks, Keep, Phones
    from tocsin.dynamo.table import DynamoTable, Table
    from tocsin.hooks.config import HooksConfig
    from tocsin.hooks.deliver import Deliveries
    from tocsin.keys.addresses import KnownAddress
    from tocsin.keys.observe import IdentityChange
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.account import Connector
    from tocsin.multidevice.inbound.dispatch import Inbound
    from tocsin.multidevice.inbound.receipt_messages import ReceiptMessages
    from tocsin.multidevice.key_maintenance import KeyMaintenance
    from tocsin.multidevice.numbers import NumberOwners
    from tocsin.multidevice.transport import MultiDevice
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.config import (
        DoorConfig,
        MaintainConfig,
        PlanConfig,
        PublishConfig,
        ReceiptsConfig,
        ReceiveConfig,
        SendConfig,
        StoreConfig,
    )
    from tocsin.notify.delivery import Delivery
    from tocsin.notify.events.foreign import Translate
    from tocsin.notify.outcomes import Publisher
    from tocsin.notify.parking import Maintainer
    from tocsin.notify.planning import Planner
    from tocsin.notify.requested_files import RequestedFiles
    from tocsin.notify.self_tester import SelfTester
    from tocsin.notify.store.texts import Texts
    from tocsin.sealing import DamagedRecord, RecordSealer, Sealer
    from tocsin.settings.reader import SettingsReader


ANSWER_SECONDS_OF_STANZAS = 10
"""For which one that answers a stanza waits for WhatsApp, once for keys and once for an ack. What isn't
answered comes again: that is better than a function that is killed while it waits."""


class Later:
    """A part that is made when it is first used: most sends need no SQS, and most starts no help desk.
    `made`: a service of AWS whose client it is, or what makes it."""

    def __init__(self, made: str | Callable[[], Any]) -> None:
        self._make = made
        self._made: Any = None
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part(), name)

    def __call__(self, *given: Any) -> Any:
        return self._part()(*given)

    def _part(self) -> Any:
        # A client serves several threads; the session that makes it serves one at a time.
        with self._lock:
            if self._made is None:
                self._made = aws.client(self._make) if isinstance(self._make, str) else self._make()
        return self._made


# -- one for each function -------------------------------------------------------------------------------


def planner(config: PlanConfig, own_texts: Path) -> Planner:
    """Return what plans ticket events. `own_texts`: the folder of the owner's texts, which may be missing."""
    from tocsin.accounts.served_accounts import ServedAccounts
    from tocsin.notify.planning import Planner
    from tocsin.notify.queues import TicketEventsDeadQueue
    from tocsin.notify.texts.current import CurrentTexts

    sqs = aws.client("sqs")
    table = _table(aws.client("dynamodb"), config.notifications_table)
    stores = Stores(
        table, texts=_texts(_secrets(), config.texts_secret_arn), retention_days=config.retention_days
    )
    return Planner(
        stores,
        NotificationsQueue(sqs, config.notifications_queue_url),
        TicketEventsDeadQueue(sqs, config.ticket_events_dead_queue_url),
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        CurrentTexts(
            stores.own_texts.current, own_texts, clickable_customer_links=config.clickable_customer_links
        ),
        config,
        accounts=ServedAccounts(config.accounts, table),
        files=(lambda: _requested_files(config)) if config.attachments_bucket else None,
        settings=_settings(table),
        translate=_foreign_events(config, table, stores.texts),
    )


@cache
def _requested_files(config: PlanConfig) -> RequestedFiles:
    from tocsin.guarded_http import Policy
    from tocsin.notify.attachments import Bucket
    from tocsin.notify.requested_files import RequestedFiles, fetcher

    bucket = Bucket(aws.client("s3"), config.attachments_bucket)
    return RequestedFiles(bucket, config.file_hosts, fetcher(Policy(loopback=config.loopback)))


def _foreign_events(config: PlanConfig, table: Table, texts: Texts) -> Translate:
    """Return what translates events of others. Most starts see none."""

    def make() -> Translate:
        from tocsin.door.desks.foreign import ForeignEvents
        from tocsin.door.source_reader import SourceReader
        from tocsin.people.numbers import normalise_phone

        sources = SourceReader(table, texts)
        return ForeignEvents(
            lambda name: sources.read(name, time.time_ns() // 1_000_000),
            lambda phone: normalise_phone(phone, config.default_region, config.default_area),
        )

    return Later(make)


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
    from tocsin.notify.delivery import Delivery

    dynamodb, sqs, secrets = dynamodb or aws.client("dynamodb"), sqs or Later("sqs"), _secrets()
    stores = _notifications(config.stores, dynamodb, texts or _texts(secrets, config.texts_secret_arn))
    return Delivery(
        stores,
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        _transport(
            config.stores,
            dynamodb,
            sealer or _unsealing(secrets, config.stores),
            connector,
            lease,
            uploads=lambda: _uploads(s3 or aws.client("s3"), config.attachments_bucket),
        ),
        NotificationsQueue(sqs, config.notifications_queue_url),
        settings=settings_reader(config.stores, dynamodb),
    )


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
    from tocsin.multidevice.inbound.dispatch import Inbound
    from tocsin.multidevice.retries import RetryReceiptHandler
    from tocsin.notify.receipts import Receipts
    from tocsin.notify.replies import Replies

    dynamodb, sqs, secrets = dynamodb or aws.client("dynamodb"), sqs or Later("sqs"), _secrets()
    stores = _notifications(config.stores, dynamodb, texts or _texts(secrets, config.texts_secret_arn))
    dead_letters = DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url))
    settings = settings_reader(config.stores, dynamodb)
    replies = Replies(stores, NotificationsQueue(sqs, config.notifications_queue_url), settings=settings)
    receipts = Receipts(stores, dead_letters)
    unsealing = sealer or _unsealing(secrets, config.stores)
    transport = _transport(
        config.stores, dynamodb, unsealing, connector, lease, patience=ANSWER_SECONDS_OF_STANZAS
    )
    return Inbound(
        stores,
        transport,
        RetryReceiptHandler(
            stores,
            receipts,
            transport.socket,
            settings=settings,
            random=os.urandom,
        ),
        replies,
        settings=settings,
    )


def receipts(
    config: ReceiptsConfig,
    *,
    dynamodb: Any = None,
    sqs: Any = None,
    sealer: Callable[[], Sealer] | None = None,
) -> ReceiptMessages:
    """Return what handles the messages of the receipts queue."""
    from tocsin.dynamo.read_ahead import ReadAheadTable
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.inbound.receipt_messages import ReceiptMessages
    from tocsin.multidevice.inbound.receipts import ReceiptRecorder
    from tocsin.multidevice.receipt_accounts import ReceiptAccounts
    from tocsin.multidevice.stanza_queue import StanzaQueue

    dynamodb, sqs = dynamodb or aws.client("dynamodb"), sqs or Later("sqs")
    stores = _notifications(config.stores, dynamodb)
    ahead = ReadAheadTable(_table(dynamodb, config.stores.keys_table))
    unsealing = sealer or _unsealing(_secrets(), config.stores)
    return ReceiptMessages(
        stores,
        ReceiptAccounts(lambda account: KeyStore(ahead, unsealing(), account)),
        ahead,
        ReceiptRecorder(stores, side_by_side),
        StanzaQueue(sqs, config.stanzas_queue_url).send,
    )


def publisher(config: PublishConfig) -> Publisher:
    """Return what puts outcomes on the bus."""
    from tocsin.notify.outcomes import Publisher

    table, texts = (
        _table(aws.client("dynamodb"), config.notifications_table),
        _texts(_secrets(), config.texts_secret_arn),
    )
    hours = Stores(table, texts=texts, retention_days=config.retention_days).hours
    hooks = None
    if config.hooks_queue_url:
        from tocsin.hooks.dispatch import Dispatch
        from tocsin.hooks.queue import HooksQueue
        from tocsin.hooks.store import HookStore

        hooks = Dispatch(HookStore(table, texts), HooksQueue(aws.client("sqs"), config.hooks_queue_url))
    return Publisher(aws.client("events"), config, texts, settings=_settings(table), hours=hours, hooks=hooks)


def hook_deliveries(config: HooksConfig) -> Deliveries:
    """Return what tells outcomes to endpoints."""
    from tocsin.guarded_http import Policy
    from tocsin.hooks.deliver import Deliveries, poster
    from tocsin.hooks.queue import HooksQueue
    from tocsin.hooks.store import HookStore

    table = _table(aws.client("dynamodb"), config.notifications_table)
    return Deliveries(
        HookStore(table, _texts(_secrets(), config.texts_secret_arn)),
        HooksQueue(aws.client("sqs"), config.queue_url),
        poster(Policy(loopback=config.loopback)),
        stack=config.stack,
    )


def maintainer(config: MaintainConfig) -> Maintainer:
    """Return what looks after parked notifications. It has no need of their texts, and no key to them."""
    from tocsin.multidevice.leased_connectors import LeasedConnectors
    from tocsin.notify.parking import Maintainer
    from tocsin.tables.keys import pace_key

    dynamodb, sqs = aws.client("dynamodb"), aws.client("sqs")
    stores = _notifications(config.stores, dynamodb)
    table, unsealing = _table(dynamodb, config.stores.keys_table), _unsealing(_secrets(), config.stores)
    return Maintainer(
        stores,
        NotificationsQueue(sqs, config.notifications_queue_url),
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        LeasedConnectors(table, unsealing, _connector(table, unsealing)),
        # A pause that has just begun or ended counts.
        settings=_settings(_table(dynamodb, config.stores.notifications_table), fresh_seconds=0),
        counts=lambda account: table.get(pace_key(account)),
    )


def self_tester(config: MaintainConfig) -> SelfTester:
    """Return what asks for self-tests and judges them."""
    from tocsin.multidevice.leased_connectors import LeasedConnectors
    from tocsin.notify.queues import TicketEventsQueue
    from tocsin.notify.self_tester import SelfTester
    from tocsin.tables.names import ID_BYTES

    dynamodb = aws.client("dynamodb")
    table, unsealing = _table(dynamodb, config.stores.keys_table), _unsealing(_secrets(), config.stores)
    queue = TicketEventsQueue(aws.client("sqs"), config.ticket_events_queue_url)
    return SelfTester(
        _notifications(config.stores, dynamodb),
        LeasedConnectors(table, unsealing, _connector(table, unsealing)),
        lambda order: queue.send(order.to_json()),
        lambda: os.urandom(ID_BYTES).hex(),
    )


def key_maintenance(config: MaintainConfig) -> KeyMaintenance:
    """Return what looks after keys and sessions."""
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.key_maintenance import KeyMaintenance
    from tocsin.multidevice.leased_connectors import LeasedConnectors

    dynamodb = aws.client("dynamodb")
    table = _table(dynamodb, config.stores.keys_table)
    unsealing = _unsealing(_secrets(), config.stores)
    connector = _connector(table, unsealing)

    def open_keys(account: str, on_damage: Callable[[DamagedRecord], None]) -> KeyStore:
        return KeyStore(table, unsealing(), account, on_damage=on_damage)

    return KeyMaintenance(
        table,
        _table(dynamodb, config.stores.notifications_table),
        open_keys,
        connector,
        LeasedConnectors(table, unsealing, connector),
        _numbers(config.stores, dynamodb),
        settings=settings_reader(config.stores, dynamodb),
    )


def door(config: DoorConfig) -> Door:
    """Return what answers requests of help desks and tools."""
    from tocsin.door.bus import Bus
    from tocsin.door.door import Door
    from tocsin.door.facts import LEASE_ATTRIBUTES, PROGRESS_ATTRIBUTES, Place, StoredFacts
    from tocsin.door.meter import Meter
    from tocsin.door.source_reader import SourceReader
    from tocsin.door.stow import Stow
    from tocsin.dynamo.table import DynamoTable
    from tocsin.notify.queues import TicketEventsDeadQueue

    dynamodb = aws.client("dynamodb")
    table = _table(dynamodb, config.notifications_table)
    texts = _texts(_secrets(), config.texts_secret_arn)
    leases = DynamoTable(dynamodb, config.keys_table, consistent=False, attributes=LEASE_ATTRIBUTES)
    notifications = DynamoTable(
        dynamodb, config.notifications_table, consistent=False, attributes=PROGRESS_ATTRIBUTES
    )
    place = Place(config.default_region, config.default_area, bool(config.attachments_bucket))
    dead = TicketEventsDeadQueue(Later("sqs"), config.ticket_events_dead_queue_url)
    return Door(
        SourceReader(table, texts),
        Meter(table),
        Bus(aws.client("events"), config.event_bus_name, config.event_source),
        lambda now: StoredFacts(now, leases, notifications, _request_name, place),
        lambda entry: _sealed_entry(entry, texts),
        Stow(Later("s3"), config.attachments_bucket),
        _hooks(texts, dead.send),
        os.urandom,
    )


def _hooks(texts: Texts, keep: Keep) -> Webhooks:
    """Return what knows help desks. Calls of tools need none of it."""

    def make() -> Hooks:
        from tocsin.door.hooks import Hooks

        return Hooks(texts, keep, Later(phones))

    def phones() -> Phones:
        from tocsin.door.desks.phones import AskedPhones

        return AskedPhones(texts)

    return Later(make)


def _request_name(source: str, key: str) -> str:
    from tocsin.notify.notification import request_name

    return request_name(source, key)


def _sealed_entry(entry: Entry, texts: Texts) -> Entry:
    from tocsin.notify.events.message_request import sealed_request

    event = {"detail-type": entry.detail_type, "detail": entry.detail}
    return entry._replace(detail=sealed_request(event, texts)["detail"])


def served_accounts(config: MaintainConfig) -> tuple[str, ...]:
    """Return all accounts that are served now, those that were added since the deployment included."""
    from tocsin.accounts.served_accounts import ServedAccounts

    table = _table(aws.client("dynamodb"), config.stores.notifications_table)
    return ServedAccounts(config.accounts, table).read()


def reached() -> dict[str, Any]:
    """Return which of AWS's services are reached from here (`tocsin.reachability`)."""
    from tocsin.reachability import reached

    services = ("dynamodb", "sqs", "secretsmanager")
    return reached({service: aws.client(service).meta.endpoint_url for service in services})


def settings_reader(stores: StoreConfig, dynamodb: Any = None) -> SettingsReader:
    """Return what reads the settings in force."""
    return _settings(_table(dynamodb or aws.client("dynamodb"), stores.notifications_table))


def keep_accounts(config: MaintainConfig, in_use: Collection[str]) -> list[str]:
    """Have those of the parameter's accounts that are `in_use` served after it names them no more. Return the
    ones that weren't written down yet."""
    from tocsin.accounts.served_accounts import NAME, keep_account

    table = _table(aws.client("dynamodb"), config.stores.notifications_table)
    now = int(time.time())
    named = [account for account in config.accounts if account in in_use and NAME.fullmatch(account)]
    return [account for account in named if keep_account(table, account, now)]


# As many requests at a time as a client has connections.
_SIDE_BY_SIDE = 8


def side_by_side(function: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
    """Apply a function to each of some things, a few at a time: most of it is waiting for DynamoDB. Return
    the results in their order, an exception in place of a result that it raised."""
    from tocsin.multidevice.inbound.receipts import one_by_one

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


# -- what they share -------------------------------------------------------------------------------------


def _notifications(stores: StoreConfig, dynamodb: Any, texts: Texts | None = None) -> Stores:
    return Stores(
        _table(dynamodb, stores.notifications_table),
        _table(dynamodb, stores.keys_table),
        texts=texts,
        retention_days=stores.retention_days,
    )


def _settings(table: Table, fresh_seconds: float | None = None) -> SettingsReader:
    from tocsin.settings.reader import FRESH_SECONDS, SettingsReader

    return SettingsReader(table, fresh_seconds=FRESH_SECONDS if fresh_seconds is None else fresh_seconds)


def disconnected_accounts(config: MaintainConfig, accounts: Collection[str]) -> list[str]:
    """Return those of the accounts that aren't logged in, or that no living connector holds."""
    from tocsin.accounts import lease

    table = _table(aws.client("dynamodb"), config.stores.keys_table)
    return lease.disconnected_accounts(table, accounts, time.time())


def _table(dynamodb: Any, name: str) -> DynamoTable:
    from tocsin.dynamo.table import DynamoTable

    return DynamoTable(dynamodb, name)


def _connector(table: Table, unsealing: Callable[[], Sealer]) -> ConnectorClient:
    from tocsin.accounts.whereabouts import read_whereabouts
    from tocsin.connector_client.client import ConnectorClient

    return ConnectorClient(lambda account: read_whereabouts(table, account, unsealing()))


def _numbers(stores: StoreConfig, dynamodb: Any) -> NumberOwners:
    from tocsin.multidevice.numbers import NumberOwners

    def tell_moved(account: str, known: KnownAddress, to: str | None) -> None:
        from tocsin.multidevice.identity import tell_moved

        tell_moved(_notifications(stores, dynamodb), account, known, to)

    def count_question(account: str, at: int) -> int:
        return _notifications(stores, dynamodb).people.count_number_question_in_hour(account, at)

    return NumberOwners(tell_moved, count_question, on_moved=stores.on_number_moved)


def _transport(
    stores: StoreConfig,
    dynamodb: Any,
    unsealing: Callable[[], Sealer],
    connector: Connector | None,
    lease: Callable[[str], Whereabouts | None] | None,
    *,
    uploads: Callable[[], Uploads] | None = None,
    patience: int | None = None,
) -> MultiDevice:
    from tocsin.accounts.whereabouts import read_whereabouts
    from tocsin.connector_client.client import ConnectorClient
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.socket import RememberedLeases
    from tocsin.multidevice.transport import MultiDevice

    table = _table(dynamodb, stores.keys_table)
    leases = RememberedLeases(lease or (lambda account: read_whereabouts(table, account, unsealing())))

    @cache
    def open_keys(account: str) -> KeyStore:
        def tell(change: IdentityChange) -> None:
            from tocsin.multidevice.identity import tell_change

            tell_change(_notifications(stores, dynamodb), keys, change)

        keys = KeyStore(table, unsealing(), account, on_identity_change=tell)
        return keys

    numbers = _numbers(stores, dynamodb)
    connector = connector or ConnectorClient(leases, patience=patience)
    return MultiDevice(open_keys, connector, leases, numbers, uploads=uploads)


def _uploads(s3: Any, bucket: str) -> Uploads:
    from tocsin.multidevice.uploads import Uploads
    from tocsin.notify.attachments import Bucket

    return Uploads(Bucket(s3, bucket))


def _secrets() -> Later:
    """One client, so one connection, for both secrets. One request for both (BatchGetSecretValue) would need
    a right on every secret of the AWS account: IAM knows no narrower resource for it."""
    return Later("secretsmanager")


def _unsealing(secrets: Later, stores: StoreConfig) -> Callable[[], Sealer]:
    """Return what fetches the sealing key when it is first wanted. The key stays in memory: it never changes,
    and without it no record is readable."""

    @cache
    def read_sealer() -> Sealer:
        from tocsin.sealing import Sealer

        return Sealer.from_secret(_secret(secrets, stores.sealing_secret_arn))

    return read_sealer


def _texts(secrets: Later, secret_arn: str) -> Texts:
    from tocsin.notify.store.texts import Texts

    return Texts(_record_sealer(secrets, secret_arn))


def _record_sealer(secrets: Later, secret_arn: str) -> Callable[[], RecordSealer]:
    """Return what fetches the key of the texts when the first one is opened or sealed."""

    @cache
    def read_sealer() -> RecordSealer:
        from tocsin.sealing import RecordSealer

        return RecordSealer.from_secret(_secret(secrets, secret_arn))

    return read_sealer


def _secret(secrets: Later, arn: str) -> str:
    text: str = secrets.get_secret_value(SecretId=arn)["SecretString"]
    return text
