"""The page on the deployed stack, in a browser of its own kind: what happens is seen there, and what is done
there happens.

`TOCSIN_PICTURES=FOLDER pytest tests/e2e/test_console_page.py` keeps the pictures of the documents. Run alone,
as other tests leave dead letters behind.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.console_page import Browser, served
from tests.support.stack import ACCOUNT, DESK, DeployedStack, Notice, Person, eventually, new_ticket
from tocsin.notify.notification import State
from tocsin_console.deployment import Deployment
from tocsin_console.page import opening
from tocsin_console.page.views.link import attempts, square
from tocsin_console.pair import Code
from tocsin_local.chromium import find_chromium
from tocsin_local.world import World

pytestmark = pytest.mark.e2e

PICTURES = os.environ.get("TOCSIN_PICTURES")
"""A folder for the pictures; without it, none are kept."""

AXE = Path(__file__).parents[1] / "interop/node/node_modules/axe-core/axe.min.js"
RULES = """async () => (await axe.run(document, {runOnly:
    ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}))
  .violations.map((one) => one.id + ": " + one.nodes.map((node) => node.target.join(" ")).join(" | "))"""

SIZES: Final = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
TEXT: Final = "/texts/en/TicketCreated.customer.txt"
PATIENCE_MS: Final = 90_000
NOBODY: Final = "6289999999998"


@pytest.fixture(scope="module")
def deployment(running_world: World) -> Deployment:
    seed_hours(running_world.deployment)
    return running_world.deployment


def seed_hours(deployment: Deployment, days: int = 30) -> None:
    """What a help desk of some thousand customers does, counted by the hour as `publish_outcomes` counts it.
    The numbers are made up: this stack is a few minutes old, and a chart of one bar shows nothing."""
    now, hour = int(time.time() * 1000), 3_600_000
    for back in range(1, days * 24):
        at = now - back * hour
        of_day = (at // hour + 7) % 24
        busy = max(math.sin((of_day - 6) / 15 * math.pi), 0.03) if 6 <= of_day <= 21 else 0.03
        sent = int((18 + 7 * math.sin(back / 31) + (back * 7919) % 5) * busy)
        delivered, failed = max(sent - (back % 3 == 0), 0), int(back % 67 == 5)
        read, replies = int(delivered * 0.8), delivered // 6
        counts = {
            "Sent": sent,
            "Delivered": delivered,
            "Read": read,
            "ReplyReceived": replies,
            "Failed": failed,
        }
        counts |= {"took#1": delivered * 7 // 10, "took#2": delivered // 5, "took#4": delivered // 10}
        if failed:
            counts["dead#not-on-whatsapp" if back % 2 else "dead#server-error"] = 1
        deployment.stores.hours.add(ACCOUNT, at, counts)


@pytest.fixture(scope="module")
def browser(deployment: Deployment) -> Iterator[Browser]:
    with served(deployment) as made:
        yield made.comes_in()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Driven by Playwright."""
    program = find_chromium()
    if program is None:
        pytest.skip("make setup has no Chromium for this machine, nor is one on the PATH")
    driver = pytest.importorskip("playwright.sync_api", reason="make setup installs Playwright")
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def opened(chromium: Any, browser: Browser, scheme: str = "light", width: int = 1280, **more: Any) -> Any:
    """A tab in which the browser's session goes on."""
    context = chromium.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce", **more
    )
    context.set_default_timeout(PATIENCE_MS)
    name, _, value = browser.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": browser.own}])
    return context.new_page()


class Walk:
    """Somebody who goes through the page. `wrong`: what its scripts complained of."""

    def __init__(self, tab: Any, own: str, folder: Path) -> None:
        self.tab, self._own, self._folder = tab, own, folder
        self.wrong: list[str] = []
        tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        tab.on("console", lambda one: self.wrong.append(one.text) if one.type == "error" else None)

    def to(self, path: str) -> None:
        self.tab.goto(self._own + path)

    def press(self, name: str) -> None:
        self.tab.get_by_role("button", name=name).first.click()

    def follow(self, name: str) -> None:
        self.tab.get_by_role("link", name=name).first.click()

    def sees(self, words: str, where: str = "main") -> None:
        """Wait until the page says this."""
        from playwright.sync_api import expect

        expect(self.tab.locator(where).first).to_contain_text(words, timeout=PATIENCE_MS)

    def picture(self, name: str, height: int = 800) -> None:
        self.tab.set_viewport_size({"width": 1280, "height": height})
        self.tab.mouse.move(0, 0)
        self.tab.screenshot(path=self._folder / f"{name}.png")


def test_a_walk_from_nothing_linked_to_a_text_of_ones_own(
    browser: Browser, chromium: Any, running_world: World, tmp_path: Path
) -> None:
    folder = Path(PICTURES or tmp_path)
    deployed = DeployedStack(running_world)
    deployed.phones.clear_faults()
    walk = Walk(opened(chromium, browser), browser.own, folder)
    feed = Walk(opened(chromium, browser), browser.own, folder)
    siti = deployed.person("Siti", language="en")
    begins_unlinked(walk, deployed)
    links(walk, browser, deployed)
    feed.to("/feed")
    sends_a_test(walk, siti)
    feed.sees("read", ".line")
    heals(walk, feed, deployed, siti)
    redrives(walk, feed, deployed)
    goes_on(feed, deployed, siti)
    changes_a_text(walk, deployed, siti)
    # What other tests of this stack left.
    deployment = deployed.world.deployment
    deployment.sqs.purge_queue(QueueUrl=deployment["DeadLettersQueueUrl"])
    walk.to("/")
    walk.sees("Everything is running")
    walk.picture("now", 1000)
    assert walk.wrong + feed.wrong == []


def begins_unlinked(walk: Walk, deployed: DeployedStack) -> None:
    """The shared stack is linked: the walk begins by undoing that, on the page."""
    walk.to("/link")
    walk.tab.get_by_text("Unlink this account").click()
    walk.tab.get_by_label("I want that").check()
    walk.press("Unlink default")
    # The page says "is unlinked" of what it would do as well: only the connector knows when it did.
    deployed.wait_for_account("unpaired")
    walk.to("/")
    walk.sees("The account is not linked to a phone, so nothing can be sent")
    walk.picture("now-nothing-linked")


def links(walk: Walk, browser: Browser, deployed: DeployedStack) -> None:
    walk.follow("Link it")
    walk.press("Show a QR code")
    drawn = walk.tab.locator(".qr path")
    drawn.wait_for(timeout=PATIENCE_MS)
    walk.picture("link")
    offer = attempts(browser.site)[ACCOUNT].offer
    assert isinstance(offer, Code)
    assert drawn.get_attribute("d") == square(offer.text).path
    deployed.phones.link(DESK, offer.text)
    walk.sees("is linked")
    deployed.wait_for_account("connected")
    walk.to("/link")
    walk.sees("Send yourself a test")


def sends_a_test(walk: Walk, siti: Person) -> None:
    walk.tab.get_by_label("Your own number").fill(f"+{siti.number}")
    walk.press("Send it")
    walk.sees("This is a test of Tocsin")
    walk.sees("after it was planned")
    walk.sees("Read", "h1")


def heals(walk: Walk, feed: Walk, deployed: DeployedStack, siti: Person) -> None:
    deployed.phones.break_phone(siti.number, "corrupt-session")
    notice = deployed.tell(siti, subject="No internet since 09:00")
    feed.sees("read", f'[data-id="{notice.id}"]')
    walk.to(f"/notification/{notice.id}")
    walk.sees("recovered")
    walk.sees("healed")
    walk.picture("notification")


def redrives(walk: Walk, feed: Walk, deployed: DeployedStack) -> None:
    """Somebody without WhatsApp gets it, and then the message."""
    dewi = Person(NOBODY, "Dewi", "en")
    notice = deployed.tell(dewi)
    deployed.until(notice, State.FAILED)
    deployed.letter(notice)
    feed.sees("given up", f'[data-id="{notice.id}"]')
    walk.to("/letters")
    walk.sees("not-on-whatsapp")
    walk.picture("letters")
    deployed.phones.add_phone(dewi.number, dewi.name, reads=True)
    walk.to(f"/letters?reason=not-on-whatsapp&ticket={notice.ticket_id}")
    walk.press("Send it again")
    walk.sees("Send again: 1 message")
    walk.tab.get_by_label("Note").fill("has WhatsApp since today")
    walk.press("Send again")
    walk.sees("Done: 1 sent again")
    feed.sees("read", f'[data-id="{notice.id}"]')
    walk.to("/letters")
    walk.sees("has WhatsApp since today")


def goes_on(feed: Walk, deployed: DeployedStack, siti: Person) -> None:
    """The rest of a day, for the picture."""
    budi, dewi = deployed.person("Budi", language="en"), deployed.person("Dewi", language="en", reads=False)
    about = new_ticket("No internet since 09:00")
    other = new_ticket("Invoice 2026-11 is wrong")
    told = deployed.put("TicketCreated", other, customer=dewi)
    told += deployed.put("TicketAssigned", {**about, "revision": 2}, customer=siti, technicians=[budi])
    told += deployed.put("TicketResolved", {**about, "revision": 3, "status": "closed"}, customer=siti)
    deployed.all_until(told, State.DELIVERED)
    feed.sees("delivered", f'[data-id="{told[-1].id}"]')
    feed.picture("feed")


def changes_a_text(walk: Walk, deployed: DeployedStack, siti: Person) -> None:
    walk.to(TEXT)
    words = walk.tab.get_by_label("What is said")
    words.fill("Hello {{ recipient.name }},\nwe got your ticket *{{ ticket.id }}* and are on it.")
    walk.sees("and are on it", ".bubble")
    walk.picture("texts")
    walk.press("Save, and say it from now on")
    walk.sees("New messages say it")
    try:
        notice = said_until(deployed, siti, "and are on it")
        walk.to(f"/notification/{notice.id}")
        walk.sees("and are on it", ".bubble")
    finally:
        # Other tests have the same stack, and expect Tocsin's own words.
        walk.to(TEXT)
        walk.press("Tocsin’s own again")
        walk.sees("is Tocsin's own again")


def said_until(deployed: DeployedStack, person: Person, words: str) -> Notice:
    """A new message that says this: functions look at texts twice a minute."""

    def told() -> Notice | None:
        notice = deployed.tell(person)
        deployed.until(notice, State.READ)
        shown = deployed.shown(notice)
        return notice if shown is not None and words in shown["text"] else None

    return eventually(told, f"no message says {words!r}", 120)


@pytest.fixture(scope="module")
def paths(running_world: World, browser: Browser) -> list[str]:
    """All pages, with something on each."""
    deployed = DeployedStack(running_world)
    siti = deployed.person("Siti")
    told, lost = deployed.tell(siti), deployed.tell(Person(f"{NOBODY[:-1]}7", "Budi", "id"))
    deployed.until(told, State.READ)
    deployed.until(lost, State.FAILED)
    deployed.letter(lost)
    way = browser.post("/letters/preview", verb="redrive", ticket=lost.ticket_id).headers["location"]
    menu = re.findall(r'<li><a href="([^"]+)"', browser.get("/").raw.partition("</nav>")[0])
    return [
        *menu,
        "/letters/events",
        f"/notification/{told.id}",
        f"/notification/{lost.id}",
        way,
        TEXT,
        "/nowhere",
    ]


def test_every_page_fits_and_axe_finds_nothing_light_and_dark_wide_and_narrow(
    browser: Browser, chromium: Any, paths: list[str], tmp_path: Path
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core isn't installed: make setup-interop")
    # The page lets no other script in, and axe is one.
    page = opened(chromium, browser, bypass_csp=True)
    found = {}
    for path in paths:
        page.goto(browser.own + path)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for scheme, width in SIZES:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 860})
            if PICTURES:
                name = re.sub(r"\W+", "-", re.sub("/jobs/.*", "/job", path)).strip("-") or "now"
                page.screenshot(path=Path(PICTURES) / f"{name}-{scheme}-{width}.png", full_page=True)
            found[path, scheme, width] = page.evaluate(RULES) + page.evaluate(FITS)
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


FITS = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth
  ? ["it scrolls sideways"] : []"""


def test_a_browser_comes_in_by_the_file_that_it_is_given(browser: Browser, chromium: Any) -> None:
    """To a browser that file is another site: it sends no cookie along, and says so."""
    with opening.private_folder() as folder:
        page = chromium.new_page()
        page.goto(opening.leading_to(browser.site.door.invitation(), folder))
        page.wait_for_url(f"{browser.own}/", timeout=PATIENCE_MS)
        assert page.title() == "Now · Tocsin"


FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 0;
  const at = one.outerHTML.slice(0, 120) + Math.round(box.top + scrollY) + "," + Math.round(box.left);
  return {at, visible, main: Boolean(one.closest("main"))};
}"""


def test_all_of_it_goes_by_keyboard(browser: Browser, chromium: Any, paths: list[str]) -> None:
    page = opened(chromium, browser)
    for path in paths:
        page.goto(browser.own + path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        wanted = page.evaluate(
            """[...document.querySelectorAll('main :is(a[href], button, input:not([type=hidden]), select,'
              + ' textarea, summary, [tabindex="0"])')]
              .filter((one) => !one.disabled && one.checkVisibility()).length"""
        )
        seen = []
        for _ in range(min(wanted, 60)):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(FOCUS))
        assert [one["at"] for one in seen if not one["visible"]] == [], path
        assert all(one["main"] for one in seen), path
        assert len({one["at"] for one in seen}) == len(seen), path
