"""Which parts make up receive_webhook, the HTTP door. What knows help desks is made when one calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tocsin import aws
from tocsin.bootstrap.later import Later
from tocsin.bootstrap.secrets import sealed_texts, secrets_client
from tocsin.bootstrap.stores import open_table
from tocsin.door.bus import Bus
from tocsin.door.door import Door
from tocsin.door.facts import LEASE_ATTRIBUTES, PROGRESS_ATTRIBUTES, Place, StoredFacts
from tocsin.door.meter import Meter
from tocsin.door.source_reader import SourceReader
from tocsin.door.stow import Stow
from tocsin.dynamo.table import DynamoTable
from tocsin.notify.queues import TicketEventsDeadQueue
from tocsin.versions import source_versions

if TYPE_CHECKING:
    from tocsin.door.answer import Entry
    from tocsin.door.door import Webhooks
    from tocsin.door.hooks import Hooks, Keep, Phones
    from tocsin.notify.config import DoorConfig
    from tocsin.notify.store.texts import Texts


def door(config: DoorConfig) -> Door:
    """Return what answers requests of help desks and tools."""
    dynamodb = aws.client("dynamodb")
    table = open_table(dynamodb, config.notifications_table)
    texts = sealed_texts(secrets_client(), config.texts_secret_arn)
    leases = DynamoTable(dynamodb, config.keys_table, consistent=False, attributes=LEASE_ATTRIBUTES)
    notifications = DynamoTable(
        dynamodb, config.notifications_table, consistent=False, attributes=PROGRESS_ATTRIBUTES
    )
    place = Place(config.default_region, config.default_area, bool(config.attachments_bucket))
    dead = TicketEventsDeadQueue(Later("sqs"), config.ticket_events_dead_queue_url)
    return Door(
        SourceReader(table, texts, source_versions(open_table(dynamodb, config.keys_table))),
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
