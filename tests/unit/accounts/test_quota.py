"""The quota of new chats is remembered as WhatsApp told it last, and a warning ends with its cycle."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW
from tocsin.accounts.quota import Quota, note_quota, read_quota
from tocsin.dynamo.memory import MemoryTable

FEW = Quota(27, 30, NOW + 60, "SECOND_WARNING", NOW, "ELIGIBLE", "NOT_ACTIVE")
NONE = Quota(None, None, None, "NONE", NOW)


@pytest.mark.parametrize("quota", [FEW, NONE])
def test_it_is_read_as_it_was_written(quota: Quota) -> None:
    table = MemoryTable()
    assert note_quota(table, "main", quota) is None
    assert read_quota(table, "main") == quota
    assert read_quota(table, "second") is None


def test_whoever_writes_it_hears_what_stood_there() -> None:
    table = MemoryTable()
    note_quota(table, "main", FEW)
    assert note_quota(table, "main", NONE) == FEW
    assert read_quota(table, "main") == NONE


@pytest.mark.parametrize(
    ("quota", "now", "warns"),
    [
        (FEW, NOW, True),
        (FEW, NOW + 60, False),
        (NONE, NOW, False),
        (FEW._replace(cycle_end=None), NOW + 999, True),
    ],
)
def test_a_warning_ends_with_its_cycle(quota: Quota, now: float, warns: bool) -> None:
    assert quota.is_warning(now) is warns
