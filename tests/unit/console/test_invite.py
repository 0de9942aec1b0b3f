"""`tocsin people invite` makes the link by which somebody writes first, and a QR that other programs read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.fake_deployment import Said
from tests.support.memory_aws import MemoryAws
from tests.support.paired_account import ACCOUNT, OWN_PHONE
from tests.support.used_deployment import deployment_of
from tests.support.wired_functions import WiredFunctions
from tocsin.connector_client import protocol
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.invite import chat_link, invite
from tocsin_console.people import People

TYPED = "0812-3456-7890"


@pytest.fixture
def functions() -> WiredFunctions:
    return WiredFunctions(MemoryAws())


def invited(
    functions: WiredFunctions,
    said: Said,
    wanted: str | None = None,
    text: str = "Halo",
    file: Path | None = None,
) -> str:
    people = People(deployment_of(functions), ACCOUNT)
    invite(people, wanted, text=text, file=str(file) if file else None, output=said.output)
    return said.text


@pytest.mark.parametrize("text", ["Halo", "Saya & Anda = teman? 100 %", "#tiket/1+2", "é ñ 你好"])
def test_the_link_opens_our_chat_with_the_text_in_it(
    functions: WiredFunctions, told: Said, text: str
) -> None:
    invited(functions, told, text=text)
    parts = urlsplit(told.records[0]["link"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "wa.me", f"/{OWN_PHONE}")
    assert parse_qs(parts.query) == {"text": [text]}


def test_the_code_is_drawn_where_no_file_is_wanted(functions: WiredFunctions, said: Said) -> None:
    assert "█" in invited(functions, said)


@pytest.mark.parametrize(
    ("name", "begins"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG"), ("a.txt", "█".encode())]
)
def test_the_code_is_written_as_its_name_says(
    functions: WiredFunctions, said: Said, tmp_path: Path, name: str, begins: bytes
) -> None:
    file = tmp_path / name
    assert str(file) in invited(functions, said, file=file)
    assert file.read_bytes().startswith(begins)


@pytest.mark.parametrize("name", ["a.exe", "a"])
def test_no_other_file_is_written(functions: WiredFunctions, said: Said, tmp_path: Path, name: str) -> None:
    with pytest.raises(Usage):
        invited(functions, said, file=tmp_path / name)


def test_no_file_is_written_over(functions: WiredFunctions, said: Said, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    file.write_text("mine")
    with pytest.raises(Usage, match="there already"):
        invited(functions, said, file=file)
    assert file.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said(functions: WiredFunctions, said: Said, tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match="can't be written"):
        invited(functions, said, file=tmp_path / "none" / "a.svg")


@pytest.mark.parametrize("text", ["", "  ", "x" * 201, "two\nlines"])
def test_a_text_that_nobody_could_send_is_refused(functions: WiredFunctions, said: Said, text: str) -> None:
    with pytest.raises(Usage):
        invited(functions, said, text=text)


def test_it_says_what_goes_out_once_they_write(functions: WiredFunctions, said: Said) -> None:
    functions.network.refuse_with = [463]
    functions.network.verdict = {protocol.VERDICT: protocol.COLD}
    functions.deliver(functions.plan(1))
    functions.deliver(functions.plan(2))
    assert "2 notifications go out by themselves once they write" in invited(functions, said, TYPED)


def test_it_counts_what_a_lock_of_the_account_holds_for_them(functions: WiredFunctions, said: Said) -> None:
    functions.network.refuse_with = [463]
    end = int(functions.paired.now) + 86400
    functions.network.verdict = {protocol.VERDICT: protocol.LOCKED, protocol.VERDICT_UNTIL: str(end)}
    functions.deliver(functions.plan(1))
    functions.deliver(functions.plan(2))
    assert "2 notifications go out by themselves once they write" in invited(functions, said, TYPED)


def test_what_waits_for_something_else_is_not_counted(functions: WiredFunctions, said: Said) -> None:
    functions.network.refuse_with = [403]
    functions.deliver(functions.plan(1))
    assert "no notification waits until they write" in invited(functions, said, TYPED)


def test_for_somebody_who_may_be_written_to_nothing_waits(functions: WiredFunctions, said: Said) -> None:
    assert "no notification waits until they write" in invited(functions, said, TYPED)


def test_a_link_holds_no_text_as_it_is() -> None:
    assert chat_link("62811", "a b&c") == "https://wa.me/62811?text=a%20b%26c"
