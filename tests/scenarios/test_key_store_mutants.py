"""Each rule of the key store taken away once: the random lives must notice.

A rule whose absence nobody notices is either superfluous or untested.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from tests.support import key_stories
from tests.support.key_mutants import (
    Patch,
    a_blind_checkpoint,
    a_move_that_minds_no_turn,
    a_number_from_a_read,
    failures_believed_at_once,
    no_fence,
    no_tags,
    no_tags_on_the_receiving_half,
    no_tombstone,
    one_state_for_all_tries,
    the_session_read_first,
    the_text_not_stored,
    used_indexes_forgotten,
)
from tests.support.key_peers import Clock, End
from tests.support.key_simulation import KeySimulation, Violation
from tocsin.signal.errors import SignalError

LIVES = 400
STEPS = 400


MUTANTS = [
    no_fence,
    no_tags,
    no_tags_on_the_receiving_half,
    a_number_from_a_read,
    used_indexes_forgotten,
    failures_believed_at_once,
    the_session_read_first,
    the_text_not_stored,
    a_blind_checkpoint,
    no_tombstone,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_this_rule_something_goes_wrong(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch.setattr)
    assert any(_goes_wrong(seed) for seed in range(10_000, 10_000 + LIVES))


# Rare in random lives (one in a thousand); one specification each tells the story.
RARE = [
    (a_move_that_minds_no_turn, key_stories.a_device_that_joins_between_read_and_commit_moves_too),
    (
        one_state_for_all_tries,
        key_stories.a_session_that_was_made_without_our_knowledge_is_not_made_twice,
    ),
]


@pytest.mark.parametrize(("mutant", "story"), RARE, ids=lambda case: case.__name__)
def test_without_this_rule_its_specification_fails(
    mutant: Callable[[Patch], None], story: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch.setattr)
    clock = Clock()
    ends: dict[str, Any] = {"ann": End("100@lid", device=3, clock=clock), "bob": End("200@lid", clock=clock)}
    ends["old_bob"] = key_stories.Renamed(ends["bob"])
    with pytest.raises((AssertionError, SignalError)):
        story(*(ends[name] for name in signature(story).parameters))


def _goes_wrong(seed: int) -> bool:
    try:
        KeySimulation(seed, hostility=2).run(STEPS)
    except (Violation, SignalError):
        return True
    return False
