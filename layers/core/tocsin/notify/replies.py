"""What recipients answer: which notification a reply is about, and whether it withdraws or gives consent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tocsin.multidevice.account import Account
from tocsin.multidevice.retries import is_recipient
from tocsin.notify.content import Reaction, Text
from tocsin.notify.notification import (
    Notification,
    State,
    id_of_message,
    is_lid,
    named,
    notification_id,
    recipient_of,
)
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
from tocsin.whatsapp.content import Content
from tocsin.whatsapp.message import InboundMessage

MAX_KEPT_TEXT = 4096
GROUP_TALK = "group-talk"
REPLY_ACKNOWLEDGED = "ReplyAcknowledged"
"""Event type of the reaction that an answer gets."""

CONSENT = {Wish.STOP: "withdrawn", Wish.START: "given"}


@dataclass(frozen=True)
class _Reply:
    """One reply in its circumstances.

    `names`: the bare JIDs by which the sender is known; the one that notifications use first, the LID last.
    `answered`: the notification it is about, if any is known.
    """

    account: Account
    message: InboundMessage
    content: Content
    names: list[str]
    answered: Notification | None

    @property
    def name(self) -> str:
        return self.account.profile.account


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

    def take(self, account: Account, message: InboundMessage, user: str, content: Content) -> str:
        """Record a reply of `user` (canonical bare JID). Return what it was: `stop`, `start`, or its kind."""
        names = names_of(account, user, message)
        answered = self._answered(account, user, names[0], content)
        reply = _Reply(account, message, content, names, answered)
        wish = wish_of(content.text or "") if content.kind == "text" else None
        if wish is not None:
            self._heed(reply, *wish)
        told = {
            "text": (content.text or "")[:MAX_KEPT_TEXT],
            "kind": content.kind,
            **_who(names),
            "notification_id": answered.id if answered else None,
            "ticket_id": answered.ticket_id if answered else None,
            "audience": answered.audience if answered else None,
            "consent": CONSENT[wish[0]] if wish else None,
        }
        self._stores.replies.put(reply.name, names[0], message.id, told, message.timestamp * 1000)
        if wish is None and self._acknowledge_with:
            self._acknowledge(reply)
        return wish[0].value if wish else content.kind

    def take_in_group(self, account: Account, message: InboundMessage, user: str, content: Content) -> str:
        """Record what a member wrote in answer to a notification: it quotes one, or reacts to one. Return its
        kind, or `group-talk` for everything else, which is no business of ours.

        STOP is a word like others here: one member doesn't speak for the group, and can leave it.
        """
        quoted = id_of_message(content.quoted_id or "")
        answered = self._stores.notifications.get(quoted) if quoted else None
        group = str(message.chat)
        if answered is None or answered.group != group or answered.account != account.profile.account:
            return GROUP_TALK
        names = names_of(account, user, message)
        told = {
            "text": (content.text or "")[:MAX_KEPT_TEXT],
            "kind": content.kind,
            **_who(names),
            "group": group,
            "notification_id": answered.id,
            "ticket_id": answered.ticket_id,
            "audience": answered.audience,
            "consent": None,
        }
        self._stores.replies.put(
            account.profile.account, names[0], message.id, told, message.timestamp * 1000
        )
        if self._acknowledge_with and content.kind != "reaction":
            self._react(answered, message)
        return content.kind

    def _acknowledge(self, reply: _Reply) -> None:
        """React to what a recipient answered, by a notification of its own: so it arrives like one, once.

        Not to reactions, nor to whom wants to hear nothing; a withdrawal of consent is confirmed in words.
        """
        answered = reply.answered
        if answered is None or reply.content.kind == "reaction":
            return
        if self._stores.recipients.conduct(reply.name, reply.names[0]).opted_out_at is not None:
            return
        self._react(answered, reply.message)

    def _react(self, answered: Notification, message: InboundMessage) -> None:
        event, now = REPLY_ACKNOWLEDGED, self._clock()
        about = (answered.account, answered.ticket_id, event, 0, answered.audience, answered.recipient)
        reaction = Notification(
            id=notification_id(*about, message.id),
            account=answered.account,
            ticket_id=answered.ticket_id,
            event_type=event,
            revision=0,
            audience=answered.audience,
            recipient=answered.recipient,
            recipient_name=answered.recipient_name,
            language=answered.language,
            content=Reaction(
                message.id,
                self._acknowledge_with,
                int(now * 1000),
                str(message.sender.chat) if message.is_group else None,
            ),
            created_at=int(now * 1000),
            expires_at=int(now) + self._expiry_seconds,
        )
        self._enqueue(reaction)

    def _enqueue(self, notification: Notification) -> None:
        """Write and enqueue it, unless it went out already. A repeat after a crash is folded by its id."""
        known = self._stores.notifications.put_new(notification)
        if known is None or known.state is State.PLANNED:
            self._notifications.send(known or notification)

    def _answered(self, account: Account, user: str, phone: str, content: Content) -> Notification | None:
        """Return the notification a reply is about: the quoted one, else the last that reached the person."""
        quoted = id_of_message(content.quoted_id or "")
        if quoted:
            notification = self._stores.notifications.get(quoted)
            if notification is not None and is_recipient(account, user, notification):
                return notification
        conduct = self._stores.recipients.conduct(account.profile.account, phone)
        if conduct.last_notification is not None:
            return self._stores.notifications.get(conduct.last_notification)
        if conduct.heard_at is None:
            self._stores.recipients.note_heard(account.profile.account, phone, int(self._clock() * 1000))
        return None

    def _heed(self, reply: _Reply, wish: Wish, language: str) -> None:
        """Remember that consent was withdrawn or given again, and confirm it once.

        A withdrawal counts before its confirmation is under way. A crash in between repeats all of this, and
        the confirmation's id folds the repeat.
        """
        at = int(self._clock() * 1000)
        if wish is Wish.STOP:
            for name in self._names_to_opt_out(reply):
                self._stores.recipients.opt_out(reply.name, name, wish.value, at)
        conducts = [self._stores.recipients.conduct(reply.name, name) for name in reply.names]
        withdrawn_at = [known.opted_out_at for known in conducts if known.opted_out_at is not None]
        confirmed = any(known.confirmed_at is not None for known in conducts)
        if not withdrawn_at or (wish is Wish.STOP and confirmed):
            return
        self._confirm(reply, wish, min(withdrawn_at), reply.answered.language if reply.answered else language)
        for name in reply.names:
            if wish is Wish.STOP:
                self._stores.recipients.confirm_opt_out(reply.name, name, at)
            else:
                self._stores.recipients.opt_in(reply.name, name)

    def _names_to_opt_out(self, reply: _Reply) -> Iterator[str]:
        """All names of the sender; and then those that were learnt in the meantime, for a send may have
        looked at the LID's conduct just before that was written."""
        yield from reply.names
        known = reply.account.keys.contacts.address(reply.names[-1]) or {}
        yield from (name for name in known.values() if name not in reply.names)

    def _confirm(self, reply: _Reply, wish: Wish, opted_out_at: int, language: str) -> None:
        """Send our answer as a notification, so that it arrives like one. Its id is that of the opt-out."""
        event = CONSENT_WITHDRAWN if wish is Wish.STOP else CONSENT_GIVEN
        recipient = recipient_of(reply.names[0])
        now = self._clock()
        confirmation = Notification(
            id=notification_id(reply.name, CONDUCT_TICKET, event, opted_out_at, "customer", recipient),
            account=reply.name,
            ticket_id=CONDUCT_TICKET,
            event_type=event,
            revision=opted_out_at,
            audience="customer",
            recipient=recipient,
            recipient_name=reply.message.push_name or "",
            language=language,
            content=Text(confirmation_text(wish, language)),
            created_at=int(now * 1000),
            expires_at=int(now) + self._expiry_seconds,
        )
        self._enqueue(confirmation)


def names_of(account: Account, user: str, message: InboundMessage) -> list[str]:
    """Return the names (bare JIDs) of a sender; the one that notifications use first, the LID last.

    After a national renumbering WhatsApp's digits differ from those that the ticketing system knows. Of
    somebody without a known number there is the LID alone.
    """
    known = account.keys.contacts.address(user)
    names = [known["pn"]] if known else []
    if message.pn is not None:
        names.append(str(message.pn.chat))
    return list(dict.fromkeys([*names, user]))


def _who(names: Sequence[str]) -> dict[str, str | None]:
    """How events name the sender: a LID is never taken for a number."""
    return named(recipient_of(names[0]), names[-1] if is_lid(names[-1]) else None)
