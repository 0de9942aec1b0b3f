"""Where a connector answers is sealed: who can only write to the table leads no function anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.key_peers import NOW, SEALER, Entropy
from tocsin.accounts import whereabouts
from tocsin.accounts.lease import LeaseKeeper, read_lease
from tocsin.accounts.whereabouts import WHEREABOUTS, LeaseRefused, open_whereabouts, read_whereabouts
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.sealing import Place, Sealer
from tocsin.tables.keys import lease_key


def taken(table: MemoryTable, account: str = "main", name: str = "one") -> LeaseKeeper:
    keeper = LeaseKeeper(
        table,
        name,
        url=f"https://{name}",
        certificate=f"PEM of {name}",
        sealer=SEALER,
        clock=lambda: NOW,
        random=Entropy(name),
    )
    keeper.acquire(account)
    return keeper


def lease_of(table: MemoryTable, account: str = "main") -> dict[str, Any]:
    found = table.get(lease_key(account))
    assert found is not None
    return {name: value for name, value in found.items() if name not in ("pk", "sk")}


@pytest.fixture
def table() -> MemoryTable:
    table = MemoryTable()
    taken(table)
    return table


def test_another_url_and_certificate_in_plain_lead_nowhere(table: MemoryTable) -> None:
    """The bearer token would go to whoever answers there."""
    forged = {**lease_of(table), "url": "https://evil.test", "certificate": "PEM of evil"}
    table.put(Put(lease_key("main"), forged))
    where = read_whereabouts(table, "main", SEALER)
    assert where is not None
    assert (where.url, where.certificate) == ("https://one", "PEM of one")


def test_a_lease_without_a_seal_is_refused_by_name(table: MemoryTable) -> None:
    """As a connector of 0.1.0 writes it, and as a stranger could."""
    plain = lease_of(table)
    del plain[WHEREABOUTS]
    table.put(Put(lease_key("main"), plain))
    with pytest.raises(LeaseRefused, match="the lease of main is unsealed"):
        read_whereabouts(table, "main", SEALER)
    lease = read_lease(table, "main")
    assert lease is not None
    assert (lease.connector, lease.state) == ("one", "connecting")


def test_a_released_lease_says_that_nobody_holds_it(table: MemoryTable) -> None:
    keeper = taken(table, "second", "two")
    keeper.release("second", 1)
    where = read_whereabouts(table, "second", SEALER)
    assert where is not None
    assert (where.connector, where.url, where.state) == (None, None, "stopped")


def test_the_lease_of_another_account_is_refused(table: MemoryTable) -> None:
    taken(table, "second", "two")
    table.put(Put(lease_key("main"), lease_of(table, "second")))
    with pytest.raises(LeaseRefused, match="damaged"):
        read_whereabouts(table, "main", SEALER)


def set_back() -> dict[str, Any]:
    """The lease of the second holder, with the whereabouts of the first one in it."""
    table = MemoryTable()
    keeper = taken(table)
    older = lease_of(table)
    keeper.release("main", 1)
    taken(table, name="two")
    return {**lease_of(table), WHEREABOUTS: older[WHEREABOUTS]}


def test_an_older_seal_under_a_younger_epoch_is_refused() -> None:
    with pytest.raises(LeaseRefused, match="damaged"):
        open_whereabouts("main", set_back(), SEALER)


def test_twin_that_seals_without_the_epoch_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "_place", lambda account, epoch: Place(*lease_key(account), WHEREABOUTS))
    assert open_whereabouts("main", set_back(), SEALER).url == "https://one"


def test_another_sealing_key_is_no_key(table: MemoryTable) -> None:
    stranger = Sealer({"k1": bytes(32)}, "k1")
    with pytest.raises(LeaseRefused, match="damaged"):
        read_whereabouts(table, "main", stranger)


@given(
    epoch=st.one_of(st.integers(), st.booleans(), st.text(max_size=3), st.binary(max_size=8)),
    account=st.text(alphabet="amin-1.", max_size=6),
)
def test_any_other_epoch_or_account_is_refused(epoch: object, account: str) -> None:
    table = MemoryTable()
    taken(table)
    lease = {**lease_of(table), "epoch": epoch}
    if (account, epoch) == ("main", 1) and not isinstance(epoch, bool):
        return
    with pytest.raises(LeaseRefused):
        open_whereabouts(account, lease, SEALER)


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_changed_bit_is_refused(place: int, bit: int) -> None:
    table = MemoryTable()
    taken(table)
    lease = lease_of(table)
    sealed = bytearray(lease[WHEREABOUTS])
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(LeaseRefused):
        open_whereabouts("main", {**lease, WHEREABOUTS: bytes(sealed)}, SEALER)


@given(
    changed=st.dictionaries(
        st.sampled_from(["url", "certificate", "connector", "detail", "since", "made-up"]),
        st.one_of(st.text(max_size=8), st.integers(), st.binary(max_size=8)),
    )
)
def test_whatever_is_written_in_plain_the_address_stays(changed: dict[str, Any]) -> None:
    table = MemoryTable()
    taken(table)
    where = open_whereabouts("main", {**lease_of(table), **changed}, SEALER)
    assert (where.url, where.certificate) == ("https://one", "PEM of one")
