"""The browser is opened on the page, and its one-time address is seen by nobody else of this machine."""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from tests.support.console_page import Browser
from tests.support.fake_deployment import FakeDeployment
from tocsin_console.page import opening
from tocsin_console.page.server import beside

ADDRESS = "http://127.0.0.1:4380/enter?token=secret"


@pytest.fixture
def folder() -> Iterator[Path]:
    with opening.private_folder() as made:
        yield made


def file_of(url: str) -> Path:
    return Path(url2pathname(urlparse(url).path))


def test_the_browser_gets_a_file_that_leads_to_the_page(folder: Path) -> None:
    url = opening.leading_to(ADDRESS, folder)
    assert "secret" not in url
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', file_of(url).read_text())
    assert found is not None
    assert unescape(found[1]) == ADDRESS


def test_nobody_else_may_read_it(folder: Path) -> None:
    file = file_of(opening.leading_to(ADDRESS, folder))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_it_goes_with_the_console() -> None:
    with opening.private_folder() as folder:
        file = file_of(opening.leading_to(ADDRESS, folder))
    assert not file.exists()


def test_a_second_address_takes_the_place_of_the_first(folder: Path) -> None:
    opening.leading_to(ADDRESS, folder)
    file = file_of(opening.leading_to(f"{ADDRESS}2", folder))
    assert f"{ADDRESS}2" in file.read_text()


def test_what_stands_there_already_is_not_written_into(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (folder / "open.html").symlink_to(elsewhere)
    opening.leading_to(ADDRESS, folder)
    assert elsewhere.read_text() == "mine"


def test_a_browser_that_lasts_holds_up_nothing(folder: Path) -> None:
    closed, given = threading.Event(), list[str]()

    def lasts(url: str) -> None:
        given.append(url)
        closed.wait(20)

    opening.show(ADDRESS, folder, lasts)
    closed.set()
    assert all("secret" not in url for url in given)


@pytest.mark.parametrize(
    ("environment", "platform", "shows"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
    ],
)
def test_it_is_opened_where_there_is_a_screen(
    environment: dict[str, str], platform: str, shows: bool
) -> None:
    assert opening.can_show(environment, platform) is shows


# -- the way in from a file, which is another site to a browser --------------------------------------------


def test_from_a_file_one_comes_in_by_a_page_that_leads_on(stranger: Browser) -> None:
    path = stranger.site.door.invitation().removeprefix(stranger.own)
    answer = stranger.get(path, Sec_Fetch_Site="cross-site")
    assert (answer.status, 'content="0;url=/"' in answer.raw) == (200, True)
    stranger.cookie = answer.headers["set-cookie"].split(";")[0]
    assert stranger.get("/", Sec_Fetch_Site="same-origin").status == 200


def test_another_site_that_leads_there_without_an_invitation_gets_nobody_in(stranger: Browser) -> None:
    answer = stranger.get("/enter?token=guess", Sec_Fetch_Site="cross-site")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)


def test_a_page_can_be_served_beside_other_work(fake: FakeDeployment) -> None:
    with beside(fake.deployment) as door:
        browser = Browser(SimpleNamespace(door=door))  # type: ignore[arg-type]
        assert browser.comes_in().get("/").status == 200
