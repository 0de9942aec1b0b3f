"""A language is one folder: nothing else has to be told of it, and nothing refuses it."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest

from tocsin.notify.events.audience import Recipient
from tocsin.notify.events.samples import sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.texts.consent import Wish, confirmation_text, wish_of
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin.notify.texts.lint import lint
from tocsin.notify.texts.template import Templates

CONSENT = {
    "stop": {"words": ["Parar", "stop"], "confirmation": "Envie VOLTAR se mudar de ideia."},
    "start": {"words": ["Voltar"], "confirmation": "Envie PARAR quando quiser."},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All languages of this project, and Portuguese besides."""
    copytree(DEFAULTS, tmp_path / "texts")
    portuguese = tmp_path / "texts" / "pt"
    copytree(DEFAULTS / "es", portuguese)
    for path in portuguese.glob("*.txt"):
        path.write_text(path.read_text("utf-8").replace('"es/', '"pt/').replace("Hola", "Olá"), "utf-8")
    (portuguese / "consent.json").write_text(json.dumps(CONSENT), "utf-8")
    return tmp_path / "texts"


def test_the_folders_are_the_languages(folder: Path) -> None:
    (folder / "README.md").write_text("no language", "utf-8")
    assert languages(folder) == sorted([*languages(DEFAULTS), "pt"])


def test_a_recipient_of_an_event_is_told_in_it(folder: Path) -> None:
    event = parse_event(sample_body(), default_region="ID", accounts=["default"])
    told = Templates(folder).render(event, Recipient("customer", "1", "Siti", "pt-BR"), "id")
    assert (told.language, told.text.partition(" ")[0]) == ("pt", "Olá")


def test_its_words_withdraw_consent_and_give_it_again(folder: Path) -> None:
    assert wish_of("PARAR!", folder) == (Wish.STOP, "pt")
    assert wish_of("voltar", folder) == (Wish.START, "pt")


def test_it_confirms_in_its_own_words(folder: Path) -> None:
    assert confirmation_text(Wish.STOP, "pt", folder) == "Envie VOLTAR se mudar de ideia."


def test_a_word_of_english_too_is_confirmed_in_english(folder: Path) -> None:
    assert wish_of("stop", folder) == (Wish.STOP, "en")


def test_without_words_of_consent_it_is_confirmed_in_english(folder: Path) -> None:
    (folder / "pt" / "consent.json").unlink()
    assert confirmation_text(Wish.START, "pt", folder) == confirmation_text(Wish.START, "en")


@pytest.mark.slow
def test_the_lint_takes_its_texts(folder: Path, tmp_path: Path) -> None:
    own = copytree(folder / "pt", tmp_path / "own" / "pt")
    (own / "consent.json").unlink()
    assert lint(own.parent) == []
