"""From a ticket event to its notifications: all of them written and enqueued, or none begun.

    check ─ choose audiences ─ render everything ─▶ put each (refused if it exists) ─▶ enqueue each
       └────────────┴─────────────────┴── any violation: the event goes to the dead ticket events, and nobody
       is told

Who can't be told is no violation: a mistyped number ends as a dead letter of that recipient, a missing one as
suppressed, after everybody else was told.

The event's own message is done only after the last step. A crash before that plans the event again: what was
put is found, and what still is `planned` is enqueued again under the same deduplication id.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tocsin.notify.config import PlanConfig
from tocsin.notify.content import File, Preview, Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.audience import Recipient, recipients, unreachable
from tocsin.notify.events.envelope import named_in
from tocsin.notify.events.event import NO_PHONE, TicketEvent
from tocsin.notify.events.foreign import Translate, Untold, Untranslatable, is_foreign, unchanged
from tocsin.notify.events.schema import InvalidEvent, parse_event
from tocsin.notify.failure import Permanent
from tocsin.notify.notification import MESSAGE_REQUESTED, SELF_TEST, Notification, Problem, State
from tocsin.notify.planned import Planned
from tocsin.notify.queues import NotificationsQueue, TicketEventsDeadQueue
from tocsin.notify.self_test import SELF_TEST_TICKET, SEND_WITHIN_MS, SelfTestOrder
from tocsin.notify.store.ids import Ids
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.formatting import line, link, paragraph
from tocsin.notify.texts.self_test import self_test_text
from tocsin.notify.texts.template import Rendered, Shown, TemplateFailed
from tocsin.notify.threads import EDIT, EDITS, placed
from tocsin.people.numbers import same_person_key
from tocsin.people.person import Addressee
from tocsin.settings.declared import LINK_PREVIEWS, NOTIFICATION_EXPIRY_SECONDS, URGENT_PRIORITIES
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.settings.values import DEFAULTS, Settings
from tocsin.tables.names import user_of
from tocsin.timestamps import from_seconds

if TYPE_CHECKING:
    from tocsin.notify.requested_files import RequestedFiles
    from tocsin.notify.requested_messages import RequestedMessages

__all__ = ["Planned", "Planner"]

log = logging.getLogger(__name__)

INVALID_EVENT = "invalid-event"
TEMPLATE_FAILED = "template-failed"


class Texts(Protocol):
    """What renders texts (`Templates`, `CurrentTexts`)."""

    def render(self, event: TicketEvent, recipient: Recipient, default_language: str) -> Rendered:
        """Raises TemplateFailed."""
        ...

    def shown_to(self, audience: str) -> Shown: ...


class Planner:
    """Plans ticket events for the accounts of one deployment."""

    def __init__(
        self,
        stores: Stores,
        queue: NotificationsQueue,
        dead: TicketEventsDeadQueue,
        dead_letters: DeadLetters,
        templates: Texts,
        config: PlanConfig,
        *,
        accounts: Collection[str] | None = None,
        files: Callable[[], RequestedFiles] | None = None,
        settings: CurrentSettings = unchanged_settings,
        translate: Translate = unchanged,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`files`: makes what keeps the files that requests bring along or name."""
        self._settings = settings
        self._translate = translate
        self._accounts = config.accounts if accounts is None else accounts
        self._stores = stores
        self._queue = queue
        self._dead = dead
        self._dead_letters = dead_letters
        self._templates = templates
        self._config = config
        self._clock = clock
        self._files = files

    def handle(self, body: str) -> Planned:
        """Plan the event in `body`, an EventBridge event as JSON. Whatever is wrong with it, is put aside
        with every violation named; what goes wrong on our side is raised, and the queue delivers the event
        again."""
        now = from_seconds(self._clock())
        asked = SelfTestOrder.parse(body)
        if asked is not None and asked.account in self._accounts:
            return self._plan_self_test(asked)
        if MESSAGE_REQUESTED in body:
            planned = self._requested.plan(body, now)
            if planned is not None:
                return planned
        told = self._translate(body) if is_foreign(body) else body
        if isinstance(told, Untranslatable):
            return self._refuse(body, told.violations, told.reason, now)
        if isinstance(told, Untold):
            return Planned(*named_in(body), untold=f"{told.source}: {told.reason}")
        return self._plan_told(body, told, now)

    def _plan_told(self, body: str, told: str, now: int) -> Planned:
        """`body` as it came, `told` as it is to be planned."""
        try:
            event = parse_event(
                told,
                default_region=self._config.default_region,
                default_area=self._config.default_area,
                accounts=self._accounts,
                attachments=bool(self._config.attachments_bucket),
            )
            notifications = self._render(event, now)
            lost = [(one, self._render_lost(event, one, now)) for one in unreachable(event)]
        except InvalidEvent as refusal:
            return self._refuse(body, refusal.violations, INVALID_EVENT, now)
        except TemplateFailed as failure:
            return self._refuse(body, (str(failure),), TEMPLATE_FAILED, now)
        planned = self._commit(event, notifications)
        ended = tuple(self._end(recipient, notification, now) for recipient, notification in lost)
        return replace(planned, unreachable=ended)

    @cached_property
    def _requested(self) -> RequestedMessages:
        """Most events are a ticket's, and what plans requests needn't be loaded for them."""
        from tocsin.notify.requested_messages import RequestedMessages

        return RequestedMessages(
            self._stores,
            self._config,
            self._accounts,
            self._files,
            dead_letters=self._dead_letters,
            end=self._end,
            refuse=self._refuse,
            store=self._store_and_enqueue,
            settings=self._settings,
        )

    def _plan_self_test(self, asked: SelfTestOrder) -> Planned:
        """A message of an account to its own chat. Begun again after a crash, it is the same one."""
        text, language = self_test_text(self._config.default_language, asked.asked_at)
        planned = Notification(
            id=asked.notification,
            account=asked.account,
            ticket_id=SELF_TEST_TICKET,
            event_type=SELF_TEST,
            revision=0,
            audience="technician",
            recipient=asked.recipient,
            recipient_name="",
            language=language,
            content=Text(text),
            created_at=asked.asked_at,
            expires_at=asked.asked_at + SEND_WITHIN_MS,
        )
        [person] = self._people([planned])
        planned = replace(planned, person=person.id, lane=person.lane)
        existing = self._stores.notifications.put_new(planned)
        if existing is None or existing.state is State.PLANNED:
            self._queue.send(existing or planned)
        new = (planned.id,) if existing is None else ()
        return Planned(event_type=SELF_TEST, new=new, repeated=() if new else (planned.id,))

    def _render(self, event: TicketEvent, now: int) -> list[Notification]:
        return notifications_of(
            event,
            self._templates,
            self._stores.ids,
            default_language=self._config.default_language,
            created_at=now,
            settings=self._settings(),
        )

    def _render_lost(self, event: TicketEvent, recipient: Recipient, now: int) -> Notification:
        return text_of(
            event,
            recipient,
            self._templates,
            self._stores.ids,
            default_language=self._config.default_language,
            created_at=now,
            settings=self._settings(),
        )

    def _end(self, recipient: Recipient, notification: Notification, now: int) -> str:
        """Write down whom the event can't tell, and why; return the id. Planned again after a crash, it is
        ended again."""
        reason = recipient.unreachable
        notification = self._planned_before(notification, [recipient.identity]) or notification
        existing = self._stores.notifications.put_new(notification)
        if reason is None or (existing is not None and existing.state is not State.PLANNED):
            return notification.id
        log.warning(
            "a recipient can't be told", extra={"notification": notification.id, "why": reason.detail}
        )
        if reason.code == NO_PHONE:
            self._stores.notifications.suppress(
                notification.id, Problem(reason.code, Permanent.kind, reason.detail), now
            )
        else:
            self._dead_letters.bury(notification, Permanent(reason.code, reason.detail), now)
        return notification.id

    def _planned_before(
        self, notification: Notification, identities: Iterable[tuple[str, ...]]
    ) -> Notification | None:
        """The notification as it was planned before ids had a secret part, if it was. `identities`: what told
        it apart within its audience then."""
        about = notification
        for identity in identities:
            before = self._stores.ids.of_before(
                about.account, about.ticket_id, about.event_type, about.revision, about.audience, *identity
            )
            found = self._stores.notifications.get(before) if before is not None else None
            if found is not None:
                return found
        return None

    def _refuse(self, body: str, violations: Sequence[str], reason: str, now: int) -> Planned:
        self._dead.send(body, violations, now, reason=reason)
        return Planned(*named_in(body), violations=tuple(violations))

    def _people(self, notifications: Sequence[Notification]) -> list[Addressee]:
        """Whom they are for, as far as is known without asking anybody."""
        if not notifications:
            return []
        spellings = [spellings_of(notification.recipient) for notification in notifications]
        return self._stores.people.address(notifications[0].account, spellings)

    def _commit(self, event: TicketEvent, notifications: Sequence[Notification]) -> Planned:
        new, repeated = self._store_and_enqueue(notifications, self._placed)
        return Planned(
            event.event_id,
            event.event_type,
            event.ticket.id,
            new=new,
            repeated=repeated,
            ignored=event.ignored,
            cut=event.cut,
            left_out=event.left_out,
        )

    def _placed(self, notification: Notification) -> Notification:
        """As it was planned before, or as it is to be said by what its person was told of its ticket."""
        before = self._planned_before(notification, _identities(notification))
        return before or placed(notification, self._stores, self._settings())

    def _store_and_enqueue(
        self,
        notifications: Sequence[Notification],
        arrange: Callable[[Notification], Notification] = lambda one: one,
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Write each once, then enqueue all that are on no way yet. `arrange`: gives one its last form.
        Return the ids of those that are new, and of those that were there."""
        new: list[str] = []
        repeated: list[str] = []
        to_send: list[Notification] = []
        for planned, person in zip(notifications, self._people(notifications), strict=True):
            notification = arrange(replace(planned, person=person.id, lane=person.lane))
            existing = self._stores.notifications.put_new(notification)
            (new if existing is None else repeated).append(notification.id)
            if existing is None:
                to_send.append(notification)
            elif existing.state is State.PLANNED:
                to_send.append(existing)
        self._queue.send_all(to_send)
        return tuple(new), tuple(repeated)


def _identities(notification: Notification) -> list[tuple[str, ...]]:
    """What told a message from others of its event and audience when ids had no secret part. A text may have
    been planned as an edit then."""
    if isinstance(notification.content, File):
        return [(notification.recipient, notification.content.attachment.key)]
    edit = [(notification.recipient, EDIT)] if notification.event_type in EDITS else []
    return [(notification.recipient,), *edit]


def spellings_of(recipient: str) -> tuple[str, ...]:
    """The names (bare JIDs) under which the person of a recipient may be known: as it is written, and the
    one in which all spellings of a number meet."""
    if "@" in recipient:
        return (recipient,)
    return tuple(dict.fromkeys((user_of(recipient), user_of(same_person_key(recipient)))))


def notifications_of(
    event: TicketEvent,
    templates: Texts,
    ids: Ids,
    *,
    default_language: str,
    created_at: int,
    settings: Settings = DEFAULTS,
) -> list[Notification]:
    """The notifications of an event, rendered: for each recipient the text, then the files, each a message
    of its own. Raises TemplateFailed."""
    planned = []
    for recipient in recipients(event):
        text = text_of(
            event,
            recipient,
            templates,
            ids,
            default_language=default_language,
            created_at=created_at,
            settings=settings,
        )
        planned += [text, *_enclosed(event, text, templates.shown_to(recipient.audience))]
    return planned


def text_of(
    event: TicketEvent,
    recipient: Recipient,
    templates: Texts,
    ids: Ids,
    *,
    default_language: str,
    created_at: int,
    settings: Settings = DEFAULTS,
) -> Notification:
    """The text of an event for one recipient, who may be unreachable. Raises TemplateFailed."""
    account, audience = event.account, recipient.audience
    previews = settings.value(LINK_PREVIEWS, account=account, audience=audience)
    waits_seconds = settings.value(NOTIFICATION_EXPIRY_SECONDS, account=account, audience=audience)
    rendered = templates.render(event, recipient, default_language)
    lost = recipient.unreachable
    return Notification(
        id=ids.of(
            event.account,
            event.ticket.id,
            event.event_type,
            event.ticket.revision,
            recipient.audience,
            *recipient.identity,
        ),
        account=event.account,
        ticket_id=event.ticket.id,
        event_type=event.event_type,
        revision=event.ticket.revision,
        audience=recipient.audience,
        recipient=recipient.address,
        recipient_name=recipient.name,
        language=rendered.language,
        content=Text(
            rendered.text,
            preview=_preview(event, rendered.text, templates.shown_to(recipient.audience))
            if previews
            else None,
        ),
        created_at=created_at,
        expires_at=created_at + waits_seconds * 1000,
        event_id=event.event_id,
        event_at=event.event_at,
        source=event.source,
        refused_address=lost.written or None if lost is not None else None,
        urgent=event.ticket.priority.strip().lower() in settings.value(URGENT_PRIORITIES, account=account),
    )


def _preview(event: TicketEvent, text: str, shown: Shown) -> Preview | None:
    """Of the ticket's page, where the text links to it. `shown`: as in `template.context`."""
    url = link(event.ticket.url)
    if not url or url not in text:
        return None
    return Preview(url, shown(line(event.ticket.subject, 200)), shown(line(event.ticket.description, 300)))


def _enclosed(event: TicketEvent, text: Notification, shown: Shown) -> Iterator[Notification]:
    """The files that follow a text, their captions `shown` like it. Each is a moment younger than the one
    before, which keeps their order where they have to wait."""
    files = [enclosure for enclosure in event.enclosures if enclosure.is_for(text.audience)]
    for number, enclosure in enumerate(files, 1):
        yield replace(
            text,
            id=text.sibling_id(enclosure.attachment.key),
            content=File(enclosure.attachment, shown(paragraph(enclosure.caption, 1000, 8))),
            created_at=text.created_at + number,
        )
