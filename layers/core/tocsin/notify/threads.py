"""What is said to one recipient about one ticket hangs together: later messages quote the first, or edit the
last.

    TicketUpdated ── last message younger than 20 minutes ──▶ an edit of it      (updates-as: edit)
        └ else, and every other event ──▶ a message, which quotes the first one  (quote-first-message),
                                           or the digest that said it first       (digest-size)

An edit alerts nobody, so only updates are edits; what makes a ticket, assigns or resolves it is always a
message. Which of the two a notification is, is decided before it is written and never again for its id: an
edit and the message in its place are two notifications with two ids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.notify.content import Edit, File, Quote, Text, Withheld
from tocsin.notify.notification import TICKET_DIGEST, Notification, State, guessable_id
from tocsin.notify.texts.formatting import shortened
from tocsin.notify.texts.new_number import with_new_number
from tocsin.pace.rules import MIN_DIGEST
from tocsin.settings.declared import DIGEST_SIZE, NEW_NUMBER_SINCE, QUOTE_FIRST_MESSAGE, UPDATES_AS
from tocsin.tables.names import message_id_of

if TYPE_CHECKING:
    from tocsin.notify.store.stores import Stores
    from tocsin.notify.store.threads import Thread
    from tocsin.settings.values import Settings

EDITS = frozenset({"TicketUpdated"})

FIRST_EVENTS = frozenset({"TicketCreated"})

NEWS_SECONDS = 35 * 86400
"""For so long a new number is news. Whoever has an open ticket heard of it by then."""

EDIT_SECONDS = 19 * 60
"""Receivers take an edit for 20 minutes after the message was sent; a minute is for the way."""

MAX_QUOTED = 1000
"""Characters of the first message that a quote brings along. Phones show some lines."""

REACHED = frozenset({State.SENT, State.DELIVERED, State.READ})
LOST = frozenset({State.FAILED, State.SUPPRESSED})

EDIT = "edit"
"""Tells the id of an edit from that of the text."""


def placed(notification: Notification, stores: Stores, settings: Settings) -> Notification:
    """Return a text as it is to be said, by what its person was told about its ticket before.

    Planned a second time, it stays what it was the first time.
    """
    text, account, audience = notification.content, notification.account, notification.audience
    quotes, digests = _quoted_is(notification, settings)
    edits = settings.value(UPDATES_AS, account=account, audience=audience) == EDIT
    since = moved_at(notification, settings)
    if not isinstance(text, Text) or not (quotes or edits or digests or since):
        return notification
    if stores.notifications.get(notification.id) is not None:
        return notification
    if edits and notification.event_type in EDITS:
        edit = _edit_of_last(notification, text, stores, since)
        if edit is not None:
            return edit
    if since and _is_news(notification, stores.threads.get(notification), since):
        text = replace(text, text=with_new_number(text.text, notification.language))
        notification = replace(notification, content=text)
    return _quoting(notification, text, stores.threads.follow(notification), stores, settings)


def _quoted_is(notification: Notification, settings: Settings) -> tuple[bool, bool]:
    """Return whether later messages quote the first one, and whether they quote a digest that said it."""
    about = {"account": notification.account, "audience": notification.audience}
    quotes = settings.value(QUOTE_FIRST_MESSAGE, **about)
    return quotes, settings.value(DIGEST_SIZE, **about) >= MIN_DIGEST


def _quoting(
    notification: Notification, text: Text, thread: Thread, stores: Stores, settings: Settings
) -> Notification:
    """Return the text with a quote of what said its ticket first, where that is to be quoted."""
    quotes, digests = _quoted_is(notification, settings)
    first = stores.notifications.get(thread.first) if quotes or digests else None
    if first is None or first.id == notification.id or first.state in LOST:
        return notification
    if not quotes and first.event_type != TICKET_DIGEST:
        return notification
    if isinstance(first.content, Withheld):
        return notification
    quote = Quote(first.message_id, shortened(first.text, MAX_QUOTED))
    return replace(notification, content=replace(text, quote=quote))


def moved_at(notification: Notification, settings: Settings) -> int:
    """When the account got the number that it writes from now (ms), 0 if it has had it for long, or if groups
    are written to: a new member of theirs needs no introduction."""
    since: int = settings.value(NEW_NUMBER_SINCE, account=notification.account) * 1000
    is_lately = 0 < since <= notification.created_at < since + NEWS_SECONDS * 1000
    return since if is_lately and notification.group is None else 0


def _is_news(notification: Notification, thread: Thread | None, since: int) -> bool:
    """Whether its person was told about the ticket from the number of before, and nothing from this one.
    Where nothing was written down of that, whatever isn't the first thing about a ticket counts as told."""
    if thread is None:
        return notification.event_type not in FIRST_EVENTS
    return thread.last_at < since


def _edit_of_last(
    notification: Notification, text: Text, stores: Stores, since: int = 0
) -> Notification | None:
    """None also for what was said from another number (before `since`, ms): nobody edits another's."""
    thread = stores.threads.get(notification)
    if thread is None or thread.last_at < since:
        return None
    last = message_id_of(thread.last)
    edited = Edit(last, text.text, notification.created_at, text.preview)
    edit = replace(notification, id=notification.sibling_id(EDIT), text_id=notification.id, content=edited)
    fresh = notification.created_at - thread.last_at < EDIT_SECONDS * 1000
    return edit if fresh or stores.notifications.get(edit.id) is not None else None


def in_place_of(edit: Notification, content: Edit, stores: Stores, settings: Settings) -> Notification:
    """Return the message in the place of an edit that comes too late, with the quote that it would have had
    without edits."""
    message, thread = as_message(edit, content), stores.threads.get(edit)
    text = message.content
    if thread is None or not isinstance(text, Text):
        return message
    return _quoting(message, text, thread, stores, settings)


def as_message(edit: Notification, content: Edit) -> Notification:
    """Return what an edit says as a message, under the id that it would have had without edits."""
    about = (edit.account, edit.ticket_id, edit.event_type, edit.revision, edit.audience, edit.recipient)
    return replace(
        edit,
        # An edit of before ids had a secret part doesn't name its text.
        id=edit.text_id or guessable_id(*about),
        text_id=None,
        content=Text(content.text, preview=content.preview),
        attempts=(),
        tries=0,
        retries_used=0,
        generation=0,
        last_error=None,
    )


def is_editable(target: Notification, now: int, since: int = 0) -> bool:
    """Whether receivers still take an edit of this message at `now` (ms). `since`: when the account got its
    number (ms); what it said before is another's."""
    return (
        target.state in REACHED
        and target.sent_at is not None
        and not isinstance(target.content, File)
        and now - target.sent_at < EDIT_SECONDS * 1000
        and target.sent_at >= since
    )
