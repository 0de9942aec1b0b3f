"""What recipients answer: which notification a reply is about, and whether it withdraws or gives consent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tocsin.notify.content import Reaction, Text
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
from tocsin.tables.names import is_lid, recipient_of, user_of
from tocsin.timestamps import from_seconds

MAX_KEPT_TEXT = 4096
GROUP_TALK = "group-talk"
TEXT = "text"
REACTION = "reaction"
REPLY_ACKNOWLEDGED = "ReplyAcknowledged"
"""Event type of the reaction that an answer gets."""

CONSENT = {Wish.STOP: "withdrawn", Wish.START: "given"}


@dataclass(frozen=True)
class Reply:
    """What somebody wrote to an account, as a transport hands it over.

    `message_id`: the transport's. `names`: by which the sender is known (as `user_of` spells them); the one
    that notifications use comes first, the LID last. `kind`: `text`, `reaction`, or what else it is, in the
    transport's words. `at`: when it was written (ms). `sender_name`: as the sender calls themselves.
    `quoted`: the notification that it quotes or reacts to. `group`: where it was written, `None` in a chat of
    two; `author`: by whom, as the transport names them in that group.

    `is_from(recipient)`: whether that recipient of a notification is the sender. `names_now()`: the sender's
    names, looked up anew.
    """

    account: str
    message_id: str
    names: tuple[str, ...]
    kind: str
    text: str
    at: int
    sender_name: str = ""
    quoted: str | None = None
    group: str | None = None
    author: str | None = None
    is_from: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)
    names_now: Callable[[], Iterable[str]] = field(default=tuple, compare=False, repr=False)

    def answers(self, notification: Notification) -> bool:
        """Whether the sender is whom the notification was for."""
        if self.is_from is not None:
            return self.is_from(notification.recipient)
        return user_of(notification.recipient) in self.names


class Replies:
    """Tells the world of replies, and heeds what they ask of us."""

    def __init__(
        self,
        stores: Stores,
        notifications: NotificationsQueue,
        *,
        expiry_seconds: int,
        acknowledge_with: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`acknowledge_with`: the emoji that an answer to a notification gets; empty for none."""
        self._acknowledge_with = acknowledge_with
        self._stores = stores
        self._notifications = notifications
        self._expiry_seconds = expiry_seconds
        self._clock = clock

    def take(self, reply: Reply) -> str:
        """Record a reply. Return what it was: `stop`, `start`, its kind, or `group-talk` for what is written
        in a group and about no notification. Recording it twice is harmless."""
        return self._take_from_person(reply) if reply.group is None else self._take_in_group(reply)

    def _take_from_person(self, reply: Reply) -> str:
        answered = self._answered(reply)
        wish = wish_of(reply.text) if reply.kind == TEXT else None
        if wish is not None:
            self._heed(reply, answered, *wish)
        self._record(reply, answered, CONSENT[wish[0]] if wish else None)
        if wish is None and self._acknowledge_with:
            self._acknowledge(reply, answered)
        return wish[0].value if wish else reply.kind

    def _take_in_group(self, reply: Reply) -> str:
        """Record what a member wrote in answer to a notification: it quotes one, or reacts to one. Everything
        else is no business of ours.

        STOP is a word like others here: one member doesn't speak for the group, and can leave it.
        """
        answered = self._stores.notifications.get(reply.quoted) if reply.quoted else None
        if answered is None or answered.group != reply.group or answered.account != reply.account:
            return GROUP_TALK
        self._record(reply, answered, None)
        if self._acknowledge_with and reply.kind != REACTION:
            self._react(answered, reply)
        return reply.kind

    def _record(self, reply: Reply, answered: Notification | None, consent: str | None) -> None:
        """Write the reply down, and with that tell the world."""
        told = {
            "text": reply.text[:MAX_KEPT_TEXT],
            "kind": reply.kind,
            **_who(reply.names),
            **({"group": reply.group} if reply.group is not None else {}),
            "notification_id": answered.id if answered else None,
            "ticket_id": answered.ticket_id if answered else None,
            "audience": answered.audience if answered else None,
            "consent": consent,
        }
        self._stores.replies.put(reply.account, reply.names[0], reply.message_id, told, reply.at)

    def _acknowledge(self, reply: Reply, answered: Notification | None) -> None:
        """React to what a recipient answered, by a notification of its own: so it arrives like one, once.

        Not to reactions, nor to whom wants to hear nothing; a withdrawal of consent is confirmed in words.
        """
        if answered is None or reply.kind == REACTION:
            return
        if self._stores.recipients.conduct(reply.account, reply.names[0]).opted_out_at is not None:
            return
        self._react(answered, reply)

    def _react(self, answered: Notification, reply: Reply) -> None:
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
            content=Reaction(reply.message_id, self._acknowledge_with, now, reply.author),
            created_at=now,
            expires_at=now + self._expiry_seconds * 1000,
        )
        self._enqueue(reaction)

    def _enqueue(self, notification: Notification) -> None:
        """Write and enqueue it, unless it went out already. A repeat after a crash is folded by its id."""
        known = self._stores.notifications.put_new(notification)
        if known is None or known.state is State.PLANNED:
            self._notifications.send(known or notification)

    def _answered(self, reply: Reply) -> Notification | None:
        """Return the notification a reply is about: the quoted one, else the last that reached the person."""
        if reply.quoted:
            notification = self._stores.notifications.get(reply.quoted)
            if notification is not None and reply.answers(notification):
                return notification
        conduct = self._stores.recipients.conduct(reply.account, reply.names[0])
        if conduct.last_notification is not None:
            return self._stores.notifications.get(conduct.last_notification)
        if conduct.heard_at is None:
            self._stores.recipients.note_heard(reply.account, reply.names[0], self._now_ms())
        return None

    def _heed(self, reply: Reply, answered: Notification | None, wish: Wish, language: str) -> None:
        """Remember that consent was withdrawn or given again, and confirm it once.

        A withdrawal counts before its confirmation is under way. A crash in between repeats all of this, and
        the confirmation's id folds the repeat.
        """
        at = self._now_ms()
        if wish is Wish.STOP:
            for name in self._names_to_opt_out(reply):
                self._stores.recipients.opt_out(reply.account, name, wish.value, at)
        conducts = [self._stores.recipients.conduct(reply.account, name) for name in reply.names]
        withdrawn_at = [known.opted_out_at for known in conducts if known.opted_out_at is not None]
        confirmed = any(known.confirmed_at is not None for known in conducts)
        if not withdrawn_at or (wish is Wish.STOP and confirmed):
            return
        self._confirm(reply, wish, min(withdrawn_at), answered.language if answered else language)
        for name in reply.names:
            if wish is Wish.STOP:
                self._stores.recipients.confirm_opt_out(reply.account, name, at)
            else:
                self._stores.recipients.opt_in(reply.account, name)

    def _names_to_opt_out(self, reply: Reply) -> Iterator[str]:
        """All names of the sender; and then those that were learnt in the meantime, for a send may have
        looked at the LID's conduct just before that was written."""
        yield from reply.names
        yield from (name for name in reply.names_now() if name not in reply.names)

    def _confirm(self, reply: Reply, wish: Wish, opted_out_at: int, language: str) -> None:
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
            expires_at=now + self._expiry_seconds * 1000,
        )
        self._enqueue(confirmation)

    def _now_ms(self) -> int:
        return from_seconds(self._clock())


def _who(names: tuple[str, ...]) -> dict[str, str | None]:
    """How events name the sender: a LID is never taken for a number."""
    return named(recipient_of(names[0]), names[-1] if is_lid(names[-1]) else None)
