"""Whatever two parties do, in whatever order messages arrive: each is read once, or named, never twice.

Both may begin sessions, lose messages, get them late or twice, and store their records in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.signal_peers import Person, strangers
from tocsin.signal import session
from tocsin.signal.errors import Duplicate
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import decode_record, encode_record
from tocsin.signal.wire import PreKeyMessage


@dataclass
class Post:
    """Messages under way to one person, and those that came already, with their texts."""

    waiting: list[tuple[Ciphertext, str]] = field(default_factory=list)
    delivered: list[tuple[Ciphertext, str]] = field(default_factory=list)


class Conversation:
    def __init__(self) -> None:
        self.people = strangers()
        self.posts = (Post(), Post())
        self.written = 0

    def start(self, who: int, choice: int) -> None:
        me, peer = self.people[who], self.people[1 - who]
        # The third of three bundles has no one-time prekey: the server ran out of them.
        me.start(peer.offer() if choice % 3 else peer.bundle(None))

    def say(self, who: int, _: int) -> None:
        if self.people[who].record is None:
            self.start(who, 0)
        self.written += 1
        text = f"text {self.written}"
        self.posts[1 - who].waiting.append((self.people[who].say(text), text))

    def deliver(self, who: int, choice: int) -> None:
        post = self.posts[who]
        if post.waiting:
            message, text = post.waiting.pop(choice % len(post.waiting))
            try:
                assert self.people[who].hear(message) == text
            except Duplicate:
                # The one way to lose a text: it came after five newer chains of its session.
                assert ratchet_key(message) in self.people[who].record.evicted
            post.delivered.append((message, text))

    def repeat(self, who: int, choice: int) -> None:
        post, person = self.posts[who], self.people[who]
        if post.delivered:
            message, _ = post.delivered[choice % len(post.delivered)]
            before = person.record
            try:
                person.decrypt(message)
            except Duplicate:
                assert person.record == before
            else:
                raise AssertionError("read twice")

    def lose(self, who: int, choice: int) -> None:
        post = self.posts[who]
        if post.waiting:
            post.waiting.pop(choice % len(post.waiting))

    def store(self, who: int, _: int) -> None:
        person: Person = self.people[who]
        if person.record is not None:
            stored = encode_record(person.record)
            assert decode_record(stored) == person.record
            person.record = decode_record(stored)


def ratchet_key(message: Ciphertext) -> bytes:
    parsed = session.parse(*message)
    return (parsed.message if isinstance(parsed, PreKeyMessage) else parsed).ratchet_public


acts = st.sampled_from(["say", "say", "deliver", "deliver", "repeat", "lose", "store", "start"])
steps = st.lists(st.tuples(acts, st.integers(0, 1), st.integers(0, 7)), max_size=100)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_every_interleaving(steps: list[tuple[str, int, int]]) -> None:
    conversation = Conversation()
    for act, who, choice in steps:
        getattr(conversation, act)(who, choice)
    for who, post in enumerate(conversation.posts):
        while post.waiting:
            conversation.deliver(who, 0)
