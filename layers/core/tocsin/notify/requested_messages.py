"""From a request for a message to its notifications: for each recipient the text, then the files.

    read ─ open ─▶ texts: written, enqueued ─▶ files: kept in the bucket, written, enqueued
      └── any violation: the event goes to the dead ticket events, its words sealed if they are sensitive

Told again under the same key, it makes the same notifications: the first one counts. What is wrong with a
file concerns that file alone. A file that can't be had yet brings the event again, for half an hour.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.notify.config import PlanConfig
from tocsin.notify.content import Attachment, File, Text
from tocsin.notify.dead_letters import DeadLetters
from tocsin.notify.events.audience import Recipient
from tocsin.notify.events.checks import InvalidEvent
from tocsin.notify.events.message_request import (
    MessageRequest,
    RequestedFile,
    kept_body,
    opened,
    parse_request,
)
from tocsin.notify.failure import Permanent, Retry
from tocsin.notify.notification import MESSAGE_REQUESTED, Notification, State, derived_id
from tocsin.notify.planned import FilesAway, Planned
from tocsin.notify.store.stores import Stores
from tocsin.notify.store.texts import TextWithheld
from tocsin.notify.texts.formatting import free, paragraph
from tocsin.settings.declared import NOTIFICATION_EXPIRY_SECONDS
from tocsin.settings.reader import CurrentSettings

if TYPE_CHECKING:
    from tocsin.notify.requested_files import RequestedFiles

log = logging.getLogger(__name__)

MAX_CHARACTERS = 4096
"""Of a text, as of a rendered one."""

FILES_SECONDS = 15.0
"""For so long a run fetches files of one event; the rest of them bring it again."""

LATER = "files-later"

KEEP_TRYING_MS = 30 * 60_000
"""For so long after the event a file is asked for anew where it can't be had."""

INVALID_REQUEST = "invalid-event"


class RequestedMessages:
    """Plans requests. `store`: writes and enqueues notifications; `end`: writes down one of somebody who
    can't be told; `refuse`: puts an event aside, with what is wrong with it."""

    def __init__(
        self,
        stores: Stores,
        config: PlanConfig,
        accounts: Collection[str],
        files: Callable[[], RequestedFiles] | None,
        *,
        dead_letters: DeadLetters,
        end: Callable[[Recipient, Notification, int], str],
        refuse: Callable[[str, Sequence[str], str, int], Planned],
        store: Callable[[Sequence[Notification]], tuple[tuple[str, ...], tuple[str, ...]]],
        settings: CurrentSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._config = config
        self._accounts = accounts
        self._files = files
        self._dead_letters = dead_letters
        self._end = end
        self._refuse = refuse
        self._store = store
        self._settings = settings
        self._clock = clock

    def plan(self, body: str, now: int) -> Planned | None:
        """Plan the request in `body`; None if it is another event. `now`: ms. Raises FilesAway, and what
        keeps the table or the queue away."""
        try:
            request = parse_request(
                body,
                default_region=self._config.default_region,
                default_area=self._config.default_area,
                accounts=self._accounts,
                attachments=bool(self._config.attachments_bucket),
            )
            if request is None:
                return None
            request = opened(request, self._stores.texts)
        except InvalidEvent as refusal:
            return self._put_aside(body, refusal.violations, now)
        except TextWithheld as refusal:
            why = f"detail.sealed_text: can't be opened for these recipients ({refusal.why})"
            return self._put_aside(body, (why,), now)
        return self._planned(request, now)

    def _put_aside(self, body: str, violations: Sequence[str], now: int) -> Planned:
        return self._refuse(kept_body(body, self._stores.texts), violations, INVALID_REQUEST, now)

    def _planned(self, request: MessageRequest, now: int) -> Planned:
        told = [one for one in request.recipients if one.unreachable is None]
        lost = [one for one in request.recipients if one.unreachable is not None]
        bases = [self._base(request, one, now) for one in told]
        new, repeated = self._keep(bases if request.text.strip() else [])
        ended = [self._end(one, self._base(request, one, now), now) for one in lost]
        began = self._clock()
        for number, file in enumerate(request.files):
            if self._clock() - began > FILES_SECONDS:
                raise FilesAway(LATER)
            more, again = self._plan_file(request, number, file, bases, now)
            new, repeated = new + more, repeated + again
        return Planned(
            request.event_id,
            MESSAGE_REQUESTED,
            request.name,
            new=new,
            repeated=repeated,
            unreachable=tuple(ended),
            ignored=request.ignored,
            cut=request.cut,
            left_out=request.left_out,
        )

    def _keep(self, notifications: Sequence[Notification]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        for one in notifications:
            if one.sensitive:
                self._stores.sensitive.note(one.id, one.expires_at)
        return self._store(notifications)

    def _base(self, request: MessageRequest, recipient: Recipient, now: int) -> Notification:
        """The text to one recipient."""
        account, audience = request.account, recipient.audience
        waits_seconds = self._settings().value(
            NOTIFICATION_EXPIRY_SECONDS, account=account, audience=audience
        )
        lost = recipient.unreachable
        return Notification(
            id=self._stores.ids.of(
                account, request.name, MESSAGE_REQUESTED, 0, audience, *recipient.identity
            ),
            account=account,
            ticket_id=request.name,
            event_type=MESSAGE_REQUESTED,
            revision=0,
            audience=audience,
            recipient=recipient.address,
            recipient_name=recipient.name,
            language=request.language or self._config.default_language,
            content=Text(free(request.text, MAX_CHARACTERS)),
            created_at=now,
            expires_at=now + waits_seconds * 1000,
            event_id=request.event_id,
            event_at=request.event_at,
            refused_address=lost.written or None if lost is not None else None,
            sensitive=request.sensitive,
            urgent=request.urgent,
        )

    def _plan_file(
        self,
        request: MessageRequest,
        number: int,
        file: RequestedFile,
        bases: Sequence[Notification],
        now: int,
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A file to everybody: each a moment younger than the one before, which keeps their order."""
        if not bases:
            return (), ()
        ids = [derived_id(base.id, "file", str(number)) for base in bases]
        if all(self._is_on_its_way(one) for one in ids):
            return (), tuple(ids)
        failure: Permanent | None = None
        try:
            attachment = self._attachment(request, ids[0], file)
        except Retry as away:
            if request.event_at is not None and now < request.event_at + KEEP_TRYING_MS:
                raise FilesAway(away.code) from None
            failure = Permanent(away.code, away.detail)
        except Permanent as permanent:
            failure = permanent
        if failure is not None:
            attachment = Attachment("", file.file_name, file.media_type)
        content = File(attachment, paragraph(file.caption, 1000, 8))
        planned = [
            replace(base, id=one, content=content, created_at=base.created_at + number + 1)
            for base, one in zip(bases, ids, strict=True)
        ]
        if failure is None:
            return self._keep(planned)
        return tuple(self._bury(one, failure, now) for one in planned), ()

    def _is_on_its_way(self, notification_id: str) -> bool:
        """Whether it was planned and enqueued before: then its file needn't be fetched once more."""
        known = self._stores.notifications.get(notification_id)
        return known is not None and known.state is not State.PLANNED

    def _attachment(self, request: MessageRequest, folder: str, file: RequestedFile) -> Attachment:
        if file.bucket_key:
            return Attachment(file.bucket_key, file.file_name, file.media_type)
        if self._files is None:
            raise Permanent("attachment-missing", "the stack has no AttachmentsBucket")
        return self._files().kept(folder, file)

    def _bury(self, notification: Notification, failure: Permanent, now: int) -> str:
        existing = self._stores.notifications.put_new(notification)
        if existing is None or existing.state is State.PLANNED:
            log.warning("a file can't be sent", extra={"notification": notification.id, "why": failure.code})
            self._dead_letters.bury(notification, failure, now)
        return notification.id
