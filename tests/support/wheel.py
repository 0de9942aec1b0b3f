"""The wheel of this folder, as `pip install .` builds it, and what the code in a wheel imports."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from tocsin_local.bootstrap import quiet_environment
from tocsin_local.paths import ROOT

MADE_FROM = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "layers/core", "infra")


def copy_sources(folder: Path) -> Path:
    """A checkout in `folder` with all that the wheel is made from. Returns the folder."""
    for name in MADE_FROM:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def build(sources: Path, target: Path) -> Path:
    """Build the wheel of `sources` into `target`, with the build backend that is installed here."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(sources)], check=True, env=quiet_environment()
    )
    (wheel,) = target.glob("*.whl")
    return wheel


def distributions(site: Path, modules: Iterable[str]) -> set[str]:
    """The names, as pip knows them, of other people's packages that `modules` import, directly or through
    each other, at once or later. `site`: the folder that holds the modules and the project's other ones."""
    own = {path.name for path in site.iterdir() if (path / "__init__.py").exists()}
    strangers: set[str] = set()
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        top = module.partition(".")[0]
        if top not in own:
            strangers.add(top)
        elif module not in seen and (path := _path(site, module)) is not None:
            seen.add(module)
            waiting += _imports(ast.parse(path.read_text(encoding="utf-8")), _package(module, path))
    known = packages_distributions()
    return {known[name][0].lower().replace("_", "-") for name in strangers - set(sys.stdlib_module_names)}


def all_modules(site: Path, package: str) -> list[str]:
    """Every module of a package that lies in `site`."""
    files = sorted((site / package).rglob("*.py"))
    return [
        ".".join(file.relative_to(site).with_suffix("").parts).removesuffix(".__init__") for file in files
    ]


def _path(site: Path, module: str) -> Path | None:
    """The file of a module; None where the name is that of something in a module."""
    place = site.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.exists()), None)


def _package(module: str, path: Path) -> list[str]:
    parts = module.split(".")
    return parts if path.name == "__init__.py" else parts[:-1]


def _imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """All that is imported when the code runs: not what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _imports(node, package)
