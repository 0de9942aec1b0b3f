"""What a transport reports later: a notification was accepted, delivered, read, or will never arrive.

A transport calls this as it hears of it, in whatever order and however often: what is stored follows from
what was reported, not from its order. Reports of a notification that is gone are ignored. `by` names who says
so: a device, or the transport itself; each one's word is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tocsin.dynamo.errors import Contention
from tocsin.notify.content import Reaction
from tocsin.notify.notification import FROM, Notification, ReceiptNews, State, may_have_been_sent
from tocsin.settings.reader import CurrentSettings, unchanged_settings

if TYPE_CHECKING:
    from tocsin.notify.dead_letters import DeadLetters
    from tocsin.notify.failure import Failure
    from tocsin.notify.store.stores import Stores

MAX_RECEIPTS = 200
"""A notification's history keeps the receipts of so many: a group may have a thousand members."""

_MAX_TRIES = 8


class Said(NamedTuple):
    """A receipt: `state` (`DELIVERED` or `READ`) at `at` (ms), as `by` says."""

    state: State
    at: int
    by: str

    @property
    def entry(self) -> str:
        """What it is called in `Notification.receipts`."""
        return f"{self.by} {self.state}"


def news_of(notification: Notification, said: Iterable[Said]) -> ReceiptNews | None:
    """What receipts say of a notification that isn't known, or that is worth keeping; `None`: nothing.

    It was delivered when the first device had it, and read when the first one showed it. Before it was sent
    it was neither, whatever the clocks say.
    """
    floor = notification.sent_at or 0
    receipts: dict[str, int] = {}
    state = notification.state
    heard: set[State] = set()
    for one in sorted(said, key=lambda one: (one.at, one.state is State.READ, one.by)):
        is_full = len(notification.receipts) + len(receipts) >= MAX_RECEIPTS
        if one.entry in notification.receipts or (is_full and state in (State.READ, one.state)):
            continue
        receipts.setdefault(one.entry, max(one.at, floor))
        heard.add(one.state)
        if state in FROM[one.state]:
            state = one.state
    if not receipts:
        return None
    reads = [at for entry, at in receipts.items() if entry.endswith(f" {State.READ}")]
    delivered_at = _earlier(notification.delivered_at, receipts.values())
    read_at = _earlier(notification.read_at, reads)
    if state is notification.state:
        if state not in (State.DELIVERED, State.READ):
            delivered_at = read_at = None  # suppressed: it stays what it is
        return ReceiptNews(receipts, delivered_at=delivered_at, read_at=read_at)
    first_to_deliver = notification.state in FROM[State.DELIVERED] and State.DELIVERED in heard
    passed = State.DELIVERED if state is State.READ and first_to_deliver else None
    at = (read_at if state is State.READ else delivered_at) or 0
    return ReceiptNews(receipts, state, at, passed, delivered_at, read_at)


def _earlier(known: int | None, heard: Iterable[int]) -> int | None:
    """The first of the moments that were heard of, if that is earlier than the one that is known."""
    first = min(heard, default=None)
    return first if first is not None and (known is None or first < known) else None


class Receipts:
    """Moves notifications forward. Times in ms."""

    def __init__(
        self,
        stores: Stores,
        dead_letters: DeadLetters,
        *,
        settings: CurrentSettings = unchanged_settings,
    ) -> None:
        self._stores = stores
        self._dead_letters = dead_letters
        self._settings = settings

    def sent(self, notification_id: str, at: int, message_id: str | None = None) -> bool:
        """The other side has it: what `send` couldn't say (`failure.Unknown`), or not by which id of theirs.
        Return whether that was news of the notification."""
        notification = self._stores.notifications.get(notification_id)
        if notification is None:
            return False
        if is_unsettled(notification):
            return self._settle(notification, at, message_id)
        if message_id is None or message_id == notification.message_id:
            return False
        self._stores.notifications.name_message(notification_id, message_id)
        return True

    def _settle(self, notification: Notification, at: int, message_id: str | None) -> bool:
        from tocsin.notify.judgements import receipt_deadline
        from tocsin.settings.declared import OUTCOME_EVENTS

        settings, account = self._settings(), notification.account
        marked = self._stores.notifications.mark_sent(
            notification.id,
            {},
            at=at,
            account=account,
            receipt_deadline=receipt_deadline(notification, settings, at),
            detail="told later",
            message_id=message_id,
            tells=State.SENT in settings.value(OUTCOME_EVENTS, account=account),
        )
        self._free_those_behind(notification, at)
        return marked.applied

    def delivered(self, notification_id: str, at: int, by: str) -> bool:
        """It reached the recipient. Return whether that was news of the notification."""
        return self._note_id(notification_id, Said(State.DELIVERED, at, by))

    def read(self, notification_id: str, at: int, by: str) -> bool:
        """The recipient read it. Return whether that was news of the notification."""
        return self._note_id(notification_id, Said(State.READ, at, by))

    def failed(self, notification_id: str, failure: Failure, at: int) -> bool:
        """It was sent, or may have been, and will not arrive: a dead letter, whatever the class. A transport
        that can mend it does so before it says this. Return whether it failed by this; what was delivered
        stays so."""
        notification = self._stores.notifications.get(notification_id)
        if notification is None or not (notification.state is State.SENT or is_unsettled(notification)):
            return False
        failed = self._dead_letters.bury(notification, failure, at)
        self._free_those_behind(notification, at)
        return failed

    def _note_id(self, notification_id: str, said: Said) -> bool:
        notification = self._stores.notifications.get(notification_id)
        if notification is None or not note(self._stores, notification, [said]):
            return False
        self._free_those_behind(notification, said.at)
        return True

    def _free_those_behind(self, notification: Notification, at: int) -> None:
        """What waited to hear what became of this one, as it was read, goes with the next sweep."""
        if is_unsettled(notification):
            self._stores.parking.hurry(notification.account, notification.turn, at)


def is_unsettled(notification: Notification) -> bool:
    """Whether nobody knows if it was sent, whatever it waits for since, or while it is on its way back."""
    is_open = notification.state in (State.WAITING, State.PLANNED)
    return is_open and may_have_been_sent(notification)


def note(
    stores: Stores, notification: Notification, said: Sequence[Said], *, person_is_noted: bool = False
) -> tuple[State, ...]:
    """Note receipts of a notification as it was read: one write for it and, unless that was done, one for its
    person. Return the states that it entered by them. Raises Contention, NotificationMissing."""
    for _ in range(_MAX_TRIES):
        news = news_of(notification, said)
        if news is None:
            return ()
        if not person_is_noted and reaches(notification, news):
            # First: should this fail, the receipts come again, and move the notification still.
            stores.people.note_delivery(
                notification.account, person_of(notification), notification.id, _reached(notification, news)
            )
            person_is_noted = True
        noted = stores.notifications.mark_receipts(notification.id, news, seen=notification)
        if noted.applied:
            return news.moved
        notification = noted.notification
    raise Contention("a notification changes all the time")


def person_of(notification: Notification) -> str:
    """A name (bare JID) of whom a receipt of a notification is from: their LID, where that is known."""
    return notification.recipient_lid or notification.person_name


def reaches(notification: Notification, news: ReceiptNews) -> bool:
    """Whether by these receipts a notification reached its person: for the first time, or after it was sent
    again. A reply is about that one, and the count of recoveries begins again."""
    is_news = notification.state is not State.DELIVERED or bool(notification.recoveries)
    return news.state is not None and is_news and not isinstance(notification.content, Reaction)


def _reached(notification: Notification, news: ReceiptNews) -> str:
    """Text that sorts by when a notification reached its person; within a moment, by when it was planned."""
    at = news.delivered_at or notification.delivered_at or news.at
    return f"{at:016d} {notification.turn}"


def last_to_reach(
    heard: Iterable[tuple[Notification, Sequence[Said]]],
) -> dict[tuple[str, str], tuple[str, str]]:
    """For each person (account and name) that receipts speak of, the notification that reached them last by
    these: text that sorts by when, and its id."""
    last: dict[tuple[str, str], tuple[str, str]] = {}
    for notification, said in heard:
        news = news_of(notification, said)
        if news is None or not reaches(notification, news):
            continue
        person = (notification.account, person_of(notification))
        last[person] = max(last.get(person, ("", "")), (_reached(notification, news), notification.id))
    return last
