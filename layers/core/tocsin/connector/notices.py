"""Notices to others: a lost account to the bus, a regained one to the maintain function."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping

from tocsin.connector.aws import Aws
from tocsin.connector.config import Config
from tocsin.timestamps import iso

log = logging.getLogger(__name__)

SOURCE = "tocsin"


class Notices:
    """Never raises: what can't be told is logged, and the account goes on."""

    def __init__(self, aws: Aws, config: Config) -> None:
        self._aws = aws
        self._config = config

    @property
    def resumes(self) -> bool:
        """True if a maintain function resumes parked notifications."""
        return bool(self._config.maintain_function and self._config.notifications_table)

    async def disconnected(
        self, account: str, state: str, reason: str, *, until: float | None = None
    ) -> None:
        """The event AccountDisconnected: the account can't send (with `until`: before then, Unix seconds)."""
        facts: dict[str, object] = {"state": state, "reason": reason}
        if until is not None:
            facts["until"] = iso(until * 1000)
        await self.tell("AccountDisconnected", account, facts)

    async def tell(self, event: str, account: str, facts: Mapping[str, object]) -> None:
        """An event about the account on the bus; what each holds: `account-event.schema.json`."""
        if self._config.event_bus is None:
            return
        detail = {"account": account, **facts, "at": iso(time.time() * 1000)}
        entry = {
            "Source": SOURCE,
            "DetailType": event,
            "Detail": json.dumps(detail),
            "EventBusName": self._config.event_bus,
        }
        try:
            answer = await self._aws.call(self._aws.client("events").put_events, Entries=[entry])
        except Exception:
            log.exception("the bus was not told", extra={"account": account, "event": event})
            return
        if answer.get("FailedEntryCount"):
            log.error("the bus refused the event", extra={"account": account, "entries": answer["Entries"]})

    async def has_parked(self, account: str) -> bool:
        """True if notifications of the account are parked, or if that can't be read."""
        if not self.resumes:
            return False
        query = self._aws.client("dynamodb").query
        try:
            answer = await self._aws.call(
                query,
                TableName=self._config.notifications_table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"waiting#{account}"}},
                ProjectionExpression="pk",
                ConsistentRead=True,
                Limit=1,
            )
        except Exception:
            log.exception("the parked notifications can't be read", extra={"account": account})
            return True
        return bool(answer["Count"])

    async def ask_resume(self, account: str) -> None:
        """Have the maintain function put the account's parked notifications back, oldest first."""
        invoke = self._aws.client("lambda").invoke
        try:
            await self._aws.call(
                invoke,
                FunctionName=self._config.maintain_function,
                InvocationType="Event",
                Payload=json.dumps({"resume": account}).encode(),
            )
        except Exception:
            log.exception("the maintain function was not reached", extra={"account": account})
