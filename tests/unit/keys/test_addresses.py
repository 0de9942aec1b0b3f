"""Two names of one user: sessions move once, nobody founds a second one, and nothing is lost on the way."""

from __future__ import annotations

import pytest

from tests.support.key_peers import Clock, End, converse, index_of, once, raising
from tests.support.key_stories import LID, PN, Renamed, a_device_that_joins_between_read_and_commit_moves_too
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.dynamo.writes import Put
from tocsin.keys.errors import NoOutbound
from tocsin.keys.signpost import signpost_to
from tocsin.sealing import DamagedRecord
from tocsin.signal.session import Ciphertext
from tocsin.tables.keys import outbound_key


@pytest.fixture
def old_bob(bob: End) -> End:
    return Renamed(bob)  # type: ignore[return-value]


def test_both_names_are_found_by_either(ann: End) -> None:
    assert ann.keys.contacts.address(PN) is None
    assert ann.keys.contacts.learn(PN, LID)
    assert ann.keys.contacts.address(PN) == ann.keys.contacts.address(LID) == {"pn": PN, "lid": LID}


def test_our_own_names_are_learnt_without_a_look_at_any_session(ann: End) -> None:
    assert ann.keys.contacts.learn_own(PN, LID)
    assert not ann.keys.contacts.learn_own(PN, LID)
    assert ann.keys.contacts.address(LID) == {"pn": PN, "lid": LID}
    assert ann.table.scan(None, prefix="session#").items == []


def test_known_names_cost_one_read(ann: End) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.table.requests.clear()
    assert not ann.keys.contacts.learn(PN, LID)
    assert ann.table.requests == ["get"]


def test_who_is_known_is_looked_up_once_in_a_while(ann: End, clock: Clock) -> None:
    """Every stanza names people; but a number may go to another one."""
    assert not ann.keys.contacts.is_known(PN, LID)
    ann.keys.contacts.learn(PN, LID)
    ann.table.requests.clear()
    assert all(ann.keys.contacts.is_known(PN, LID) for _ in range(3))
    assert ann.table.requests == ["get"]
    clock.now += 600
    assert ann.keys.contacts.is_known(PN, LID)
    assert ann.table.requests == ["get", "get"]


# Numbers that aren't on WhatsApp, and what contacts entrusted to us


def test_a_number_is_absent_until_it_is_heard_of(ann: End, clock: Clock) -> None:
    assert ann.keys.contacts.absent_since(PN) == 0
    ann.keys.contacts.note_absent(PN)
    assert ann.keys.contacts.absent_since(PN) == int(clock.now)
    ann.keys.contacts.learn(PN, LID)
    assert ann.keys.contacts.absent_since(PN) == 0


def test_a_number_that_was_learnt_just_now_is_not_noted_as_absent(ann: End) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.keys.contacts.note_absent(PN)
    assert ann.keys.contacts.address(PN) == {"pn": PN, "lid": LID}
    assert ann.keys.contacts.absent_since(PN) == 0


def test_a_number_that_somebody_had_long_ago_is(ann: End, clock: Clock) -> None:
    ann.keys.contacts.learn(PN, LID)
    clock.now += 3600
    ann.keys.contacts.note_absent(PN)
    assert ann.keys.contacts.absent_since(PN) == int(clock.now)
    assert ann.keys.contacts.address(PN) == {"pn": PN, "lid": LID}


def test_a_token_is_found_under_both_names_whichever_was_told_first(ann: End) -> None:
    assert ann.keys.contacts.keep_token("1@lid", LID, b"token", 5)
    ann.keys.contacts.learn(PN, LID)
    for name in (PN, LID):
        assert (
            ann.keys.contacts.open_trust("1@lid", LID, ann.keys.contacts.address_item(name)).token == b"token"
        )
    ann.keys.contacts.note_issued(LID, 9)
    assert ann.keys.contacts.open_trust("1@lid", LID, ann.keys.contacts.address_item(PN)) == (b"token", 5, 9)


def test_a_token_stays_with_its_lid_when_the_number_moves_on(ann: End) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.keys.contacts.keep_token("1@lid", LID, b"token", 5)
    ann.keys.contacts.learn(PN, "300@lid")
    assert ann.keys.contacts.trust("1@lid", "300@lid").token is None
    assert ann.keys.contacts.open_trust("1@lid", "300@lid", ann.keys.contacts.address_item(PN)).token is None
    ann.keys.contacts.keep_token("1@lid", LID, b"newer", 6)
    assert ann.keys.contacts.open_trust("1@lid", "300@lid", ann.keys.contacts.address_item(PN)).token is None


def test_a_token_kept_while_the_names_are_joined_isn_t_lost(ann: End) -> None:
    ann.table.before = once("transact", lambda: ann.keys.contacts.keep_token("1@lid", LID, b"token", 5))
    ann.keys.contacts.learn(PN, LID)
    for name in (PN, LID):
        assert (
            ann.keys.contacts.open_trust("1@lid", LID, ann.keys.contacts.address_item(name)).token == b"token"
        )


def test_a_damaged_token_is_none_and_can_be_replaced(ann: End) -> None:
    ann.keys.contacts.keep_token("1@lid", LID, b"token", 5)
    key = (f"user#main#{LID}", "address")
    ann.table.table.put(Put(key, {"token": b"rubbish", "token_at": 5}))
    assert ann.keys.contacts.trust("1@lid", LID).token is None
    assert ann.keys.contacts.keep_token("1@lid", LID, b"token", 5)


def test_sessions_move_and_both_directions_go_on(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    assert bob.read(ann, ann.say(old_bob, b"by number")) == b"by number"
    ann.keys.contacts.learn(PN, LID)
    reservation = ann.keys.sending.reserve(ann.profile, PN)
    assert reservation.user == LID
    assert bob.read(ann, reservation.encrypt(0, ann.profile, b"by LID")) == b"by LID"
    assert ann.read(bob, bob.say(ann, b"answer")) == b"answer"


def test_nothing_stays_at_the_old_name_but_the_tombstone(ann: End, old_bob: End) -> None:
    ann.meet(old_bob)
    ann.keys.contacts.learn(PN, LID)
    items = ann.table.table.query(f"session#main.{ann.profile.incarnation}#{PN}")
    assert [(item["moved"], item.keys() - {"pk", "sk"}) for item in items] == [(LID, {"moved", "signpost"})]


def test_a_send_between_read_and_commit_of_the_move(ann: End, bob: End, old_bob: End) -> None:
    """No index is taken twice: what was reserved at the old name is counted at the new one."""
    ann.meet(old_bob)
    sent = [ann.say(old_bob, b"0")]
    ann.table.before = once("transact", lambda: sent.append(ann.say(old_bob, b"1")))
    ann.keys.contacts.learn(PN, LID)
    sent.append(ann.say(bob, b"2"))
    assert len({index_of(message) for message in sent}) == 3
    assert [bob.read(ann, message) for message in sent] == [b"0", b"1", b"2"]


def test_a_reservation_of_before_the_move_is_still_good(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    before = ann.reserve(old_bob)
    ann.keys.contacts.learn(PN, LID)
    after = ann.say(bob, b"after")
    assert bob.read(ann, after) == b"after"
    assert bob.read(ann, before.encrypt(0, ann.profile, b"before")) == b"before"


def test_a_session_under_the_lid_goes_on_and_the_other_stays_readable(
    ann: End, bob: End, old_bob: End
) -> None:
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"first session"))
    late = bob.say(ann, b"late, of the first session")
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"second session")) == b"second session"
    facts = ann.keys.sending.session_facts(ann.profile, LID, 0)
    ann.keys.contacts.learn(PN, LID)
    assert ann.keys.sending.session_facts(ann.profile, LID, 0).base_key == facts.base_key
    assert bob.read(ann, ann.say(bob, b"goes on")) == b"goes on"
    assert ann.read(bob, late) == b"late, of the first session"


def test_a_late_maker_follows_the_tombstone(ann: End, bob: End, old_bob: End) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.meet(old_bob)
    assert ann.reserve(bob).chains.keys() == {0}
    assert ann.reserve(old_bob).user == LID


def test_tombstones_that_lead_in_a_circle_are_damage_and_hold_nobody(ann: End) -> None:
    """As an old tombstone may that somebody puts back."""
    ann.keys.contacts.learn(PN, LID)
    for name, to in ((PN, LID), (LID, PN)):
        key = outbound_key("main", ann.profile.incarnation, name)
        ann.table.table.put(Put(key, signpost_to(ann.keys.sending._context, key, to)))
    with pytest.raises(DamagedRecord):
        ann.keys.sending.session_facts(ann.profile, PN, 0)
    with pytest.raises(NoOutbound):
        ann.keys.sending.reserve(ann.profile, PN)


def test_a_maker_who_read_before_the_move_loses(ann: End, bob: End, old_bob: End) -> None:
    ann.table.before = once("transact", lambda: ann.keys.contacts.learn(PN, LID))
    ann.meet(old_bob)
    assert ann.keys.sending.reserve(ann.profile, PN).user == LID


def test_a_device_that_joins_between_read_and_commit_moves_too(ann: End, bob: End, old_bob: End) -> None:
    a_device_that_joins_between_read_and_commit_moves_too(ann, bob, old_bob)


def test_a_message_to_the_old_name_is_read_at_the_new_one(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"hello"))
    ann.keys.contacts.learn(PN, LID)
    message = bob.say(ann, b"answer")
    received = ann.hear(old_bob, message, "S1")
    assert (received.plaintext, received.user) == (b"answer", LID)
    assert ann.hear(bob, message, "S1").repeated


def test_what_was_read_before_the_move_is_known_after_it(ann: End, bob: End, old_bob: End) -> None:
    """Decrypted under the number, crashed before it was handled, redelivered under the LID."""
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"hello"))
    message = bob.say(ann, b"answer")
    ann.hear(old_bob, message, "S1")
    ann.keys.contacts.learn(PN, LID)
    again = ann.hear(bob, message, "S1")
    assert (again.plaintext, again.repeated) == (b"answer", True)


@pytest.mark.parametrize("place", ["get", "get_many", "transact"])
def test_a_message_that_meets_the_move_is_read(ann: End, bob: End, old_bob: End, place: str) -> None:
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"hello"))
    ann.keys.sending.mark_stale(ann.profile, PN, 0)
    ann.table.before = once(place, lambda: ann.keys.contacts.learn(PN, LID))
    assert ann.read(old_bob, bob.say(ann, b"answer")) == b"answer"


def test_a_failure_around_the_move_is_not_believed(ann: End, bob: End, old_bob: End) -> None:
    """The outbound item was read before the sessions moved, the receiving half after it."""
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"hello"))
    ann.keys.sending.mark_stale(ann.profile, PN, 0)
    old = ann.outbound(old_bob)
    ann.keys.contacts.learn(PN, LID)
    moved = ann.outbound(old_bob)
    key = (str(old["pk"]), "outbound")
    ann.table.before = once("get_many", lambda: ann.table.table.put(Put(key, old)))
    ann.table.after = once("get_many", lambda: ann.table.table.put(Put(key, moved)))
    assert ann.read(old_bob, bob.say(ann, b"answer")) == b"answer"


def test_a_lost_answer_of_the_move(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    ann.table.after = once("transact", raising(OutcomeUnknown()))
    ann.keys.contacts.learn(PN, LID)
    assert bob.read(ann, ann.say(bob, b"moved once")) == b"moved once"


def test_a_number_that_went_to_another_person_takes_no_session_along(
    ann: End, bob: End, old_bob: End
) -> None:
    ann.meet(old_bob)
    ann.keys.contacts.learn(PN, LID)
    ann.keys.contacts.learn(PN, "999@lid")
    with pytest.raises(NoOutbound):
        ann.keys.sending.reserve(ann.profile, PN)
    assert ann.reserve(bob).user == LID
    assert ann.keys.contacts.address(PN) == {"pn": PN, "lid": "999@lid"}


def test_a_damaged_session_is_left_behind(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    key = (f"session#main.{ann.profile.incarnation}#{PN}", "inbound#0")
    item = dict(ann.table.table.get(key) or {})
    from tocsin.dynamo.writes import Update

    ann.table.table.update(Update(key, set={"states": bytes(item["states"])[:-3]}))
    ann.keys.contacts.learn(PN, LID)
    assert len(ann.damages) >= 1
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"anew")) == b"anew"


def test_the_chain_keeps_its_indexes_across_the_move(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    before = [index_of(ann.say(old_bob, b"x")) for _ in range(5)]
    ann.keys.contacts.learn(PN, LID)
    after = [index_of(ann.say(bob, b"x")) for _ in range(3)]
    assert before + after == list(range(8))


def test_simultaneous_first_messages_under_two_names(ann: End, bob: End, old_bob: End) -> None:
    """Ann wrote to the number; Bob's first message came from his LID. Then she learns who he is."""
    ann.meet(old_bob)
    bob.meet(ann)
    to_bob, to_ann = ann.say(old_bob, b"to bob"), bob.say(ann, b"to ann")
    assert ann.read(bob, to_ann) == b"to ann"
    ann.keys.contacts.learn(PN, LID)
    assert bob.read(ann, to_bob) == b"to bob"
    assert isinstance(ann.say(bob, b"x"), Ciphertext)
    for text in (b"1", b"2", b"3"):
        assert bob.read(ann, ann.say(bob, text)) == text
        assert ann.read(bob, bob.say(ann, text)) == text


def test_conversing_after_the_move(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    bob.read(ann, ann.say(old_bob, b"hello"))
    ann.keys.contacts.learn(PN, LID)
    for _ in range(5):
        converse(ann, bob)
