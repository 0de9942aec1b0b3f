"""`tocsin send`: a test notification, by the same way as every other one: a ticket event on the bus."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.console.deployment import Deployment
from infra.console.errors import ConsoleError, TimedOut
from infra.console.output import Output, moment
from tocsin.notify.notification import Notification, State, notification_id
from tocsin.notify.phone import mask_phone, normalise_phone

POLL_SECONDS = 0.5
_ENDS = {State.DELIVERED, State.READ, State.FAILED, State.SUPPRESSED}


@dataclass(frozen=True)
class TestTicket:
    """What the test event says. `phone` in local or international form; `language` id, es or en."""

    phone: str
    name: str = "Test"
    subject: str = "Test notification"
    language: str | None = None

    def detail(self, ticket_id: str, account: str) -> dict[str, Any]:
        customer = {"id": "TEST", "name": self.name, "phone": self.phone}
        if self.language:
            customer["language"] = self.language
        return {
            "ticket": {
                "id": ticket_id,
                "revision": 1,
                "subject": self.subject,
                "status": "open",
                "priority": "low",
                "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            },
            "customer": customer,
            "created_by": {"role": "admin", "id": "tocsin-cli"},
            "account": account,
        }


def send_test(
    deployment: Deployment, ticket: TestTicket, account: str, *, wait_seconds: float, output: Output
) -> None:
    """Put the event on the bus and follow its notification until it arrived, failed, or the wait is over.

    Raises ConsoleError for a bad number or a refused event, TimedOut if it has not arrived by then.
    """
    recipient = normalise_phone(ticket.phone, deployment["DefaultRegion"])
    ticket_id = f"TEST-{secrets.token_hex(4).upper()}"
    put_event(deployment, "TicketCreated", ticket.detail(ticket_id, account))
    identity = notification_id(account, ticket_id, "TicketCreated", 1, "customer", recipient)
    output.say(f"ticket {ticket_id} is on the bus, for {mask_phone(recipient)}: notification {identity}")
    output.record({"ticket": ticket_id, "notification": identity, "state": "event"})
    if wait_seconds <= 0:
        return
    last = follow(deployment, identity, wait_seconds, lambda state: _tell(state, output))
    if last is None:
        raise TimedOut(
            f"nothing was planned within {wait_seconds:.0f} s: see 'tocsin status' and "
            "'tocsin dead-letters list --queue events'"
        )
    if last.state is State.FAILED:
        problem = last.last_error
        raise ConsoleError(
            f"it failed: {problem.code if problem else 'unknown'}; 'tocsin dead-letters show {identity}'"
        )
    if last.state not in _ENDS:
        raise TimedOut(
            f"still {last.state} after {wait_seconds:.0f} s; it goes on by itself, 'tocsin status' tells more"
        )


def put_event(deployment: Deployment, detail_type: str, detail: dict[str, Any]) -> str:
    """Put one ticket event on the bus; its EventBridge id. Raises ConsoleError if it was refused."""
    answer = deployment.client("events").put_events(
        Entries=[
            {
                "EventBusName": deployment["EventBusName"],
                "Source": deployment["EventSource"],
                "DetailType": detail_type,
                "Detail": json.dumps(detail, ensure_ascii=False),
            }
        ]
    )
    entry = answer["Entries"][0]
    if answer["FailedEntryCount"]:
        raise ConsoleError(
            f"EventBridge refused the event: {entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
        )
    return str(entry["EventId"])


def follow(
    deployment: Deployment,
    identity: str,
    wait_seconds: float,
    tell: Callable[[Notification], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Notification | None:
    """Tell each new state of a notification until it is at an end or the wait is over; the last one seen."""
    deadline = clock() + wait_seconds
    last: Notification | None = None
    while True:
        now = deployment.notifications.get(identity)
        if now is not None and (last is None or now.state is not last.state):
            tell(now)
        last = now or last
        if (last is not None and last.state in _ENDS) or clock() >= deadline:
            return last
        sleep(POLL_SECONDS)


def _tell(notification: Notification, output: Output) -> None:
    problem = notification.last_error
    at = notification.read_at or notification.delivered_at or notification.sent_at or notification.created_at
    why = f"  ({problem.code})" if problem and notification.state in (State.WAITING, State.FAILED) else ""
    output.say(f"{moment(at)}  {notification.state}{why}")
    output.record(
        {
            "notification": notification.id,
            "state": str(notification.state),
            "why": problem.code if why and problem else None,
        }
    )
