"""What other people write does nothing on any page, however it is written."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from tests.support.console_page import Browser
from tests.support.console_pages import pages
from tests.support.fake_cloud import ACCOUNT
from tests.support.fake_deployment import NOW, SITI, FakeDeployment
from tests.support.notifications import an_id
from tocsin.notify.content import Attachment, Content, File, Text
from tocsin.notify.notification import Notification, Problem
from tocsin.notify.store.audit import AuditLine
from tocsin.notify.store.own_texts import OwnTexts
from tocsin_console.doctor.checks import Finding, Level
from tocsin_console.page.linking import Attempt
from tocsin_console.page.views.link import attempts
from tocsin_console.pair import TypedCode, Wishes

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
QUERIES = [
    "/letters?reason={}",
    "/feed?words={}",
    "/feed?ticket={}",
    "/feed?person={}",
    "/link?account={}",
    "/audit?who={0}&what={0}",
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
    group = replace(
        fake.planned(), id="9" * 18, recipient="1203@g.us", recipient_name=evil[:500], audience="group"
    )
    assert fake.deployment.stores.notifications.put_new(group) is None
    fake.deployment.stores.parking.park(group, "account-unavailable", NOW * 1000)
    return [*made, group]


def remember(fake: FakeDeployment, browser: Browser, evil: str) -> str:
    """What the pages tell of what was done, all of it evil, and the id of a job."""
    stores, site = fake.deployment.stores, browser.site
    stores.audit.add(AuditLine(NOW * 1000, evil[:500], evil[:500], 1, evil[:400]))
    path = "en/TicketCreated.customer.txt"
    stores.own_texts.write(OwnTexts(), {path: evil[:3000]}, at=NOW * 1000, by=evil[:500], what=evil[:500])
    site.offered["doctor"] = (NOW, [(evil[:500], Finding(Level.FAULT, evil, evil, evil))])
    attempt = Attempt(fake.deployment, ACCOUNT, Wishes(), site.words)
    attempt.offer, attempt.hint, attempt.trouble = TypedCode(evil[:40], NOW), evil, evil
    attempts(site)[ACCOUNT] = attempt
    session = site.door.session(browser.cookie.partition("=")[2])
    assert session is not None
    session.tell("done", evil)
    return browser.post("/letters/preview", verb="redrive").headers["location"].rpartition("/")[2]


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
    # Whoever changes a text must get it as it is.
    assert not STEERING.search(re.sub(r"<textarea id=\"text\".*?</textarea>", "", raw, flags=re.DOTALL))
    assert len(raw) < 400_000


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_on_every_page_it_is_only_text(fake: FakeDeployment, browser: Browser, evil: str) -> None:
    made = plant(fake, evil)
    job = remember(fake, browser, evil)
    here = {"job": job, "language": "en", "name": "TicketCreated.customer.txt"}
    paths = [path.format(quote(evil[:500], safe="")) for path in QUERIES]
    paths += [path for one in made for path in pages({"id": one.id, **here})]
    paths += pages(dict.fromkeys(("id", "job", "language", "name"), evil[:500]))
    for path in dict.fromkeys(paths):
        answer = browser.get(path)
        assert answer.status in (200, 303, 400, 403, 404), path
        judge(answer.raw)
    for path in (
        "/people",
        "/link/begin",
        "/texts/add",
        "/settings/put",
        "/letters/events",
        "/letters/redrive",
    ):
        answer = browser.post(
            path, account=ACCOUNT, wanted=evil, phone=evil, new=evil, name=evil, value=evil, id=evil
        )
        assert answer.status in (200, 303, 400, 404, 413), path
        judge(answer.raw)
    assert "49" not in browser.get("/feed").text or evil != EVIL[2]
