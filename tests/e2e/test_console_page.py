"""The page on the deployed stack, in a browser of its own kind: what happens is seen there, and what is done
there happens."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.console_page import Answer, Browser, served
from tests.support.stack import DeployedStack, Person
from tocsin_console.deployment import Deployment
from tocsin_console.pair import connected

PICTURES = os.environ.get("TOCSIN_PICTURES")
"""A folder for the screenshots; without it, none are kept."""

AXE = Path(__file__).parents[1] / "interop/node/node_modules/axe-core/axe.min.js"
RULES = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}))
  .violations.map((one) => one.id + ": " + one.nodes.map((node) => node.target.join(" ")).join(" | "))"""

PAGES = ("/", "/feed", "/letters", "/people", "/link", "/texts", "/settings", "/doctor")


@pytest.fixture
def deployment(deployed: DeployedStack) -> Deployment:
    return deployed.world.deployment


@pytest.fixture
def browser(deployment: Deployment) -> Iterator[Browser]:
    with served(deployment) as made:
        yield made.comes_in()


def until(browser: Browser, path: str, words: str, seconds: float = 60) -> Answer:
    """The page, once it says this."""
    end = time.monotonic() + seconds
    while words not in (answer := browser.get(path)).text and time.monotonic() < end:
        time.sleep(0.3)
    assert words in answer.text
    return answer


def test_a_test_is_sent_from_the_page_and_followed_to_the_phone(
    browser: Browser, deployment: Deployment, deployed: DeployedStack
) -> None:
    account, person = deployment.accounts[0], deployed.person("Dewi")
    assert connected(deployment, account)
    answer = browser.post("/link/test", account=account, phone=f"+{person.number}")
    way = answer.headers["location"]
    assert way.startswith("/notification/"), answer.text
    page = until(browser, way, "after it was planned")
    assert "This is a test of Tocsin" in page.text
    ticket = re.search(r"TEST-[0-9A-F]{8}", page.text)
    assert ticket is not None
    until(browser, f"/feed?ticket={ticket[0]}", "delivered")
    end = time.monotonic() + 60
    while "Delivered 0 " in (now := browser.get("/").text) and time.monotonic() < end:
        time.sleep(1)
    assert "Delivered 0 " not in now


def test_a_text_that_is_changed_on_the_page_is_seen_in_the_next_message(
    browser: Browser, deployment: Deployment, deployed: DeployedStack
) -> None:
    path = "/texts/id/TicketCreated.customer.txt"
    number = re.search(r'name="number" value="(\d+)"', browser.get(path).raw)
    assert number is not None
    answer = browser.submit(path, text="Halo dari halaman: {{ ticket.id }}", number=number[1], do="save")
    assert "New messages say it" in answer.text
    person = deployed.person("Dewi")
    try:
        shown = said_until(browser, deployment, person, lambda words: "Halo dari halaman" in words)
        assert "Halo dari halaman: TEST-" in shown
    finally:
        # Other tests have the same stack, and expect Tocsin's own words.
        number = re.search(r'name="number" value="(\d+)"', browser.get(path).raw)
        assert number is not None
        browser.submit(path, text="", number=number[1], do="back")
    assert "Halo dari halaman" not in said_until(
        browser, deployment, person, lambda words: "Halo dari halaman" not in words
    )


def said_until(
    browser: Browser, deployment: Deployment, person: Person, enough: Callable[[str], bool]
) -> str:
    """What a test says, sent anew until it says enough: functions look at texts twice a minute."""
    end = time.monotonic() + 120
    while True:
        sent = browser.post("/link/test", account=deployment.accounts[0], phone=f"+{person.number}")
        shown = until(browser, sent.headers["location"], "On the phone").text
        if enough(shown) or time.monotonic() > end:
            return shown
        time.sleep(2)


SIZES = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


@pytest.fixture
def chromium() -> Iterator[Any]:
    """Debian's, driven by Playwright."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not on the PATH (Debian: apt-get install chromium)")
    driver = pytest.importorskip("playwright.sync_api", reason="make setup installs Playwright")
    with driver.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def opened(chromium: Any, browser: Browser, scheme: str, width: int, **more: Any) -> Any:
    """A tab in which the browser's session goes on."""
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 860}, **more)
    name, _, value = browser.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": browser.own}])
    return context.new_page()


@pytest.mark.parametrize(("scheme", "width"), SIZES)
def test_every_page_is_drawn_without_a_script_error_and_fits(
    browser: Browser, chromium: Any, tmp_path: Path, scheme: str, width: int
) -> None:
    folder = Path(PICTURES) if PICTURES else tmp_path
    page, wrong = opened(chromium, browser, scheme, width), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
    for path in PAGES:
        page.goto(browser.own + path)
        page.screenshot(path=folder / f"{path.strip('/') or 'now'}-{scheme}-{width}.png")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways"
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, chromium: Any, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core isn't installed: make setup-interop")
    # The page lets no other script in, and axe is one.
    page = opened(chromium, browser, scheme, 390, bypass_csp=True)
    found = {}
    for path in PAGES:
        page.goto(browser.own + path)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found[path] = page.evaluate(RULES)
    assert found == {path: [] for path in PAGES}


def test_all_of_it_goes_by_keyboard(browser: Browser, chromium: Any) -> None:
    page = opened(chromium, browser, "light", 1280)
    page.goto(browser.own + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
