"""Receiving: each readable message is read, exactly once, whatever crashes, races or repeats."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, End, converse, once, raising
from tocsin.keys.errors import OtherPairing
from tocsin.signal.errors import BadMac, Duplicate, InvalidMessage, NoPreKey, NoSession
from tocsin.signal.session import Ciphertext
from tocsin.tables.keys import retry_key, stanza_key


class Crash(Exception):
    """The Lambda ends here."""


def test_a_first_message_makes_a_session_and_spends_its_prekey(ann: End, bob: End) -> None:
    ann.meet(bob)
    received = bob.hear(ann, ann.say(bob, b"hello"))
    assert (received.plaintext, received.new_session, received.used_prekey) == (b"hello", True, True)
    assert bob.keys.account.prekey_count() == 0
    assert ann.read(bob, bob.say(ann, b"back")) == b"back"


def test_in_a_known_chain_the_outbound_item_is_left_alone(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    ann.read(bob, bob.say(ann, b"first of a chain"))
    before = ann.outbound(bob)
    assert ann.read(bob, bob.say(ann, b"second of it")) == b"second of it"
    assert ann.outbound(bob) == before


def test_a_repeated_stanza_yields_the_stored_text_until_it_was_handled(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.hear(ann, message, "S1")
    again = bob.hear(ann, message, "S1")
    assert (again.plaintext, again.repeated) == (b"hello", True)
    bob.keys.receiving.mark_handled(again)
    handled = bob.hear(ann, message, "S1")
    assert (handled.plaintext, handled.repeated) == (None, True)


def test_handling_forgets_the_text(ann: End, bob: End) -> None:
    ann.meet(bob)
    received = bob.hear(ann, ann.say(bob, b"hello"))
    assert "text" in (bob.table.get(received.key) or {})
    bob.keys.receiving.mark_handled(received)
    assert "text" not in (bob.table.get(received.key) or {})


def test_a_crash_after_the_commit_loses_nothing(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.table.after = once("transact", raising(Crash()))
    with pytest.raises(Crash):
        bob.hear(ann, message, "S1")
    assert bob.hear(ann, message, "S1").plaintext == b"hello"


def test_a_crash_before_the_commit_changes_nothing(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.table.before = once("transact", raising(Crash()))
    with pytest.raises(Crash):
        bob.hear(ann, message, "S1")
    assert bob.keys.account.prekey_count() == 1
    assert bob.hear(ann, message, "S1").repeated is False


def test_the_same_ciphertext_in_another_stanza_is_a_duplicate(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.hear(ann, message, "S1")
    with pytest.raises(Duplicate):
        bob.hear(ann, message, "S2")


def test_a_resend_under_the_same_stanza_id_is_read(ann: End, bob: End) -> None:
    ann.meet(bob)
    assert bob.hear(ann, ann.say(bob, b"once"), "S1").plaintext == b"once"
    assert bob.hear(ann, ann.say(bob, b"twice"), "S1").plaintext == b"twice"


def test_a_twin_that_was_faster_makes_no_duplicate(ann: End, bob: End) -> None:
    """Two Lambdas have the same stanza; the other one commits while we are about to."""
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.table.before = once("transact", lambda: bob.hear(ann, message, "S1"))
    received = bob.hear(ann, message, "S1")
    assert (received.plaintext, received.repeated) == (b"hello", True)


def test_a_twin_between_our_look_at_the_stanza_and_at_the_session(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    bob.table.before = once("get_many", lambda: bob.hear(ann, message, "S1"))
    received = bob.hear(ann, message, "S1")
    assert (received.plaintext, received.repeated) == (b"hello", True)


@pytest.mark.parametrize("place", ["get", "get_many", "transact"])
def test_two_first_messages_of_one_session_race_for_its_prekey(ann: End, bob: End, place: str) -> None:
    """Both name the one-time prekey. The loser finds the session there, and needs no prekey."""
    ann.meet(bob)
    first, second = ann.say(bob, b"first"), ann.say(bob, b"second")
    bob.table.before = once(place, lambda: bob.hear(ann, first, "S1"))
    assert bob.hear(ann, second, "S2").plaintext == b"second"
    assert bob.read(ann, ann.say(bob, b"third")) == b"third"


def test_one_prekey_makes_one_session(ann: End, bob: End) -> None:
    """A server that hands one prekey out twice."""
    carl = End("300@lid", clock=ann.clock)
    bundle = bob.bundle()
    for end in (ann, carl):
        end.keys.sending.make_sessions(end.profile, end.credentials, bob.user, {0: bundle}, devices=[0])
    bob.table.before = once("transact", lambda: bob.hear(ann, ann.say(bob, b"winner"), "S1"))
    with pytest.raises(NoPreKey):
        bob.hear(carl, carl.say(bob, b"loser"), "S2")


def test_a_bad_mac_changes_nothing(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    message = ann.say(bob, b"hello")
    damaged = Ciphertext(message.type, message.body[:-1] + bytes([message.body[-1] ^ 1]))
    bob.table.requests.clear()
    with pytest.raises(BadMac):
        bob.hear(ann, damaged, "S1")
    assert "transact" not in bob.table.requests
    assert bob.hear(ann, message, "S1").plaintext == b"hello"


def test_a_forged_first_message_spends_nothing_and_replaces_no_session(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    mallory = End(ann.user, device=ann.device, clock=ann.clock)
    mallory.meet(bob)
    message = mallory.say(bob, b"I am Ann")
    forged = Ciphertext(message.type, message.body[:-20] + bytes(20))
    with pytest.raises((BadMac, InvalidMessage)):
        bob.hear(ann, forged)
    assert bob.keys.account.prekey_count() == 1
    assert bob.read(ann, ann.say(bob, b"still me")) == b"still me"


def test_nothing_is_known_of_the_sender(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    stranger = End("400@lid", clock=ann.clock)
    with pytest.raises(NoSession):
        stranger.hear(ann, ann.say(bob, b"for bob"))


def test_a_prekey_that_we_do_not_hold(ann: End, bob: End) -> None:
    ann.meet(bob)
    bob.credentials = bob.keys.account.reset_sessions()
    with pytest.raises(NoPreKey):
        bob.hear(ann, ann.say(bob, b"with a prekey of before"))


def test_a_stanza_of_another_pairing_is_refused(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"hello")
    with pytest.raises(OtherPairing):
        bob.keys.receiving.receive(1, bob.credentials, ann.user, 3, "S1", message.type, message.body)


def test_a_reinstalled_peer_is_accepted_once_its_message_proved_itself(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    reinstalled = End(ann.user, device=ann.device, clock=ann.clock)
    reinstalled.credentials = reinstalled.keys.account.renew()
    reinstalled.credentials = reinstalled.keys.account.save_pairing(
        jid="100:3@s.whatsapp.net", lid="100:3@lid", device_identity=b"new"
    )
    reinstalled.meet(bob)
    received = bob.hear(reinstalled, reinstalled.say(bob, b"new phone"))
    assert received.identity_change == (
        ann.credentials.identity.public,
        reinstalled.credentials.identity.public,
    )
    assert reinstalled.read(bob, bob.say(ann, b"welcome")) == b"welcome"


def test_both_sent_first_and_both_go_on(ann: End, bob: End) -> None:
    """Simultaneous first messages: two sessions, promoted and archived, and nothing lost for 20 rounds."""
    ann.meet(bob)
    bob.meet(ann)
    for round_ in range(20):
        text = b"round %d" % round_
        one, other = ann.say(bob, text), bob.say(ann, text)
        assert (ann.read(bob, other), bob.read(ann, one)) == (text, text)


def test_a_late_message_of_an_archived_session_harms_no_current_one(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    late = ann.say(bob, b"late")
    ann.meet(bob, replace=frozenset({bob.device}))
    assert bob.read(ann, ann.say(bob, b"new session")) == b"new session"
    assert bob.read(ann, late) == b"late"
    for text in (b"on", b"and on"):
        assert bob.read(ann, ann.say(bob, text)) == text
        assert ann.read(bob, bob.say(ann, text)) == text


def test_a_promoted_chain_goes_on_where_it_stopped(ann: End, bob: End) -> None:
    """No index of a chain that was archived and came back is used again."""
    ann.meet(bob)
    converse(ann, bob)
    bob.read(ann, ann.say(bob, b"1"))
    old = bob.say(ann, b"old session")
    assert ann.read(bob, bob.say(ann, b"known chain")) == b"known chain"
    used = [ann.say(bob, b"a"), ann.say(bob, b"b")]
    ann.meet(bob, replace=frozenset({bob.device}))
    ann.say(bob, b"in the new session, never delivered")
    # Ann's old session decrypts without a new ratchet key: it is current again, with its old chain.
    assert ann.read(bob, old) == b"old session"
    again = ann.say(bob, b"c")
    assert again.type == "msg"
    assert [bob.read(ann, message) for message in (*used, again)] == [b"a", b"b", b"c"]


def test_a_text_beyond_an_item_is_cut_to_what_will_be_handled(ann: End, bob: End) -> None:
    ann.meet(bob)
    message = ann.say(bob, b"text" + bytes(300_000))
    received = bob.keys.receiving.receive(
        bob.profile,
        bob.credentials,
        ann.user,
        ann.device,
        "S1",
        message.type,
        message.body,
        abridge=lambda text: text[:4],
        voucher=ann.voucher,
        account_key=ann.account_key,
    )
    assert len(received.plaintext or b"") == 300_004
    assert bob.hear(ann, message, "S1").plaintext == b"text"


def test_stanza_records_expire_after_14_days(ann: End, bob: End) -> None:
    ann.meet(bob)
    received = bob.hear(ann, ann.say(bob, b"hello"))
    assert (bob.table.get(received.key) or {})["expire_at"] == NOW + 14 * 86400


class TestRetryCount:
    def test_it_counts_per_stanza_and_sender(self, ann: End) -> None:
        counts = [ann.keys.receiving.count_retry(ann.profile, "200@lid", 0, "S1") for _ in range(3)]
        assert counts == [1, 2, 3]
        assert ann.keys.receiving.count_retry(ann.profile, "200@lid", 0, "S2") == 1
        assert ann.keys.receiving.count_retry(ann.profile, "200@lid", 1, "S1") == 1

    def test_it_starts_from_what_the_sender_counted(self, ann: End) -> None:
        assert ann.keys.receiving.count_retry(ann.profile, "200@lid", 0, "S1", at_least=3) == 3
        assert ann.keys.receiving.count_retry(ann.profile, "200@lid", 0, "S1", at_least=2) == 4


@pytest.mark.parametrize("stanza_id", ["A#0123", "A%23", "#", "x" * 5000])
def test_no_stanza_id_can_stand_for_another_item(stanza_id: str) -> None:
    pk, sk = stanza_key("a", 1, "1@lid", 0, stanza_id, "d" * 32)
    assert sk.count("#") == 2
    assert len(sk) < 1024
    assert retry_key("a", 1, "1@lid", 0, stanza_id) == (pk, sk.rpartition("#")[0])
