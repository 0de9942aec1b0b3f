"""The account: made once, paired with a higher number each time, sealed, and never replaced by accident."""

from __future__ import annotations

import json

import pytest

from tests.support.key_peers import NOW, SECRET, End, Entropy, Interposed, once, raising
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import OutcomeUnknown
from tocsin.dynamo.writes import Update
from tocsin.keys.account import MAX_PREKEY_ID
from tocsin.keys.errors import NoAccount, NotPaired, OtherPairing
from tocsin.keys.store import KeyStore
from tocsin.sealing import DamagedRecord, Sealer
from tocsin.signal.curve import encode_point, verify
from tocsin.tables.keys import credentials_key


@pytest.fixture
def table() -> Interposed:
    return Interposed(MemoryTable())


@pytest.fixture
def keys(table: Interposed) -> KeyStore:
    return KeyStore(table, Sealer.from_secret(SECRET), "main", clock=lambda: NOW, random=Entropy("x"))


def pair(keys: KeyStore):
    return keys.account.save_pairing(jid="1:2@s.whatsapp.net", lid="9:2@lid", device_identity=b"identity")


def test_without_an_account_there_is_nothing(keys: KeyStore) -> None:
    with pytest.raises(NoAccount):
        keys.account.credentials()


def test_it_is_made_once(keys: KeyStore) -> None:
    made = keys.account.create()
    assert keys.account.create() == made == keys.account.credentials()


def test_two_makers_have_the_same(keys: KeyStore, table: Interposed) -> None:
    other = KeyStore(table.table, Sealer.from_secret(SECRET), "main", random=Entropy("y"))
    winner = []
    table.before = once("put", lambda: winner.append(other.account.create()))
    assert keys.account.create() == winner[0]


def test_a_lost_answer_makes_no_second_identity(keys: KeyStore, table: Interposed) -> None:
    table.after = once("put", raising(OutcomeUnknown()))
    assert keys.account.create() == keys.account.credentials()


def test_its_signed_prekey_is_signed(keys: KeyStore) -> None:
    made = keys.account.create()
    verify(made.identity.public, encode_point(made.signed_prekey.pair.public), made.signed_prekey.signature)
    assert 1 <= made.registration_id <= 16380


def test_unpaired_it_has_no_profile(keys: KeyStore) -> None:
    keys.account.create()
    with pytest.raises(NotPaired):
        keys.account.profile()


def test_each_pairing_raises_the_incarnation(keys: KeyStore) -> None:
    before = keys.account.create()
    paired = pair(keys)
    assert (before.incarnation, paired.incarnation) == (1, 2)
    profile = keys.account.profile()
    assert (profile.jid, profile.lid) == ("1:2@s.whatsapp.net", "9:2@lid")
    assert profile.identity_public == before.identity.public
    assert profile.connector_token == before.connector_token


def test_renewing_gives_new_keys_and_keeps_the_token_and_the_prekey_counter(keys: KeyStore) -> None:
    keys.account.create()
    paired = pair(keys)
    keys.account.new_prekeys(5)
    renewed = keys.account.renew()
    assert renewed.identity != paired.identity
    assert (renewed.jid, renewed.device_identity) == (None, None)
    assert renewed.connector_token == paired.connector_token
    assert (renewed.incarnation, renewed.next_prekey_id) == (3, 6)
    assert keys.account.prekey_count() == 0


def test_a_reset_leaves_sessions_and_prekeys_behind(keys: KeyStore) -> None:
    keys.account.create()
    paired = pair(keys)
    keys.account.new_prekeys(5)
    reset = keys.account.reset_sessions()
    assert (reset.incarnation, reset.jid) == (paired.incarnation + 1, paired.jid)
    assert keys.account.new_prekeys(1)[0].id == 6 + 10_000
    assert keys.account.prekey_count() == 1


def test_a_reset_offers_a_signed_prekey_whose_id_no_lost_one_bore(keys: KeyStore) -> None:
    keys.account.create()
    pair(keys)
    reset = keys.account.reset_sessions()
    assert reset.current_signed_prekey_id == 101
    assert set(reset.signed_prekeys) == {1, 101}


def test_a_prekey_id_taken_between_read_and_write_stays_taken(keys: KeyStore, table: Interposed) -> None:
    keys.account.create()
    table.before = once("put", lambda: keys.account.new_prekeys(3))
    pair(keys)
    assert keys.account.new_prekeys(1)[0].id == 4


def test_a_lost_answer_of_a_pairing_pairs_once(keys: KeyStore, table: Interposed) -> None:
    keys.account.create()
    table.after = once("put", raising(OutcomeUnknown()))
    assert pair(keys).incarnation == 2
    assert keys.account.credentials().incarnation == 2


def test_what_a_login_left_belongs_to_its_pairing(keys: KeyStore) -> None:
    keys.account.create()
    paired = pair(keys)
    keys.account.save_login_counter(paired.incarnation, 7)
    keys.account.save_routing_info(paired.incarnation, b"there")
    stored = keys.account.credentials()
    assert (stored.login_counter, stored.routing_info) == (7, b"there")
    pair(keys)
    with pytest.raises(OtherPairing):
        keys.account.save_login_counter(paired.incarnation, 8)
    assert keys.account.credentials().login_counter == 0


def test_a_signed_prekey_stays_for_60_days_after_another_took_its_place(table: Interposed) -> None:
    now = [NOW]
    keys = KeyStore(table, Sealer.from_secret(SECRET), "main", clock=lambda: now[0], random=Entropy("x"))
    keys.account.create()
    kept = []
    for _ in range(5):
        now[0] += 30 * 86400
        made = keys.account.new_signed_prekey()
        assert keys.account.credentials().current_signed_prekey_id == made.id - 1
        keys.account.adopt_signed_prekey(made.id)
        assert keys.account.credentials().signed_prekey == made
        kept.append(sorted(keys.account.credentials().signed_prekeys))
    assert kept == [[1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]]


def test_the_current_signed_prekey_stays_however_old(table: Interposed) -> None:
    now = [NOW]
    keys = KeyStore(table, Sealer.from_secret(SECRET), "main", clock=lambda: now[0], random=Entropy("x"))
    keys.account.create()
    keys.account.new_signed_prekey()  # and the server never took it
    now[0] += 300 * 86400
    keys.account.new_signed_prekey()
    assert sorted(keys.account.credentials().signed_prekeys) == [1, 2, 3]


def test_damaged_credentials_are_an_error_and_no_new_identity(keys: KeyStore, table: Interposed) -> None:
    keys.account.create()
    table.update(Update(credentials_key("main"), set={"secrets": b"\x02k1" + bytes(60)}))
    with pytest.raises(DamagedRecord):
        keys.account.create()


def test_no_secret_shows(keys: KeyStore, table: Interposed) -> None:
    made = keys.account.create()
    pair(keys)
    shown = (
        repr(keys.account.credentials())
        + repr(keys.account.profile())
        + repr(table.table.get(credentials_key("main")))
    )
    for secret in (made.identity.private, made.noise.private, made.adv_secret):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    assert made.connector_token not in shown


class TestPreKeys:
    def test_they_are_stored_before_they_are_told(self, ann: End) -> None:
        made = ann.keys.account.new_prekeys(3)
        assert [prekey.id for prekey in made] == [1, 2, 3]
        assert ann.keys.account.prekey_count() == 3

    def test_812_take_nine_transactions(self, ann: End) -> None:
        ann.table.requests.clear()
        assert len({prekey.id for prekey in ann.keys.account.new_prekeys(812)}) == 812
        assert ann.table.requests == ["update"] + ["transact"] * 9

    def test_ids_wrap_and_skip_those_still_stored(self, ann: End) -> None:
        ann.keys.account.new_prekeys(2)
        ann.table.update(Update(credentials_key("main"), set={"next_prekey_id": MAX_PREKEY_ID}))
        assert [prekey.id for prekey in ann.keys.account.new_prekeys(3)] == [MAX_PREKEY_ID, 3, 4]

    def test_a_retry_prekey_is_not_counted_and_expires(self, ann: End) -> None:
        prekey = ann.keys.account.retry_prekey()
        assert ann.keys.account.prekey_count() == 0
        item = ann.table.get(("prekey#main", str(prekey.id))) or {}
        assert item["expire_at"] == NOW + 14 * 86400


def test_the_secret_may_hold_an_older_key(ann: End, bob: End) -> None:
    """After a rotation, what the old key sealed is still read, and the new key seals."""
    ann.meet(bob)
    secrets = {"k1": json.loads(SECRET)["key"], "k2": "another random text of 37 characters.."}
    both = json.dumps({"current": "k2", "keys": secrets})
    keys = KeyStore(ann.table, Sealer.from_secret(both), "main", clock=ann.clock, random=ann.entropy)
    message = keys.sending.reserve(ann.profile, bob.user).encrypt(0, ann.profile, b"sealed by k1")
    assert bob.read(ann, message) == b"sealed by k1"
    assert keys.account.save_lid("1:2@lid").lid == "1:2@lid"
    with pytest.raises(DamagedRecord):
        ann.keys.account.credentials()
