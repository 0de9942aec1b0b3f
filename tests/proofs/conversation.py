"""One person writes to the account in every way there is; a model knows what the world must have been told.

The model: each message has what its author wrote last under its id, and whether we could read it. The world
hears of its content once, of an unreadable one once at most, and of nothing else. Consent is what the last
wish said, and an edit never gives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sealed_texts import TEXTS
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put, Update
from tocsin.notify.notification import Notification
from tocsin.notify.replies import DELETED, EDIT, EXPECTED_SECONDS, Replies, Reply
from tocsin.notify.store.stores import Stores
from tocsin.tables.notifications import reply_key

ACCOUNT, USER = "default", "6281234567890@s.whatsapp.net"
WORDED = ("text", "button", "list", "interactive", "image", "video", "document")
WORDLESS = ("voice", "location", "reaction", "poll", "other", "empty")
ABSENT = ("view_once", "hosted", "bot", "unavailable", "unreadable")
WORDS = ("STOP", "START", "Terima kasih", "")


class Told(MemoryTable):
    """A table whose stream is read: `heard` has message id and kind of each reply that is told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str]] = []

    def put(self, put: Put) -> None:
        super().put(put)
        self._hear(put.key)

    def update(self, update: Update) -> object:  # type: ignore[override]
        item = super().update(update)
        self._hear(update.key)
        return item

    def _hear(self, key: tuple[str, str]) -> None:
        pk, message_id = key
        item = self.get(key)
        if pk == reply_key(ACCOUNT, USER)[0] and item is not None and "outcome" in item:
            self.heard.append((message_id, str(item["kind"])))


@dataclass
class Queue:
    """Takes confirmations, and forgets them."""

    sent: list[Notification] = field(default_factory=list)

    def send(self, notification: Notification) -> None:
        self.sent.append(notification)


class Conversation:
    """The real thing and its model, side by side."""

    def __init__(self) -> None:
        self.now = 1_800_000_000
        self.table = Told()
        self.stores = Stores(self.table, texts=TEXTS, clock=lambda: self.now)
        self.replies = Replies(self.stores, Queue(), clock=lambda: self.now)  # type: ignore[arg-type]
        self.count = 0
        self.expected: list[tuple[str, str]] = []
        self.opted_out = False
        self.awaited: dict[str, int] = {}
        self.absent: list[str] = []
        self.last: Reply | None = None

    # -- what happens --------------------------------------------------------------------------------------

    def write(self, kind: str, words: str, message_id: str | None = None, about: str | None = None) -> None:
        reply = self._reply(message_id or self._new_id(), kind, words, about)
        self.replies.take(reply)
        self.last = reply
        self.expected.append((reply.message_id, kind))
        if kind in (*WORDED, EDIT):
            self.opted_out = self.opted_out or words == "STOP"
            self.opted_out = self.opted_out and (words != "START" or kind == EDIT)

    def change(self, kind: str, which: int, words: str) -> None:
        """An edit or a deletion of a message: of one that there is, or of none."""
        about = f"M{which % (self.count + 1)}"
        self.write(kind, words if kind == EDIT else "", about=about)

    def lack(self, kind: str) -> None:
        """A message without a copy for us, or one given up."""
        message_id = self._new_id()
        self.write(kind, "", message_id)
        self.absent.append(message_id)

    def garble(self) -> None:
        """A message that can't be read yet; its author is asked for it."""
        message_id = self._new_id()
        self.replies.expect(self._reply(message_id, "unreadable", ""))
        self.awaited[message_id] = self.now + EXPECTED_SECONDS
        self.last = None

    def arrive(self, which: int, kind: str, words: str) -> None:
        """The content of what couldn't be read."""
        unread = [*self.absent, *self.awaited]
        if unread:
            message_id = unread[which % len(unread)]
            self._forget(message_id)
            self.write(kind, words, message_id)

    def give_up(self, which: int) -> None:
        if self.awaited:
            message_id = list(self.awaited)[which % len(self.awaited)]
            self._forget(message_id)
            self.write("unreadable", "", message_id)
            self.absent.append(message_id)

    def turn_out_silent(self, which: int) -> None:
        """What couldn't be read was nothing that a person wrote."""
        if self.awaited:
            message_id = list(self.awaited)[which % len(self.awaited)]
            self._forget(message_id)
            self.replies.expect_no_more(self._reply(message_id, "unreadable", ""))

    def repeat(self) -> None:
        """A crash came before the stanza was marked as handled: all of it once more."""
        if self.last is not None:
            self.replies.take(self.last)

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.stores.replies.tell_overdue(ACCOUNT, self.now * 1000)
        for message_id, due in list(self.awaited.items()):
            if due <= self.now:
                self._forget(message_id)
                self.absent.append(message_id)
                self.expected.append((message_id, "unreadable"))

    # -- what must hold ------------------------------------------------------------------------------------

    def check(self) -> None:
        assert sorted(self.table.heard) == sorted(self.expected)
        conduct = self.stores.people.find(ACCOUNT, USER)
        assert (conduct.opted_out_at is not None) == self.opted_out

    def _forget(self, message_id: str) -> None:
        self.awaited.pop(message_id, None)
        if message_id in self.absent:
            self.absent.remove(message_id)

    def _new_id(self) -> str:
        self.count += 1
        return f"M{self.count}"

    def _reply(self, message_id: str, kind: str, words: str, about: str | None = None) -> Reply:
        return Reply(ACCOUNT, message_id, (USER,), kind, words, self.now * 1000, about=about)


CHANGES = (EDIT, DELETED)
