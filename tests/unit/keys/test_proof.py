"""Sessions with companions: only those that the user's phone, as we pinned it, vouches for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.key_peers import Clock, End, Vouches, converse
from tocsin.keys import proof
from tocsin.keys.errors import StaleChain, Staleness
from tocsin.keys.proof import name_of, vouched_by
from tocsin.signal.errors import UnprovenDevice
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.tables.keys import outbound_key

BOB = "200@lid"


@pytest.fixture
def bob() -> End:
    return End(BOB, clock=Clock())


@pytest.fixture
def tablet(bob: End) -> End:
    return End(BOB, device=5, clock=bob.clock, phone=bob)


@pytest.fixture
def ann(bob: End) -> End:
    return End("100@lid", clock=bob.clock)


def make(ann: End, bundles: dict[int, PreKeyBundle], **options: object) -> dict[int, type]:
    refused = ann.keys.sending.make_sessions(
        ann.profile, ann.credentials, BOB, bundles, devices=[0, 5], **options
    )  # type: ignore[arg-type]
    return {device: type(error) for device, error in refused.items()}


def unvouched(bundle: PreKeyBundle) -> PreKeyBundle:
    return dataclasses.replace(bundle, voucher=None)


def vouched_by_mallory(bundle: PreKeyBundle) -> PreKeyBundle:
    return dataclasses.replace(bundle, voucher=Vouches(bundle.identity, b"mallory" + bytes(25)))


def reinstalled(bob: End) -> End:
    """The same user with another phone."""
    return End(BOB, clock=bob.clock, entropy=End("300@lid").entropy)


# -- sending ---------------------------------------------------------------------------------------------


def test_the_phone_of_the_same_fetch_vouches(ann: End, bob: End, tablet: End) -> None:
    assert make(ann, {5: tablet.bundle(), 0: bob.bundle()}) == {}
    assert ann.reserve(bob).in_need([0, 5]) == []


def test_the_phone_of_an_earlier_session_vouches(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle()})
    assert make(ann, {5: tablet.bundle()}) == {}
    assert ann.reserve(bob).in_need([0, 5]) == []


@pytest.mark.parametrize("lie", [unvouched, vouched_by_mallory])
def test_who_is_not_vouched_for_gets_no_session(ann: End, bob: End, tablet: End, lie: object) -> None:
    bundles = {0: bob.bundle(), 5: lie(tablet.bundle())}  # type: ignore[operator]
    assert make(ann, bundles) == {5: UnprovenDevice}
    assert ann.reserve(bob).chains.keys() == {0}


def test_twin_that_asks_for_no_proof_makes_one(
    ann: End, bob: End, tablet: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.keys.establish.is_proven", lambda *_: True)
    assert make(ann, {0: bob.bundle(), 5: unvouched(tablet.bundle())}) == {}


def test_without_a_phone_nobody_can_vouch(ann: End, tablet: End) -> None:
    refused = ann.keys.sending.make_sessions(
        ann.profile, ann.credentials, BOB, {5: tablet.bundle()}, devices=[5]
    )
    assert not refused[5].phone_known


def test_our_own_account_s_key_vouches_where_there_is_no_session(ann: End, bob: End, tablet: End) -> None:
    key = bob.profile.identity_public
    assert make(ann, {5: tablet.bundle()}, account_key=key) == {}
    assert make(ann, {5: vouched_by_mallory(tablet.bundle())}, account_key=key) == {}  # proven already
    stranger = End(BOB, device=6, clock=ann.clock, phone=End("300@lid"))
    refused = ann.keys.sending.make_sessions(
        ann.profile, ann.credentials, BOB, {6: stranger.bundle()}, devices=[5, 6], account_key=key
    )
    assert list(refused) == [6]


def test_an_identity_that_was_proven_needs_no_voucher_again(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    again = unvouched(tablet.bundle())
    assert ann.keys.sending.rebuild(ann.profile, ann.credentials, BOB, 5, again)
    assert ann.reserve(bob).in_need([5]) == []


@pytest.mark.parametrize("lie", [unvouched, vouched_by_mallory])
def test_another_identity_needs_one(ann: End, bob: End, tablet: End, lie: object) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    before = ann.outbound(bob)
    other = End(BOB, device=5, clock=ann.clock, entropy=End("400@lid").entropy, phone=bob)
    with pytest.raises(UnprovenDevice):
        ann.keys.sending.rebuild(ann.profile, ann.credentials, BOB, 5, lie(other.bundle()))  # type: ignore[operator]
    assert ann.outbound(bob) == before


def test_a_proof_goes_with_the_session_through_turns_and_checkpoints(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    for _ in range(3):
        converse(ann, tablet)
    for _ in range(40):
        reservation = ann.reserve(bob)
    ann.keys.sending.checkpoint(reservation, [0, 5])
    ann.keys.sending.mark_stale(ann.profile, BOB, 5)
    assert make(ann, {5: unvouched(tablet.bundle())}) == {}
    assert ann.reserve(bob).in_need([5]) == []


# -- another phone ---------------------------------------------------------------------------------------


def test_what_the_old_phone_vouched_for_gets_nothing_after_a_reinstall(
    ann: End, bob: End, tablet: End
) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    new_phone = reinstalled(bob)
    assert make(ann, {0: new_phone.bundle()}, replace=frozenset({0})) == {}
    reservation = ann.reserve(bob)
    assert reservation.staleness(5) is Staleness.UNPROVEN
    with pytest.raises(StaleChain):
        reservation.encrypt(5, ann.profile, b"a ticket")


def test_it_does_so_too_where_the_phone_s_message_told_of_it(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    new_phone = reinstalled(bob)
    new_phone.meet(ann)
    ann.read(new_phone, new_phone.say(ann, b"a new phone"))
    reservation = ann.reserve(bob)
    assert reservation.in_need([0, 5]) == [5]
    assert reservation.checked_at == 0, "its devices are asked for at the next send"


def test_the_new_phone_vouches_anew(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    new_phone = reinstalled(bob)
    tablet.phone = new_phone
    assert make(ann, {0: new_phone.bundle(), 5: tablet.bundle()}, replace=frozenset({0})) == {}
    assert ann.reserve(bob).in_need([0, 5]) == []


def test_who_is_refused_loses_the_session_that_nobody_vouches_for_any_more(
    ann: End, bob: End, tablet: End
) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    make(ann, {0: reinstalled(bob).bundle()}, replace=frozenset({0}))
    assert make(ann, {5: tablet.bundle()}) == {5: UnprovenDevice}
    assert ann.reserve(bob).chains.keys() == {0}


# -- receiving -------------------------------------------------------------------------------------------


def first_message(tablet: End, ann: End) -> object:
    tablet.meet(ann)
    return tablet.say(ann, b"STOP")


def hear(ann: End, tablet: End, message: object, voucher: Vouches | None) -> bytes | None:
    return ann.keys.receiving.receive(
        ann.profile, ann.credentials, BOB, 5, "S", message.type, message.body, voucher=voucher
    ).plaintext  # type: ignore[attr-defined]


def test_a_companion_that_the_phone_vouches_for_is_read(ann: End, bob: End, tablet: End) -> None:
    ann.meet(bob)
    assert hear(ann, tablet, first_message(tablet, ann), tablet.voucher) == b"STOP"
    assert ann.reserve(bob).in_need([5]) == []


@pytest.mark.parametrize("lie", [None, Vouches(bytes(32), bytes(32))])
def test_another_one_is_not_and_nothing_is_stored(
    ann: End, bob: End, tablet: End, lie: Vouches | None
) -> None:
    ann.meet(bob)
    message = first_message(tablet, ann)
    before = ann.outbound(bob)
    with pytest.raises(UnprovenDevice):
        hear(ann, tablet, message, lie)
    assert ann.outbound(bob) == before
    # Its prekey isn't spent: once it shows who vouches for it, it is read.
    assert hear(ann, tablet, message, tablet.voucher) == b"STOP"


def test_a_session_that_is_there_is_read_on_without_proof(ann: End, bob: End, tablet: End) -> None:
    """What was written before the phone was installed anew arrives late and is read; nothing is sent back."""
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    converse(ann, tablet)
    make(ann, {0: reinstalled(bob).bundle()}, replace=frozenset({0}))
    assert ann.read(tablet, tablet.say(ann, b"late")) == b"late"
    assert ann.reserve(bob).in_need([5]) == [5]


# -- as it is stored -------------------------------------------------------------------------------------


def test_who_writes_to_the_table_makes_no_proof(ann: End, bob: End, tablet: End) -> None:
    make(ann, {0: bob.bundle(), 5: tablet.bundle()})
    new_phone = reinstalled(bob)
    make(ann, {0: new_phone.bundle()}, replace=frozenset({0}))
    item = ann.table.table.get(outbound_key("main", ann.profile.incarnation, BOB))
    assert item is not None
    tag = item["tag#5"]
    assert isinstance(tag, bytes)
    forged = tag[:16] + name_of(new_phone.profile.identity_public)
    ann.table.table._items[item["pk"], item["sk"]]["tag#5"] = forged  # type: ignore[attr-defined]
    assert 5 not in ann.reserve(bob).chains


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_a_tag_of_any_other_length_proves_nothing(tag: bytes) -> None:
    known = len(tag) == 16 + proof.NAME_BYTES
    assert (vouched_by(tag) != b"") is (known and tag[16:] != b"")


def test_a_session_of_before_proofs_were_kept_needs_one(
    ann: End, bob: End, tablet: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("tocsin.keys.establish.is_proven", lambda *_: True)
        before.setattr("tocsin.keys.establish.name_of", lambda _: b"")
        make(ann, {0: bob.bundle(), 5: unvouched(tablet.bundle())})
    assert ann.reserve(bob).staleness(5) is Staleness.UNPROVEN
    assert make(ann, {5: tablet.bundle()}) == {}
    assert ann.reserve(bob).in_need([5]) == []
