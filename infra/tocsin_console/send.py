"""`tocsin send`: send a test notification the way every other one is sent, as a ticket event on the bus."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.notify.notification import Notification, State, derived_id
from tocsin.pace.causes import PAUSED, WORDS
from tocsin.people.numbers import InvalidPhone, mask_phone, same_person_key
from tocsin_console import pause
from tocsin_console.audit import note
from tocsin_console.connection import look
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, TimedOut, Usage
from tocsin_console.output import Output, moment

POLL_SECONDS = 0.5
_EVENT = "TicketCreated"
_ENDS = {State.DELIVERED, State.READ, State.FAILED, State.SUPPRESSED}

# What to print where the reason alone does not explain enough.
_EXPLAINED = {
    "not-on-whatsapp": "this number isn't on WhatsApp",
    "not-in-group": "the account isn't in this group: add it as a member",
    "attachment-type": "the file isn't what its name says",
    "attachment-too-large": "the file is too large: 15 MB is the limit",
    "admins-only": "only admins may write to this group: make the account one",
}


@dataclass(frozen=True)
class SampleTicket:
    """What the test event says.

    `phone` in local or international form; `language`: a tag such as id or es-MX; `file`: to be attached.
    """

    phone: str
    name: str = "Test"
    subject: str = "Test notification"
    language: str | None = None
    file: Path | None = None

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
            **({"attachments": [{"key": self.key(ticket_id)}]} if self.file else {}),
        }

    def key(self, ticket_id: str) -> str:
        """The file's key in the deployment's bucket."""
        return f"tocsin-cli/{ticket_id}/{self.file.name if self.file else ''}"


def send_test(
    deployment: Deployment,
    ticket: SampleTicket,
    account: str,
    *,
    wait_seconds: float,
    output: Output,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> None:
    """Put the event on the bus and follow its notification until it arrived, failed, is held by a pause, or
    the wait is over.

    Raises Usage if the planner would refuse the event, ConsoleError if the notification was not delivered,
    TimedOut if that is not known in time.
    """
    ticket_id = f"TEST-{secrets.token_hex(4).upper()}"
    recipient = put_test(deployment, ticket, ticket_id, account)
    whom = (account, ticket_id, _EVENT, 1, "customer", same_person_key(recipient))
    identity = deployment.stores.ids.of(*whom)
    output.say(f"ticket {ticket_id} is on the bus, for {mask_phone(recipient)}: notification {identity}")
    output.record({"ticket": ticket_id, "notification": identity, "state": "event"})
    if wait_seconds <= 0:
        return
    parts = [identity] if ticket.file is None else [identity, derived_id(identity, ticket.key(ticket_id))]
    for part in parts:
        with output.progress("waiting for the phone") as progress:
            last = follow(
                deployment,
                part,
                wait_seconds,
                lambda state: _tell(state, output),
                sleep=progress.around(sleep),
                clock=clock,
            )
        if last is not None and _is_held(last):
            raise TimedOut(f"it waits: {'; '.join(pause.sentences(deployment, account)) or WORDS[PAUSED]}")
        _judge(last, part, wait_seconds, lambda: _standing(deployment, account, wall_clock))


def put_test(deployment: Deployment, ticket: SampleTicket, ticket_id: str, account: str) -> str:
    """Put the event on the bus. Return the recipient's digits. Raises Usage if the planner would refuse
    it."""
    detail = ticket.detail(ticket_id, account)
    recipient = _checked(deployment, ticket, detail)
    if ticket.file is not None:
        _put_file(deployment, ticket.file, ticket.key(ticket_id))
    put_event(deployment, _EVENT, detail)
    note(deployment, f"sent a test to {mask_phone(recipient)} from {account}")
    return recipient


def _put_file(deployment: Deployment, file: Path, key: str) -> None:
    """Raises Usage for a file that can't be read."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise Usage(f"--attach: {file} can't be read: {error.strerror or error}") from None
    deployment.client("s3").put_object(Bucket=deployment.attachments_bucket, Key=key, Body=body)


def put_event(deployment: Deployment, detail_type: str, detail: dict[str, Any]) -> str:
    """Put one ticket event on the bus. Return its EventBridge id. Raises ConsoleError if it was refused."""
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
    """Call `tell` with each new state until the last one, a pause or the timeout. Return the last state
    seen."""
    deadline = clock() + wait_seconds
    last: Notification | None = None
    while True:
        now = deployment.stores.notifications.get(identity)
        if now is not None and (last is None or _differ(now, last)):
            tell(now)
        last = now or last
        if (last is not None and (last.state in _ENDS or _is_held(last))) or clock() >= deadline:
            return last
        sleep(POLL_SECONDS)


def _checked(deployment: Deployment, ticket: SampleTicket, detail: dict[str, Any]) -> str:
    """Return the recipient's digits. Raises Usage if the planner would refuse the event."""
    try:
        recipient = deployment.phone(ticket.phone)
        event = {"id": "test", "detail-type": _EVENT, "detail": detail}
        parsed = parse_event(
            json.dumps(event),
            default_region=deployment["DefaultRegion"],
            default_area=deployment.default_area,
            accounts=deployment.accounts,
            attachments=bool(deployment.attachments_bucket),
        )
    except InvalidPhone as refusal:
        raise Usage(f"--to: the number {refusal}") from None
    except InvalidEvent as refusal:
        raise Usage(f"the event would be refused: {refusal}") from None
    if parsed.left_out:
        raise Usage(f"this would be left out: {'; '.join(parsed.left_out)}")
    return recipient


def _standing(deployment: Deployment, account: str, clock: Callable[[], float]) -> str:
    """The state of the account that sends."""
    connection = look(deployment.keys_table, account, clock)
    since = f" since {moment(connection.since * 1000)}" if connection.since else ""
    return f"the account '{account}' is {connection.state}{since}"


def _judge(
    last: Notification | None, identity: str, wait_seconds: float, standing: Callable[[], str]
) -> None:
    """Return if it arrived; else raise what the operator must know. `standing`: the account's state."""
    if last is None:
        raise TimedOut(
            f"nothing was planned within {wait_seconds:.0f} s: see 'tocsin status' and "
            "'tocsin dead-letters list --queue events'"
        )
    code = last.last_error.code if last.last_error else "unknown"
    match last.state:
        case State.DELIVERED | State.READ:
            return
        case State.SUPPRESSED:
            raise ConsoleError(
                f"not sent: {mask_phone(last.recipient)} opted out by a reply such as STOP. Only their own "
                "START reverses it"
            )
        case State.FAILED:
            why = _EXPLAINED.get(code, code)
            raise ConsoleError(f"it failed: {why}; see 'tocsin explain {identity}'")
        case State.WAITING:
            raise TimedOut(
                f"it is parked ({code}): {standing()}. It will be sent when the cause ends, "
                f"at the latest by {moment(last.given_up_at)}; see 'tocsin status'"
            )
        case State.SENT:
            raise TimedOut(
                f"WhatsApp accepted it, but no phone confirmed it within {wait_seconds:.0f} s: is it online? "
                f"A later receipt still counts: 'tocsin explain {identity}'"
            )
        case _:
            raise TimedOut(
                f"still {last.state} after {wait_seconds:.0f} s: {standing()}. It goes on by itself; see "
                "'tocsin status'"
            )


def _is_held(notification: Notification) -> bool:
    """Whether it waits for an operator's `tocsin resume`, for which no wait is long enough."""
    problem = notification.last_error
    return notification.state is State.WAITING and problem is not None and problem.code == PAUSED


def _differ(now: Notification, last: Notification) -> bool:
    return now.state is not last.state or now.retries_used != last.retries_used


def _tell(notification: Notification, output: Output) -> None:
    problem = notification.last_error
    tried = notification.retries_used and notification.state is State.PLANNED
    telling = tried or notification.state in (State.WAITING, State.FAILED, State.SUPPRESSED)
    why = problem.code if telling and problem else None
    again = f", try {notification.retries_used + 1}" if tried else ""
    said = f"{notification.state}{again}"
    output.say(f"{moment(_last_moment(notification))}  {said}{f'  ({why})' if why else ''}")
    output.record(
        {
            "notification": notification.id,
            "state": str(notification.state),
            "why": why,
            "retries": notification.retries_used,
        }
    )


def _last_moment(notification: Notification) -> int:
    """When the notification last changed, in ms."""
    times = (
        notification.created_at,
        notification.sent_at,
        notification.delivered_at,
        notification.read_at,
        notification.failed_at,
        notification.suppressed_at,
        notification.waiting_since,
        *(attempt.at for attempt in notification.attempts[-1:]),
    )
    return max(at for at in times if at is not None)
