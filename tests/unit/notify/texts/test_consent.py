"""Consent: which replies withdraw it, which give it back, and which are none of that."""

import pytest

from tocsin.notify.texts.consent import Wish, confirmation_text, wish_of
from tocsin.notify.texts.languages import DEFAULTS, languages


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
@pytest.mark.parametrize("language", languages(DEFAULTS))
def test_every_confirmation_names_the_way_back(wish, language):
    other = Wish.START if wish is Wish.STOP else Wish.STOP
    words = {word.strip(".").casefold() for word in confirmation_text(wish, language).split()}
    assert any(wish_of(word) == (other, language) for word in words)


def test_an_unknown_language_is_confirmed_in_english():
    assert confirmation_text(Wish.STOP, "pt") == confirmation_text(Wish.STOP, "en")
