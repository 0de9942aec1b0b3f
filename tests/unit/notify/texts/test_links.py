"""Links that customers write into a ticket: no phone of those who work on it makes links of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.linkifiers import links_in
from tests.support.sealed_texts import TEXTS
from tests.support.settings import chosen
from tocsin.dynamo.memory import MemoryTable
from tocsin.notify.content import File, Text
from tocsin.notify.events.audience import ROUTES, Recipient, recipients
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.samples import FULL, sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.planning import notifications_of
from tocsin.notify.store.stores import Stores
from tocsin.notify.texts.formatting import line, unclickable
from tocsin.notify.texts.languages import DEFAULTS, languages
from tocsin.notify.texts.template import Templates

PLAIN, CLICKABLE = Templates(), Templates(clickable_customer_links=True)
PAGE = "https://desk.example.com/tickets/1042"

LINKS = [
    "https://evil.example/login?a=b.c",
    "HTTP://EVIL.EXAMPLE",
    "www.evil.com",
    "evil.com",
    "evil.com:8080/x",
    "a.b.evil.zip",
    "wa.me/6281234567890",
    "chat.whatsapp.com/ABCdef",
    "mailto:a@b",
    "a@evil.com",
    "//localhost/x",
    "ftp://files.evil.com",
    "192.168.0.1",
    "http://10.0.0.1:8080/",
    "пример.рф",
    "例え.テスト",
    "xn--e1afmkfd.xn--p1ai",
    "evil\u200d.com",
    "1.2.com",
    "(evil.com).",
    "user:pass@evil.com",
]

# What linkifiers look for, in any order, beside any text.
SIGNS = ["http", "https:", ":", "/", "//", "://", ".", "..", "@", "mailto:", "www.", "-", "_", "(", ")", "*"]
WORDS = ["com", "org", "рф", "xn--p1ai", "evil", "a", "1", "127.0.0.1", " ", "\n", "。", "\uff0e", "\u2024"]
PIECES = st.sampled_from([*LINKS, *SIGNS, *WORDS])
WRITTEN = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)


def event_of(text: str, kind: str = "TicketCreated", url: str | None = PAGE) -> TicketEvent:
    """An event of a ticket in which `text` stands wherever a person may write."""
    ticket = {**FULL["ticket"], "subject": text, "description": text, "location": text, "status": text}
    ticket |= {"priority": text, "extra": {"note": text}}
    ticket = {name: value for name, value in ticket.items() if name != "url"} | ({"url": url} if url else {})
    parsed = parse_event(sample_body(kind, FULL, ticket=ticket), default_region="ID", accounts=["default"])
    assert parsed.customer is not None
    return replace(parsed, customer=replace(parsed.customer, name=text))


def said(event: TicketEvent, audience: str, templates: Templates, language: str = "en") -> str:
    whom = next(one for one in recipients(event) if one.audience == audience)
    return templates.render(event, replace(whom, language=language), "en").text


# -- what is made of a text ----------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_the_judges_make_links_of_these(link: str) -> None:
    """A twin: without the look-alikes they would all be links."""
    assert links_in(link)


@given(WRITTEN)
@example("".join(LINKS))
@example(" ".join(LINKS))
def test_no_linkifier_finds_a_link(text: str) -> None:
    assert links_in(unclickable(line(text, 4096))) == []


@given(WRITTEN)
def test_it_reads_as_it_was_written(text: str) -> None:
    looks_like = str.maketrans({"\u2236": ":", "\u2215": "/", "\u2024": "."})
    shown = unclickable(text)
    assert len(shown) == len(text)
    as_seen = text.translate(looks_like)
    for dot in "\uff0e\uff61\u3002":
        as_seen, shown = as_seen.replace(dot, "."), shown.replace(dot, ".")
    assert shown.translate(looks_like) == as_seen


@pytest.mark.parametrize(
    "text", ["Rp 1.250.000,50", "at 10:30.", "2.5", "Hello. World", "+62 812-3456-7890", "a/b", "wait..."]
)
def test_what_is_no_link_stays(text: str) -> None:
    assert unclickable(text) == text


# -- what is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages(DEFAULTS))
@pytest.mark.parametrize("kind", [kind for kind in ROUTES if kind != "TicketReplied"])
@pytest.mark.parametrize("audience", ["technician", "group"])
def test_the_only_link_is_that_of_the_ticketing_system(kind: str, audience: str, language: str) -> None:
    text = said(event_of(" ".join(LINKS), kind), audience, PLAIN, language)
    assert set(links_in(text.replace(PAGE, ""))) == set()
    assert PAGE in text


@given(WRITTEN)
def test_whatever_a_ticket_says_makes_no_link(text: str) -> None:
    for audience in ("technician", "group"):
        assert links_in(said(event_of(f"x {text}", url=None), audience, PLAIN)) == []


def test_customers_read_their_own_words_as_they_wrote_them() -> None:
    assert "evil.com" in said(event_of("see evil.com"), "customer", PLAIN)


def test_a_deployment_may_want_them_clickable() -> None:
    assert "evil.com" in said(event_of("see evil.com"), "technician", CLICKABLE)


IDS = Stores(MemoryTable(), texts=TEXTS).ids


def planned(event: TicketEvent, templates: Templates) -> list[Text | File]:
    made = notifications_of(
        event, templates, IDS, default_language="en", created_at=1, settings=chosen(link_previews=True)()
    )
    return [
        one.content for one in made if one.audience != "customer" and isinstance(one.content, Text | File)
    ]


def test_a_preview_links_to_the_page_and_to_nothing_else() -> None:
    previews = [one.preview for one in planned(event_of("see evil.com"), PLAIN) if isinstance(one, Text)]
    assert previews
    for preview in previews:
        assert preview is not None
        assert preview.url == PAGE
        assert links_in(f"{preview.title}\n{preview.description}") == []


def test_the_caption_of_a_file_makes_no_link() -> None:
    body = sample_body("TicketCreated", FULL, attachments=[{"key": "a/plan.pdf", "caption": "see evil.com"}])
    event = parse_event(body, default_region="ID", accounts=["default"], attachments=True)
    captions = [one.caption for one in planned(event, PLAIN) if isinstance(one, File)]
    assert captions
    assert links_in("\n".join(captions)) == []


def test_the_name_in_a_greeting_makes_no_link() -> None:
    whom = Recipient("technician", "628", "evil.com", "en")
    assert links_in(PLAIN.render(event_of("x", url=None), whom, "en").text) == []
