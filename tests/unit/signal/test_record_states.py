"""Several sessions with one device: which one is current, which ones are kept, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.signal_peers import DAY, NOW, Person, acquainted, strangers, turn
from tocsin.signal import session
from tocsin.signal.errors import BadMac, Duplicate, FutureMessage, NoSession
from tocsin.signal.state import Record


def assert_talking(ada: Person, ben: Person) -> None:
    """Both directions work, several times over."""
    for text in ("one", "two"):
        assert ben.hear(ada.say(text)) == text
        assert ada.hear(ben.say(text)) == text


def assert_same_session(ada: Person, ben: Person) -> None:
    assert ada.current.base_key == ben.current.base_key


def test_both_begin_at_once_and_still_understand_each_other() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle())
    ben.start(ada.bundle())
    from_ada, from_ben = ada.say("hello ben"), ben.say("hello ada")
    assert ben.hear(from_ada) == "hello ben"
    assert ada.hear(from_ben) == "hello ada"
    assert_talking(ada, ben)
    assert_same_session(ada, ben)


def test_both_begin_at_once_with_several_messages_each_way() -> None:
    """The stock library loses both directions here: it changes a session that it only tries."""
    ada, ben = strangers()
    ada.start(ben.bundle())
    ben.start(ada.bundle())
    from_ada = [ada.say(f"a{n}") for n in range(4)]
    from_ben = [ben.say(f"b{n}") for n in range(4)]
    for message, text in zip(reversed(from_ada), ("a3", "a2", "a1", "a0"), strict=True):
        assert ben.hear(message) == text
    for message, text in zip(from_ben, ("b0", "b1", "b2", "b3"), strict=True):
        assert ada.hear(message) == text
    assert_talking(ada, ben)


def test_a_late_message_of_an_archived_session_after_the_new_one_was_used_both_ways() -> None:
    """AccountStatus regression: trying it must not advance the current session, nor end either direction."""
    ada, ben = acquainted()
    late = ada.say("late")
    ada.start(ben.bundle(prekey_id=2))
    assert_talking(ada, ben)
    current = ben.current
    opened = ben.decrypt(late)
    assert (opened.plaintext, opened.promoted, opened.turned) == (b"late", True, True)
    assert current.base_key in {state.base_key for state in ben.record.archived}
    archived = next(state for state in ben.record.archived if state.base_key == current.base_key)
    assert replace(archived, archived=None) == current
    assert_talking(ben, ada)
    assert_same_session(ada, ben)


def test_a_message_of_an_archived_session_promotes_it() -> None:
    ada, ben = acquainted()
    before = ben.current.base_key
    late = ada.say("late")
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("in the new session"))
    assert ben.current.base_key != before
    assert ben.decrypt(late).promoted
    assert ben.current.base_key == before
    assert ben.current.archived is None
    assert [state.archived for state in ben.record.archived] == [NOW]


def test_a_promoted_state_leaves_no_copy_that_a_replay_could_wake() -> None:
    ada, ben = acquainted()
    late = ada.say("late")
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("in the new session"))
    ben.hear(late)
    keys = [state.base_key for state in ben.record.states]
    assert len(keys) == len(set(keys)) == 2
    with pytest.raises(Duplicate):
        ben.decrypt(late)
    assert ben.hear(ada.say("and on")) == "and on"


def test_a_promoted_state_without_a_new_ratchet_key_sends_on_where_it_was() -> None:
    ada, ben = acquainted()
    ben.hear(ada.say("one"))
    first, late = ben.say("x"), ada.say("late")
    used, chain = ben.current.used, ben.current.sending
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("in the new session"))
    ben.hear(late)
    assert (ben.current.used, ben.current.sending) == (used, chain)
    assert ada.hear(ben.say("y")) == "y"
    assert ada.hear(first) == "x"


def test_a_failed_message_of_no_session_promotes_nothing() -> None:
    ada, ben = acquainted()
    late = ada.say("late")
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("new"))
    before = ben.record
    with pytest.raises(BadMac):
        ben.decrypt(late._replace(body=late.body[:-1] + bytes((late.body[-1] ^ 1,))))
    assert ben.record == before
    assert ben.decrypt(late).promoted


def test_an_archived_session_sends_nothing_and_hears_everything() -> None:
    ada, ben = acquainted()
    message = ada.say("still here")
    ben.record = session.archive_current(ben.record, NOW)
    assert ben.record.current is None
    with pytest.raises(NoSession):
        ben.say("no")
    assert ben.hear(message) == "still here"
    assert_talking(ben, ada)


def test_a_pkmsg_repeats_until_the_answer_and_names_the_same_prekeys() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=4))
    messages = [session.parse(*ada.say("hello?")) for _ in range(3)]
    assert {(message.prekey_id, message.base_key) for message in messages} == {(4, ada.current.base_key)}
    acquainted_ada, acquainted_ben = acquainted()
    assert acquainted_ada.say("no longer").type == "msg"
    assert acquainted_ben.say("nor here").type == "msg"


def test_a_new_identity_is_accepted_with_its_first_message_and_supersedes_the_old() -> None:
    ada, ben = acquainted()
    old = ada.identity
    late = ada.say("sent before the reinstall")
    ada.reinstall()
    ada.start(ben.bundle(prekey_id=2))
    opened = ben.decrypt(ada.say("new phone"))
    assert opened.identity_change == (old, ada.identity)
    assert ben.record.identity == ada.identity
    assert ben.record.superseded == (old,)
    opened = ben.decrypt(late)
    assert (opened.plaintext, opened.promoted, opened.turned) == (b"sent before the reinstall", False, False)
    assert ben.current.remote_identity == ada.identity
    assert_talking(ben, ada)


def test_an_identity_that_only_claims_itself_changes_nothing() -> None:
    _, ben = acquainted()
    impostor = Person("eve", 33)
    impostor.start(ben.bundle(prekey_id=2))
    message = impostor.say("I'm ada now")
    damaged = message._replace(body=message.body[:100] + bytes((message.body[100] ^ 1,)) + message.body[101:])
    before = ben.record
    with pytest.raises((BadMac, FutureMessage)):
        ben.decrypt(damaged)
    assert ben.record == before


def test_a_late_first_message_of_a_superseded_identity_is_read_and_never_answered() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=1))
    ben.hear(ada.say("hello"))
    old_ada = Person("ada", 11)
    old_ada.local, old_ada.record = ada.local, None
    old_ada.entropy(1)
    old_ada.start(ben.bundle(prekey_id=2))
    late = old_ada.say("late and first")
    ada.reinstall()
    ada.start(ben.bundle(prekey_id=3))
    ben.hear(ada.say("new phone"))
    opened = ben.decrypt(late)
    assert (opened.plaintext, opened.new_session, opened.turned) == (b"late and first", True, False)
    assert (opened.consumed_prekey, opened.identity_change) == (2, None)
    assert ben.current.remote_identity == ada.identity
    with pytest.raises(Duplicate):
        ben.decrypt(late)


def test_an_identity_that_the_server_gives_again_is_no_longer_superseded() -> None:
    ada, ben = acquainted()
    first = ada.bundle(prekey_id=2)
    ada.reinstall()
    second = ada.bundle(prekey_id=2)
    ben.start(second)
    assert ben.record.superseded == (first.identity,)
    ben.start(first)
    assert ben.record.superseded == (second.identity,)
    assert ben.record.identity == first.identity


def test_forty_archived_states_are_kept() -> None:
    ada, ben = acquainted()
    oldest = ben.say("of the first session")
    for _ in range(40):
        ada.start(ben.bundle(prekey_id=None))
        ben.hear(ada.say("again"))
    assert len(ben.record.states) == 41
    assert len(ada.record.states) == 41
    ada.start(ben.bundle(prekey_id=None))
    assert len(ada.record.states) == 41
    with pytest.raises((BadMac, Duplicate)):
        ada.decrypt(oldest)


def test_archived_states_are_kept_for_thirty_days() -> None:
    ada, ben = acquainted()
    ada.start(ben.bundle(prekey_id=2))
    ben.hear(ada.say("new"))
    ben.now = NOW + 30 * DAY
    ben.record = session.archive_current(ben.record, ben.now)
    assert len(ben.record.states) == 2
    ben.now += 1
    ben.hear(ada.say("and back"))
    assert [state.archived for state in ben.record.states] == [None]


def test_a_replayed_first_message_of_a_dropped_state_founds_nothing() -> None:
    ada, ben = strangers()
    ada.start(ben.bundle(prekey_id=None))
    first = ada.say("first")
    ben.hear(first)
    ada.start(ben.bundle(prekey_id=None))
    ben.hear(ada.say("new"))
    ben.now = NOW + 31 * DAY
    ben.record = session.archive_current(ben.record, ben.now)
    assert len(ben.record.states) == 1
    before = ben.record
    with pytest.raises(Duplicate):
        ben.decrypt(first)
    assert ben.record == before


def test_forty_evicted_ratchet_keys_are_remembered() -> None:
    ada, ben = acquainted()
    turn(ada, ben, times=60)
    assert len(ben.record.evicted) == 40
    assert len(ben.current.receiving) == 5


def test_merging_keeps_the_current_session_and_hears_the_other() -> None:
    """One device under two addresses: what was heard under either is heard under both."""
    ada, ben = acquainted()
    under_number, late = ben.record, ada.say("under the number")
    ada.start(ben.bundle(prekey_id=2))
    ben.record = None
    ben.hear(ada.say("under the other name"))
    merged = session.merge(ben.record, under_number, NOW)
    assert merged.current == ben.current
    assert len(merged.states) == 2
    ben.record = merged
    assert ben.hear(late) == "under the number"
    assert_talking(ben, ada)


def test_merging_into_a_record_without_current_session_takes_the_other_one() -> None:
    _, ben = acquainted()
    merged = session.merge(Record(), ben.record, NOW)
    assert merged == ben.record
