"""What other people write does nothing on any page, however it is written."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support.console_page import Browser
from tests.support.fake_cloud import ACCOUNT
from tests.support.fake_deployment import NOW, SITI, FakeDeployment
from tests.support.notifications import an_id
from tocsin.notify.content import Attachment, Content, File, Text
from tocsin.notify.notification import Notification, Problem

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}{% for x in ().__class__ %}",
    "\u202egnp.exe\u2066\u200f\ufeff",
    "e\u0301" * 200 + "\u200d" * 200,
    "A" * 65536,
    "\x00\x1b]0;owned\x07",
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
]
PAGES = [
    "/letters",
    "/letters?reason={}",
    "/letters/events",
    "/",
    "/feed",
    "/feed?words={}",
    "/feed?ticket={}",
    "/feed?person={}",
    "/notification/{}",
    "/{}",
]
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def plant(fake: FakeDeployment, evil: str) -> list[Notification]:
    """Notifications whose every text is evil: one that was sent, one with a file, one that failed."""
    contents: list[Content] = [
        Text(evil[:60000]),
        File(Attachment("k", evil[:200], "image/png"), evil[:3000]),
    ]
    made = []
    for number, content in enumerate(contents):
        one = replace(
            fake.planned(),
            id=an_id(ACCOUNT, evil[:100], "TicketCreated", number, "customer", SITI),
            ticket_id=evil[:300].replace("\x00", "") or "x",
            recipient_name=evil[:500],
            content=content,
            refused_address=evil[:300],
        )
        assert fake.deployment.stores.notifications.put_new(one) is None
        made.append(one)
    problem = Problem(evil[:100], "retry", evil[:3000])
    fake.deployment.stores.notifications.fail(made[1].id, problem, NOW * 1000)
    fake.bury(made[1], problem)
    fake.deployment.stores.notifications.mark_sent(
        made[0].id, {}, at=NOW * 1000, account=ACCOUNT, receipt_deadline=NOW * 1000
    )
    fake.refuse({"detail-type": evil, "detail": {"ticket": {"id": evil}}}, evil[:500])
    return made


class Tags(HTMLParser):
    """The tags of a document, as a browser reads them."""

    def __init__(self, raw: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(raw)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def judge(raw: str) -> None:
    """Only our own tags, only our own scripts, no handlers, nothing that steers."""
    tags = Tags(raw).found
    assert {attributes.get("src", "") for tag, attributes in tags if tag == "script"} <= {"/static/page.js"}
    assert "img" not in {tag for tag, _ in tags}
    assert [name for _, attributes in tags for name in attributes if name.startswith("on")] == []
    links = [attributes.get("href", "/") for _, attributes in tags] + [
        attributes.get("action", "/") for _, attributes in tags
    ]
    assert [link for link in links if not link.startswith(("/", "#"))] == []
    assert not STEERING.search(raw)
    assert len(raw) < 400_000


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_on_every_page_it_is_only_text(fake: FakeDeployment, browser: Browser, evil: str) -> None:
    from urllib.parse import quote

    made = plant(fake, evil)
    for path in [*PAGES, *(f"/notification/{one.id}" for one in made)]:
        answer = browser.get(path.format(quote(evil[:500], safe="")))
        assert answer.status in (200, 303, 400, 404), path
        judge(answer.raw)
    assert "49" not in browser.get("/feed").text or evil != EVIL[2]
