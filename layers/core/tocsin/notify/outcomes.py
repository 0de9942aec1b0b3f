"""Outcomes for the world: what the notifications table's stream shows becomes an event on the bus.

| outcome on the item             | detail-type             | beyond what every outcome carries    |
| ------------------------------- | ----------------------- | ------------------------------------ |
| Sent, Delivered, Read           | NotificationSent, …     |                                      |
| Failed                          | NotificationFailed      | reason, class, detail, attempts      |
| Suppressed                      | NotificationSuppressed  | reason; `digested`: a digest says it |
| WouldHaveBeenSent (sandbox)     | NotificationWouldHave…  | reason `sandbox`                     |
| Overdue (no receipt in time)    | NotificationOverdue     |                                      |
| ReplyReceived                   | ReplyReceived           | what the recipient answered: see     |
|                                 |                         | multidevice/REPLIES.md               |
| IdentityChanged                 | IdentityChanged         | whose device, what proved it         |

Each names the person by `recipient`, the number (or the group), and `recipient_lid`, WhatsApp's own name for
them; what isn't known is null. Of somebody whom WhatsApp names by the LID alone the number is never guessed.
Both are null where the event named no usable number: the reason is `invalid-phone`, `no-phone` or
`invalid-group`, and `detail` names the field.

Each names the `version` of its schema (events/*.schema.json). With the parameter OutcomeForm=cloudevents the
detail is a CloudEvent, and this is its `data`.

A stream tells at least once: each event's `id` is made of what it tells, so whoever reads it can fold a
repeat.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tocsin.dynamo.attributes import from_item
from tocsin.notify.cloud_events import TYPES, VERSION, cloud_event
from tocsin.notify.config import PublishConfig
from tocsin.notify.content import Edit, File, Reaction
from tocsin.notify.failure import Bug, Retry
from tocsin.notify.notification import (
    IDENTITY_CHANGED,
    OUTCOMES,
    REPLY_RECEIVED,
    SELF_TEST,
    Notification,
    State,
    named,
    request_of,
)
from tocsin.notify.store.codec import notification_of_item
from tocsin.notify.store.replies import open_reply
from tocsin.notify.store.texts import Texts, TextWithheld
from tocsin.notify.store.transition import PASSED
from tocsin.notify.tally import Tally, hours_in, tally
from tocsin.settings.declared import OUTCOME_EVENTS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.timestamps import iso

if TYPE_CHECKING:
    from tocsin.notify.store.hours import Hours

log = logging.getLogger(__name__)

SOURCE = "tocsin"
EXPIRED = "expired"

STEPS = {f"Notification{OUTCOMES[state]}": str(state) for state in (State.SENT, State.DELIVERED, State.READ)}
"""What every notification goes through: type of the event → its word in the setting `outcome-events`."""
FAILED = f"Notification{OUTCOMES[State.FAILED]}"

_ENTRIES = 10
_REQUEST_BYTES = 240 * 1024
"""PutEvents takes ten entries and 256 KB; the rest is for names and time stamps."""

_DETAIL_BYTES = 200 * 1024
_TEXT_CHARACTERS = 16_384
_ATTEMPTS = 20
_TRIES = 3
_PAUSE_SECONDS = 0.2

_TIMES = (
    "created_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "suppressed_at",
    "overdue_at",
)


@dataclass(frozen=True)
class Outcome:
    """One event to be. `sequence`: the stream record it comes from; `seconds`: how long a delivery took."""

    sequence: str
    detail_type: str
    detail: Mapping[str, Any]
    at: int
    seconds: float | None = None

    @property
    def json(self) -> str:
        return json.dumps(self.detail, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Published:
    """How many outcomes were told, how many records held nothing to tell or nothing readable, and which
    records (sequence numbers, in the stream's order) are to be delivered again.

    `dead`: class of failure → notifications that became dead letters, those of `again` included, because
    whoever watches dead letters needn't wait for the bus. `seconds_to_deliver`: from planning to the first
    delivery receipt, of each notification that was told as delivered. `counts`: what all this adds to the
    hours
    it fell in, without what comes back.
    """

    told: int
    unreadable: int
    again: tuple[str, ...]
    dead: Mapping[str, int] = field(default_factory=dict)
    seconds_to_deliver: tuple[float, ...] = ()
    counts: Tally = field(default_factory=dict)


class Publisher:
    """Puts outcomes on the bus."""

    def __init__(
        self,
        events: Any,
        config: PublishConfig,
        texts: Texts,
        *,
        settings: CurrentSettings = unchanged_settings,
        hours: Hours | None = None,
        hooks: Callable[[Sequence[Outcome]], Sequence[str]] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`texts`: opens what events carry of what people wrote; `settings`: say which outcomes are told;
        `hours`: where counts are kept; `hooks`: tells outcomes to endpoints, and returns the records that
        must come again."""
        self._events = events
        self._bus = config.event_bus_name
        self._texts = texts
        self._settings = settings
        self._hours = hours
        self._hooks = hooks
        self._stack = config.stack if config.form == "cloudevents" else None
        self._sleep = sleep

    def publish(self, records: Sequence[Mapping[str, Any]]) -> Published:
        """Tell the outcomes in the records of a stream batch. Never raises for a record: one that can't be
        read would come back for ever and block all behind it, so it is logged; one that can't be told comes
        back. Raises what keeps the key of the texts away: then all of them come back."""
        self._texts.prepare()
        outcomes: list[Outcome] = []
        unreadable = 0
        for record in records:
            try:
                outcomes += outcomes_of(record, self._texts)
            except TextWithheld as refusal:
                log.error("refused reply", extra={"record": _place(record), "error": refusal.why})
                unreadable += 1
                continue
            except Exception as exc:  # noqa: BLE001 - bad data of whatever kind must not block the stream
                log.error("unreadable stream record", extra={"record": _place(record), "error": repr(exc)})
                unreadable += 1
                continue
        told = [outcome for outcome in outcomes if self._is_told(outcome)]
        unheard = [outcome for batch in _batches(told) for outcome in self._tell(batch)]
        missed = {outcome.sequence for outcome in unheard}
        if self._hooks is not None and outcomes:
            missed |= set(self._hooks(outcomes))
        refused = [outcome.sequence for outcome in outcomes if outcome.sequence in missed]
        return Published(
            len(told) - len(unheard),
            unreadable,
            tuple(dict.fromkeys(refused)),
            dead_letters(outcomes),
            tuple(outcome.seconds for outcome in outcomes if outcome.seconds is not None),
            _counted(outcomes, refused[0] if refused else None),
        )

    def remember(self, counts: Tally) -> None:
        """Add counts to the hours that they fell in. What can't be written is lost and logged: a picture that
        lacks some minutes is no reason to hold outcomes back."""
        if self._hours is None:
            return
        for account, hour, names in hours_in(counts):
            try:
                self._hours.add(account, hour, names)
            except Exception as exc:  # noqa: BLE001 - whatever keeps the table away, outcomes go on
                log.warning("counts of an hour are lost", extra={"account": account, "error": repr(exc)})

    def _is_told(self, outcome: Outcome) -> bool:
        """Whether the bus shall hear of it: a step on the way only if somebody asked for it."""
        step = STEPS.get(outcome.detail_type)
        account = outcome.detail.get("account")
        return step is None or step in self._settings().value(OUTCOME_EVENTS, account=account)

    def _tell(self, batch: Sequence[Outcome]) -> Sequence[Outcome]:
        """Put one batch; what the bus refused even after some tries."""
        left = list(batch)
        for number in range(_TRIES):
            if number:
                self._sleep(_PAUSE_SECONDS * number)
            left = self._put(left)
            if not left:
                break
        return left

    def _detail(self, outcome: Outcome) -> str:
        if self._stack is None:
            return outcome.json
        event = cloud_event(TYPES[outcome.detail_type], outcome.detail, outcome.at, self._stack)
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"))

    def _put(self, outcomes: list[Outcome]) -> list[Outcome]:
        entries = [
            {
                "EventBusName": self._bus,
                "Source": SOURCE,
                "DetailType": outcome.detail_type,
                "Detail": self._detail(outcome),
                "Time": outcome.at / 1000,
            }
            for outcome in outcomes
        ]
        try:
            answer = self._events.put_events(Entries=entries)
        except Exception as exc:  # noqa: BLE001 - whatever keeps the bus away, the records come back
            log.warning("the bus can't be reached", extra={"error": repr(exc)})
            return outcomes
        if not answer.get("FailedEntryCount"):
            return []
        refused = [
            (outcome, entry)
            for outcome, entry in zip(outcomes, answer["Entries"], strict=True)
            if "ErrorCode" in entry
        ]
        log.warning(
            "the bus refused entries", extra={"refused": len(refused), "error": refused[0][1]["ErrorCode"]}
        )
        return [outcome for outcome, _ in refused]


def dead_letters(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    """Count the outcomes that are dead letters, by the class of failure that says what mends them.

    What expired can be sent again as it is, like what used up its retries.
    """
    failed = [outcome.detail for outcome in outcomes if outcome.detail_type == FAILED]
    return Counter(
        Retry.kind if detail.get("reason") == EXPIRED else detail.get("class", Bug.kind) for detail in failed
    )


def _counted(outcomes: Sequence[Outcome], again: str | None) -> Tally:
    """The counts of what doesn't come back: a stream goes on from the record `again`."""
    until = next((at for at, one in enumerate(outcomes) if one.sequence == again), len(outcomes))
    return tally((one.detail_type, one.detail, one.at, one.seconds) for one in outcomes[:until])


def outcomes_of(record: Mapping[str, Any], texts: Texts) -> list[Outcome]:
    """The outcomes that a stream record brings, in their order. Raises TextWithheld for a reply whose words
    can't be opened, and whatever reading raises for what it can't read."""
    stream = record["dynamodb"]
    image = stream.get("NewImage")
    if record.get("eventName") not in ("INSERT", "MODIFY") or not image or "outcome" not in image:
        return []
    outcome = image["outcome"]["S"]
    at = int(image["outcome_at"]["N"])
    sequence = stream["SequenceNumber"]
    if outcome == REPLY_RECEIVED:
        return [Outcome(sequence, REPLY_RECEIVED, _bounded(_reply(image, at, texts)), at)]
    if outcome == IDENTITY_CHANGED:
        return [Outcome(sequence, IDENTITY_CHANGED, _bounded(_identity_change(image, at)), at)]
    if image.get("event_type", {}).get("S") == SELF_TEST:
        return []  # nobody's system asked for it
    notification = notification_of_item(from_item(image), texts)
    stages = [(notification, outcome, at)]
    if PASSED in image and notification.state is State.READ and notification.delivered_at is not None:
        # It was read before its delivery was stored: both are told, the first as it was then.
        before = replace(notification, state=State.DELIVERED, read_at=None)
        stages.insert(0, (before, OUTCOMES[State.DELIVERED], notification.delivered_at))
    return [_stage(sequence, *stage) for stage in stages]


def _stage(sequence: str, notification: Notification, name: str, at: int) -> Outcome:
    seconds = (at - notification.created_at) / 1000 if name == OUTCOMES[State.DELIVERED] else None
    detail = _bounded(_notification(notification, name, at))
    return Outcome(sequence, f"Notification{name}", detail, at, seconds)


def _notification(notification: Notification, outcome: str, at: int) -> dict[str, Any]:
    times = {name: getattr(notification, name) for name in _TIMES}
    detail: dict[str, Any] = {
        "id": f"{notification.id}.{outcome}.{at}",
        "notification_id": notification.id,
        "message_id": notification.message_id,
        **_about(notification.ticket_id),
        "ticket_event": notification.event_type,
        "revision": notification.revision,
        "account": notification.account,
        "audience": notification.audience,
        **named(notification.recipient, notification.recipient_lid),
        "username": notification.recipient_username,
        "language": notification.language,
        "state": notification.state,
        **{name: iso(moment) for name, moment in times.items() if moment is not None},
    }
    if notification.digest_of:
        detail["tickets"] = list(dict.fromkeys(ticket for _, ticket in notification.digest_of))
    match notification.content:
        case File(attachment):
            detail["file"] = attachment.key
        case Edit(message_id):
            detail["edits"] = message_id
        case Reaction(message_id):
            detail["reacts_to"] = message_id
    problem = notification.last_error
    if notification.state in (State.FAILED, State.SUPPRESSED) and problem is not None:
        detail |= {"reason": problem.code, "class": problem.class_, "detail": problem.detail}
    if notification.state is State.FAILED:
        detail["attempts"] = [
            {
                "cause": attempt.cause,
                "class": attempt.class_,
                "detail": attempt.detail,
                "at": iso(attempt.at),
            }
            for attempt in notification.attempts[-_ATTEMPTS:]
        ]
    return detail


def _about(ticket_id: str) -> dict[str, Any]:
    """The ticket; or, where there is none, who asked for the message by which key."""
    request = request_of(ticket_id)
    if request is None:
        return {"ticket_id": ticket_id}
    source, key = request
    return {"ticket_id": None, "request_source": source or None, "request_key": key}


# Items leave out what isn't known; events say so.
_UNNAMED: dict[str, Any] = {"recipient": None, "recipient_lid": None, "username": None}

_NOT_TOLD = frozenset({"pk", "sk", "outcome", "outcome_at", "expire_at"})


def _reply(image: Mapping[str, Any], at: int, texts: Texts) -> dict[str, Any]:
    reply = open_reply(from_item(image), texts)
    told = {name: value for name, value in reply.items() if name not in _NOT_TOLD}
    told["received_at"] = iso(told.get("received_at", at))
    # What was told without its content is told once more with it: two events, so two ids.
    unread = "unread." if told.get("unread") else ""
    told["id"] = f"{told['account']}.{told['user']}.{told['message_id']}.{unread}{REPLY_RECEIVED}"
    if isinstance(told.get("ticket_id"), str):
        told |= _about(told["ticket_id"])
    return _UNNAMED | told


def _identity_change(image: Mapping[str, Any], at: int) -> dict[str, Any]:
    told = {name: value for name, value in from_item(image).items() if name not in _NOT_TOLD}
    told["changed_at"] = iso(told.get("changed_at", at))
    what = f"{told['device_jid']}.{told['new_fingerprint']}" if "device_jid" in told else told["user"]
    told["id"] = f"{told['account']}.{what}.{at}"
    return _UNNAMED | told


def _bounded(detail: dict[str, Any]) -> dict[str, Any]:
    """Fit for the bus, with the version of its schema: long text is cut, and said to be."""
    detail["version"] = VERSION
    cut = [name for name, value in detail.items() if isinstance(value, str) and len(value) > _TEXT_CHARACTERS]
    for name in cut:
        detail[name] = detail[name][: _TEXT_CHARACTERS - 1] + "…"
    if cut:
        detail["cut"] = cut
    if len(json.dumps(detail, ensure_ascii=False).encode()) > _DETAIL_BYTES:
        raise ValueError("too large for the bus")
    return detail


def _batches(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    batch: list[Outcome] = []
    room = _REQUEST_BYTES
    for outcome in outcomes:
        size = len(outcome.json.encode()) + 512
        if batch and (len(batch) == _ENTRIES or size > room):
            yield batch
            batch, room = [], _REQUEST_BYTES
        batch.append(outcome)
        room -= size
    if batch:
        yield batch


def _place(record: Any) -> str:
    """Where in the stream a record stands, as far as it tells."""
    stream = record.get("dynamodb") if isinstance(record, Mapping) else None
    return str(stream.get("SequenceNumber", "?")) if isinstance(stream, Mapping) else "?"
