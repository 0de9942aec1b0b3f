"""The model of scale: what limits a deployment, and that the page says what the model computes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.scale import PAGE, Deployment, Measured, Model, Quotas, page, rounded

MODEL = Model(Measured(), Quotas())


def limit(what: str, to: Deployment, model: Model = MODEL) -> float:
    [found] = [one.per_minute for one in model.limits(to) if what in one.what]
    return found


def test_the_page_shows_what_the_model_computes() -> None:
    """After a change: python -m tests.bench.scale"""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, Model()) == text


def test_the_lowest_limit_is_first() -> None:
    found = [one.per_minute for one in MODEL.limits(Deployment())]
    assert found == sorted(found)


@pytest.mark.parametrize("what", ["own counter", "lane for each person"])
def test_more_accounts_raise_what_is_each_account_s(what: str) -> None:
    assert limit(what, Deployment(accounts=10)) == 10 * limit(what, Deployment())


@pytest.mark.parametrize("what", ["notifications table", "FIFO queue", "SendConcurrency"])
def test_more_accounts_raise_nothing_that_is_shared(what: str) -> None:
    assert limit(what, Deployment(accounts=10)) == limit(what, Deployment())


def test_an_invocation_lasts_as_long_as_an_ack_until_its_processor_is_used_up() -> None:
    slow = replace(MODEL, measured=replace(MODEL.measured, send_cpu_ms=40))
    assert limit("SendConcurrency", Deployment()) == pytest.approx(60 * 4 * 10 / 0.56)
    assert limit("SendConcurrency", Deployment(), slow) == pytest.approx(60 * 4 * 10 / (0.4 * 1769 / 384))


def test_half_the_write_units_are_twice_the_notifications_of_a_table() -> None:
    lean = replace(MODEL, measured=replace(MODEL.measured, write_units=3.5))
    assert limit("notifications table", Deployment(), lean) == 2 * limit("notifications table", Deployment())


def test_what_an_operator_turns_up_raises_the_first_limit() -> None:
    for accounts in (1, 10, 100):
        plain = Deployment(accounts=accounts)
        assert MODEL.limits(MODEL.raised(plain))[0].per_minute > MODEL.limits(plain)[0].per_minute


@pytest.mark.parametrize(("value", "text"), [(4285.7, "4,300"), (96, "96"), (1234567, "1,200,000")])
def test_figures_pretend_no_precision(value: float, text: str) -> None:
    assert rounded(value) == text
