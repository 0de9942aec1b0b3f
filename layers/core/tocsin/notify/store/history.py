"""What an operator asks of the notifications table. Nothing here lies on the way of a notification.

The index `ticket` has the keys of whatever belongs to a ticket: notifications, and the replies to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tocsin.notify.store.attributes import from_item

TICKET_INDEX = "ticket"


def notifications_of_ticket(client: Any, table: str, ticket_id: str) -> list[str]:
    """Return the ids of a ticket's notifications, in no order. `client`: boto3's, of DynamoDB."""
    found = _query(
        client,
        TableName=table,
        IndexName=TICKET_INDEX,
        KeyConditionExpression="ticket_id = :ticket",
        ExpressionAttributeValues={":ticket": {"S": ticket_id}},
    )
    keys = [str(item["pk"]) for item in found]
    return [pk.partition("#")[2] for pk in keys if pk.startswith("notification#")]


def replies_to(
    client: Any, table: str, account: str, user: str, notification_id: str
) -> list[dict[str, Any]]:
    """Return what `user` (bare JID) answered to a notification, oldest first."""
    found = _query(
        client,
        TableName=table,
        KeyConditionExpression="pk = :pk",
        FilterExpression="notification_id = :notification",
        ExpressionAttributeValues={
            ":pk": {"S": f"reply#{account}#{user}"},
            ":notification": {"S": notification_id},
        },
    )
    return sorted(found, key=lambda reply: reply["received_at"])


def _query(client: Any, **request: Any) -> Iterator[dict[str, Any]]:
    start: dict[str, Any] = {}
    while True:
        page = client.query(**request, **start)
        yield from (from_item(item) for item in page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
