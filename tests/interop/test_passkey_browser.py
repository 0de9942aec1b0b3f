"""Chromium runs both pieces of code that `tocsin pair` shows, on a page as strict as a page can be, and what
it gives passes our check and the service's."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.interop import browser
from tests.interop.browser import Page
from tocsin.whatsapp.assertion import AssertionRefused, check_assertion
from tocsin.whatsapp.passkey import parse_options
from tocsin_console import passkey_code
from tocsin_whatsapp_server.passkey import CeremonyRefused, Passkey, options

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing())),
]

CHALLENGE = os.urandom(32)
OPTIONS = parse_options(options(CHALLENGE)).ascii_json()
PASSKEY = Passkey.made(os.urandom)


def on_the_page(test: Callable[[Page], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        async with asyncio.timeout(90), browser.page() as tab:
            await test(tab)

    asyncio.run(body())


async def with_one_line(tab: Page) -> str:
    await tab.evaluate(passkey_code.one_line(OPTIONS))
    return await tab.copied()


async def with_the_button(tab: Page) -> str:
    await tab.evaluate(passkey_code.with_button(OPTIONS))
    await tab.press("dialog button")
    answer: str = await tab.waits_for("document.querySelector('dialog textarea').value")
    return answer


WAYS = pytest.mark.parametrize("way", [with_one_line, with_the_button])


@WAYS
def test_what_the_browser_gives_is_taken(way: Callable[[Page], Coroutine[Any, Any, str]]) -> None:
    async def test(tab: Page) -> None:
        await tab.owns(PASSKEY)
        made = check_assertion(await way(tab), CHALLENGE)
        assert made.credential_id == PASSKEY.credential_id
        PASSKEY.verified(made.credential_id, made.text, CHALLENGE)
        with pytest.raises(CeremonyRefused):
            PASSKEY.verified(made.credential_id, made.text, bytes(32))

    on_the_page(test)


def test_both_ways_give_the_same_members() -> None:
    async def test(tab: Page) -> None:
        await tab.owns(PASSKEY)
        one, other = json.loads(await with_one_line(tab)), json.loads(await with_the_button(tab))
        for name in ("id", "rawId", "type"):
            assert one[name] == other[name]
        assert set(other["response"]) <= set(one["response"])

    on_the_page(test)


def test_an_answer_for_another_challenge_is_refused_here() -> None:
    async def test(tab: Page) -> None:
        await tab.owns(PASSKEY)
        with pytest.raises(AssertionRefused) as refused:
            check_assertion(await with_one_line(tab), bytes(32))
        assert refused.value.reason == "another-challenge"

    on_the_page(test)


def test_without_the_owners_finger_the_button_says_so_and_may_be_pressed_again() -> None:
    async def test(tab: Page) -> None:
        await tab.owns(PASSKEY, verifies=False)
        await tab.evaluate(passkey_code.with_button(OPTIONS))
        await tab.press("dialog button")
        said = "document.querySelector('dialog button').textContent"
        assert await tab.waits_for(f"{said} !== 'Use the passkey' && {said}") == (
            "NotAllowedError: press to try again"
        )
        with pytest.raises(AssertionError, match="NotAllowedError"):
            await with_one_line(tab)

    on_the_page(test)


def test_the_page_is_strict() -> None:
    """The twin: what an easier way would need is refused there."""

    async def test(tab: Page) -> None:
        with pytest.raises(AssertionError, match="TrustedHTML"):
            await tab.evaluate("document.body.innerHTML = '<b>x</b>'")
        with pytest.raises(AssertionError, match="Failed to fetch"):
            await tab.evaluate("await fetch('http://127.0.0.1:9/')")

    on_the_page(test)


def test_options_with_whatever_in_them_stay_data() -> None:
    hostile = {"x</script>\u2028\u2029": "`${globalThis.spoilt = 1}`"}
    told = json.loads(options(CHALLENGE)) | hostile
    code = parse_options(json.dumps(told).encode()).ascii_json()

    async def test(tab: Page) -> None:
        await tab.owns(PASSKEY)
        await tab.evaluate(passkey_code.one_line(code))
        check_assertion(await tab.copied(), CHALLENGE)
        assert await tab.evaluate("typeof globalThis.spoilt") == "undefined"

    on_the_page(test)
