"""The interop matrix says of each cell who shows it, and `MATRIX.md` says the same."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.interop.matrix import (
    EMPTY,
    MATRIX,
    ROOT,
    TABLES,
    Cell,
    Showing,
    UnknownCell,
    cells,
    cells_of,
    read_back,
    with_others,
    written_down,
)

FOLDERS = ("tests/interop", "tests/e2e")


@cache
def collected() -> frozenset[tuple[Cell, str]]:
    """Each cell with a test that shows it, as pytest finds them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--cells", "-p", "no:cacheprovider"]
    output = subprocess.run([*command, *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t") for line in output.splitlines() if line.startswith("cell\t")]
    return frozenset((Cell(client, situation), test) for _, client, situation, test in lines)


@pytest.mark.slow
def test_every_cell_has_a_test_or_a_reason_why_not():
    shown = {cell for cell, _ in collected()}
    assert [cell for cell in cells() if cell not in shown and cell not in EMPTY] == []


@pytest.mark.slow
def test_no_cell_has_both():
    assert {cell for cell, _ in collected()} & set(EMPTY) == set()


@pytest.mark.slow
def test_the_published_matrix_lists_the_tests_that_there_are():
    published = {(one.cell, one.test) for one in read_back(MATRIX.read_text(encoding="utf-8"))}
    assert published == collected(), "run `make interop`, which writes it anew"


class TestWriting:
    def test_what_is_written_is_read_back(self):
        showings = [
            Showing(Cell("Tocsin", "group"), "tests/interop/test_x.py::test_a", "passed"),
            Showing(Cell("Baileys", "1:1"), "tests/e2e/test_y.py::test_b[c-d]", "failed"),
            Showing(
                Cell("standardwebhooks (npm)", "it verifies what is posted"),
                "tests/interop/test_x.py::test_c",
                "skipped",
                "no Node: make setup · later",
            ),
        ]
        assert set(read_back(written_down(showings))) == set(showings)

    def test_a_run_of_a_part_leaves_the_rest_as_it_is(self):
        cell = Cell("Tocsin", "group")
        gone, other = (
            Showing(cell, f"tests/interop/test_{file}.py::test_a", "passed") for file in ("x", "y")
        )
        seen = Showing(cell, "tests/interop/test_x.py::test_b", "failed")
        assert with_others([seen], [gone, other]) == [seen, other]

    def test_a_cell_that_there_is_no_more_is_left_out(self):
        assert (
            with_others([], [Showing(Cell("Tocsin", "telex"), "tests/interop/test_x.py::test_a", "passed")])
            == []
        )

    def test_one_failure_marks_the_cell(self):
        cell = Cell("Tocsin", "media")
        showings = [
            Showing(cell, f"tests/interop/test_x.py::test_{outcome}", outcome)
            for outcome in ("passed", "failed")
        ]
        row = next(line for line in written_down(showings).splitlines() if line.startswith("| [media]"))
        assert row == "| [media](#media) | ✗ 2 | – | – |"

    def test_what_was_skipped_says_why(self):
        showing = Showing(Cell("Tocsin", "media"), "tests/interop/test_x.py::test_a", "skipped", "no Node")
        assert "  - skipped: no Node · [`test_a`](test_x.py)" in written_down([showing]).splitlines()

    def test_an_empty_cell_is_there_too(self):
        lines = written_down([]).splitlines()
        assert sum(line.startswith("| [") for line in lines) == sum(len(one.situations) for one in TABLES)
        empty = [line for line in lines if line.startswith("- **") and line.endswith(": no test")]
        assert len(empty) == len(list(cells())) - len(EMPTY)


class TestMark:
    class Item:
        """As much of a test as is looked at."""

        nodeid = "test_x.py::test_a"

        def __init__(self, *arguments: str, client: str | None = None) -> None:
            self.mark = pytest.mark.cell(*arguments).mark
            if client:
                self.callspec = type("Callspec", (), {"params": {"client": client}})

        def iter_markers(self, name: str) -> list[pytest.Mark]:
            return [self.mark]

    def test_names_client_and_situation(self):
        assert cells_of(self.Item("Tocsin", "1:1")) == [("Tocsin", "1:1")]

    def test_takes_the_client_from_the_tests_parameter(self):
        assert cells_of(self.Item("1:1", client="Baileys")) == [("Baileys", "1:1")]

    @pytest.mark.parametrize("words", [("Tocsin",), ("Tocsin", "2:2"), ("Bailey", "1:1"), ("1:1",), ()])
    def test_that_names_none_is_refused(self, words):
        with pytest.raises(UnknownCell, match="clients: Tocsin, "):
            cells_of(self.Item(*words))
