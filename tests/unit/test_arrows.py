"""Who may import whom: the code, held to the table of tests/support/rooms.py."""

import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support import rooms
from tests.support.rooms import IMPURE, ROOMS, Arrow

MODULES = rooms.sources()


@cache
def arrows() -> list[Arrow]:
    """Every import of ours. Found for the first test, for whoever collects the tests needs none of it."""
    return rooms.arrows(MODULES)


def shown(arrow: Arrow) -> str:
    where = MODULES[arrow.module].relative_to(rooms.ROOT)
    return f"{where}:{arrow.line} {rooms.room_of(arrow.module)} → {arrow.target}"


def test_every_module_lies_in_a_room_of_the_table() -> None:
    assert [module for module in MODULES if rooms.room_of(module) is None] == []


def test_every_room_of_the_table_exists() -> None:
    assert {rooms.room_of(module) for module in MODULES} == set(ROOMS)


def test_the_arrows_of_the_table_point_downwards() -> None:
    order = list(ROOMS)
    targets = [(room, rooms.room_of(name)) for room in ROOMS for name in ROOMS[room].imports]
    assert [(room, target) for room, target in targets if order.index(str(target)) <= order.index(room)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_allows(room: str) -> None:
    here = [arrow for arrow in rooms.refused(arrows()) if rooms.room_of(arrow.module) == room]
    assert [shown(arrow) for arrow in here] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_the_packages_of_others_that_the_table_names(room: str) -> None:
    known = {*sys.stdlib_module_names, *ROOMS[room].outside}
    here = [arrow for arrow in arrows() if rooms.room_of(arrow.module) == room]
    outside = [arrow for arrow in here if not rooms.is_ours(arrow.target)]
    assert [shown(arrow) for arrow in outside if arrow.target.partition(".")[0] not in known] == []


@pytest.mark.parametrize("room", [room for room in ROOMS if ROOMS[room].pure])
def test_a_pure_room_has_no_sockets_no_clock_and_no_randomness(room: str) -> None:
    here = [arrow for arrow in arrows() if rooms.room_of(arrow.module) == room]
    assert [shown(arrow) for arrow in here if rooms.is_below(arrow.target, *IMPURE)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert rooms.circles(arrows(), MODULES) == set()


def test_no_test_imports_a_test_module() -> None:
    found = rooms.arrows_to_tests(rooms.sources_of_tests())
    assert [arrow for arrow in found if rooms.is_test_module(arrow.target)] == [], "move it to tests/support"


def test_the_page_draws_the_table() -> None:
    page = rooms.PAGE.read_text(encoding="utf-8")
    assert rooms.redrawn(page) == page, "run: python -m tests.support.rooms"


# -- the check itself --------------------------------------------------------------------------------------


def tree(root: Path, **files: str) -> dict[str, Path]:
    """A project with these modules below layers/core/tocsin; `__` in a name stands for a folder."""
    for name, text in files.items():
        path = root / "layers/core/tocsin" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return rooms.sources(root)


@pytest.mark.parametrize(
    "text",
    [
        "\nimport tocsin.keys.turn\n",
        "\nfrom tocsin.keys import turn\n",
        "\nfrom ..keys import turn\n",
        "def late():\n    from tocsin.keys.turn import run\n",
        "if TYPE_CHECKING:\n    from tocsin.keys.turn import run\n",
    ],
)
def test_an_import_outside_the_table_is_found_with_its_line(tmp_path: Path, text: str) -> None:
    modules = tree(tmp_path, signal__cipher=text, keys__turn="")
    assert rooms.refused(rooms.arrows(modules)) == [Arrow("tocsin.signal.cipher", 2, "tocsin.keys.turn")]


def test_an_import_that_the_table_allows_is_not_refused(tmp_path: Path) -> None:
    modules = tree(tmp_path, keys__turn="import tocsin.signal.cipher", signal__cipher="")
    assert rooms.refused(rooms.arrows(modules)) == []


def test_one_allowed_module_of_a_room_allows_no_other(tmp_path: Path) -> None:
    text = "import tocsin.connector_client.protocol\nimport tocsin.connector_client.client\n"
    found = rooms.refused(rooms.arrows(tree(tmp_path, connector__login=text)))
    assert [arrow.target for arrow in found] == ["tocsin.connector_client.client"]


def test_an_import_of_a_package_without_a_room_is_refused(tmp_path: Path) -> None:
    found = rooms.refused(rooms.arrows(tree(tmp_path, keys__turn="import tocsin.cellar.wine")))
    assert [arrow.target for arrow in found] == ["tocsin.cellar.wine"]


def test_a_circle_through_three_modules_is_found(tmp_path: Path) -> None:
    imports = {name: f"from tocsin.keys import {other}" for name, other in ("ab", "bc", "ca", "da")}
    modules = tree(tmp_path, **{f"keys__{name}": text for name, text in imports.items()})
    circle = frozenset({"tocsin.keys.a", "tocsin.keys.b", "tocsin.keys.c"})
    assert rooms.circles(rooms.arrows(modules), modules) == {circle}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("from tests.unit.test_inbound import our_bundle", True),
        ("from tests.unit import test_inbound", True),
        ("import json, tests.unit.test_inbound", True),
        ("from .test_inbound import our_bundle", True),
        ("from tests.unit import (\n    other,\n    test_inbound,\n)", True),
        ("from tests.unit.conftest import TOKEN", True),
        ("from tests.support.stanzas import note", False),
        ("from tocsin.notify.queues import test_order", False),
    ],
)
def test_an_import_of_a_test_module_is_found(tmp_path: Path, text: str, refused: bool) -> None:
    folder = tmp_path / "tests/unit"
    folder.mkdir(parents=True)
    (folder / "test_inbound.py").touch()
    (folder / "test_outbound.py").write_text(text)
    found = rooms.arrows_to_tests(rooms.sources_of_tests(tmp_path))
    assert any(rooms.is_test_module(arrow.target) for arrow in found) is refused
