"""An account is called by its id, its number and its name, wherever it is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Item, Key, Put
from tocsin.tables.keys import credentials_key
from tocsin_console import accounts, cli, explain, status
from tocsin_console.account_names import AccountNames, Named
from tocsin_console.deployment import Deployment

LINKED = {"jid": "6281111111111:12@s.whatsapp.net", "push_name": "Warung Net"}
LABEL = "default (+6281111111111, Warung Net)"


class Counting(MemoryTable):
    """Counts requests for several items."""

    asked = 0

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self.asked += 1
        return super().get_many(keys)


@pytest.mark.parametrize(
    ("item", "label"),
    [
        (LINKED, LABEL),
        ({"jid": "6281111111111:12@s.whatsapp.net"}, "default (+6281111111111)"),
        ({"incarnation": 1}, "default (not linked)"),
        (None, "default (not linked)"),
        ({"jid": "odd", "push_name": 7}, "default"),
    ],
)
def test_a_label_says_what_is_known(item: dict[str, Any] | None, label: str) -> None:
    table = MemoryTable()
    if item is not None:
        table.put(Put(credentials_key("default"), item))
    assert AccountNames(lambda: table).label("default") == label


def test_all_are_read_in_one_request_and_remembered_for_a_minute() -> None:
    table, now = Counting(), [0.0]
    names = AccountNames(lambda: table, lambda: ["default", "second"], clock=lambda: now[0])
    names.label("default")
    names.labels(["default", "second"])
    assert table.asked == 1
    now[0] = 60
    names.label("second")
    assert table.asked == 2


def test_what_cannot_be_read_leaves_the_id_alone() -> None:
    class Denied(MemoryTable):
        def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "BatchGetItem")

    assert AccountNames(Denied).of("default") == Named("default")


@pytest.fixture
def linked(fake: FakeDeployment) -> FakeDeployment:
    fake.deployment.keys_table.put(Put(credentials_key("default"), LINKED))
    return fake


def test_status_says_who_an_account_is_and_when_its_last_receipt_came(
    linked: FakeDeployment, said: Said, told: Said
) -> None:
    linked.deployment.stores.hours.add("default", NOW * 1000, {"Delivered": 1})
    for one in (said, told):
        status.show(linked.deployment, one.output, clock=lambda: NOW)
    assert any(LABEL in line for line in said.lines)
    (account,) = told.records[0]["accounts"]
    assert (account["number"], account["name"]) == ("+6281111111111", "Warung Net")
    assert account["last_receipt"] == "2026-11-18T11:00:00.000Z"


def test_accounts_list_says_it(linked: FakeDeployment, said: Said, told: Said) -> None:
    for one in (said, told):
        accounts.list_accounts(linked.deployment, one.output)
    assert LABEL in said.text
    assert told.records[0]["number"] == "+6281111111111"


def test_explain_says_it(linked: FakeDeployment, said: Said, told: Said) -> None:
    planned = linked.planned()
    for one in (said, told):
        explain.explain(linked.deployment, planned.id, output=one.output)
    assert any(line.startswith(f"account       {LABEL}") for line in said.lines)
    assert told.records[0]["account_name"] == "Warung Net"


def test_dead_letters_say_it(
    linked: FakeDeployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: linked.deployment)
    failed = linked.failed()
    cli.main(["dead-letters", "show", failed.id])
    assert f"account       {LABEL}" in capsys.readouterr().out
    cli.main(["dead-letters", "list", "--json"])
    assert '"account_number": "+6281111111111"' in capsys.readouterr().out
