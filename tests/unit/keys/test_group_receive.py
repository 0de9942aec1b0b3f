"""Receiving in groups: nothing read twice, nothing lost between two readers or in a crash."""

from __future__ import annotations

import pytest

from tests.support.key_peers import Clock, End, Entropy, once, raising
from tocsin.dynamo.table import OutcomeUnknown, Table
from tocsin.signal import sender_key
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import BadSignature, Duplicate, NoSession
from tocsin.signal.sender_key import SenderKey

GROUP, OTHER = "120363000000000001@g.us", "120363000000000002@g.us"
BOB = "200@lid"


@pytest.fixture
def ann(table: Table, clock: Clock) -> End:
    return End("100@lid", device=3, table=table, clock=clock)


class Member:
    """Somebody's device that writes to the group."""

    def __init__(self) -> None:
        self.entropy = Entropy("member")
        self.key: SenderKey = sender_key.create(7, self.entropy(32), key_pair(self.entropy(32)))

    def distribution(self) -> bytes:
        return sender_key.distribution(self.key)

    def say(self, text: bytes) -> bytes:
        message = sender_key.encrypt(self.key, self.key.iteration, plaintext=text, entropy=self.entropy(64))
        self.key = sender_key.advance(self.key, self.key.iteration + 1)
        return message


@pytest.fixture
def bob() -> Member:
    return Member()


def take(ann: End, bob: Member, group: str = GROUP) -> bool:
    return ann.keys.groups.take_sender_key(ann.profile.incarnation, group, BOB, 0, bob.distribution())


def read(ann: End, message: bytes, stanza: str = "S1", keys=None, group: str = GROUP):
    return (keys or ann.keys).groups.receive(ann.profile.incarnation, group, BOB, 0, stanza, message)


def test_a_message_is_read_under_a_key_that_came_before(ann: End, bob: Member) -> None:
    assert take(ann, bob)
    received = read(ann, bob.say(b"I am near"))
    assert (received.plaintext, received.repeated) == (b"I am near", False)


def test_without_the_sender_s_key_nothing_is_read_or_stored(ann: End, bob: Member) -> None:
    message = bob.say(b"hello")
    with pytest.raises(NoSession):
        read(ann, message)
    take(ann, bob)
    with pytest.raises(Duplicate):
        read(ann, message)  # that key begins behind it


def test_a_repetition_finds_what_the_first_one_yielded_until_it_is_handled(ann: End, bob: Member) -> None:
    take(ann, bob)
    message = bob.say(b"hello")
    read(ann, message)
    again = read(ann, message)
    assert (again.plaintext, again.repeated) == (b"hello", True)
    ann.keys.receiving.mark_handled(again)
    assert read(ann, message).plaintext is None


def test_a_key_that_comes_again_makes_nothing_readable_again(ann: End, bob: Member) -> None:
    distribution = bob.distribution()
    take(ann, bob)
    message = bob.say(b"hello")
    read(ann, message)
    assert not ann.keys.groups.take_sender_key(ann.profile.incarnation, GROUP, BOB, 0, distribution)
    with pytest.raises(Duplicate):
        read(ann, message, stanza="another stanza with the same bytes")


def test_of_two_readers_of_one_message_both_have_its_text(ann: End, bob: Member) -> None:
    take(ann, bob)
    message, other = bob.say(b"hello"), ann.opened(ann.table.table)
    ann.table.before = once("transact", lambda: read(ann, message, keys=other))
    received = read(ann, message)
    assert (received.plaintext, received.repeated) == (b"hello", True)


def test_a_reader_that_was_overtaken_by_another_message_reads_its_own(ann: End, bob: Member) -> None:
    take(ann, bob)
    first, second, other = bob.say(b"first"), bob.say(b"second"), ann.opened(ann.table.table)
    ann.table.before = once("transact", lambda: read(ann, second, "S2", keys=other))
    assert read(ann, first).plaintext == b"first"


def test_a_key_that_arrives_while_its_message_is_read_is_found(ann: End, bob: Member) -> None:
    distribution, message = bob.distribution(), bob.say(b"hello")
    other, reads = ann.opened(ann.table.table), []

    def arrive(name: str, key: object) -> None:
        reads.append(name)
        if len(reads) == 3:
            other.groups.take_sender_key(ann.profile.incarnation, GROUP, BOB, 0, distribution)

    ann.table.before = arrive
    assert read(ann, message).plaintext == b"hello"


def test_a_lost_answer_is_not_a_repetition(ann: End, bob: Member) -> None:
    take(ann, bob)
    ann.table.after = once("transact", raising(OutcomeUnknown()))
    received = read(ann, bob.say(b"hello"))
    assert (received.plaintext, received.repeated) == (b"hello", False)


def test_a_forged_message_changes_nothing(ann: End, bob: Member) -> None:
    take(ann, bob)
    message = bob.say(b"hello")
    with pytest.raises(BadSignature):
        read(ann, message[:-1] + bytes([message[-1] ^ 1]))
    assert read(ann, message).plaintext == b"hello"


def test_a_key_is_good_for_its_group_alone(ann: End, bob: Member) -> None:
    take(ann, bob, group=OTHER)
    with pytest.raises(NoSession):
        read(ann, bob.say(b"hello"))


def test_a_damaged_key_counts_as_missing_and_is_replaced(ann: End, bob: Member) -> None:
    from tocsin.dynamo.writes import Update
    from tocsin.tables.keys import sender_key_of

    take(ann, bob)
    key = sender_key_of("main", ann.profile.incarnation, GROUP, BOB, 0)
    ann.table.table.update(Update(key, set={"keys": b"\x02k1" + bytes(60)}))
    message = bob.say(b"hello")
    with pytest.raises(NoSession):
        read(ann, message)
    assert ann.damages
    take(ann, bob)
    assert read(ann, bob.say(b"again")).plaintext == b"again"


def test_after_a_new_pairing_nobody_s_old_key_is_there(ann: End, bob: Member) -> None:
    take(ann, bob)
    ann.keys.account.renew()
    paired = ann.keys.account.save_pairing(
        jid="100:4@s.whatsapp.net", lid="100:4@lid", device_identity=b"identity"
    )
    with pytest.raises(NoSession):
        ann.keys.groups.receive(paired.incarnation, GROUP, BOB, 0, "S1", bob.say(b"hello"))


# A member whose LID is learnt


BOBS_NUMBER = "6281200000002@s.whatsapp.net"


def take_as(ann: End, user: str, distribution: bytes, device: int = 0) -> bool:
    return ann.keys.groups.take_sender_key(ann.profile.incarnation, GROUP, user, device, distribution)


def read_as(ann: End, user: str, message: bytes, stanza: str):
    return ann.keys.groups.receive(ann.profile.incarnation, GROUP, user, 0, stanza, message)


def places(ann: End) -> list[str]:
    keys = ann.table.keys(f"group#main.{ann.profile.incarnation}#{GROUP}", "sender#")
    return sorted(sk for _, sk in keys)


def test_a_member_s_keys_move_with_the_mapping(ann: End, bob: Member) -> None:
    take_as(ann, BOBS_NUMBER, bob.distribution())
    read_as(ann, BOBS_NUMBER, bob.say(b"one"), "S1")
    ann.keys.contacts.learn(BOBS_NUMBER, BOB)
    assert read_as(ann, BOB, bob.say(b"two"), "S2").plaintext == b"two"
    assert read_as(ann, BOB, bob.say(b"three"), "S3").plaintext == b"three"
    assert places(ann) == [f"sender#{BOB}#0"]


def test_without_the_mapping_they_stay_where_they_are(ann: End, bob: Member) -> None:
    take_as(ann, BOBS_NUMBER, bob.distribution())
    with pytest.raises(NoSession):
        read_as(ann, BOB, bob.say(b"one"), "S1")
    assert places(ann) == [f"sender#{BOBS_NUMBER}#0"]


def test_a_number_that_went_to_another_person_takes_no_keys_along(ann: End, bob: Member) -> None:
    take_as(ann, BOBS_NUMBER, bob.distribution())
    ann.keys.contacts.learn(BOBS_NUMBER, BOB)
    ann.keys.contacts.learn(BOBS_NUMBER, "300@lid")
    with pytest.raises(NoSession):
        read_as(ann, BOB, bob.say(b"one"), "S1")


def test_a_key_that_comes_again_under_the_lid_makes_nothing_readable_twice(ann: End, bob: Member) -> None:
    again = bob.distribution()
    take_as(ann, BOBS_NUMBER, again)
    first = bob.say(b"one")
    read_as(ann, BOBS_NUMBER, first, "S1")
    ann.keys.contacts.learn(BOBS_NUMBER, BOB)
    assert not take_as(ann, BOB, again)
    with pytest.raises(Duplicate):
        read_as(ann, BOB, first, "S2")
    assert read_as(ann, BOB, bob.say(b"two"), "S3").plaintext == b"two"
    assert places(ann) == [f"sender#{BOB}#0"]


def test_a_new_key_under_the_lid_and_the_old_one_under_the_number_are_both_read(
    ann: End, bob: Member
) -> None:
    take_as(ann, BOBS_NUMBER, bob.distribution())
    late = bob.say(b"under the old key")
    ann.keys.contacts.learn(BOBS_NUMBER, BOB)
    entropy = Entropy("another")
    bob.key = sender_key.create(8, entropy(32), key_pair(entropy(32)))
    take_as(ann, BOB, bob.distribution())
    assert read_as(ann, BOB, bob.say(b"under the new one"), "S1").plaintext == b"under the new one"
    assert read_as(ann, BOB, late, "S2").plaintext == b"under the old key"


def test_keys_that_exist_cost_no_look_at_any_other_name(ann: End, bob: Member) -> None:
    take_as(ann, BOB, bob.distribution())
    ann.table.requests.clear()
    read_as(ann, BOB, bob.say(b"one"), "S1")
    assert sorted(ann.table.requests) == ["get", "get", "transact"]
