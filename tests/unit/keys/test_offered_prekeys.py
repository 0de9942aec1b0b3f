"""Which prekeys the server is given, and that none of them pile up, whatever it does with them."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW, SECRET, Entropy
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Update
from tocsin.keys.prekeys import MAX_UNSPENT, OFFERED_AGAIN_SECONDS, Offer, PreKey, prekeys_to_add, spend
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.tables.keys import credentials_key


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    """An account; at most 30 prekeys may lie unspent, so that it is quick."""
    monkeypatch.setattr("tocsin.keys.prekeys.MAX_UNSPENT", 30)
    store = KeyStore(MemoryTable(), Sealer.from_secret(SECRET), "main", clock=clock, random=Entropy("x"))
    store.account.create()
    return store


def ids(offer: Offer) -> list[int]:
    return sorted(prekey.id for prekey in offer.prekeys)


def accepted(keys: KeyStore, wanted: int) -> Offer:
    offer = keys.account.prekeys_to_offer(wanted)
    keys.account.note_offered(offer, keys.account.credentials().incarnation)
    return offer


def use(keys: KeyStore, prekey: PreKey) -> None:
    keys._context.table.delete(spend(prekey))


@pytest.mark.parametrize(
    ("left", "asked", "wanted"),
    [(0, False, 812), (5, False, 50), (6, False, 0), (6, True, 50), (20, True, 50), (0, True, 812)],
)
def test_a_server_that_asks_is_given_some_however_few_it_calls_few(
    left: int, asked: bool, wanted: int
) -> None:
    assert prekeys_to_add(left, asked=asked) == wanted


def test_each_offer_that_was_taken_is_followed_by_new_ones(keys: KeyStore) -> None:
    assert ids(accepted(keys, 5)) == [1, 2, 3, 4, 5]
    assert ids(accepted(keys, 3)) == [6, 7, 8]


def test_what_the_server_refused_is_offered_again(keys: KeyStore) -> None:
    refused = keys.account.prekeys_to_offer(10)
    for _ in range(5):
        again = keys.account.prekeys_to_offer(10)
        assert {one.id: one.pair for one in again.prekeys} == {one.id: one.pair for one in refused.prekeys}
    assert keys.account.prekey_count() == 10
    assert ids(accepted(keys, 12)) == list(range(1, 13))
    assert ids(accepted(keys, 1)) == [13]


def test_all_that_was_refused_is_offered_although_fewer_are_wanted(keys: KeyStore) -> None:
    keys.account.prekeys_to_offer(10)
    assert len(accepted(keys, 2).prekeys) == 10


def test_a_key_for_a_retry_receipt_is_never_offered(keys: KeyStore) -> None:
    accepted(keys, 2)
    keys.account.prekeys_to_offer(1)
    assert keys.account.retry_prekey().id == 4
    assert ids(keys.account.prekeys_to_offer(3)) == [3, 5, 6]


def test_a_server_that_never_has_any_fills_no_table(keys: KeyStore) -> None:
    for _ in range(10):
        accepted(keys, 12)
    assert keys.account.prekey_count() == 30
    last = ids(accepted(keys, 12))
    assert last == list(range(25, 37))


def test_the_oldest_expire_when_more_are_wanted_later(keys: KeyStore, clock: Clock) -> None:
    for _ in range(3):
        accepted(keys, 12)
    clock.now += OFFERED_AGAIN_SECONDS
    assert ids(accepted(keys, 12)) == list(range(37, 49))
    assert keys.account.prekey_count() == 30
    context = keys._context
    assert [item["sk"] for item in context.table.query("prekey#main") if int(str(item["sk"])) < 19] == []


def test_spent_ones_are_not_offered_again(keys: KeyStore) -> None:
    offer = keys.account.prekeys_to_offer(3)
    use(keys, offer.prekeys[0])
    assert ids(keys.account.prekeys_to_offer(2)) == [2, 3]


def test_a_record_that_does_not_say_what_was_offered_counts_as_offered(keys: KeyStore) -> None:
    """As 0.1.0 leaves it."""
    keys.account.new_prekeys(4)
    keys._context.table.update(Update(credentials_key("main"), remove=("prekeys_offered_to",)))
    assert ids(keys.account.prekeys_to_offer(2)) == [5, 6]


def test_ids_that_came_around_are_still_told_old_from_new(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.keys.account.MAX_PREKEY_ID", 20)
    monkeypatch.setattr("tocsin.keys.prekeys.MAX_PREKEY_ID", 20)
    for _ in range(6):
        for prekey in accepted(keys, 3).prekeys:
            use(keys, prekey)
    refused = keys.account.prekeys_to_offer(4)
    assert ids(refused) == [1, 2, 19, 20]
    assert ids(keys.account.prekeys_to_offer(4)) == [1, 2, 19, 20]


def test_the_bound_leaves_room_for_two_first_uploads() -> None:
    assert MAX_UNSPENT == 2 * 812
