"""What recipients answer: which notification a reply is about, and whether it withdraws or gives consent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.notify.cold import ColdRecipients
from tocsin.notify.content import Reaction, Text
from tocsin.notify.judgements import number_since
from tocsin.notify.notification import Notification, State, derived_id, named
from tocsin.notify.queues import NotificationsQueue
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.consent import (
    CONDUCT_TICKET,
    CONSENT_GIVEN,
    CONSENT_WITHDRAWN,
    Wish,
    confirmation_text,
    wish_of,
)
from tocsin.people.person import USERNAME_SIGN, Name, Person, Source
from tocsin.settings.declared import ACKNOWLEDGE_REPLIES, NOTIFICATION_EXPIRY_SECONDS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.tables.names import is_lid, recipient_of
from tocsin.timestamps import from_seconds

MAX_KEPT_TEXT = 4096
"""Characters; the rest of a longer text is cut off, and the event says so (`cut`)."""

GROUP_TALK = "group-talk"
TEXT = "text"
REACTION = "reaction"
EDIT = "edit"
DELETED = "deleted"
CHANGES = frozenset({EDIT, DELETED})
"""Kinds that change an earlier message of the same person. Each is told as an event of its own."""

WORDED = frozenset({TEXT, EDIT, "button", "list", "interactive", "image", "video", "document"})
"""Kinds whose text is the sender's own words, or an answer that they chose: only there STOP counts."""

UNREAD = frozenset({"unreadable", "unavailable", "view_once", "hosted", "bot"})
"""Kinds that only tell that somebody wrote. The content may come later, under the same message id."""

EXPECTED_SECONDS = 3600
"""So long a sender has to send again what we couldn't read, before it is told that they wrote."""

UNACKNOWLEDGED = frozenset({REACTION, *CHANGES, *UNREAD})
"""Kinds that get no reaction."""

REPLY_ACKNOWLEDGED = "ReplyAcknowledged"
"""Event type of the reaction that an answer gets."""

CONSENT = {Wish.STOP: "withdrawn", Wish.START: "given"}


@dataclass(frozen=True)
class Reply:
    """What somebody wrote to an account, as a transport hands it over.

    `message_id`: the transport's. `names`: those (as `user_of` spells them) that are known to be the
    sender's; the canonical one comes last. `kind`: `text`, `reaction`, `edit`, `deleted`, one of `UNREAD`, or
    what else it is, in the transport's words. `at`: when it was written (ms). `sender_name`: as the sender
    calls themselves; `username`: their public name at the transport, which may change at any time. `quoted`:
    the notification that it quotes or reacts to. `group`: where it was written, `None` in a chat of two;
    `author`: by whom, as the transport names them in that group. `about`: the message (the transport's id)
    that it edits, deletes, reacts to or votes in. `details`: what else there is to tell, flat, by the names
    that the transport documents.
    """

    account: str
    message_id: str
    names: tuple[str, ...]
    kind: str
    text: str
    at: int
    sender_name: str = ""
    username: str | None = None
    quoted: str | None = None
    group: str | None = None
    author: str | None = None
    about: str | None = None
    details: Mapping[str, str | int] = field(default_factory=dict, repr=False)

    @property
    def person(self) -> str:
        """The sender's canonical name."""
        return self.names[-1]


class Replies:
    """Tells the world of replies, and heeds what they ask of us."""

    def __init__(
        self,
        stores: Stores,
        notifications: NotificationsQueue,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._notifications = notifications
        self._clock = clock
        self.cold = ColdRecipients(stores, notifications, settings=settings, clock=clock)

    def take(self, reply: Reply) -> str:
        """Record a reply. Return what it was: `stop`, `start`, its kind, or `group-talk` for what is written
        in a group and about no notification. Recording it twice is harmless."""
        return self._take_from_person(reply) if reply.group is None else self._take_in_group(reply)

    def expect(self, reply: Reply) -> None:
        """Note that somebody wrote what can't be read yet. It is told in an hour, unless it is taken before
        (under the same message id), or turns out to be nothing that they wrote (`expect_no_more`)."""
        due_at = self._now_ms() + EXPECTED_SECONDS * 1000
        person = self._person(reply)
        self.cold.release(reply.account, person)
        told = _told(reply, person, self._answered(reply, person), None)
        self._stores.replies.expect(reply.account, person.id, reply.message_id, told, reply.at, due_at)

    def expect_no_more(self, reply: Reply) -> None:
        self._stores.replies.expect_no_more(reply.account, reply.person, reply.message_id)

    def _take_from_person(self, reply: Reply) -> str:
        person = self._person(reply)
        answered = self._answered(reply, person)
        wish = _wish_of(reply)
        if wish is not None:
            self._heed(reply, person, answered, *wish)
        self._record(reply, person, answered, CONSENT[wish[0]] if wish else None)
        self._get_known(reply, person)
        if wish is None:
            self._acknowledge(reply, person, answered)
        self.cold.release(reply.account, person)
        self.cold.unlock(reply.account, person)
        return wish[0].value if wish else reply.kind

    def _person(self, reply: Reply) -> Person:
        """The sender. What was known under a name that turned out to be theirs holds for them from now on."""
        person = self._stores.people.find(reply.account, reply.person)
        for name in reply.names:
            if name not in (person.id, *person.present):
                written = Name(name, Source.WROTE, reply.at)
                person = self._stores.people.join(reply.account, name, person.id, [written])
        if reply.username is None or reply.username == person.username:
            return person
        called = Name(USERNAME_SIGN + reply.username, Source.WROTE, reply.at)
        return self._stores.people.note_name(reply.account, person, called)

    def _take_in_group(self, reply: Reply) -> str:
        """Record what a member wrote in answer to a notification: it quotes one, reacts to one, or changes
        such an answer of theirs. Everything else is no business of ours.

        STOP is a word like others here: one member doesn't speak for the group, and can leave it.
        """
        answered = self._changed(reply)
        if answered is None and reply.quoted:
            answered = self._stores.notifications.get(reply.quoted)
        if answered is None or answered.group != reply.group or answered.account != reply.account:
            return GROUP_TALK
        self._record(reply, self._person(reply), answered, None)
        if reply.kind not in UNACKNOWLEDGED:
            self._react(answered, reply)
        return reply.kind

    def _record(
        self, reply: Reply, person: Person, answered: Notification | None, consent: str | None
    ) -> None:
        """Write the reply down, and with that tell the world."""
        self._stores.replies.put(
            reply.account,
            person.id,
            reply.message_id,
            _told(reply, person, answered, consent),
            reply.at,
            unread=reply.kind in UNREAD,
        )

    def _acknowledge(self, reply: Reply, person: Person, answered: Notification | None) -> None:
        """React to what a recipient answered, by a notification of its own: so it arrives like one, once.

        Not to what says nothing new (`UNACKNOWLEDGED`), nor to whom wants to hear nothing; a withdrawal of
        consent is confirmed in words.
        """
        if answered is None or reply.kind in UNACKNOWLEDGED or person.opted_out_at is not None:
            return
        self._react(answered, reply)

    def _react(self, answered: Notification, reply: Reply) -> None:
        """With the emoji of the settings; without one, not at all."""
        sign = self._settings().value(
            ACKNOWLEDGE_REPLIES, account=answered.account, audience=answered.audience
        )
        if not sign:
            return
        event, now = REPLY_ACKNOWLEDGED, self._now_ms()
        reaction = Notification(
            id=derived_id(answered.id, event, reply.message_id),
            account=answered.account,
            ticket_id=answered.ticket_id,
            event_type=event,
            revision=0,
            audience=answered.audience,
            recipient=answered.recipient,
            recipient_name=answered.recipient_name,
            language=answered.language,
            content=Reaction(reply.message_id, sign, now, reply.author),
            created_at=now,
            expires_at=self._expires_at(now, answered.account, answered.audience),
            person=answered.person,
            lane=answered.lane,
            recipient_username=answered.recipient_username,
        )
        self._enqueue(reaction)

    def _enqueue(self, notification: Notification) -> None:
        """Write and enqueue it, unless it went out already. A repeat after a crash is folded by its id."""
        known = self._stores.notifications.put_new(notification)
        if known is None or known.state is State.PLANNED:
            self._notifications.send(known or notification)

    def _answered(self, reply: Reply, person: Person) -> Notification | None:
        """Return the notification a reply is about: that of the reply it changes, else the quoted one, else
        the last that reached the person."""
        changed = self._changed(reply)
        if changed is not None:
            return changed
        if reply.quoted:
            notification = self._stores.notifications.get(reply.quoted)
            if notification is not None and was_for(notification, person):
                return notification
        if person.last_notification is not None:
            return self._stores.notifications.get(person.last_notification)
        return None

    def _get_known(self, reply: Reply, person: Person) -> None:
        """Note that they wrote, where our present number is new to them: what is for them is no first contact
        any more."""
        since = number_since(self._settings(), reply.account)
        is_new_to_them = person.known_at is None or person.known_at < since
        if is_new_to_them and reply.kind not in UNREAD:
            self._stores.people.note_heard(reply.account, person.id, self._now_ms())

    def _changed(self, reply: Reply) -> Notification | None:
        """Return the notification that the sender's reply was about which `reply` edits or deletes."""
        if reply.kind not in CHANGES or reply.about is None:
            return None
        for name in reply.names:
            original = self._stores.replies.get(reply.account, name, reply.about)
            if original is not None and "notification_id" in original:
                return self._stores.notifications.get(original["notification_id"])
        return None

    def _heed(
        self, reply: Reply, person: Person, answered: Notification | None, wish: Wish, language: str
    ) -> None:
        """Remember that consent was withdrawn or given again, and confirm it once.

        A withdrawal counts before its confirmation is under way. A crash in between repeats all of this, and
        the confirmation's id folds the repeat.
        """
        at, people = self._now_ms(), self._stores.people
        if wish is Wish.STOP:
            people.opt_out(reply.account, person.id, wish.value, at, message=reply.message_id)
            person = people.find(reply.account, person.id)
        if person.opted_out_at is None or (wish is Wish.STOP and person.confirmed_at is not None):
            return
        self._confirm(reply, person, wish, person.opted_out_at, answered.language if answered else language)
        if wish is Wish.STOP:
            people.confirm_opt_out(reply.account, person.id, at)
        else:
            people.opt_in(reply.account, person.id, at, message=reply.message_id)

    def _confirm(self, reply: Reply, person: Person, wish: Wish, opted_out_at: int, language: str) -> None:
        """Send our answer as a notification, so that it arrives like one. Its id is that of the opt-out."""
        event = CONSENT_WITHDRAWN if wish is Wish.STOP else CONSENT_GIVEN
        recipient = recipient_of(reply.names[0])
        now = self._now_ms()
        confirmation = Notification(
            id=self._stores.ids.of(reply.account, CONDUCT_TICKET, event, opted_out_at, "customer", recipient),
            account=reply.account,
            ticket_id=CONDUCT_TICKET,
            event_type=event,
            revision=opted_out_at,
            audience="customer",
            recipient=recipient,
            recipient_name=reply.sender_name,
            language=language,
            content=Text(confirmation_text(wish, language)),
            created_at=now,
            expires_at=self._expires_at(now, reply.account, "customer"),
            person=person.id,
            lane=person.lane,
            recipient_username=person.username,
        )
        self._enqueue(confirmation)

    def _expires_at(self, now: int, account: str, audience: str) -> int:
        settings = self._settings()
        seconds = settings.value(NOTIFICATION_EXPIRY_SECONDS, account=account, audience=audience)
        return now + seconds * 1000

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def was_for(notification: Notification, person: Person) -> bool:
    """Whether a notification was for a person: to whom it went decides, where that is known."""
    if notification.recipient_lid is not None:
        return notification.recipient_lid == person.id
    return notification.person_name in (*person.ids, *person.names)


def _wish_of(reply: Reply) -> tuple[Wish, str] | None:
    """Return what a reply asks of us. An edit can take consent back but not give it: who edits the STOP that
    they wrote has not asked for anything."""
    if reply.kind not in WORDED:
        return None
    wish = wish_of(reply.text)
    return None if reply.kind == EDIT and wish is not None and wish[0] is Wish.START else wish


def _told(reply: Reply, person: Person, answered: Notification | None, consent: str | None) -> dict[str, Any]:
    """Return what the event says, flat; `None` for what there isn't."""
    return {
        **reply.details,
        "text": reply.text[:MAX_KEPT_TEXT],
        "cut": ["text"] if len(reply.text) > MAX_KEPT_TEXT else None,
        "kind": reply.kind,
        "about_message_id": reply.about,
        **_who(person),
        **({"group": reply.group} if reply.group is not None else {}),
        "notification_id": answered.id if answered else None,
        "ticket_id": answered.ticket_id if answered else None,
        "audience": answered.audience if answered else None,
        "consent": consent,
    }


def _who(person: Person) -> dict[str, str | None]:
    """How events name the sender: a LID is never taken for a number."""
    name = next(iter(person.numbers), person.id)
    return {
        **named(recipient_of(name), person.id if is_lid(person.id) else None),
        "username": person.username,
    }
