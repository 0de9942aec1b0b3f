"""How an account grows into its budgets."""

from __future__ import annotations

import pytest

from tocsin.pace.rules import Rules
from tocsin.pace.warm_up import DAY_SECONDS, grown, part_of

RULES = Rules(warm_up_days=10, percent_at_first=20)


@pytest.mark.parametrize(
    ("days", "sent", "answered", "part"),
    [
        (0, 0, 0, 0.2),
        (5, 100, 0, 0.6),
        (5, 100, 15, 0.8),
        (5, 100, 30, 1.0),
        (10, 100, 0, 1.0),
        (99, 1, 0, 1.0),
    ],
)
def test_it_grows_with_age_and_faster_with_answers(days: int, sent: int, answered: int, part: float) -> None:
    assert grown(RULES, days * DAY_SECONDS, sent, answered) == pytest.approx(part)


def test_an_account_of_before_is_grown() -> None:
    assert grown(RULES, None, 0, 0) == 1.0


def test_without_a_warm_up_everybody_is_grown() -> None:
    assert grown(RULES._replace(warm_up_days=0), 0, 0, 0) == 1.0


def test_a_budget_is_never_nothing() -> None:
    assert (part_of(10, 0.05), part_of(100, 0.5)) == (1, 50)
