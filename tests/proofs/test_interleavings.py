"""Three Lambdas, two operations each, in every order within bounds; each rule of the key store taken away.

`make test` takes some of the programs and lets nobody be set aside where each has two operations; `make
proofs` takes all of them, sets one aside at each place, and ends or disturbs one at each request.
"""

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any

import pytest

from tests.proofs import interleavings
from tests.proofs.interleavings import Bounds, Violation, explore
from tests.proofs.scale import FACTOR
from tests.support import key_mutants as mutants
from tocsin.dynamo.writes import Item, Key, Put, as_read
from tocsin.keys import reserve, turn
from tocsin.keys.context import KeyContext
from tocsin.keys.reserve import Reservation
from tocsin.keys.store import KeyStore

Programs = tuple[tuple[str, ...], ...]
Patch = mutants.Patch

AT_LENGTH = FACTOR > 1
OPERATIONS = ("reserve", "checkpoint", "turn", "archive", "recover")


def programs_of(first: str, second: str, third: str) -> Programs:
    """Three Lambdas; each two of the operations follow each other once."""
    return (first, second), (second, third), (third, first)


TWO_EACH = [programs_of(*three) for three in combinations_with_replacement(OPERATIONS, 3)]
# One operation each, with what is rarer, so that more may come in between.
ONE_EACH: tuple[Programs, ...] = (
    (("reserve",), ("turn",), ("checkpoint",)),
    (("recover",), ("late",), ("reserve",)),
    (("first",), ("first",), ("checkpoint",)),
    (("archive",), ("move",), ("turn",)),
)


@pytest.fixture(autouse=True)
def eager_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ack moves the checkpoint, not only every 32nd."""
    monkeypatch.setattr(reserve, "CHECKPOINT_DISTANCE", 1)


@pytest.mark.parametrize("programs", TWO_EACH if AT_LENGTH else TWO_EACH[4::7], ids=str)
def test_two_operations_of_each_in_any_order(programs: Programs) -> None:
    assert explore(programs, Bounds(switches=1 if AT_LENGTH else 0)) > 10


@pytest.mark.parametrize("programs", ONE_EACH, ids=str)
def test_one_operation_of_each_in_any_order(programs: Programs) -> None:
    assert explore(programs, Bounds(switches=3 if AT_LENGTH else 2)) > 30


@pytest.mark.parametrize("programs", (*ONE_EACH, *TWO_EACH[3::8]) if AT_LENGTH else ONE_EACH, ids=str)
def test_any_fault_at_any_request(programs: Programs) -> None:
    """A Lambda ends, DynamoDB refuses for a transaction in flight, an answer is lost."""
    assert explore(programs, Bounds(switches=0, faults=1)) > 30


@pytest.mark.skipif(not AT_LENGTH, reason="a minute: make proofs")
@pytest.mark.parametrize("programs", ONE_EACH, ids=str)
def test_any_fault_while_somebody_is_set_aside(programs: Programs) -> None:
    assert explore(programs, Bounds(switches=1, faults=1)) > 100


# Each rule of the key store taken away, and a program that needs it.


def no_fence_at_a_move(patch: Patch) -> None:
    """Numbers that were reserved while the sessions moved come again behind the tombstone."""
    original = turn.Turn._outbound_writes

    def unfenced(self: turn.Turn) -> list[Any]:
        writes = original(self)
        if self._moved_to is None:
            return writes
        when = as_read("turn", self.sessions.outbound)
        assert isinstance(writes[0], Put)
        return [writes[0]._replace(when=(when,))]

    patch(turn.Turn, "_outbound_writes", unfenced)


def no_second_reservation(patch: Patch) -> None:
    """Who made the sessions looks up where they begin, and takes that number without reserving it."""

    def looked_up(keys: KeyStore, end: Any, user: str) -> Reservation:
        take = reserve.take_number

        def look(context: KeyContext, key: Key) -> Item:
            item = context.table.get(key) or {}
            if "next" not in item:
                return take(context, key)
            return {**item, "next": int(str(item["next"])) + 1}

        context = keys._context
        item_key = reserve.outbound_key(context.account, end.profile.incarnation, user)
        return reserve._reservation(context, user, item_key, look(context, item_key))

    patch(interleavings, "reserved_again", looked_up)


def tags_that_are_counted(patch: Patch) -> None:
    """Each Lambda numbers its turns: what another one wrote looks like what was read before."""
    counts: dict[int, int] = {}

    def count(context: KeyContext) -> bytes:
        counts[id(context.table)] = counts.get(id(context.table), 0) + 1
        return counts[id(context.table)].to_bytes(16, "big")

    patch(KeyContext, "new_tag", count)


REFUTATIONS: tuple[tuple[Callable[[Patch], None], Programs], ...] = (
    (mutants.no_fence, (("turn",), ("reserve",), ("reserve",))),
    (no_fence_at_a_move, (("move",), ("reserve",), ("reserve",))),
    (mutants.used_indexes_forgotten, (("late",), ("reserve",), ("reserve",))),
    (no_second_reservation, (("archive", "reserve"), ("reserve",), ("reserve",))),
    (mutants.the_session_read_first, (("first",), ("first",), ("reserve",))),
    (mutants.no_tombstone, (("move",), ("reserve",), ("turn",))),
    (mutants.no_tags, (("turn",), ("reserve",), ("recover", "reserve"))),
    (mutants.no_tags_on_the_receiving_half, (("turn", "late"), ("turn",), ("turn",))),
    (tags_that_are_counted, (("turn",), ("recover",), ("recover", "reserve"))),
    (mutants.a_number_from_a_read, (("reserve",), ("reserve",), ("turn",))),
    (mutants.failures_believed_at_once, (("same",), ("same",), ("reserve",))),
    (mutants.the_text_not_stored, (("turn",), ("turn",), ("reserve",))),
    (mutants.a_blind_checkpoint, (("checkpoint",), ("turn",), ("reserve",))),
)


@pytest.mark.parametrize(
    ("mutant", "programs"), REFUTATIONS, ids=[mutant.__name__ for mutant, _ in REFUTATIONS]
)
def test_without_this_rule_some_order_goes_wrong(
    mutant: Callable[[Patch], None], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    explore(programs, Bounds(switches=1))
    mutant(monkeypatch.setattr)
    with pytest.raises(Violation):
        explore(programs, Bounds(switches=2))
