"""Which parts make up publish_outcomes: the bus, and the queue of webhooks where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin import aws
from tocsin.bootstrap.secrets import sealed_texts, secrets_client
from tocsin.bootstrap.settings import settings_in
from tocsin.bootstrap.stores import open_table
from tocsin.notify.outcomes import Publisher
from tocsin.notify.store.stores import Stores

if TYPE_CHECKING:
    from tocsin.notify.config import PublishConfig


def publisher(config: PublishConfig) -> Publisher:
    """Return what puts outcomes on the bus."""
    dynamodb = aws.client("dynamodb")
    table = open_table(dynamodb, config.notifications_table)
    texts = sealed_texts(secrets_client(), config.texts_secret_arn)
    hours = Stores(table, texts=texts, retention_days=config.retention_days).hours
    hooks = None
    if config.hooks_queue_url:
        from tocsin.hooks.dispatch import Dispatch
        from tocsin.hooks.queue import HooksQueue
        from tocsin.hooks.store import HookStore
        from tocsin.versions import hook_versions

        store = HookStore(table, texts, hook_versions(open_table(dynamodb, config.keys_table)))
        hooks = Dispatch(store, HooksQueue(aws.client("sqs"), config.hooks_queue_url))
    settings = settings_in(table)
    return Publisher(aws.client("events"), config, texts, settings=settings, hours=hours, hooks=hooks)
