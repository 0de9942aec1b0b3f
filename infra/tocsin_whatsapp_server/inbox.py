"""What a phone shows: the messages that it got, what became of them since, and the timers of its chats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.proto.message_pb2 import Message
from tocsin_whatsapp_server.directory import Account
from tocsin_whatsapp_server.display import EDIT_SECONDS, Shown, show
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.outbox import Sent
from tocsin_whatsapp_server.switchboard import Switchboard
from tocsin_whatsapp_server.timers import Timer, carried, setting, warns


class InvalidRequest(ValueError):
    """The phone can't do what it was told; the text says why."""


@dataclass
class Received:
    """A message as the phone shows it. `at`: every time that it arrived, in seconds; a repeat isn't shown
    twice. `failures`: how often it couldn't be read; `text` is None until it can. `spent`: an edit,
    which another message shows now. `timer`: what it carries; `warns`: not that of the chat, which the reader
    is told below it."""

    id: str
    sender: Account | None
    sender_device: int
    chat: str
    text: str | None = None
    kind: str = "text"
    quoted_id: str | None = None
    at: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    read_at: float | None = None
    message: bytes = field(default=b"", repr=False)
    group: Group | None = None
    shown: Shown | None = None
    edited_at: float | None = None
    spent: bool = False
    timer: Timer | None = None
    warns: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sender": self.sender.number if self.sender else None,
            "sender_name": self.sender.name if self.sender else None,
            "sender_device": self.sender_device,
            "chat": self.chat,
            "kind": self.kind,
            "text": self.text,
            "quoted_id": self.quoted_id,
            **(self.shown.as_json() if self.shown else {}),
            "edited": self.edited_at is not None,
            "time": round(self.at[0], 3) if self.at else None,
            "times_received": len(self.at),
            "received": [round(at, 3) for at in self.at],
            "failures": self.failures,
            "read": self.read_at is not None,
            **({"timer": {"seconds": self.timer.seconds, "at": self.timer.at}} if self.timer else {}),
            **({"warning": "won't disappear"} if self.warns else {}),
        }


class Inbox:
    """Of the device `number` of an account. `sent`: what it sent. `timers`: of its chats, by number."""

    def __init__(self, account: Account, number: int, board: Switchboard, sent: dict[str, Sent]) -> None:
        self._account = account
        self._number = number
        self._board = board
        self._sent = sent
        self._received: dict[tuple[str, str], Received] = {}
        self.timers: dict[str, Timer] = {}

    def messages(self) -> list[Received]:
        """What its owner can read, in the order in which it could first be read. What they wrote themselves,
        on another device, is not among it."""
        return [entry for entry in self.readable() if not self.is_own(entry)]

    def from_own_devices(self) -> list[Received]:
        return [entry for entry in self.readable() if self.is_own(entry)]

    def waiting(self) -> list[Received]:
        """What is shown as "Waiting for this message"."""
        return [entry for entry in self._received.values() if entry.text is None]

    def readable(self) -> list[Received]:
        return [entry for entry in self._received.values() if entry.text is not None and not entry.spent]

    def is_own(self, entry: Received) -> bool:
        return entry.sender is self._account

    def author_of(self, message_id: str) -> JID:
        """Who wrote the message. Raises InvalidRequest."""
        for entry in self._received.values():
            if entry.id == message_id and entry.sender is not None:
                return entry.sender.lid
        if message_id in self._sent:
            return self._account.lid
        raise InvalidRequest("quote must be the id of a message on this phone")

    def entry(self, stanza: Node, sender: JID) -> Received:
        """What is shown of this stanza's message, made if there is nothing yet."""
        account = self._board.directory.account(sender)
        group = self._board.groups.find(stanza.attr_jid("from"))
        chat = stanza.optional_jid("recipient") or (group.jid if group else sender)
        other = self._board.directory.account(chat)
        key = (account.number if account else str(sender.bare), stanza.attr_str("id"))
        named = other.number if other else str(chat.bare)
        return self._received.setdefault(key, Received(key[1], account, sender.device, named, group=group))

    def understand(self, entry: Received, plaintext: bytes) -> None:
        """It could be decrypted: show what it says."""
        newest = next(reversed(self._received.values()))
        if entry.text is None and entry is not newest:
            # It becomes readable now, after others that were sent later.
            key = next(key for key, known in self._received.items() if known is entry)
            self._received[key] = self._received.pop(key)
        try:
            message = Message.FromString(plaintext)
        except ProtobufError:
            entry.kind, entry.text = "unreadable", ""
        else:
            entry.message = plaintext
            shown = show(
                message.device_sent.message if message.HasField("device_sent") else message, self._board.media
            )
            entry.kind, entry.text, entry.quoted_id = shown.kind, shown.text, shown.quoted_id
            entry.shown = shown
            self._heed_timer(entry, message)
            self._apply(entry)
        self.show(entry)

    def _apply(self, entry: Received) -> None:
        """An edit replaces what its sender wrote before; a reaction sticks to a message of the owner's."""
        if entry.kind == "reaction" and entry.sender is not None and entry.quoted_id in self._sent:
            self._sent[entry.quoted_id].reactions[entry.sender.number] = entry.text or ""
        if entry.kind != "edit" or entry.sender is None:
            return
        target = self._received.get((entry.sender.number, entry.quoted_id or ""))
        now = self._board.clock()
        if target is not None and target.at and now - target.at[0] <= EDIT_SECONDS:
            target.text, target.edited_at, entry.spent = entry.text, now, True

    def file(self, message_id: str) -> bytes:
        """The file of a message. Raises InvalidRequest."""
        for entry in self._received.values():
            if entry.id == message_id and entry.shown is not None and entry.shown.file is not None:
                return entry.shown.file
        raise InvalidRequest("no message with this id and a file that could be checked on this phone")

    def show(self, entry: Received) -> None:
        """It arrived, once more perhaps."""
        entry.at.append(self._board.clock())
        self._board.events.add(
            "phone-message",
            phone=self._account.number,
            device=self._number,
            id=entry.id,
            sender=entry.sender.number if entry.sender else None,
            chat=entry.chat,
            text=entry.text,
            times_received=len(entry.at),
            failures=len(entry.failures),
        )

    def timer_of(self, chat: Account | Group) -> Timer | None:
        if isinstance(chat, Group):
            return Timer(chat.expiration, 0) if chat.expiration else None
        return self.timers.get(chat.number)

    def _heed_timer(self, entry: Received, message: Message) -> None:
        """What a message says of its chat's timer, and whether it fits what the phone knows of that."""
        entry.timer = carried(message)
        told = setting(message) or entry.timer
        if entry.group is not None:
            known = self.timer_of(entry.group)
            # A group's is the server's to know, and not since when.
            fits = known is None or (entry.timer is not None and entry.timer.seconds == known.seconds)
            entry.warns = not fits and warns(message, known)
            return
        known = self.timers.get(entry.chat, Timer())
        if told is not None and told.at > known.at:
            self.timers[entry.chat] = told
            by = entry.sender.number if entry.sender else None
            self._board.events.add(
                "phone-timer", phone=self._account.number, chat=entry.chat, seconds=told.seconds, by=by
            )
            known = told
        entry.warns = warns(message, known)
