"""Who may import whom: one table for every package of layers/, functions/ and infra/.

tests/unit/test_arrows.py holds the code to it, and ARCHITECTURE.md draws it. After a change of the table:

    python -m tests.support.rooms     writes the drawing into ARCHITECTURE.md
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
FOLDERS = ("layers/core", "infra", ".")
"""Where the names of modules begin. From the last one, only functions/ belongs here."""


@dataclass(frozen=True)
class Room:
    """A package, or a module beside the packages.

    `imports`: names of Tocsin that it may import; a name stands for all that lies below it. `outside`: the
    same for other people's packages. `pure`: it has no sockets, clock, randomness, environment or log.
    `says`: what belongs there; empty where the docstring of its `__init__` says it.
    """

    imports: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    pure: bool = False
    says: str = ""


IMPURE = frozenset(
    [
        "asyncio",
        "datetime",
        "http",
        "logging",
        "os",
        "random",
        "secrets",
        "select",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
    ]
)
"""Modules of the standard library that a pure room doesn't import."""

_STORAGE = ("tocsin.accounts", "tocsin.dynamo", "tocsin.people", "tocsin.sealing", "tocsin.tables")
_SETTINGS = "tocsin.settings"
_PACE = "tocsin.pace"
_BELOW_BOOTSTRAP = (
    *_STORAGE,
    "tocsin.aws",
    "tocsin.connector_client",
    "tocsin.door",
    "tocsin.guarded_http",
    "tocsin.hooks",
    "tocsin.keys",
    "tocsin.multidevice",
    "tocsin.notify",
    _PACE,
    "tocsin.reachability",
    _SETTINGS,
    "tocsin.signal",
    "tocsin.timestamps",
    "tocsin.versions",
    "tocsin.whatsapp",
)

# A room stands above those that it imports.
ROOMS: Mapping[str, Room] = {
    "functions": Room(
        (
            "tocsin.bootstrap",
            "tocsin.door",
            "tocsin.hooks",
            "tocsin.multidevice",
            "tocsin.notify",
            "tocsin.telemetry",
            "tocsin.timestamps",
            _SETTINGS,
        ),
        ("aws_lambda_powertools",),
        says="One folder for each Lambda: parse, call, answer.",
    ),
    "tocsin_local": Room(
        ("tocsin.hooks", "tocsin.notify", "tocsin.people", "tocsin_console", "tocsin_whatsapp_server"),
        ("boto3", "botocore", "rich"),
    ),
    "tocsin_console": Room(
        _BELOW_BOOTSTRAP,
        ("aiohttp", "argcomplete", "botocore", "jinja2", "segno", "wcwidth"),
    ),
    "tocsin_whatsapp_server": Room(
        ("tocsin.connector.certificate", "tocsin.signal", "tocsin.whatsapp"),
        ("aiohttp", "cryptography", "google", "websockets"),
    ),
    "tocsin": Room(("tocsin.target",)),
    "tocsin.target": Room(),
    "tocsin.bootstrap": Room(_BELOW_BOOTSTRAP),
    "tocsin.connector": Room(
        (
            "tocsin.connector_client.protocol",
            "tocsin.keys",
            "tocsin.metrics",
            _PACE,
            _SETTINGS,
            "tocsin.signal",
            "tocsin.timestamps",
            "tocsin.whatsapp",
            *_STORAGE,
        ),
        ("botocore", "cryptography", "h11", "websockets"),
    ),
    "tocsin.multidevice": Room(
        (
            "tocsin.connector_client",
            "tocsin.keys",
            "tocsin.notify",
            _PACE,
            _SETTINGS,
            "tocsin.signal",
            "tocsin.timestamps",
            "tocsin.whatsapp",
            *_STORAGE,
        )
    ),
    "tocsin.connector_client": Room(("tocsin.accounts", "tocsin.whatsapp")),
    "tocsin.door": Room(
        (
            "tocsin.accounts",
            "tocsin.dynamo",
            "tocsin.guarded_http",
            "tocsin.nesting",
            "tocsin.notify.events",
            "tocsin.notify.store.texts",
            "tocsin.notify.texts.formatting",
            "tocsin.people.numbers",
            "tocsin.sealing",
            _SETTINGS,
            "tocsin.tables",
            "tocsin.timestamps",
            "tocsin.versions",
        ),
        ("jmespath",),
    ),
    "tocsin.hooks": Room(
        (
            "tocsin.dynamo",
            "tocsin.guarded_http",
            "tocsin.notify.cloud_events",
            "tocsin.notify.config",
            "tocsin.notify.store.texts",
            "tocsin.tables",
            "tocsin.timestamps",
            "tocsin.versions",
        )
    ),
    "tocsin.notify": Room(
        (
            *_STORAGE,
            "tocsin.guarded_http",
            "tocsin.nesting",
            _PACE,
            _SETTINGS,
            "tocsin.timestamps",
            "tocsin.versions",
        ),
        ("botocore", "jinja2", "jsonschema", "phonenumbers"),
    ),
    _PACE: Room((_SETTINGS,)),
    "tocsin.keys": Room(("tocsin.signal", "tocsin.timestamps", *_STORAGE)),
    "tocsin.accounts": Room(("tocsin.dynamo", "tocsin.sealing", "tocsin.tables", "tocsin.timestamps")),
    "tocsin.people": Room(
        ("tocsin.dynamo", "tocsin.sealing", "tocsin.tables", "tocsin.timestamps"), ("phonenumbers",)
    ),
    _SETTINGS: Room(("tocsin.dynamo", "tocsin.tables")),
    "tocsin.versions": Room(("tocsin.dynamo", "tocsin.tables")),
    "tocsin.tables": Room(("tocsin.dynamo.writes",)),
    "tocsin.dynamo": Room((), ("botocore",)),
    "tocsin.whatsapp": Room(
        (
            "tocsin.nesting",
            "tocsin.signal.curve",
            "tocsin.signal.errors",
            "tocsin.signal.kdf",
            "tocsin.signal.wire",
            "tocsin.signal.x3dh",
        ),
        ("cryptography", "google"),
        pure=True,
    ),
    "tocsin.signal": Room((), ("cryptography", "nacl"), pure=True),
    "tocsin.sealing": Room((), ("cryptography",)),
    "tocsin.aws": Room((), ("boto3", "botocore")),
    "tocsin.telemetry": Room(("tocsin.metrics",), ("aws_lambda_powertools",)),
    "tocsin.metrics": Room(),
    "tocsin.timestamps": Room(),
    "tocsin.nesting": Room(),
    "tocsin.guarded_http": Room(),
    "tocsin.reachability": Room(),
}


class Arrow(NamedTuple):
    """One import: the module that imports, the line, and the full name of what it imports."""

    module: str
    line: int
    target: str


def sources(root: Path = ROOT) -> dict[str, Path]:
    """Each module of the project by its full name; a package stands for its `__init__`."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        below = "functions/**/*.py" if folder == "." else "tocsin*/**/*.py"
        for path in sorted((root / folder).glob(below)):
            parts = path.relative_to(root / folder).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def sources_of_tests(root: Path = ROOT) -> dict[str, Path]:
    """Each module below tests/ by its full name."""
    paths = [path for path in sorted((root / "tests").rglob("*.py")) if "node_modules" not in path.parts]
    return {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}


def is_test_module(name: str) -> bool:
    """True for what pytest collects or loads by itself: nobody else may import it."""
    last = name.rpartition(".")[2]
    return is_below(name, "tests") and (last.startswith("test_") or last == "conftest")


def arrows(modules: Mapping[str, Path]) -> list[Arrow]:
    """Every import in `modules`: those within functions and those for the type checker, too."""
    return [arrow for module, path in modules.items() for arrow in _arrows(module, path, modules)]


_OF_TESTS = re.compile(
    r"^\s*(?:from|import)\b(?:\s+\.|[^#\n]*\b(?:tests(?!\.support\b)|test_|conftest))", re.M
)


def arrows_to_tests(modules: Mapping[str, Path]) -> list[Arrow]:
    """The imports of what may name a test module. Other files aren't parsed: there are hundreds."""
    may = {name: path for name, path in modules.items() if _OF_TESTS.search(path.read_text("utf-8"))}
    return [arrow for name, path in may.items() for arrow in _arrows(name, path, modules)]


def _arrows(module: str, path: Path, modules: Mapping[str, Path]) -> Iterator[Arrow]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Arrow(module, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield Arrow(module, node.lineno, submodule if submodule in modules else base)


def _base(node: ast.ImportFrom, package: str) -> str:
    """The full name of what stands between `from` and `import`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def is_below(name: str, *tops: str) -> bool:
    """True if `name` is one of `tops` or lies in one of them."""
    return any(name == top or name.startswith(f"{top}.") for top in tops)


def room_of(name: str) -> str | None:
    """The room in which the module `name` lies, None if it isn't ours or has no room."""
    if is_below(name, "tocsin") and name.count("."):
        name = ".".join(name.split(".")[:2])
    else:
        name = name.partition(".")[0]
    return name if name in ROOMS else None


def is_ours(name: str) -> bool:
    return name.partition(".")[0] in {room.partition(".")[0] for room in ROOMS}


def refused(found: Iterable[Arrow]) -> list[Arrow]:
    """The arrows between rooms that the table doesn't allow."""
    return [arrow for arrow in found if is_ours(arrow.target) and not _is_allowed(arrow)]


def _is_allowed(arrow: Arrow) -> bool:
    here, there = room_of(arrow.module), room_of(arrow.target)
    # `import tocsin` alone shows where the package lies and which version it has.
    if here is None or there is None or there == "tocsin":
        return here is not None and there is not None
    return here == there or is_below(arrow.target, *ROOMS[here].imports)


def circles(found: Iterable[Arrow], modules: Mapping[str, Path]) -> set[frozenset[str]]:
    """The sets of modules of which each imports, directly or through others, all the others."""
    beside: dict[str, set[str]] = {module: set() for module in modules}
    for arrow in found:
        if arrow.target in modules and arrow.target != arrow.module:
            beside[arrow.module].add(arrow.target)
    reached = {module: _reachable(module, beside) for module in modules}
    return {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in modules
        if module in reached[module]
    }


def _reachable(start: str, beside: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = set(beside[start])
    while ahead:
        reached |= ahead
        ahead = set(chain.from_iterable(beside[one] for one in ahead)) - reached
    return reached


# -- drawing -----------------------------------------------------------------------------------------------

BEGIN, END = "<!-- rooms: drawn by tests/support/rooms.py -->", "<!-- end of rooms -->"


def drawing() -> str:
    """The rooms as ARCHITECTURE.md shows them: a graph, and a table with a sentence for each."""
    rows = [f"| `{place(room)}` | {_sentence(room)} | {_names(room)} |" for room in _shown()]
    head = ["| room | what belongs there | may import |", "| --- | --- | --- |"]
    return "\n".join([BEGIN, "```mermaid", "graph TD", *_edges(), "```", "", *head, *rows, END])


def _shown() -> list[str]:
    return [room for room in ROOMS if room not in ("tocsin", "tocsin.target")]


def place(room: str) -> str:
    """The folder or the file of a room, below the project's root."""
    path = room.replace(".", "/")
    found = [ROOT / folder / f"{path}{end}" for folder in FOLDERS for end in ("", ".py")]
    inner = next(one for one in found if one.exists())
    return inner.relative_to(ROOT).as_posix() + ("/" if inner.is_dir() else "")


def _sentence(room: str) -> str:
    if ROOMS[room].says:
        return ROOMS[room].says
    path = ROOT / place(room)
    text = (path / "__init__.py" if path.is_dir() else path).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def _names(room: str) -> str:
    return ", ".join(sorted(name.removeprefix("tocsin.") for name in ROOMS[room].imports)) or "nothing"


def _edges() -> list[str]:
    """The arrows of the graph. One that a longer way shows already is left out."""
    beside = {room: {top for name in ROOMS[room].imports if (top := room_of(name))} for room in _shown()}
    edges = []
    for room, targets in beside.items():
        longer = set(chain.from_iterable(_reachable(one, beside) for one in targets))
        edges += [f"    {_node(room)} --> {_node(one)}" for one in _shown() if one in targets - longer]
    return edges


def _node(room: str) -> str:
    return room.removeprefix("tocsin.")


def redrawn(page: str) -> str:
    """`page` with the drawing as the table is now."""
    before, _, rest = page.partition(BEGIN)
    return before + drawing() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(redrawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
