"""Which parts make up deliver_webhooks: the records of hooks, their queue, and guarded HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin import aws
from tocsin.bootstrap.secrets import sealed_texts, secrets_client
from tocsin.bootstrap.stores import open_table
from tocsin.guarded_http import Policy
from tocsin.hooks.deliver import Deliveries, poster
from tocsin.hooks.queue import HooksQueue
from tocsin.hooks.store import HookStore
from tocsin.versions import hook_versions

if TYPE_CHECKING:
    from tocsin.hooks.config import HooksConfig


def hook_deliveries(config: HooksConfig) -> Deliveries:
    """Return what tells outcomes to endpoints."""
    dynamodb = aws.client("dynamodb")
    return Deliveries(
        HookStore(
            open_table(dynamodb, config.notifications_table),
            sealed_texts(secrets_client(), config.texts_secret_arn),
            hook_versions(open_table(dynamodb, config.keys_table)),
        ),
        HooksQueue(aws.client("sqs"), config.queue_url),
        poster(Policy(loopback=config.loopback)),
        stack=config.stack,
    )
