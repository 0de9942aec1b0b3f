"""The words: which language speaks, what they say, and that nobody's text breaks them."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tocsin.notify.events.audience import ROUTES, Recipient, recipients
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.samples import FULL, HOSTILE, sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin.notify.texts.lint import samples
from tocsin.notify.texts.template import MAX_CHARACTERS, TemplateFailed, Templates

TEMPLATES = Templates()
TOLD_TO_ALL = [event_type for event_type in ROUTES if event_type != "TicketReplied"]


def event(
    event_type: str = "TicketCreated", detail: dict[str, Any] | None = None, **changes: Any
) -> TicketEvent:
    body = sample_body(event_type, detail, **changes)
    return parse_event(body, default_region="ID", accounts=["default"])


def told(of: TicketEvent, audience: str, language: str = "en", templates: Templates = TEMPLATES) -> str:
    recipient = next(one for one in recipients(of) if one.audience == audience)
    return templates.render(of, replace(recipient, language=language), "en").text


@pytest.mark.parametrize(
    ("language", "default", "spoken", "greeting"),
    [
        ("id", "en", "id", "Halo Siti,"),
        ("es-MX", "id", "es", "Hola Siti:"),
        ("ES_mx", "id", "es", "Hola Siti:"),
        ("", "id", "id", "Halo Siti,"),
        ("xx", "id", "id", "Halo Siti,"),
        ("xx", "yy", "en", "Hello Siti,"),
        ("../id", "es", "es", "Hola Siti:"),
    ],
)
def test_the_recipients_language_speaks_or_the_accounts_or_english(
    language: str, default: str, spoken: str, greeting: str
) -> None:
    rendered = TEMPLATES.render(event(), Recipient("customer", "1", "Siti", language), default)
    assert rendered.language == spoken
    assert rendered.text.startswith(greeting)


def test_a_customer_reads_of_their_own_ticket() -> None:
    text = told(event(), "customer")
    assert "*Ticket number:* TCK-1042" in text
    assert "No internet since 09:00" in text
    assert "*Priority:* High" in text
    assert "https://desk.example.com/tickets/1042" in text
    assert "STOP" in text


def test_a_technician_reads_whom_to_call_and_where_to_go() -> None:
    text = told(event(), "technician")
    assert "*Customer:* Siti, +6281234567890" in text
    assert "*Location:* Jl. Merdeka 5" in text
    assert "*Together with:* Ayu" in text
    assert "> The modem's light is red.\n> Restarted twice, no change." in text


def test_a_customer_reads_what_was_answered_and_by_whom() -> None:
    text = told(event("TicketReplied"), "customer")
    assert "Budi has answered your ticket *TCK-1042*" in text
    assert "> Our line was cut by roadworks.\n> It works again since 10:30." in text


def test_an_answer_without_words_is_told_without_them() -> None:
    text = told(event("TicketReplied", reply=None), "customer")
    assert "There is an answer to your ticket *TCK-1042*" in text
    assert ">" not in text


def test_a_group_never_reads_the_customers_number() -> None:
    for event_type in TOLD_TO_ALL:
        assert "6281234567890" not in told(event(event_type), "group")


def test_a_customer_never_reads_a_technicians_number() -> None:
    for event_type in ROUTES:
        assert "62813" not in told(event(event_type), "customer")


def test_the_four_routes_differ_in_words() -> None:
    by_admin = event(created_by={"role": "admin", "id": "U-1"})
    by_technician = event(created_by={"role": "technician", "id": "T-9"})
    texts = {
        told(by_admin, "customer"),
        told(by_admin, "technician"),
        told(by_technician, "customer"),
        told(by_technician, "technician"),
    }
    assert len(texts) == 4


@pytest.mark.parametrize("language", languages(DEFAULTS))
@pytest.mark.parametrize("event_type", ROUTES)
def test_every_text_is_tidy_and_short_enough(event_type: str, language: str) -> None:
    for one, recipient in samples():
        if one.event_type != event_type:
            continue
        text = TEMPLATES.render(one, replace(recipient, language=language), language).text
        assert 0 < len(text) <= MAX_CHARACTERS
        assert "\n\n\n" not in text
        assert text == text.strip()
        assert "None" not in text


@pytest.mark.parametrize(
    ("event_type", "audience"),
    [
        *itertools.product(TOLD_TO_ALL, ["customer", "technician", "group"]),
        ("TicketReplied", "customer"),
    ],
)
def test_hostile_text_leaves_the_formatting_as_it_was(event_type: str, audience: str) -> None:
    """Every delimiter that is left is the template's own, so each line holds them in pairs."""
    for text_line in told(event(event_type, HOSTILE), audience).split("\n"):
        marks = re.sub(r"https://\S+", "", text_line)
        assert marks.count("*") % 2 == 0
        assert not re.search(r"[~`]", marks)
        assert "{{ 7 * 7 }}" not in marks
        assert "49" not in marks


def test_many_technicians_are_counted_instead_of_listed() -> None:
    crowd = [{"name": f"T{n}", "phone": f"+62 813 1111 22{n:02}"} for n in range(9)]
    assert "T0, T1, T2, T3, T4 and +4" in told(event("TicketAssigned", technicians=crowd), "customer")


def test_an_owners_text_is_said_instead_of_ours(tmp_path: Path) -> None:
    own(tmp_path, "en/TicketCreated.customer.txt", "Dear {{ recipient.name }}: {{ ticket.extra.sla }}")
    templates = Templates(tmp_path)
    ticket = {**FULL["ticket"], "extra": {"sla": "4 *hours*"}}
    assert told(event(ticket=ticket), "customer", templates=templates) == "Dear Siti: 4 ∗hours∗"
    assert told(event(), "technician", templates=templates).startswith("Hello Budi,")


def test_an_owner_may_add_a_language_and_words(tmp_path: Path) -> None:
    own(tmp_path, "fr/TicketCreated.customer.txt", "Bonjour, {{ ticket.priority }}")
    own(tmp_path, "fr/words.json", '{"priority.high": "Haute"}')
    assert told(event(), "customer", "fr", Templates(tmp_path)) == "Bonjour, Haute"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ ticket.nothing }}", "nothing"),
        ("{{ nobody }}", "nobody"),
        ("{% if %}", "line 1"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ ticket.update({'id': 1}) }}", "unsafe"),
        ('{% include "en/_missing.txt" %}', "_missing"),
        ("{# silence #}", "says nothing"),
    ],
)
def test_a_broken_text_is_named(tmp_path: Path, source: str, reason: str) -> None:
    own(tmp_path, "en/TicketCreated.customer.txt", source)
    with pytest.raises(TemplateFailed, match=reason) as failure:
        told(event(), "customer", templates=Templates(tmp_path))
    assert failure.value.template == "en/TicketCreated.customer.txt"


def own(folder: Path, name: str, source: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(source, encoding="utf-8")
