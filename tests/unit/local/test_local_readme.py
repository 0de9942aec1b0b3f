"""The local server's README is its reference: every route, fault and option is in it, and nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

import tocsin_whatsapp_server
from tocsin.signal.curve import key_pair
from tocsin_whatsapp_server.__main__ import parse_arguments
from tocsin_whatsapp_server.control import PHONE_FAULTS, Control
from tocsin_whatsapp_server.faults import KINDS
from tocsin_whatsapp_server.server import WhatsAppServer

README = Path(tocsin_whatsapp_server.__file__).with_name("README.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, each cell as it stands."""
    section = re.split(r"^#+ ", README.split(f"# {heading}\n", 1)[1], flags=re.M)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def routes() -> set[str]:
    """As `GET /` tells them."""

    async def ask() -> set[str]:
        control = Control(WhatsAppServer(key_pair(bytes(32))))
        await control.start()
        try:
            async with aiohttp.ClientSession() as session, session.get(control.url) as answer:
                listed = (await answer.json())["routes"]
        finally:
            await control.stop()
        assert all(entry["what"] for entry in listed), listed
        return {entry["request"] for entry in listed}

    return asyncio.run(ask())


def test_every_route_is_documented(routes: set[str]) -> None:
    documented = {
        " ".join(word.split()[:2]).partition("?")[0]
        for row in table("Control API")
        for word in quoted(row[0])
    }
    assert {entry for entry in documented if entry.startswith(("GET ", "POST ", "DELETE "))} == routes


def test_every_fault_is_documented_with_its_parameters() -> None:
    documented = {
        name: set(quoted(row[1])) for row in table("Breaking the server") for name in quoted(row[0])
    }
    assert set(documented) == set(KINDS)
    for name, kind in KINDS.items():
        assert set(kind.defaults) <= documented[name], name


def test_every_fault_of_a_phone_is_documented() -> None:
    assert {name for row in table("Breaking a phone") for name in quoted(row[0])} == set(PHONE_FAULTS)


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.M))
    assert {name for row in table("Start") for name in quoted(row[0])} == options


def test_every_fault_of_the_bad_days_is_one() -> None:
    kinds = re.findall(r'\{"kind": "([a-z-]+)"', README)
    assert set(kinds) <= {*KINDS, *PHONE_FAULTS, "clear"}
