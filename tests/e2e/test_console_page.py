"""The page on the deployed stack, in a browser of its own kind: what happens is seen there, and what is
done there
happens."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.console_page import Answer, Browser, served
from tests.support.stack import DeployedStack
from tocsin_console.deployment import Deployment
from tocsin_console.pair import connected

PICTURES = os.environ.get("TOCSIN_PICTURES")
"""A folder for the screenshots; without it, none are kept."""

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
    browser: Browser, deployment: Deployment
) -> None:
    account = deployment.accounts[0]
    assert connected(deployment, account)
    answer = browser.post("/link/test", account=account, phone="+6281234567890")
    way = answer.headers["location"]
    assert way.startswith("/notification/"), answer.text
    until(browser, way, "delivered")
    ticket = re.search(r"TEST-[0-9A-F]{8}", until(browser, "/feed", "This is a test of Tocsin").text)
    assert ticket is not None
    until(browser, "/", "Sent")
    counted = until(browser, "/?range=day", "Delivered")
    assert (
        "Everything is running" in counted.text or "need you" in counted.text or "needs you" in counted.text
    )


def test_a_text_that_is_changed_on_the_page_is_seen_in_the_next_message(
    browser: Browser, deployment: Deployment
) -> None:
    path = "/texts/id/TicketCreated.customer.txt"
    number = re.search(r'name="number" value="(\d+)"', browser.get(path).raw)
    assert number is not None
    answer = browser.submit(path, text="Halo dari halaman: {{ ticket.id }}", number=number[1], do="save")
    assert "New messages say it" in answer.text
    end = time.monotonic() + 90
    shown: Any = None
    while time.monotonic() < end:
        sent = browser.post("/link/test", account=deployment.accounts[0], phone="+6281234567890")
        shown = until(browser, sent.headers["location"], "On the phone")
        if "Halo dari halaman" in shown.text:
            break
        time.sleep(5)
    assert "Halo dari halaman: TEST-" in shown.text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not on the PATH")
def test_every_page_is_drawn_light_dark_and_narrow(browser: Browser, tmp_path: Path) -> None:
    """No script error, no scrolling sideways at 390 px, and nothing that axe finds if it is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make setup installs Playwright")
    folder = Path(PICTURES) if PICTURES else tmp_path
    name, _, value = browser.cookie.partition("=")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)):
            context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 860})
            context.add_cookies([{"name": name, "value": value, "url": browser.own}])
            page = context.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            page.on(
                "console", lambda one, wrong=wrong: wrong.append(one.text) if one.type == "error" else None
            )
            for path in PAGES:
                page.goto(browser.own + path)
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{path.strip('/') or 'now'}-{scheme}-{width}.png")
                wide = page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert wide <= 0, f"{path} at {width}"
            assert wrong == []
            context.close()
        chromium.close()
