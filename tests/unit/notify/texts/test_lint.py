"""The lint of texts names every mistake an owner can make, before it is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.notify.events.audience import ROUTES
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin.notify.texts.lint import AUDIENCES, lint, main

REPOSITORY = Path(__file__).parents[4]


@pytest.mark.slow
def test_the_texts_of_this_project_are_clean() -> None:
    assert lint(REPOSITORY / "functions" / "plan_notifications" / "templates") == []


@pytest.mark.parametrize(
    ("name", "source", "finding"),
    [
        ("en/TicketCreated.customer.txt", "{{ ticket.prio }}", ":1: ticket has no prio"),
        (
            "en/TicketCreated.customer.txt",
            "{% if 0 %}\n{{ ticket.prio }}{% endif %}",
            ":2: ticket has no prio",
        ),
        ("en/TicketCreated.customer.txt", "{{ ticket['prio'] }}", "ticket has no prio"),
        ("en/TicketCreated.customer.txt", "{{ client.name }}", "there is no client; there are"),
        ("en/TicketCreated.customer.txt", "{% if ticket.id %}", "Unexpected end of template"),
        ("en/TicketCreated.customer.txt", "{{ ticket.id | shout }}", "shout"),
        ("en/TicketCreated.customer.txt", '{% include "en/_none.txt" %}', "includes en/_none.txt"),
        ("en/TicketCreated.customer.txt", "{{ ticket.extra.sla }}", "sla"),
        ("en/TicketCreated.customer.txt", "", "says nothing"),
        ("en/TicketCreate.customer.txt", "typo", "is no <EventType>.<audience>.txt"),
        ("english/TicketCreated.customer.txt", "x", "folders named by their language"),
        ("en/words.json", "{", "words.json"),
        ("en/words.json", '{"and": 1}', "is not an object of texts"),
        ("fr/consent.json", "{}", "words of consent belong in templates/ of the layer"),
    ],
)
@pytest.mark.slow
def test_a_mistake_is_named_with_its_file(tmp_path: Path, name: str, source: str, finding: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(source, encoding="utf-8")
    found = lint(tmp_path)
    assert any(finding in line and Path(name).name in line for line in found), found


def test_the_command_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "typo.txt").write_text("x")
    assert main([str(tmp_path)]) == 1
    assert "typo.txt" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_shows_every_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--show"]) == 0
    # An answer is for the customer alone.
    shown = len(languages(DEFAULTS)) * ((len(ROUTES) - 1) * len(AUDIENCES) + 1)
    assert capsys.readouterr().out.count("--- ") == shown
