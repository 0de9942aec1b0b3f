"""Which parts make up maintain_sessions. Each minute it looks after what is parked; the rest is done now and
then, and imported then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from tocsin import aws
from tocsin.accounts import lease
from tocsin.accounts.served_accounts import NAME, ServedAccounts, keep_account
from tocsin.accounts.whereabouts import read_whereabouts
from tocsin.bootstrap.secrets import secrets_client, unsealing
from tocsin.bootstrap.settings import settings_in
from tocsin.bootstrap.stores import open_stores, open_table
from tocsin.connector_client.client import ConnectorClient
from tocsin.multidevice.leased_connectors import LeasedConnectors
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.parking import Maintainer
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue
from tocsin.tables.keys import pace_key

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.key_maintenance import KeyMaintenance
    from tocsin.notify.config import MaintainConfig, StoreConfig
    from tocsin.notify.self_tester import SelfTester
    from tocsin.sealing import DamagedRecord, Sealer
    from tocsin.settings.reader import SettingsReader


def maintainer(config: MaintainConfig) -> Maintainer:
    """Return what looks after parked notifications. It has no need of their texts, and no key to them."""
    dynamodb, sqs = aws.client("dynamodb"), aws.client("sqs")
    stores = open_stores(config.stores, dynamodb)
    keys = open_table(dynamodb, config.stores.keys_table)
    return Maintainer(
        stores,
        NotificationsQueue(sqs, config.notifications_queue_url),
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        _leased_connectors(keys, unsealing(secrets_client(), config.stores)),
        # A pause that has just begun or ended counts.
        settings=settings_in(open_table(dynamodb, config.stores.notifications_table), fresh_seconds=0),
        counts=lambda account: keys.get(pace_key(account)),
    )


def self_tester(config: MaintainConfig) -> SelfTester:
    """Return what asks for self-tests and judges them."""
    from tocsin.notify.queues import TicketEventsQueue
    from tocsin.notify.self_tester import SelfTester
    from tocsin.tables.names import ID_BYTES

    dynamodb = aws.client("dynamodb")
    keys = open_table(dynamodb, config.stores.keys_table)
    queue = TicketEventsQueue(aws.client("sqs"), config.ticket_events_queue_url)
    return SelfTester(
        open_stores(config.stores, dynamodb),
        _leased_connectors(keys, unsealing(secrets_client(), config.stores)),
        lambda order: queue.send(order.to_json()),
        lambda: os.urandom(ID_BYTES).hex(),
    )


def key_maintenance(config: MaintainConfig) -> KeyMaintenance:
    """Return what looks after keys and sessions."""
    from tocsin.bootstrap.number_owners import number_owners
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.key_maintenance import KeyMaintenance

    dynamodb = aws.client("dynamodb")
    keys = open_table(dynamodb, config.stores.keys_table)
    notifications = open_table(dynamodb, config.stores.notifications_table)
    sealer = unsealing(secrets_client(), config.stores)
    connector = _connector(keys, sealer)

    def open_keys(account: str, on_damage: Callable[[DamagedRecord], None]) -> KeyStore:
        return KeyStore(keys, sealer(), account, on_damage=on_damage)

    return KeyMaintenance(
        keys,
        notifications,
        open_keys,
        connector,
        LeasedConnectors(keys, sealer, connector),
        number_owners(config.stores, dynamodb),
        settings=settings_in(notifications),
    )


def served_accounts(config: MaintainConfig) -> tuple[str, ...]:
    """Return all accounts that are served now, those that were added since the deployment included."""
    return ServedAccounts(config.accounts, _notifications_table(config.stores)).read()


def keep_accounts(config: MaintainConfig, in_use: Collection[str]) -> list[str]:
    """Have those of the parameter's accounts that are `in_use` served after it names them no more. Return the
    ones that weren't written down yet."""
    table = _notifications_table(config.stores)
    now = int(time.time())
    named = [account for account in config.accounts if account in in_use and NAME.fullmatch(account)]
    return [account for account in named if keep_account(table, account, now)]


def disconnected_accounts(config: MaintainConfig, accounts: Collection[str]) -> list[str]:
    """Return those of the accounts that aren't logged in, or that no living connector holds."""
    table = open_table(aws.client("dynamodb"), config.stores.keys_table)
    return lease.disconnected_accounts(table, accounts, time.time())


def settings_reader(stores: StoreConfig) -> SettingsReader:
    """Return what reads the settings in force."""
    return settings_in(_notifications_table(stores))


def reached() -> dict[str, Any]:
    """Return which of AWS's services are reached from here (`tocsin.reachability`)."""
    from tocsin.reachability import reached

    services = ("dynamodb", "sqs", "secretsmanager")
    return reached({service: aws.client(service).meta.endpoint_url for service in services})


def _notifications_table(stores: StoreConfig) -> Table:
    return open_table(aws.client("dynamodb"), stores.notifications_table)


def _connector(keys: Table, sealer: Callable[[], Sealer]) -> ConnectorClient:
    return ConnectorClient(lambda account: read_whereabouts(keys, account, sealer()))


def _leased_connectors(keys: Table, sealer: Callable[[], Sealer]) -> LeasedConnectors:
    return LeasedConnectors(keys, sealer, _connector(keys, sealer))
