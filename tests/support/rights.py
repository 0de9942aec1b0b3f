"""What each role may do by the template, and which of its rights a run of the main job doesn't need.

The run is `make deployment`: tests/deployment/test_template_rights.py, with IAM enforced. With RECORD=1 it
writes the calls that were made into tests/deployment/calls.jsonl; a unit test holds the template to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.support.cloudformation import deployed
from tests.support.iam import Statement, policies, rights_of
from tests.support.recorded_calls import Call, without_call
from tests.support.stack import BUCKET

RECORDED = Path(__file__).parents[1] / "deployment" / "calls.jsonl"

FUNCTIONS = (
    "plan_notifications",
    "send_notification",
    "receive_stanza",
    "record_receipts",
    "publish_outcomes",
    "maintain_sessions",
    "deliver_webhooks",
    "receive_webhook",
)

# All that needs rights of its own is switched on.
PARAMETERS = {
    "AttachmentsBucket": BUCKET,
    "OutcomeHooks": "on",
    "HttpDoor": "on",
}

# By who has them. What goes beyond looking is a policy of its own.
POLICIES = {
    "operator": ("OperatorPolicy", "HooksOperatorPolicy", "ViewerPolicy"),
    "viewer": ("ViewerPolicy",),
}

# What AWS does in the name of a role: Lambda polls a queue and a stream, keeps logs, attaches a function to a
# VPC and tells of what failed; DynamoDB asks the key of a table.
BY_AWS = re.compile(
    r"(logs|ec2|kms):.*|sqs:(ReceiveMessage|DeleteMessage|ChangeMessageVisibility|GetQueueAttributes)"
    r"|dynamodb:(DescribeStream|GetRecords|GetShardIterator|ListStreams)"
)

# What happens too seldom for this run, and where it is.
SELDOM = {
    ("publish_outcomes", "dynamodb:Query", "table/NotificationsTable"): "settings/reader: an invalid item",
    ("operator", "cloudformation:DescribeStacks", "stack/tocsin-*/*"): "doctor: nested stacks, on Fargate",
    ("viewer", "cloudformation:DescribeStacks", "stack/tocsin-*/*"): "doctor: nested stacks, on Fargate",
    ("publish_outcomes", "sqs:SendMessage", "sqs:OutcomesDeadQueue"): "Lambda, of records that it gave up",
    ("send_notification", "sqs:SendMessage", "sqs:NotificationsQueue"): "notify/delivery: another's lane",
    ("send_notification", "dynamodb:DeleteItem", "table/KeysTable"): "keys/turn: a device that left",
    ("receive_stanza", "dynamodb:DeleteItem", "table/KeysTable"): "keys/turn: a device that left",
    ("receive_stanza", "dynamodb:Query", "table/KeysTable"): "keys/sessions: a person's devices",
    ("receive_stanza", "dynamodb:BatchGetItem", "table/NotificationsTable"): "people: several names",
    ("receive_stanza", "sqs:SendMessage", "sqs:DeadLettersQueue"): "multidevice/retries: recovery-exhausted",
    ("receive_stanza", "sqs:SendMessage", "sqs:StanzasQueue"): "notify/redelivery: a stanza that waits long",
    ("record_receipts", "sqs:SendMessage", "sqs:StanzasQueue"): "receipt_messages: only WhatsApp knows whose",
    ("maintain_sessions", "sqs:SendMessage", "sqs:DeadLettersQueue"): "notify/parking: expired",
    ("maintain_sessions", "dynamodb:GetItem", "table/NotificationsTable"): "notify/parking: expired, overdue",
    (
        "maintain_sessions",
        "dynamodb:BatchGetItem",
        "table/NotificationsTable",
    ): "notify/store: several overdue",
    ("plan_notifications", "dynamodb:Query", "table/NotificationsTable"): "settings/reader: an invalid item",
    ("send_notification", "dynamodb:Query", "table/NotificationsTable"): "settings/reader: an invalid item",
    ("receive_stanza", "dynamodb:Query", "table/NotificationsTable"): "settings/reader: an invalid item",
    ("maintain_sessions", "dynamodb:BatchGetItem", "table/KeysTable"): "keys/sessions: several at once",
    ("maintain_sessions", "dynamodb:DeleteItem", "table/KeysTable"): "keys/groups: a group that was left",
    ("connector", "dynamodb:ConditionCheckItem", "table/KeysTable"): "accounts/lease: takes over from nobody",
    ("operator", "ecs:DescribeServices", "service/tocsin-*"): "doctor: no Fargate on the emulator",
    ("viewer", "ecs:DescribeServices", "service/tocsin-*"): "doctor: no Fargate on the emulator",
    ("operator", "sns:ListSubscriptionsByTopic", "*"): "doctor: alarms that have a topic",
    ("viewer", "sns:ListSubscriptionsByTopic", "*"): "doctor: alarms that have a topic",
    # Shown by tests/unit/functions/test_plan_notifications.py.
    ("plan_notifications", "dynamodb:GetItem", "table/KeysTable"): "door/source_reader: sources of kind bus",
    # Shown by tests/unit/functions/test_deliver_webhooks.py, with every right of the function.
    ("deliver_webhooks", "dynamodb:GetItem", "table/NotificationsTable"): "hooks: what waits is called",
    ("deliver_webhooks", "sqs:SendMessage", "sqs:HooksQueue"): "hooks: what waits is called",
    ("operator", "sqs:SendMessage", "sqs:HooksQueue"): "hooks test and resend need an endpoint",
    ("connector", "events:PutEvents", "event-bus"): "connector/notices: AccountDisconnected",
    # The emulator asks for targets' rights on the bus, AWS on the rule (tests/integration/test_bus_rules.py).
    **{
        ("operator", f"events:{action}", "event-bus"): "bus_rules: sources of kind bus"
        for action in ("PutRule", "PutTargets", "EnableRule", "DisableRule", "RemoveTargets", "DeleteRule")
    },
}


def rights(caller: str) -> list[Statement]:
    """What a function, the connector or an operator may do, by the template."""
    stack = deployed({"ConnectorMode": "external", **PARAMETERS})
    owned = {"connector": ("ConnectorPolicy",), **POLICIES}
    if caller in owned:
        return [it for it in policies(stack) if it.owner in owned[caller]]
    return rights_of(stack, "".join(word.capitalize() for word in caller.split("_")) + "Role")


def unused(caller: str, made: Iterable[Call]) -> set[tuple[str, str]]:
    """The rights of a caller without a call that needs them: action and resource."""
    return {
        (action, resource)
        for action, resource in without_call(rights(caller), made)
        if not BY_AWS.fullmatch(action) and (caller, action, resource) not in SELDOM
    }
