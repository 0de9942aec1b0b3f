"""Conversations with libsignal-node: whoever begins, whatever is lost or late, both sides read every message.

Our side's record goes through its stored form after each step. A failure names the seed that repeats it.
"""

import random
from collections.abc import Iterator

import pytest

from tests.interop.libsignal_conversation import Conversation
from tests.interop.libsignal_peer import LibsignalPeer, PeerFailed
from tests.support.signal_peers import Person

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def node() -> Iterator[LibsignalPeer]:
    peer = LibsignalPeer()
    yield peer
    peer.close()


def conversation(node: LibsignalPeer, seed: int, *, copies: bool) -> Conversation:
    node.reset(copies=copies)
    return Conversation(Person(f"seed {seed}", 1 + seed), node, random.Random(seed))


@pytest.mark.parametrize("seed", range(8))
def test_we_begin(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=False)
    talk.we_start()
    talk.we_write()
    talk.we_write()
    talk.peer_reads()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(8))
def test_the_peer_begins(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=False)
    talk.peer_starts()
    talk.peer_writes()
    talk.peer_writes()
    talk.we_read()
    for _ in range(150):
        talk.step()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


@pytest.mark.parametrize("seed", range(8))
def test_both_begin_at_once_and_begin_again_later(node: LibsignalPeer, seed: int) -> None:
    talk = conversation(node, seed, copies=True)
    talk.we_start()
    talk.peer_starts()
    for number in range(200):
        talk.step()
        if number % 40 == 39:
            talk.dice.choice((talk.we_start, talk.peer_starts))()
    talk.finish()
    assert min(talk.read_by_us, talk.read_by_peer) > 20


def test_the_peer_refuses_what_it_has_read(node: LibsignalPeer) -> None:
    talk = conversation(node, 0, copies=False)
    talk.we_start()
    message = talk.we.say("once")
    assert talk.peer.hear(message) == "once"
    with pytest.raises(PeerFailed, match="Key used already"):
        talk.peer.hear(message)


def test_a_gap_as_wide_as_the_peer_allows(node: LibsignalPeer) -> None:
    talk = conversation(node, 0, copies=False)
    talk.we_start()
    talk.peer.hear(talk.we.say("first"))
    for _ in range(1999):
        talk.we.say("lost")
    assert talk.peer.hear(talk.we.say("after the gap")) == "after the gap"
    talk.we.hear(talk.peer.say("turn"))
    assert talk.peer.hear(talk.we.say("and on")) == "and on"
