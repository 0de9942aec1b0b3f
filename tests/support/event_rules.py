"""EventBridge's rules and SQS's names in memory, as the console meets them."""

from __future__ import annotations

from typing import Any


class NotThere(Exception):
    pass


class Events:
    """EventBridge: rules by bus and name, each with its targets."""

    class exceptions:
        ResourceNotFoundException = NotThere

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str], dict[str, Any]] = {}
        self.failed: list[dict[str, str]] = []

    def put_rule(self, Name: str, EventBusName: str, **told: Any) -> None:
        self.rules.setdefault((EventBusName, Name), {"targets": {}}).update(told)

    def put_targets(self, Rule: str, EventBusName: str, Targets: list[dict[str, Any]]) -> dict[str, Any]:
        self.rules[EventBusName, Rule]["targets"].update({one["Id"]: one for one in Targets})
        return {"FailedEntryCount": len(self.failed), "FailedEntries": self.failed}

    def remove_targets(self, Rule: str, EventBusName: str, Ids: list[str]) -> None:
        if (EventBusName, Rule) not in self.rules:
            raise NotThere
        for one in Ids:
            del self.rules[EventBusName, Rule]["targets"][one]

    def enable_rule(self, Name: str, EventBusName: str) -> None:
        self.rules[EventBusName, Name]["State"] = "ENABLED"

    def disable_rule(self, Name: str, EventBusName: str) -> None:
        self.rules[EventBusName, Name]["State"] = "DISABLED"

    def delete_rule(self, Name: str, EventBusName: str) -> None:
        assert not self.rules[EventBusName, Name]["targets"], "EventBridge deletes no rule that has targets"
        del self.rules[EventBusName, Name]


class Queues:
    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        assert AttributeNames == ["QueueArn"]
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:ap-southeast-3:000000000000:{QueueUrl}"}}
