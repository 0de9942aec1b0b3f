"""Each rule of the sender keys taken away once: the random lives of a group must notice."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.group_simulation import GroupSimulation
from tests.support.key_mutants import ANYTHING, Patch
from tests.support.key_simulation import Violation
from tocsin.dynamo.errors import OutcomeUnknown
from tocsin.dynamo.writes import Key, Update
from tocsin.keys import group_receive, reserve, sender_keys
from tocsin.keys.context import KeyContext
from tocsin.keys.receive import StanzaRecords
from tocsin.signal.errors import SignalError

LIVES = 300
STEPS = 400


def a_number_from_a_read(patch: Patch) -> None:
    def take(vault: KeyContext, key: Key) -> Any:
        item = vault.table.get(key) or {}
        if "next" not in item:
            return reserve.take_number(vault, key)
        count_on = Update(key, set={"next": int(str(item["next"])) + 1})
        return vault.patiently(lambda: vault.table.update(count_on))

    patch(sender_keys, "take_number", take)


def holders_filed_under_the_group(patch: Patch) -> None:
    """A late mark says that a device has the new key, which was never sent to it."""
    patch(sender_keys, "_holders", lambda vault, key, tag: (key[0], "holders"))
    patch(GroupSimulation, "_strangers", lambda self, reservation: False)


def marked_before_the_ack(patch: Patch) -> None:
    patch(sender_keys, "OFFERED", 1)


def who_left_is_forgotten(patch: Patch) -> None:
    patch(sender_keys, "discard_sender_key", lambda vault, incarnation, group: True)
    patch(GroupSimulation, "_strangers", lambda self, reservation: False)


def a_blind_checkpoint(patch: Patch) -> None:
    patch(sender_keys, "Equals", lambda attribute, value: ANYTHING)
    patch(sender_keys, "CHECKPOINT_DISTANCE", 0)


def the_text_not_stored(patch: Patch) -> None:
    patch(StanzaRecords, "known", lambda self, user: None)


def a_key_written_over_another_ones(patch: Patch) -> None:
    patch(group_receive, "as_read", lambda attribute, item: ANYTHING)


MUTANTS = [
    a_number_from_a_read,
    holders_filed_under_the_group,
    marked_before_the_ack,
    who_left_is_forgotten,
    a_blind_checkpoint,
    the_text_not_stored,
    a_key_written_over_another_ones,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_this_rule_something_goes_wrong(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch.setattr)
    assert any(_goes_wrong(seed) for seed in range(10_000, 10_000 + LIVES))


def _goes_wrong(seed: int) -> bool:
    try:
        GroupSimulation(seed, hostility=2).run(STEPS)
    except (Violation, SignalError):
        return True
    except OutcomeUnknown:
        # The mutant doesn't know what to do with it: a life that shows nothing.
        return False
    return False
