"""Words that are for their recipient alone are shown by no command and on no page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tocsin.notify.content import SENSITIVE, Text, Withheld
from tocsin.notify.notification import Notification, Problem
from tocsin_console import dead_letters
from tocsin_console.explain import explain
from tocsin_console.feed.line import line_of

CODE = "Your code is 481-516"


@pytest.fixture
def secret(fake: FakeDeployment) -> Notification:
    planned = replace(fake.planned(), id="5" * 18, content=Text(CODE), sensitive=True)
    assert fake.deployment.stores.notifications.put_new(planned) is None
    return planned


def test_explain_says_that_they_are_not_shown(fake: FakeDeployment, secret: Notification, said: Said) -> None:
    explain(fake.deployment, secret.id, output=said.output, text=True, clock=lambda: NOW)
    assert "481-516" not in said.text
    assert "it is sensitive: for its recipient alone" in said.text


def test_for_programs_there_is_a_word_for_it(fake: FakeDeployment, secret: Notification, told: Said) -> None:
    explain(fake.deployment, secret.id, output=told.output, text=True, clock=lambda: NOW)
    assert (told.records[0]["text"], told.records[0]["text_withheld"]) == (None, SENSITIVE)


def test_a_dead_letter_does_not_show_them(fake: FakeDeployment, secret: Notification, said: Said) -> None:
    problem = Problem("server-error", "retry", "500")
    fake.deployment.stores.notifications.fail(secret.id, problem, NOW * 1000)
    fake.bury(secret, problem)
    dead_letters.show_letter(fake.deployment, secret.id, text=True, output=said.output)
    assert "481-516" not in said.text


def test_a_page_gets_no_words_to_show(fake: FakeDeployment, secret: Notification) -> None:
    stored = fake.deployment.stores.notifications.get(secret.id)
    assert stored is not None
    assert stored.content == Withheld(SENSITIVE)
    line = line_of(stored)
    assert "481-516" not in line.text
    assert "481-516" not in line.words


def test_twin_other_words_are_shown(fake: FakeDeployment, said: Said) -> None:
    explain(fake.deployment, fake.planned().id, output=said.output, text=True, clock=lambda: NOW)
    assert "Halo Siti" in said.text
