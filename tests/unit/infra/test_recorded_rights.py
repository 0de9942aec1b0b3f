"""The template as it is, held against the calls that the main job made (`make deployment RECORD=1`)."""

from __future__ import annotations

import pytest

from tests.support.recorded_calls import Call, read, without_right
from tests.support.rights import FUNCTIONS, RECORDED, rights, unused

CALLERS = [*FUNCTIONS, "connector", "operator"]
HOW = "make deployment RECORD=1 shows whether it is needed, and writes its call down"


def made_by(caller: str) -> set[Call]:
    return {call for call in read(RECORDED) if call.caller == caller}


@pytest.mark.parametrize("caller", CALLERS)
def test_every_call_has_its_right(caller: str) -> None:
    assert made_by(caller)
    assert without_right(made_by(caller), rights(caller)) == []


@pytest.mark.parametrize("caller", [*CALLERS, "viewer"])
def test_every_right_has_its_call(caller: str) -> None:
    assert unused(caller, made_by(caller)) == set(), HOW


def test_a_call_without_its_right_is_noticed() -> None:
    forbidden = Call("record_receipts", "dynamodb:DeleteTable", "table/KeysTable", "")
    assert without_right([*made_by("record_receipts"), forbidden], rights("record_receipts")) == [forbidden]


def test_a_right_without_its_call_is_noticed() -> None:
    made = {call for call in made_by("record_receipts") if call.action != "dynamodb:UpdateItem"}
    assert {action for action, _ in unused("record_receipts", made)} == {"dynamodb:UpdateItem"}
