"""A keys table that was set back is noticed, and nothing else is taken for one."""

from collections.abc import Callable

import pytest

from tests.support.key_peers import SECRET, Entropy, Interposed, once
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Delete, Item, Put
from tocsin.keys.errors import KeysBehind
from tocsin.keys.high_water_mark import is_behind, read_witness
from tocsin.keys.seal import Sealer
from tocsin.keys.store import KeyStore
from tocsin.tables.keys import credentials_key
from tocsin.tables.notifications import witness_key


class Deployment:
    """A paired account, the table of its keys, and the one outside."""

    def __init__(self) -> None:
        self.inside, self.outside = MemoryTable(), Interposed(MemoryTable())
        self.keys = KeyStore(self.inside, Sealer.from_secret(SECRET), "main", random=Entropy("generation"))
        self.keys.create_account()
        self.pair()

    def pair(self) -> None:
        self.keys.save_pairing(jid="1:3@s.whatsapp.net", lid="1:3@lid", device_identity=b"identity")

    def testify(self) -> None:
        self.keys.testify(self.outside)

    def backup(self) -> Callable[[], None]:
        """A backup of the account; call it to restore it."""
        key = credentials_key("main")
        kept = attributes_of(self.inside.get(key))
        return lambda: self.inside.put(Put(key, kept))

    @property
    def behind(self) -> bool:
        witness = read_witness(self.outside, "main")
        return is_behind(self.keys.credentials(), witness)


def attributes_of(item: Item | None) -> Item:
    return {name: value for name, value in (item or {}).items() if name not in ("pk", "sk")}


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_an_account_without_a_witness_is_not_behind(deployment: Deployment) -> None:
    assert not deployment.behind


def test_an_account_that_goes_on_is_not_behind(deployment: Deployment) -> None:
    for _ in range(3):
        deployment.testify()
        assert not deployment.behind


def test_a_restored_backup_is_behind(deployment: Deployment) -> None:
    deployment.testify()
    restore = deployment.backup()
    deployment.testify()
    restore()
    assert deployment.behind


def test_a_set_back_table_is_not_counted_up_until_it_passes(deployment: Deployment) -> None:
    restore = deployment.backup()
    deployment.testify()
    restore()
    for _ in range(3):
        with pytest.raises(KeysBehind, match="tocsin sessions reset"):
            deployment.testify()
    assert deployment.behind


def test_a_reset_makes_it_safe(deployment: Deployment) -> None:
    restore = deployment.backup()
    for _ in range(5):
        deployment.testify()
    restore()
    deployment.keys.reset_sessions(deployment.outside)
    assert not deployment.behind
    deployment.testify()
    assert not deployment.behind


def test_a_reset_goes_beyond_every_incarnation_there_was(deployment: Deployment) -> None:
    restore = deployment.backup()
    reached = [deployment.keys.reset_sessions(deployment.outside).incarnation for _ in range(3)][-1]
    deployment.testify()
    restore()
    assert deployment.behind
    assert deployment.keys.reset_sessions(deployment.outside).incarnation == reached + 1


def test_a_table_that_was_lost_and_paired_anew_is_not_behind(deployment: Deployment) -> None:
    for _ in range(5):
        deployment.testify()
    deployment.inside.delete(Delete(credentials_key("main")))
    deployment.keys.create_account()
    deployment.pair()
    assert not deployment.behind
    deployment.testify()
    assert not deployment.behind


def test_a_witness_that_is_set_back_does_no_harm(deployment: Deployment) -> None:
    deployment.testify()
    old = attributes_of(deployment.outside.get(witness_key("main")))
    deployment.testify()
    deployment.outside.put(Put(witness_key("main"), old))
    assert not deployment.behind
    deployment.testify()
    assert not deployment.behind


def test_two_who_testify_at_once_accuse_nobody(deployment: Deployment) -> None:
    deployment.outside.before = once("put", deployment.testify)
    deployment.testify()
    assert not deployment.behind
    deployment.outside.before = once("query", deployment.testify)
    deployment.testify()
    assert not deployment.behind


def test_the_witness_tells_no_key(deployment: Deployment) -> None:
    deployment.testify()
    identity = deployment.keys.credentials().identity.public
    item = deployment.outside.get(witness_key("main")) or {}
    assert set(item) == {"pk", "sk", "identity", "incarnation", "mark"}
    assert identity.hex()[:16] != item["identity"]
