"""The faults that made us write this, as standing tests. Each has a twin that is handled as in the field.

1.  A late message of an archived session is read after a new one was used both ways. libsignal-node then
    loses both directions: its open session took a ratchet step before the MAC was found not to fit.
2.  A send overlaps a receive of the same peer. Baileys then loses what the receive changed, or what the send
    did: both write back the whole record.
3.  Both sides send their first message at once, which leads to 1.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.interop.libsignal_peer import LibsignalPeer, PeerFailed
from tests.proofs.faulty import AdvancesBeforeTheMac, WritesBackWhatItRead
from tests.proofs.resets import ratchet_key as ratchet_of
from tests.support.key_peers import End, Interposed, converse, index_of
from tests.support.signal_peers import Person
from tocsin.dynamo.memory import MemoryTable
from tocsin.signal.errors import BadMac, Duplicate, SignalError
from tocsin.signal.session import Ciphertext

# A session that broke shows it as one of these, and as nothing else.
BROKEN = (SignalError, PeerFailed, AssertionError)


def talk(one: Person, other: Person, times: int = 1) -> None:
    """A message each way, `times` over."""
    for number in range(times):
        assert other.hear(one.say(f"there {number}")) == f"there {number}"
        assert one.hear(other.say(f"and back {number}")) == f"and back {number}"


# 1. A late message of an archived session


def late_message(one: Person, other: Person) -> None:
    """Session 1 is used both ways, one message held back; session 2 likewise; then the late one comes."""
    one.start(other.bundle())
    talk(one, other, times=2)
    late = other.say("held back")
    one.start(other.offer())
    talk(one, other, times=2)
    assert one.hear(late) == "held back"
    talk(one, other, times=3)
    talk(other, one, times=3)


def late_messages_both_ways(one: Person, other: Person) -> None:
    one.start(other.bundle())
    talk(one, other, times=2)
    late_from, late_to = one.say("held back"), other.say("held back too")
    other.start(one.offer())
    talk(other, one, times=2)
    assert other.hear(late_from) == "held back"
    assert one.hear(late_to) == "held back too"
    talk(one, other, times=3)
    talk(other, one, times=3)


def first_messages_at_once(one: Person, other: Person) -> None:
    """Both begin; their first messages cross, and so do the second ones."""
    one.start(other.bundle())
    other.start(one.bundle())
    for number in range(3):
        from_one, from_other = one.say(f"from one {number}"), other.say(f"from other {number}")
        assert one.hear(from_other) == f"from other {number}"
        assert other.hear(from_one) == f"from one {number}"
    talk(one, other, times=3)
    assert one.current.base_key == other.current.base_key


SCENES = (late_message, late_messages_both_ways, first_messages_at_once)


@pytest.mark.parametrize("scene", SCENES)
def test_all_sessions_survive(scene: Callable[[Person, Person], None]) -> None:
    scene(Person("ada", 11), Person("ben", 22))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("both", [False, True], ids=["one side", "both sides"])
def test_twin_that_advances_before_the_mac_breaks(
    scene: Callable[[Person, Person], None], both: bool
) -> None:
    ben = AdvancesBeforeTheMac("ben", 22) if both else Person("ben", 22)
    with pytest.raises(BROKEN):
        scene(AdvancesBeforeTheMac("ada", 11), ben)


def test_the_twin_can_converse_at_all() -> None:
    """What breaks it is the late message, and not that it can't speak."""
    ada, ben = AdvancesBeforeTheMac("ada", 11), AdvancesBeforeTheMac("ben", 22)
    ada.start(ben.bundle())
    talk(ada, ben, times=5)
    ada.start(ben.offer())
    talk(ada, ben, times=5)


@pytest.fixture(scope="module")
def node() -> Iterator[LibsignalPeer]:
    peer = LibsignalPeer()
    yield peer
    peer.close()


def late_message_to(node: LibsignalPeer, we: Person) -> None:
    we.start(node.bundle())
    assert node.hear(we.say("one")) == "one"
    assert we.hear(node.say("two")) == "two"
    late = we.say("held back")
    we.start(node.bundle())
    assert node.hear(we.say("three")) == "three"
    assert we.hear(node.say("four")) == "four"
    assert node.hear(late) == "held back"
    assert node.hear(we.say("five")) == "five"
    assert we.hear(node.say("six")) == "six"


@pytest.mark.interop
def test_libsignal_node_itself_breaks(node: LibsignalPeer) -> None:
    """The library as it is on npm; with each session tried on a copy of its own, it does not."""
    node.reset(copies=False)
    with pytest.raises(PeerFailed, match="No matching sessions"):
        late_message_to(node, Person("we", 7))
    node.reset(copies=True)
    late_message_to(node, Person("we", 7))


@pytest.mark.interop
def test_we_survive_what_libsignal_node_sends_late(node: LibsignalPeer) -> None:
    node.reset(copies=False)
    we = Person("we", 7)
    we.start(node.bundle())
    assert node.hear(we.say("one")) == "one"
    late = node.say("held back")
    we.start(node.bundle())
    assert node.hear(we.say("three")) == "three"
    assert we.hear(node.say("four")) == "four"
    newest = we.current.base_key
    assert we.hear(late) == "held back"
    assert newest in {state.base_key for state in we.record.states}
    assert we.hear(node.say("five")) == "five"


# 2. A send that overlaps a receive


def ends() -> tuple[End, End]:
    """Two key stores after a conversation; the next message of `ben` brings a new ratchet key."""
    ada, ben = End("100@lid", 1), End("200@lid")
    ada.meet(ben)
    converse(ada, ben)
    assert ben.read(ada, ada.say(ben, b"so that ben turns")) == b"so that ben turns"
    return ada, ben


def assert_sound(ada: End, ben: End, sent: list[Ciphertext], read: list[Ciphertext]) -> None:
    """No index used twice, everything sent is readable, everything read stays read, both ways go on."""
    for number, message in enumerate(sent):
        assert ben.read(ada, message) == b"overlapping %d" % number
    for message in read:
        with pytest.raises(Duplicate):
            ada.hear(ben, message, "another stanza")
    for _ in range(3):
        converse(ada, ben)
        converse(ben, ada)


def requests_of_a_receive() -> int:
    ada, ben = ends()
    message = ben.say(ada, b"turn")
    ada.table.requests.clear()
    receive(ada, ben, message)
    return len(ada.table.requests)


def receive(ada: End, ben: End, message: Ciphertext) -> None:
    assert ada.read(ben, message) == b"turn"


RECEIVE_REQUESTS = requests_of_a_receive()


@pytest.mark.parametrize("moment", range(RECEIVE_REQUESTS))
def test_a_send_at_any_moment_of_a_receive(moment: int) -> None:
    ada, ben = ends()
    message, sent = ben.say(ada, b"turn"), []
    ada.table.before = at(moment, lambda: sent.append(ada.say(ben, b"overlapping 0")))
    receive(ada, ben, message)
    assert len(sent) == 1
    assert_sound(ada, ben, sent, [message])


@pytest.mark.parametrize("moment", range(RECEIVE_REQUESTS))
def test_many_sends_at_any_moment_of_a_receive(moment: int) -> None:
    ada, ben = ends()
    message, sent = ben.say(ada, b"turn"), []

    def burst() -> None:
        sent.extend(ada.say(ben, b"overlapping %d" % number) for number in range(20))

    ada.table.before = at(moment, burst)
    receive(ada, ben, message)
    indexes = [(ratchet_of(one), index_of(one)) for one in sent]
    assert len(set(indexes)) == len(sent) == 20
    assert_sound(ada, ben, sent, [message])


def test_a_receive_between_reserving_and_encrypting() -> None:
    ada, ben = ends()
    message = ben.say(ada, b"turn")
    reservation = ada.reserve(ben)
    receive(ada, ben, message)
    late = reservation.encrypt(ben.device, ada.profile, b"overlapping 0")
    ada.keys.sending.checkpoint(reservation, [ben.device])
    assert_sound(ada, ben, [late], [message])


@pytest.mark.parametrize("moment", range(RECEIVE_REQUESTS))
def test_another_receive_at_any_moment_of_a_receive(moment: int) -> None:
    ada, ben = ends()
    message, other = ben.say(ada, b"turn"), ben.say(ada, b"the one after")
    ada.table.before = at(moment, lambda: assert_reads(ada, ben, other, b"the one after"))
    receive(ada, ben, message)
    assert_sound(ada, ben, [], [message, other])


def assert_reads(ada: End, ben: End, message: Ciphertext, text: bytes) -> None:
    assert ada.read(ben, message) == text


def at(moment: int, action: Callable[[], None]) -> Callable[[str, object], None]:
    """A hook that acts before the request with this number, once."""
    count = -1

    def hook(_: str, __: object) -> None:
        nonlocal count
        count += 1
        if count == moment:
            action()

    return hook


def test_twin_whose_send_is_stored_last_loses_the_turn() -> None:
    """What was read can be read again, and nothing of the peer's after it."""
    ada, ben = writes_back()
    turning, sent = ben.say("turn"), []

    def receive_and_answer() -> None:
        assert ada.hear(turning) == "turn"
        sent.append(ada.say("under the new chain"))

    sent.append(ada.say_while("overlapping", receive_and_answer))
    assert [ben.hear(message) for message in sent] == ["under the new chain", "overlapping"]
    assert ada.hear(turning) == "turn"
    with pytest.raises(BadMac):
        ada.hear(ben.say("after it"))


def writes_back() -> tuple[WritesBackWhatItRead, Person]:
    """Both conversed, and the next message of the second brings a new ratchet key."""
    ada, ben = WritesBackWhatItRead("ada", 11), Person("ben", 22)
    ada.start(ben.bundle())
    talk(ada, ben)
    assert ben.hear(ada.say("so that ben turns")) == "so that ben turns"
    return ada, ben


def test_twin_whose_receive_is_stored_last_loses_the_send() -> None:
    """Within one chain, the index of the send is given out again, and its message is dropped unread."""
    ada, ben = writes_back()
    assert ada.hear(ben.say("turn")) == "turn"
    another, sent = ben.say("no new ratchet key"), []
    assert ada.hear_while(another, lambda: sent.append(ada.say("overlapping"))) == "no new ratchet key"
    sent.append(ada.say("under the same index"))
    assert index_of(sent[0]) == index_of(sent[1])
    assert ratchet_of(sent[0]) == ratchet_of(sent[1])
    assert ben.hear(sent[0]) == "overlapping"
    with pytest.raises(Duplicate):
        ben.hear(sent[1])


# 3. First messages at once, through the key store


@pytest.mark.parametrize("crossings", [1, 2, 5])
def test_first_messages_at_once_through_the_key_store(crossings: int) -> None:
    ada, ben = End("100@lid", 1), End("200@lid")
    ada.meet(ben)
    ben.meet(ada)
    for number in range(crossings):
        ours, theirs = ada.say(ben, b"from ada %d" % number), ben.say(ada, b"from ben %d" % number)
        assert ada.read(ben, theirs) == b"from ben %d" % number
        assert ben.read(ada, ours) == b"from ada %d" % number
    for _ in range(3):
        converse(ada, ben)
        converse(ben, ada)
    assert current(ada, ben) == current(ben, ada)


def test_a_late_message_of_an_archived_session_through_the_key_store() -> None:
    ada, ben = ends()
    late = ben.say(ada, b"held back")
    ben.keys.sending.make_sessions(
        ben.profile,
        ben.credentials,
        ada.user,
        {1: ada.bundle()},
        devices=[1],
        replace=frozenset({1}),
        account_key=ada.account_key,
    )
    for _ in range(2):
        converse(ben, ada)
    before = current(ada, ben)
    assert ada.read(ben, late) == b"held back"
    assert current(ada, ben) != before
    for _ in range(3):
        converse(ada, ben)
        converse(ben, ada)


def current(one: End, other: End) -> bytes:
    facts = one.keys.sending.session_facts(one.profile, other.user, other.device)
    assert facts is not None
    return facts.base_key


def test_a_failed_decrypt_writes_nothing() -> None:
    ada, ben = ends()
    message = ben.say(ada, b"turn")
    damaged = Ciphertext(message.type, message.body[:-1] + bytes((message.body[-1] ^ 1,)))
    before = stored(ada)
    with pytest.raises(BadMac):
        ada.hear(ben, damaged)
    assert stored(ada) == before
    receive(ada, ben, message)


def stored(end: End) -> dict:
    table = end.table.table if isinstance(end.table, Interposed) else end.table
    assert isinstance(table, MemoryTable)
    return dict(table._items)
