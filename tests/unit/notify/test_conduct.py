"""Consent and restraint: which replies withdraw or give consent, and how much healing an hour allows."""

import pytest

from tocsin.notify.conduct import (
    RECOVERIES_PER_HOUR,
    RecoveryBudget,
    Wish,
    confirmation_text,
    wish_of,
)

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("reply", "language"),
    [
        ("STOP", "en"),
        ("stop", "en"),
        ("  Stop!! ", "en"),
        ("*STOP*", "en"),
        ("ＳＴＯＰ", "en"),
        ("stop  all", "en"),
        ("UNSUBSCRIBE", "en"),
        ("BERHENTI", "id"),
        ("berhenti.", "id"),
        ("Berhenti berlangganan", "id"),
        ("ALTO", "es"),
        ("¡Alto!", "es"),
        ("Baja", "es"),
        ("darme de baja", "es"),
    ],
)
def test_a_reply_that_is_nothing_but_an_opt_out_word_withdraws_consent(reply, language):
    assert wish_of(reply) == (Wish.STOP, language)


@pytest.mark.parametrize("reply", ["START", "mulai", "Langganan", "ALTA", "Darme de alta", "unstop"])
def test_consent_can_be_given_back(reply):
    wish = wish_of(reply)
    assert wish is not None
    assert wish[0] is Wish.START


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "please stop by at noon",
        "don't stop",
        "internet berhenti lagi",
        "la velocidad es baja",
        "cancel",
        "batal",
        "stop" * 40,
        "👍",
        "!!!",
    ],
)
def test_an_ordinary_reply_withdraws_nothing(reply):
    assert wish_of(reply) is None


@pytest.mark.parametrize("wish", list(Wish))
@pytest.mark.parametrize("language", ["en", "id", "es"])
def test_every_confirmation_names_the_way_back(wish, language):
    other = Wish.START if wish is Wish.STOP else Wish.STOP
    words = {word.strip(".").casefold() for word in confirmation_text(wish, language).split()}
    assert any(wish_of(word) == (other, language) for word in words)


def test_an_unknown_language_is_confirmed_in_english():
    assert confirmation_text(Wish.STOP, "pt") == confirmation_text(Wish.STOP, "en")


def test_the_hour_has_a_limit_and_then_begins_anew():
    budget: RecoveryBudget | None = RecoveryBudget()
    for _ in range(RECOVERIES_PER_HOUR):
        assert budget is not None
        budget = budget.spend(NOW)
    assert budget is not None
    assert budget.spend(NOW + 3599) is None
    fresh = budget.spend(NOW + 3600)
    assert fresh is not None
    assert fresh.in_hour == 1


def test_a_success_forgives_the_count_but_not_the_hour():
    budget = RecoveryBudget(since_success=3, in_hour=7, hour_started=NOW)
    assert budget.succeeded() == RecoveryBudget(since_success=0, in_hour=7, hour_started=NOW)
