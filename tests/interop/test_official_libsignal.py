"""Conversations with the official libsignal: whatever is lost, late, archived or restored from a backup.

Each is driven from one seed, which a failure names. Our side's record goes through its stored form after each
step; the official library stores its own after each operation.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.interop.libsignal_conversation import Conversation, ratchet_key
from tests.interop.libsignal_peer import PeerFailed
from tests.interop.official_peer import OfficialPeer
from tests.proofs.resets import MAX_EVENTS, OurEndpoint, Resets
from tests.proofs.scale import scaled
from tests.support.signal_peers import Person
from tocsin.signal.errors import BadMac, Duplicate, NoPreKey
from tocsin.signal.session import Ciphertext

pytestmark = pytest.mark.interop

# Receiving chains that the official library keeps of one session.
KEPT_CHAINS = 5
# What it says about a message that it has read, in a chain that it still has.
READ_BEFORE = "old counter"


@pytest.fixture(scope="module")
def official() -> Iterator[OfficialPeer]:
    peer = OfficialPeer()
    yield peer
    peer.close()


@dataclass
class OfficialConversation(Conversation):
    """It forgets chains as we do: what arrives under the sixth-last is lost, and nothing else is."""

    chains: dict[bytes, list[bytes]] = field(default_factory=dict)
    session_of: dict[bytes, bytes] = field(default_factory=dict)
    lost: int = 0

    def we_write(self) -> None:
        super().we_write()
        self.session_of[ratchet_key(self.to_peer[-1][0])] = self.we.current.base_key

    def peer_reads(self) -> None:
        message, text = self.pick(self.to_peer)
        key = ratchet_key(message)
        chains = self.chains.setdefault(self.session_of[key], [])
        try:
            assert self.peer.hear(message) == text
        except PeerFailed:
            assert key in chains[:-KEPT_CHAINS], "only a chain of long ago may be lost"
            self.lost += 1
            return
        if key not in chains:
            chains.append(key)
        self.read_by_peer += 1


def conversation(official: OfficialPeer, seed: int) -> OfficialConversation:
    official.reset()
    return OfficialConversation(Person(f"seed {seed}", 1 + seed), official, random.Random(seed))


@pytest.mark.parametrize("seed", range(scaled(6)))
def test_we_begin(official: OfficialPeer, seed: int) -> None:
    talk = conversation(official, seed)
    talk.we_start()
    talk.we_write()
    talk.we_write()
    talk.peer_reads()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(scaled(6)))
def test_the_peer_begins(official: OfficialPeer, seed: int) -> None:
    talk = conversation(official, seed)
    talk.peer_starts()
    talk.peer_writes()
    talk.peer_writes()
    talk.we_read()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(scaled(6)))
def test_both_begin_at_once_and_begin_again_later(official: OfficialPeer, seed: int) -> None:
    talk = conversation(official, seed)
    talk.we_start()
    talk.peer_starts()
    for number in range(200):
        talk.step()
        if number % 40 == 39:
            talk.dice.choice((talk.we_start, talk.peer_starts))()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(scaled(20)))
def test_both_end_on_one_session_after_forty_events(official: OfficialPeer, seed: int) -> None:
    official.reset()
    dice = random.Random(seed)
    sides = [OurEndpoint(f"seed {seed}"), OfficialEndpoint(official)]
    dice.shuffle(sides)
    resets = Resets(sides[0], sides[1], dice)
    resets.live(MAX_EVENTS)
    resets.settle()
    resets.messages_to_agree()
    resets.assert_kept()


class OfficialEndpoint:
    """The official library as a side of the session-reset property."""

    failures = (PeerFailed,)

    def __init__(self, peer: OfficialPeer) -> None:
        self.bundle = peer.bundle
        self.start = peer.start
        self.can_send = peer.can_send
        self.say = peer.say
        self.hear = peer.hear
        self.archive = peer.archive
        self.snapshot = peer.snapshot
        self.restore = peer.restore
        self.sends_with = peer.sends_with


def met(official: OfficialPeer, *, with_prekey: bool = True) -> Person:
    """Somebody who exchanged a message each way with the fresh peer."""
    official.reset()
    we = Person("we", 7)
    we.start(official.bundle(with_prekey=with_prekey))
    assert official.hear(we.say("hello")) == "hello"
    assert we.hear(official.say("hi")) == "hi"
    return we


def test_what_was_read_is_a_duplicate_to_both(official: OfficialPeer) -> None:
    we = met(official)
    ours, theirs = we.say("once"), official.say("once")
    assert (official.hear(ours), we.hear(theirs)) == ("once", "once")
    with pytest.raises(PeerFailed, match=READ_BEFORE):
        official.hear(ours)
    with pytest.raises(Duplicate):
        we.hear(theirs)


def test_a_first_message_read_twice_is_a_duplicate_to_both(official: OfficialPeer) -> None:
    official.reset()
    we = Person("we", 7)
    we.start(official.bundle())
    ours = we.say("first")
    assert official.hear(ours) == "first"
    with pytest.raises(PeerFailed, match=READ_BEFORE):
        official.hear(ours)
    official.reset()
    official.start(we.offer())
    theirs = official.say("first")
    assert we.hear(theirs) == "first"
    with pytest.raises(Duplicate):
        we.hear(theirs)


def test_a_gap_as_wide_as_we_allow(official: OfficialPeer) -> None:
    we = met(official)
    for _ in range(2000):
        we.say("lost")
    assert official.hear(we.say("after the gap")) == "after the gap"
    official.hear(we.say("and on"))
    lost = [official.say("lost") for _ in range(2000)]
    assert we.hear(official.say("after the gap")) == "after the gap"
    assert we.hear(lost[0]) == "lost"
    assert we.hear(lost[-1]) == "lost"


def test_a_late_message_of_an_archived_session_leaves_the_new_one_alone(official: OfficialPeer) -> None:
    """And brings its own session back, on both sides: they stay together."""
    we = met(official)
    late_to_us, late_to_them = official.say("late"), we.say("late")
    we.start(official.bundle())
    assert official.hear(we.say("new session")) == "new session"
    assert we.hear(official.say("used both ways")) == "used both ways"
    newest = we.current.base_key
    assert we.hear(late_to_us) == "late"
    assert official.hear(late_to_them) == "late"
    for number in range(3):
        assert official.hear(we.say(f"on {number}")) == f"on {number}"
        assert we.hear(official.say(f"and on {number}")) == f"and on {number}"
    assert newest in {state.base_key for state in we.record.states}


def test_simultaneous_first_messages_come_together(official: OfficialPeer) -> None:
    official.reset()
    we = Person("we", 7)
    we.start(official.bundle())
    official.start(we.offer())
    ours, theirs = we.say("from us"), official.say("from them")
    assert we.hear(theirs) == "from them"
    assert official.hear(ours) == "from us"
    for number in range(3):
        assert official.hear(we.say(f"on {number}")) == f"on {number}"
        assert we.hear(official.say(f"and on {number}")) == f"and on {number}"
    assert official.sends_with(we.current.receiving[0].ratchet_public)


def test_the_peer_lost_its_sessions(official: OfficialPeer) -> None:
    we = met(official)
    official.forget()
    with pytest.raises(PeerFailed, match=r"[Ss]ession"):
        official.hear(we.say("to whom?"))
    we.start(official.bundle())
    assert official.hear(we.say("again")) == "again"
    assert we.hear(official.say("back")) == "back"


def test_the_peer_restored_a_backup(official: OfficialPeer) -> None:
    """Its next messages repeat indexes, ours don't fit; one new session mends both."""
    we = met(official)
    backup = official.snapshot()
    assert we.hear(official.say("said and forgotten")) == "said and forgotten"
    official.restore(backup)
    with pytest.raises(Duplicate):
        we.hear(official.say("under an index that was used"))
    for number in range(2):
        assert official.hear(we.say(f"{number}")) == f"{number}"
        assert we.hear(official.say(f"{number}")) == f"{number}"
    official.restore(backup)
    with pytest.raises(PeerFailed):
        official.hear(we.say("under a chain that the backup doesn't know"))
    we.start(official.bundle())
    assert official.hear(we.say("again")) == "again"
    assert we.hear(official.say("back")) == "back"


def test_our_side_names_what_it_cannot_read(official: OfficialPeer) -> None:
    we = met(official)
    message = official.say("text")
    damaged = Ciphertext(message.type, message.body[:-1] + bytes((message.body[-1] ^ 1,)))
    before = we.record
    with pytest.raises(BadMac):
        we.hear(damaged)
    assert we.record is before
    assert we.hear(message) == "text"
    offered = we.offer()
    official.start(offered)
    del we.prekeys[offered.prekey_id]
    with pytest.raises(NoPreKey):
        we.hear(official.say("to a prekey that is gone"))
