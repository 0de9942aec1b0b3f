"""Who comes in: the browser that has the one-time address, and nobody whom another site or a guess sends."""

from __future__ import annotations

import pytest

from tests.support.console_page import Browser, served
from tests.support.fake_deployment import FakeDeployment
from tocsin_console.errors import ConsoleError
from tocsin_console.page.door import INVITATION_SECONDS, SESSION_SECONDS, Door
from tocsin_console.page.server import listening

PAGES = [
    "/",
    "/feed",
    "/notification/x",
    "/letters",
    "/letters/events",
    "/link",
    "/people",
    "/settings",
    "/doctor",
    "/audit",
]


def test_an_invitation_lets_one_browser_in_once(stranger: Browser) -> None:
    path = stranger.site.door.invitation().removeprefix(stranger.own)
    first, second = stranger.get(path), stranger.get(path)
    assert (first.status, first.headers["location"]) == (303, "/")
    assert second.status == 403
    assert "Press Enter in the terminal" in second.text


def test_the_cookie_is_no_scripts_and_no_other_sites(stranger: Browser) -> None:
    answer = stranger.get(stranger.site.door.invitation().removeprefix(stranger.own))
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))


@pytest.mark.parametrize("page", PAGES)
def test_without_a_session_a_page_says_how_to_come_in_and_nothing_else(stranger: Browser, page: str) -> None:
    answer = stranger.get(page)
    assert answer.status == 403
    assert "tocsin console" in answer.text
    assert stranger.site.deployment.stack not in answer.raw


@pytest.mark.parametrize("token", ["", "guess", "A" * 43, "ä" * 43, "\x00"])
def test_a_guessed_token_opens_nothing(stranger: Browser, token: str) -> None:
    stranger.site.door.invitation()
    from urllib.parse import quote

    assert stranger.get(f"/enter?token={quote(token)}").status == 403


def test_guesses_use_up_no_invitation_and_have_no_chance(stranger: Browser) -> None:
    path = stranger.site.door.invitation().removeprefix(stranger.own)
    token = path.partition("=")[2]
    assert all(
        stranger.site.door.enter(f"{token[:-1]}{sign}") is None for sign in "!?-_" if sign != token[-1]
    )
    assert all(stranger.site.door.enter(f"guess-{number}") is None for number in range(5000))
    # 256 bits, of which at most eight are valid at once, each for an hour.
    assert len(token) == 43
    assert stranger.get(path).status == 303


def test_a_guessed_session_opens_nothing(stranger: Browser) -> None:
    stranger.cookie = f"{stranger.site.door.cookie}=guess"
    assert stranger.get("/").status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "[::1]:1", "localhost:1"])
def test_another_name_of_this_address_is_refused(browser: Browser, host: str) -> None:
    answer = browser.get("/", Host=host)
    assert (answer.status, "printed" in answer.text) == (403, True)


def test_localhost_is_the_same_address(browser: Browser) -> None:
    assert browser.get("/", Host=f"localhost:{browser.site.door.port}").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_form_of_another_site_changes_nothing(browser: Browser, origin: str) -> None:
    answer = browser.post("/leave", {"Origin": origin})
    assert (answer.status, "Nothing was done" in answer.text) == (403, True)
    assert browser.get("/").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_is_refused(browser: Browser, site: str) -> None:
    assert browser.get("/", Sec_Fetch_Site=site).status == 403


@pytest.mark.parametrize("word", ["", "guess"])
def test_a_form_without_the_sessions_word_changes_nothing(browser: Browser, word: str) -> None:
    answer = browser.post("/leave", csrf=word)
    assert (answer.status, "reload the page" in answer.text) == (403, True)
    assert browser.get("/").status == 200


def test_whoever_leaves_is_out(browser: Browser) -> None:
    assert "You left" in browser.post("/leave").text
    assert browser.get("/").status == 403


def test_a_form_of_a_console_that_was_started_anew_changes_nothing(
    fake: FakeDeployment, browser: Browser
) -> None:
    with served(fake.deployment) as anew:
        anew.cookie, anew.csrf = browser.cookie, browser.csrf
        assert anew.post("/leave").status == 403


def test_two_consoles_do_not_take_each_others_sessions(fake: FakeDeployment, browser: Browser) -> None:
    with served(fake.deployment) as other:
        both = f"{browser.cookie}; {other.comes_in().cookie}"
        browser.cookie = other.cookie = both
        assert (browser.get("/").status, other.get("/").status) == (200, 200)


@pytest.mark.parametrize("page", [*PAGES, "/enter", "/static/page.css", "/nowhere"])
def test_every_answer_forbids_scripts_of_others_and_frames(browser: Browser, page: str) -> None:
    headers = browser.get(page).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_script_and_no_style_of_its_own(browser: Browser, page: str) -> None:
    raw = browser.get(page).raw
    assert " style=" not in raw
    assert "<style" not in raw
    assert raw.count("<script") == raw.count('<script src="/static/')
    assert " on" not in raw.replace(" on ", "").lower().split("<body>")[0]


def test_a_page_that_is_not_there_says_so(browser: Browser) -> None:
    answer = browser.get("/nowhere")
    assert (answer.status, "no such page" in answer.text) == (404, True)


def test_what_is_too_large_is_refused(browser: Browser) -> None:
    answer = browser.post("/leave", note="x" * 300_000)
    assert (answer.status, "too large" in answer.text) == (413, True)


def test_it_listens_on_the_loopback_alone() -> None:
    with listening(0) as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_said() -> None:
    with listening(0) as found, pytest.raises(ConsoleError, match="choose another"):
        listening(found.getsockname()[1])


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_invitations_and_sessions_end() -> None:
    clock = Clock()
    door = Door(80, clock=clock)
    late = door.invitation().partition("token=")[2]
    clock.now += INVITATION_SECONDS + 1
    assert door.enter(late) is None
    session = door.enter(door.invitation().partition("token=")[2])
    assert session is not None
    assert door.session(session.identity) is session
    clock.now += SESSION_SECONDS + 1
    assert door.session(session.identity) is None


def test_neither_word_of_a_session_is_shown() -> None:
    door = Door(80)
    session = door.enter(door.invitation().partition("token=")[2])
    assert session is not None
    assert session.identity not in repr(session)
    assert session.csrf not in repr(session)
