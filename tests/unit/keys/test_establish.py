"""Making, renewing and ending sessions: one winner, nothing lost, a damaged one replaced."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.key_peers import NOW, End, converse, once
from tests.support.key_stories import a_session_that_was_made_without_our_knowledge_is_not_made_twice
from tocsin.dynamo.table import Conflict
from tocsin.dynamo.writes import Update
from tocsin.keys.errors import NoOutbound, OtherPairing
from tocsin.keys.maintenance import Limits
from tocsin.keys.sessions import read_sessions
from tocsin.keys.turn import Turn
from tocsin.signal.errors import BadSignature, Duplicate, NoSession
from tocsin.signal.session import Ciphertext
from tocsin.signal.state import Record
from tocsin.tables.keys import inbound_key, outbound_key


def damage(end: End, peer: End, where: str, attribute: str) -> None:
    """Flip a bit of what is stored."""
    incarnation = end.profile.incarnation
    if where == "outbound":
        key = outbound_key("main", incarnation, peer.user)
    else:
        key = inbound_key("main", incarnation, peer.user, peer.device)
    value = (end.table.table.get(key) or {})[attribute]
    assert isinstance(value, bytes)
    end.table.table.update(Update(key, set={attribute: value[:-1] + bytes([value[-1] ^ 1])}))


def facts(end: End, peer: End):
    return end.keys.sending.session_facts(end.profile, peer.user, peer.device)


def test_a_first_session_is_one_read_and_one_transaction(ann: End, bob: End) -> None:
    bundle = bob.bundle()
    ann.table.requests.clear()
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, bob.user, {0: bundle}, devices=[0])
    assert ann.table.requests == ["query", "transact"]


def test_the_device_list_counts_as_checked(ann: End, bob: End) -> None:
    ann.meet(bob)
    assert ann.reserve(bob).checked_at == NOW


def test_two_makers_make_one_session(ann: End, bob: End) -> None:
    """The loser drops its bundle and uses the winner's session."""
    ann.table.before = once("transact", lambda: ann.meet(bob))
    ann.meet(bob)
    winner = facts(ann, bob)
    assert winner is not None
    assert bob.read(ann, ann.say(bob, b"hello")) == b"hello"
    ann.meet(bob)
    assert facts(ann, bob).base_key == winner.base_key


def test_two_who_replace_make_one_session(ann: End, bob: End) -> None:
    ann.meet(bob)
    replace = frozenset({bob.device})
    made = []

    def other() -> None:
        ann.meet(bob, replace=replace)
        made.append(facts(ann, bob).base_key)

    ann.table.before = once("transact", other)
    ann.meet(bob, replace=replace)
    assert facts(ann, bob).base_key == made[0]


def test_a_new_device_joins_without_touching_the_others(ann: End, bob: End) -> None:
    ann.meet(bob)
    before = ann.outbound(bob)
    tablet = End(bob.user, device=5, clock=ann.clock, phone=bob)
    ann.reserve(bob)
    bundles = {0: bob.bundle(), 5: tablet.bundle()}
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, bob.user, bundles, devices=[0, 5])
    after = ann.outbound(bob)
    assert (after["chain#0"], after["tag#0"]) == (before["chain#0"], before["tag#0"])
    reservation = ann.reserve(bob)
    assert [reservation.chains[device].index_of(reservation.number) for device in (0, 5)] == [1, 0]


def test_a_device_that_left_gets_nothing_more_and_is_still_read(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    late = bob.say(ann, b"my last words")
    ann.keys.sending.touch_device_list(ann.profile, bob.user, [7])
    assert ann.reserve(bob).chains == {}
    assert ann.read(bob, late) == b"my last words"


def test_checking_an_unchanged_list_is_one_read_and_one_write(ann: End, bob: End) -> None:
    ann.meet(bob)
    ann.clock.now += 86400
    ann.table.requests.clear()
    ann.keys.sending.touch_device_list(ann.profile, bob.user, [0])
    assert ann.table.requests == ["query", "update"]
    assert ann.reserve(bob).checked_at == NOW + 86400


def test_checking_the_list_of_a_stranger_is_nothing(ann: End, bob: End) -> None:
    ann.keys.sending.touch_device_list(ann.profile, bob.user, [0])
    with pytest.raises(NoOutbound):
        ann.reserve(bob)


def test_a_bad_bundle_holds_up_no_other_device(ann: End, bob: End) -> None:
    good = bob.bundle()
    bad = dataclasses.replace(End(bob.user, device=5, phone=bob).bundle(), signed_prekey_signature=bytes(64))
    refused = ann.keys.sending.make_sessions(
        ann.profile, ann.credentials, bob.user, {0: good, 5: bad}, devices=[0, 5]
    )
    assert {device: type(error) for device, error in refused.items()} == {5: BadSignature}
    assert list(ann.reserve(bob).chains) == [0]


class TestRebuild:
    def test_the_new_session_is_born_at_its_fence(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        numbers = [ann.reserve(bob).number for _ in range(3)]
        ann.keys.sending.rebuild(
            ann.profile, ann.credentials, bob.user, 0, bob.bundle(), seen=facts(ann, bob)
        )
        assert facts(ann, bob).born == numbers[-1] + 1
        assert facts(ann, bob).rebuilt == NOW

    def test_ten_receipts_of_one_break_make_one_session(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        seen = facts(ann, bob)
        bundles = [bob.bundle() for _ in range(10)]
        rebuilt = [
            ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bundle, seen=seen)
            for bundle in bundles
        ]
        assert rebuilt == [True] + [False] * 9

    def test_without_a_bundle_that_verifies_the_old_session_stays(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        seen = facts(ann, bob)
        bad = dataclasses.replace(bob.bundle(), signed_prekey_signature=bytes(64))
        with pytest.raises(BadSignature):
            ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bad, seen=seen)
        assert facts(ann, bob) == seen

    def test_where_no_session_was_it_makes_the_first(self, ann: End, bob: End) -> None:
        assert facts(ann, bob) is None
        assert ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bob.bundle())
        assert bob.read(ann, ann.say(bob, b"hello")) == b"hello"

    def test_what_was_sent_before_stays_readable(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        converse(ann, bob)
        late = bob.say(ann, b"late")
        ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bob.bundle())
        assert ann.read(bob, late) == b"late"


class TestMarkStale:
    def test_the_next_send_needs_a_session(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        assert ann.keys.sending.mark_stale(ann.profile, bob.user, 0)
        assert ann.reserve(bob).in_need([0]) == [0]

    def test_once_an_hour(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        assert ann.keys.sending.mark_stale(ann.profile, bob.user, 0)
        ann.meet(bob)
        assert not ann.keys.sending.mark_stale(ann.profile, bob.user, 0)
        ann.clock.now += 3601
        assert ann.keys.sending.mark_stale(ann.profile, bob.user, 0)

    def test_a_stranger_has_nothing_to_be_archived(self, ann: End, bob: End) -> None:
        assert not ann.keys.sending.mark_stale(ann.profile, bob.user, 0)

    def test_the_peer_is_still_read_and_brings_the_session_back(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        converse(ann, bob)
        ann.keys.sending.mark_stale(ann.profile, bob.user, 0)
        assert ann.read(bob, bob.say(ann, b"are you there?")) == b"are you there?"
        assert bob.read(ann, ann.say(bob, b"yes")) == b"yes"


def test_a_removed_device_is_forgotten(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    ann.keys.sending.remove_device(ann.profile, bob.user, 0)
    with pytest.raises(NoSession):
        ann.read(bob, Ciphertext("msg", bob.say(ann, b"gone").body))
    assert ann.reserve(bob).chains == {}
    assert ann.keys.upkeep.view(ann.profile, bob.user).devices == ()
    ann.keys.sending.remove_device(ann.profile, bob.user, 0)


def test_what_a_removed_device_sent_is_a_duplicate_when_it_comes_again(ann: End, bob: End) -> None:
    """Its first message too, under a stanza id of its own, which spends no one-time prekey."""
    bob.keys.sending.make_sessions(
        bob.profile,
        bob.credentials,
        ann.user,
        {3: ann.bundle(prekey=False)},
        devices=[3],
        account_key=ann.account_key,
    )
    first, second = bob.say(ann, b"STOP"), bob.say(ann, b"second")
    assert ann.read(bob, first) == b"STOP"
    assert ann.read(bob, second) == b"second"
    ann.keys.sending.remove_device(ann.profile, bob.user, 0)
    for message in (first, second):
        with pytest.raises(Duplicate):
            ann.read(bob, message)


def test_twin_that_deletes_a_removed_device_reads_its_first_message_again(
    ann: End, bob: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turn, "forget", lambda turn, device, record: turn.drop(device))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_what_a_removed_device_sent_is_a_duplicate_when_it_comes_again(ann, bob)


def test_nothing_secret_is_kept_of_a_removed_device(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    before = record_of(ann, bob)
    ann.keys.sending.remove_device(ann.profile, bob.user, 0)
    after = record_of(ann, bob)
    assert not secrets_in(before) & secrets_in(after)


def record_of(ann: End, bob: End) -> Record:
    sessions = read_sessions(ann.keys._context, ann.profile.incarnation, bob.user, bob.device)
    record = sessions.record(bob.device, sessions.next or 0)
    assert record is not None
    return record


def secrets_in(record: Record) -> set[bytes]:
    return {
        secret
        for state in record.states
        for secret in (
            state.root_key,
            state.ratchet.private,
            state.sending.chain_key,
            *(chain.chain_key for chain in state.receiving),
            *(seed for chain in state.receiving for _, seed in chain.skipped),
        )
    }


def test_a_removed_device_is_dropped_after_30_days(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    ann.keys.sending.remove_device(ann.profile, bob.user, 0)
    for days in (29, 33, 66):
        ann.clock.now = NOW + days * 86400
        ann.keys.upkeep.tend(ann.profile, bob.user, Limits())
    assert read_sessions(ann.keys._context, ann.profile.incarnation, bob.user).inbounds == {}


class TestDamage:
    """A record that can't be what was written there is reported with its key, and replaced."""

    @pytest.mark.parametrize("attribute", ["chain#0", "tag#0"])
    def test_a_damaged_chain_is_no_session(self, ann: End, bob: End, attribute: str) -> None:
        ann.meet(bob)
        damage(ann, bob, "outbound", attribute)
        assert ann.reserve(bob).in_need([0]) == [0]
        assert [(found.sk, found.attribute) for found in ann.damages] == [("outbound", "chain#0")]
        ann.meet(bob)
        assert bob.read(ann, ann.say(bob, b"replaced")) == b"replaced"

    def test_with_a_damaged_chain_the_peer_is_still_read(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        converse(ann, bob)
        bob.read(ann, ann.say(bob, b"so that bob turns"))
        damage(ann, bob, "outbound", "chain#0")
        assert ann.read(bob, bob.say(ann, b"still here")) == b"still here"
        assert bob.read(ann, ann.say(bob, b"turned, so healed")) == b"turned, so healed"

    def test_a_lost_chain_that_comes_back_refuses_to_send(self, ann: End, bob: End) -> None:
        """Archived with its damaged chain and promoted without a turn: it must not encrypt."""
        ann.meet(bob)
        converse(ann, bob)
        bob.read(ann, ann.say(bob, b"so that bob turns"))
        known, late = bob.say(ann, b"known"), bob.say(ann, b"late")
        ann.read(bob, known)
        damage(ann, bob, "outbound", "chain#0")
        ann.meet(bob)
        assert ann.read(bob, late) == b"late"
        assert ann.reserve(bob).in_need([0]) == [0]
        ann.meet(bob)
        assert bob.read(ann, ann.say(bob, b"made anew")) == b"made anew"

    @pytest.mark.parametrize("attribute", ["states", "tag"])
    def test_a_damaged_receiving_half_asks_for_a_new_session(
        self, ann: End, bob: End, attribute: str
    ) -> None:
        ann.meet(bob)
        converse(ann, bob)
        damage(ann, bob, "inbound", attribute)
        with pytest.raises(NoSession):
            ann.read(bob, bob.say(ann, b"unreadable"))
        assert [(found.sk, found.attribute) for found in ann.damages] == [("inbound#0", "states")]
        bob.meet(ann, replace=frozenset({ann.device}))
        assert ann.read(bob, bob.say(ann, b"unreadable, again")) == b"unreadable, again"

    def test_a_damaged_receiving_half_is_replaced_by_the_next_session_made(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        converse(ann, bob)
        damage(ann, bob, "inbound", "states")
        ann.meet(bob)
        assert bob.read(ann, ann.say(bob, b"replaced")) == b"replaced"
        assert ann.read(bob, bob.say(ann, b"answered")) == b"answered"

    def test_a_lost_counter_leaves_no_chain_in_use(self, ann: End, bob: End) -> None:
        """Without its counter, what was taken is unknown: every chain counts as lost."""
        ann.meet(bob)
        ann.say(bob, b"taken")
        ann.table.update(Update(outbound_key("main", ann.profile.incarnation, bob.user), remove=("next",)))
        with pytest.raises(NoOutbound):
            ann.reserve(bob)
        base_key = facts(ann, bob)
        assert base_key is None
        ann.meet(bob)
        assert bob.read(ann, ann.say(bob, b"anew")) == b"anew"

    def test_swapped_chains_are_refused(self, ann: End, bob: End) -> None:
        """Bob's chain in Carl's place, tag and all."""
        carl = End("300@lid", clock=ann.clock)
        ann.meet(bob)
        ann.meet(carl)
        stolen = {name: ann.outbound(bob)[name] for name in ("chain#0", "tag#0")}
        ann.table.update(Update(outbound_key("main", ann.profile.incarnation, carl.user), set=stolen))
        assert ann.reserve(carl).in_need([0]) == [0]
        assert len(ann.damages) == 1

    def test_a_chain_brought_back_from_an_earlier_turn_is_refused(self, ann: End, bob: End) -> None:
        ann.meet(bob)
        old = ann.outbound(bob)
        converse(ann, bob)
        key = outbound_key("main", ann.profile.incarnation, bob.user)
        ann.table.update(Update(key, set={"chain#0": old["chain#0"]}))
        assert ann.reserve(bob).in_need([0]) == [0]


def test_a_session_that_was_made_without_our_knowledge_is_not_made_twice(ann: End, bob: End) -> None:
    a_session_that_was_made_without_our_knowledge_is_not_made_twice(ann, bob)


def test_a_removal_between_read_and_commit_is_noticed(ann: End, bob: End) -> None:
    ann.meet(bob)
    converse(ann, bob)
    seen = facts(ann, bob)
    ann.table.before = once("transact", lambda: ann.keys.sending.remove_device(ann.profile, bob.user, 0))
    assert ann.keys.sending.rebuild(ann.profile, ann.credentials, bob.user, 0, bob.bundle(), seen=seen)
    assert bob.read(ann, ann.say(bob, b"hello again")) == b"hello again"


def test_conflicts_that_name_nothing_are_read_again(ann: End, bob: End) -> None:
    def conflict() -> None:
        raise Conflict({0: None})

    ann.table.before = once("transact", conflict)
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"hello")) == b"hello"


def test_no_session_is_made_with_the_identity_of_another_pairing(ann: End, bob: End) -> None:
    """Its messages would be of one identity and authenticated with the other: a Bad MAC at the peer."""
    earlier, bundle = ann.profile, bob.bundle()
    ann.keys.account.renew()
    for paired in (False, True):
        if paired:
            ann.keys.account.save_pairing(
                jid="100@s.whatsapp.net", lid="100@lid", device_identity=b"identity"
            )
        credentials = ann.keys.account.credentials()
        with pytest.raises(OtherPairing):
            ann.keys.sending.make_sessions(earlier, credentials, bob.user, {0: bundle}, devices=[0])
        with pytest.raises(OtherPairing):
            ann.keys.sending.rebuild(earlier, credentials, bob.user, 0, bundle)
