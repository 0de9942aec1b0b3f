"""Who can write to the keys table alone: what a notification does that meets a lease nobody sealed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT
from tests.support.wired_functions import WiredFunctions, texts
from tocsin.accounts.lease import LeaseKeeper
from tocsin.accounts.whereabouts import WHEREABOUTS, read_whereabouts
from tocsin.connector_client.client import ConnectorClient
from tocsin.connector_client.errors import LeaseUntrusted
from tocsin.dynamo.writes import Put, Update
from tocsin.keys import profile, reserve
from tocsin.multidevice.account import Account
from tocsin.multidevice.leased_connectors import LeasedConnectors
from tocsin.multidevice.socket import RememberedLeases
from tocsin.notify.parking import Maintainer
from tocsin.notify.verdict import Verdict
from tocsin.tables.keys import credentials_key, lease_key, outbound_key

PLENTY = 900.0
PARKED = Verdict("parked", "lease-untrusted")


class SealedHouse(WiredFunctions):
    """The functions, with the account's lease in the table, which they read."""

    def __init__(self) -> None:
        super().__init__(MemoryAws())
        self.first = self.connector("old")
        table, sealer = self.paired.table, self.paired.sealer
        self.paired.leases = RememberedLeases(lambda account: read_whereabouts(table, account, sealer))
        self.restart()

    def connector(self, name: str) -> LeaseKeeper:
        keeper = LeaseKeeper(
            self.paired.table,
            name,
            url="https://127.0.0.1:1",
            certificate="PEM",
            sealer=self.paired.sealer,
            clock=lambda: self.paired.now,
        )
        keeper.set_state(ACCOUNT, keeper.acquire(ACCOUNT), "connected")
        return keeper

    def resume(self) -> int:
        """As upkeep does each minute; how many it put back to the queue."""
        table: Any = self.paired.table
        client = ConnectorClient(lambda account: read_whereabouts(table, account, self.paired.sealer))
        connectors = LeasedConnectors(table, lambda: self.paired.sealer, client)
        clock = lambda: self.paired.now  # noqa: E731
        maintainer = Maintainer(self.stores, self.queue, self.dead_letters, connectors, clock=clock)
        return maintainer.resume(ACCOUNT, lambda: PLENTY).resumed

    def unseal(self) -> None:
        """As a connector of 0.1.0 writes the lease, or a stranger."""
        forged = {"url": "https://evil.test", "certificate": "PEM of evil"}
        self.paired.table.update(Update(lease_key(ACCOUNT), set=forged, remove=(WHEREABOUTS,)))


@pytest.fixture
def house() -> SealedHouse:
    return SealedHouse()


def test_beside_a_connector_that_seals_nothing_messages_wait_and_lose_nothing(house: SealedHouse) -> None:
    """New functions beside the old connector, for the minutes of an update."""
    house.unseal()
    planned = house.plan(1)
    assert house.deliver(planned) == PARKED
    assert texts(house.siti.devices[0]) == []
    # The next minute looks again, and it waits again: no retry is spent.
    assert house.resume() == 1
    assert house.deliver(house.stored(planned), resumed=True) == PARKED
    house.first.release(ACCOUNT, 1)
    house.connector("new")
    assert house.resume() == 1
    assert house.deliver(house.stored(planned), resumed=True).outcome == "sent"
    assert texts(house.siti.devices[0]) == ["Tiket 1"]
    assert [attempt.cause for attempt in house.stored(planned).attempts] == ["lease-untrusted", "sent"]


def test_a_lease_with_another_url_and_certificate_gets_no_token(house: SealedHouse) -> None:
    house.unseal()
    table, sealer = house.paired.table, house.paired.sealer
    client = ConnectorClient(lambda account: read_whereabouts(table, account, sealer))
    with pytest.raises(LeaseUntrusted, match="unsealed"):
        client.resumed(house.paired.profile)


def test_a_whole_lease_of_earlier_leads_to_a_certificate_of_ours(house: SealedHouse) -> None:
    """A seal can't notice it: all of it was true once. The key of that certificate died with its process."""
    table, sealer = house.paired.table, house.paired.sealer
    earlier = dict(table.get(lease_key(ACCOUNT)) or {})
    house.first.release(ACCOUNT, 1)
    house.connector("new")
    pk, sk = str(earlier.pop("pk")), str(earlier.pop("sk"))
    table.put(Put((pk, sk), earlier))
    where = read_whereabouts(table, ACCOUNT, sealer)
    assert where is not None
    assert (where.connector, where.certificate) == ("old", "PEM")


def test_the_log_names_the_refused_lease(house: SealedHouse, caplog: pytest.LogCaptureFixture) -> None:
    house.unseal()
    house.deliver(house.plan(1))
    told = [vars(record)["reason"] for record in caplog.records if record.message == "lease refused"]
    assert told == ["unsealed"]


# -- other ways to lead a message astray -----------------------------------------------------------------


def led_to_budi(house: SealedHouse) -> list[str]:
    """Siti's sessions "moved" to Budi's name, says somebody who can write to the table. What Budi reads."""
    siti, budi = house.siti, house.network.person("6281399990000", "5678")
    house.siti = budi
    house.tell(0, text="for Budi")  # a session to follow the tombstone into
    house.siti = siti
    house.tell(1)
    key = outbound_key(ACCOUNT, house.paired.profile.incarnation, str(siti.user))
    house.paired.table.put(Put(key, {"moved": str(budi.user)}))
    house.restart()
    planned = house.plan(2)
    for _ in range(2):
        house.deliver(house.stored(planned))
    return texts(budi.devices[0])


def test_a_forged_tombstone_sends_nobody_s_message_to_another_person(house: SealedHouse) -> None:
    assert led_to_budi(house) == ["for Budi"]
    assert texts(house.siti.devices[0]) == ["Tiket 1", "Tiket 2"]


def test_twin_that_follows_any_tombstone_sends_it_there(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "read_signpost", lambda context, item: (item or {}).get("moved"))
    assert led_to_budi(house) == ["for Budi", "Tiket 2"]


def copied_to_eve(house: SealedHouse) -> list[str]:
    """Each message goes to our own phone, too; in the table, Eve takes its place. What Eve reads."""
    eve = house.network.person("6281399990000", "5678")
    forged = {"lid": "5678:4@lid", "jid": "6281399990000:4@s.whatsapp.net"}
    house.paired.table.update(Update(credentials_key(ACCOUNT), set=forged))
    house.restart()
    house.deliver(house.plan(1))
    return texts(eve.devices[0])


def test_a_forged_name_of_our_own_gets_no_copy_of_our_messages(house: SealedHouse) -> None:
    assert copied_to_eve(house) == []
    assert texts(house.siti.devices[0]) == ["Tiket 1"]


def test_twin_that_believes_the_plain_name_gives_it_one(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "BOUND", "nothing of that name")
    monkeypatch.setattr(Account, "is_forged", lambda *_: False)
    assert copied_to_eve(house) == ["Tiket 1"]
