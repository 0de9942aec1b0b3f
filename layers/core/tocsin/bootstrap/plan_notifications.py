"""Which parts make up plan_notifications: stores, texts, queues. Files and foreign events only when met."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from tocsin import aws
from tocsin.accounts.served_accounts import ServedAccounts
from tocsin.bootstrap.later import Later
from tocsin.bootstrap.secrets import sealed_texts, secrets_client
from tocsin.bootstrap.settings import settings_in
from tocsin.bootstrap.stores import open_table
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.planning import Planner
from tocsin.notify.queues import DeadLettersQueue, NotificationsQueue, TicketEventsDeadQueue
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.current import CurrentTexts

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.dynamo.table import Table
    from tocsin.notify.config import PlanConfig
    from tocsin.notify.events.foreign import Translate
    from tocsin.notify.requested_files import RequestedFiles
    from tocsin.notify.store.texts import Texts


def planner(config: PlanConfig, own_texts: Path) -> Planner:
    """Return what plans ticket events. `own_texts`: the folder of the owner's texts, which may be missing."""
    sqs = aws.client("sqs")
    dynamodb = aws.client("dynamodb")
    table = open_table(dynamodb, config.notifications_table)
    texts = sealed_texts(secrets_client(), config.texts_secret_arn)
    keys = open_table(dynamodb, config.keys_table)
    stores = Stores(table, keys, texts=texts, retention_days=config.retention_days)
    return Planner(
        stores,
        NotificationsQueue(sqs, config.notifications_queue_url),
        TicketEventsDeadQueue(sqs, config.ticket_events_dead_queue_url),
        DeadLetters(stores, DeadLettersQueue(sqs, config.dead_letters_queue_url)),
        CurrentTexts(
            stores.own_texts.in_force, own_texts, clickable_customer_links=config.clickable_customer_links
        ),
        config,
        accounts=ServedAccounts(config.accounts, table),
        files=(lambda: _requested_files(config)) if config.attachments_bucket else None,
        settings=settings_in(table),
        translate=_foreign_events(config, table, stores.texts, keys),
    )


@cache
def _requested_files(config: PlanConfig) -> RequestedFiles:
    from tocsin.guarded_http import Policy
    from tocsin.notify.attachments import Bucket
    from tocsin.notify.requested_files import RequestedFiles, fetcher

    bucket = Bucket(aws.client("s3"), config.attachments_bucket)
    return RequestedFiles(bucket, config.file_hosts, fetcher(Policy(loopback=config.loopback)))


def _foreign_events(config: PlanConfig, table: Table, texts: Texts, keys: Table) -> Translate:
    """Return what translates events of others. Most starts see none."""

    def make() -> Translate:
        from tocsin.door.desks.foreign import ForeignEvents
        from tocsin.door.source_reader import SourceReader
        from tocsin.people.numbers import normalise_phone
        from tocsin.versions import source_versions

        sources = SourceReader(table, texts, source_versions(keys))
        return ForeignEvents(
            lambda name: sources.read(name, time.time_ns() // 1_000_000),
            lambda phone: normalise_phone(phone, config.default_region, config.default_area),
        )

    return Later(make)
