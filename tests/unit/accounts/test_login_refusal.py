"""What WhatsApp says with a ban or a lock is kept whole, its token sealed, until a login succeeds."""

from __future__ import annotations

import pytest

from tests.support.key_peers import NOW
from tocsin.accounts.login_refusal import (
    MAX_WORDS,
    forget_refusal,
    note_refusal,
    open_refusal,
    read_refusal,
    refusal_of,
)
from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.writes import Put
from tocsin.sealing import DamagedRecord, Sealer
from tocsin.tables.keys import login_refusal_key

SEALER = Sealer({"k": bytes(32)}, "k")
SAID = {"reason": "403", "violation_reason": "14", "message": "m" * 9000, "appeal_token": "once"}
REFUSAL = refusal_of("403", SAID, NOW, None, guessed=False)


@pytest.fixture
def table() -> MemoryTable:
    table = MemoryTable()
    note_refusal(table, SEALER, "main", REFUSAL, b"the whole stanza, once", bytes(12))
    return table


def test_it_is_read_as_it_was_said_but_for_the_token(table: MemoryTable) -> None:
    assert read_refusal(table, "main") == REFUSAL
    assert REFUSAL.can_appeal
    assert "once" not in repr(REFUSAL)
    assert len(REFUSAL.told["message"]) == MAX_WORDS


def test_all_of_it_is_there_for_who_has_the_key(table: MemoryTable) -> None:
    assert open_refusal(table, SEALER, "main") == b"the whole stanza, once"
    assert b"once" not in repr(table.get(login_refusal_key("main"))).encode()


def test_what_was_moved_to_another_account_does_not_open(table: MemoryTable) -> None:
    item = table.get(login_refusal_key("main"))
    assert item is not None
    rest = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    table.put(Put(login_refusal_key("second"), rest))
    with pytest.raises(DamagedRecord):
        open_refusal(table, SEALER, "second")


def test_a_login_that_succeeds_ends_it(table: MemoryTable) -> None:
    forget_refusal(table, "main")
    assert read_refusal(table, "main") is None
    assert open_refusal(table, SEALER, "main") is None


def test_odd_records_are_read_as_far_as_they_go() -> None:
    table = MemoryTable()
    table.put(Put(login_refusal_key("main"), {"code": "402", "told": "nonsense", "until": "soon"}))
    refusal = read_refusal(table, "main")
    assert refusal is not None
    assert (refusal.code, refusal.until, refusal.told) == ("402", None, {})
