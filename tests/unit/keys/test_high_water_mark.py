"""A keys table that was set back is noticed, and nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.key_peers import SECRET, Entropy, Interposed, once
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete, Item, Put
from tocsin.keys.errors import KeysBehind
from tocsin.keys.high_water_mark import is_behind, read_high_water_mark
from tocsin.keys.store import KeyStore
from tocsin.sealing import Sealer
from tocsin.tables.keys import credentials_key
from tocsin.tables.notifications import high_water_mark_key


class Deployment:
    """A paired account, the table of its keys, and the one outside."""

    def __init__(self) -> None:
        self.inside, self.outside = MemoryTable(), Interposed(MemoryTable())
        self.keys = KeyStore(self.inside, Sealer.from_secret(SECRET), "main", random=Entropy("generation"))
        self.keys.account.create()
        self.pair()

    def pair(self) -> None:
        self.keys.account.save_pairing(jid="1:3@s.whatsapp.net", lid="1:3@lid", device_identity=b"identity")

    def record(self) -> None:
        self.keys.account.record_high_water_mark(self.outside)

    def backup(self) -> Callable[[], None]:
        """A backup of the account; call it to restore it."""
        key = credentials_key("main")
        kept = attributes_of(self.inside.get(key))
        return lambda: self.inside.put(Put(key, kept))

    @property
    def behind(self) -> bool:
        witness = read_high_water_mark(self.outside, "main")
        return is_behind(self.keys.account.credentials(), witness)


def attributes_of(item: Item | None) -> Item:
    return {name: value for name, value in (item or {}).items() if name not in ("pk", "sk")}


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_an_account_without_a_witness_is_not_behind(deployment: Deployment) -> None:
    assert not deployment.behind


def test_an_account_that_goes_on_is_not_behind(deployment: Deployment) -> None:
    for _ in range(3):
        deployment.record()
        assert not deployment.behind


def test_a_restored_backup_is_behind(deployment: Deployment) -> None:
    deployment.record()
    restore = deployment.backup()
    deployment.record()
    restore()
    assert deployment.behind


def test_a_set_back_table_is_not_counted_up_until_it_passes(deployment: Deployment) -> None:
    restore = deployment.backup()
    deployment.record()
    restore()
    for _ in range(3):
        with pytest.raises(KeysBehind, match="tocsin sessions reset"):
            deployment.record()
    assert deployment.behind


def test_a_reset_makes_it_safe(deployment: Deployment) -> None:
    restore = deployment.backup()
    for _ in range(5):
        deployment.record()
    restore()
    deployment.keys.account.reset_sessions(deployment.outside)
    assert not deployment.behind
    deployment.record()
    assert not deployment.behind


def test_a_reset_goes_beyond_every_incarnation_there_was(deployment: Deployment) -> None:
    restore = deployment.backup()
    reached = [deployment.keys.account.reset_sessions(deployment.outside).incarnation for _ in range(3)][-1]
    deployment.record()
    restore()
    assert deployment.behind
    assert deployment.keys.account.reset_sessions(deployment.outside).incarnation == reached + 1


def test_a_table_that_was_lost_and_paired_anew_is_not_behind(deployment: Deployment) -> None:
    for _ in range(5):
        deployment.record()
    deployment.inside.delete(Delete(credentials_key("main")))
    deployment.keys.account.create()
    deployment.pair()
    assert not deployment.behind
    deployment.record()
    assert not deployment.behind


def test_a_witness_that_is_set_back_does_no_harm(deployment: Deployment) -> None:
    deployment.record()
    old = attributes_of(deployment.outside.get(high_water_mark_key("main")))
    deployment.record()
    deployment.outside.put(Put(high_water_mark_key("main"), old))
    assert not deployment.behind
    deployment.record()
    assert not deployment.behind


def test_two_who_record_at_once_accuse_nobody(deployment: Deployment) -> None:
    deployment.outside.before = once("put", deployment.record)
    deployment.record()
    assert not deployment.behind
    deployment.outside.before = once("query", deployment.record)
    deployment.record()
    assert not deployment.behind


def test_the_witness_tells_no_key(deployment: Deployment) -> None:
    deployment.record()
    identity = deployment.keys.account.credentials().identity.public
    item = deployment.outside.get(high_water_mark_key("main")) or {}
    assert set(item) == {"pk", "sk", "identity", "incarnation", "mark"}
    assert identity.hex()[:16] != item["identity"]
