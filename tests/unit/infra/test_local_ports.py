"""A stack that is started again listens where it did before, unless somebody else listens there by now."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tocsin_local.ports import any_port, remembered_ports
from tocsin_local.processes import free_port


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "local.ports"


def test_the_next_run_has_the_same_ports(file: Path) -> None:
    first = remembered_ports(file)
    before = [first("emulator"), first("door")]
    second = remembered_ports(file)
    assert [second("emulator"), second("door")] == before


def test_a_port_that_somebody_else_has_is_replaced_and_remembered(file: Path) -> None:
    before = remembered_ports(file)("emulator")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", before))
        taken.listen()
        now = remembered_ports(file)("emulator")
    assert now != before
    assert remembered_ports(file)("emulator") == now


def test_who_asks_again_could_not_use_the_one_before(file: Path) -> None:
    ports = remembered_ports(file)
    assert ports("emulator") != ports("emulator")


@pytest.mark.parametrize(
    "odd", ["", "[]", "{", '{"emulator": "80"}', '{"emulator": 99999999}', '{"emulator": -1}']
)
def test_a_file_that_is_damaged_is_as_good_as_none(file: Path, odd: str) -> None:
    file.write_text(odd)
    assert 0 < remembered_ports(file)("emulator") < 65536


def test_a_port_that_is_wanted_is_given_if_it_is_free() -> None:
    wanted = free_port()
    assert free_port(wanted) == wanted


def test_where_nothing_is_remembered_any_will_do() -> None:
    assert any_port("emulator") == 0
