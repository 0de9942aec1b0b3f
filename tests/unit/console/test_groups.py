"""`tocsin groups` tells the JIDs that events name."""

from __future__ import annotations

import io
import json

import pytest

from tests.support.memory_aws import MemoryAws
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tocsin.whatsapp.group import GroupInfo, Member
from tocsin.whatsapp.jid import JID
from tocsin_console.groups import list_groups
from tocsin_console.output import Output

GROUP = JID("120363000000000001", "g.us")
BUDI = Member(JID("100", "lid"), None, admin=False)


@pytest.fixture
def functions() -> WiredFunctions:
    return WiredFunctions(MemoryAws())


def shown(functions: WiredFunctions, *, as_json: bool = False) -> str:
    stream = io.StringIO()
    list_groups(deployment_of(functions), "default", Output(as_json, stream))
    return stream.getvalue()


def test_a_group_is_listed_by_its_name_with_its_jid(functions: WiredFunctions) -> None:
    told = GroupInfo(GROUP, "lid", (BUDI,), announcement=True, subject="Technicians")
    functions.paired.keys.groups.save(str(GROUP), f"2:hash {told.to_text()}")
    [heads, row] = shown(functions).splitlines()
    assert heads.split()[0] == "GROUP"
    assert row.split()[:4] == ["Technicians", str(GROUP), "1", "admins"]
    [entry] = map(json.loads, shown(functions, as_json=True).splitlines())
    assert (entry["group"], entry["subject"], entry["members"]) == (str(GROUP), "Technicians", 1)


def test_without_a_group_it_says_what_to_do(functions: WiredFunctions) -> None:
    assert "add the account to one" in shown(functions)


def test_what_cant_be_read_is_named_and_left(functions: WiredFunctions) -> None:
    functions.paired.keys.groups.save(str(GROUP), " nonsense")
    assert str(GROUP) in shown(functions)
