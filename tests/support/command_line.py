"""The command line as it is declared, and what each command reaches in the console's own code."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "tocsin_console"
ROOT = Path(__file__).parents[2] / "infra"


def commands(parser: argparse.ArgumentParser, *names: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command that can be typed, such as `people show`, with its parser."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for name, inner in action.choices.items():
            yield from commands(inner, *names, name)
    if not below:
        yield " ".join(names), parser


def sources() -> dict[str, str]:
    """The console's modules by their dotted names."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }


@dataclass
class Reach:
    """Which functions a function names, and which those name, on and on. A name is followed through imports;
    `one.method` of whatever object counts as that of each class that the module names."""

    modules: Mapping[str, str]
    _trees: dict[str, ast.Module] = field(default_factory=dict)
    _defined: dict[str, dict[str, ast.AST]] = field(default_factory=dict)
    _imported: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for module, text in self.modules.items():
            tree = self._trees[module] = ast.parse(text)
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            self._defined[module] = {one.name: one for one in tree.body if isinstance(one, kinds)}
            self._imported[module] = dict(_imports(tree))

    def of(self, function: str) -> set[str]:
        """All that a function (`module.name`) reaches, itself among them."""
        seen: set[str] = set()
        left = [function]
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left += self._names(one)
        return seen

    def _names(self, dotted: str) -> Iterator[str]:
        module, _, name = dotted.rpartition(".")
        if "#" in name:
            owner, _, method = name.partition("#")
            bodies = [one for one in _methods(self._defined[module][owner]) if one.name == method]
        elif module in self._defined and name in self._defined[module]:
            bodies = [self._defined[module][name]]  # type: ignore[list-item]
        else:
            return
        classes = list(self._classes(module))
        for node in (node for body in bodies for node in ast.walk(body)):
            if isinstance(node, ast.Name):
                yield from self._resolved(module, node.id)
            elif isinstance(node, ast.Attribute):
                if isinstance(node.value, ast.Name):
                    yield from (f"{one}.{node.attr}" for one in self._resolved(module, node.value.id))
                yield from (f"{where}.{name}#{node.attr}" for where, name in classes)

    def _resolved(self, module: str, name: str) -> Iterator[str]:
        if name in self._defined[module]:
            yield f"{module}.{name}"
        elif (found := self._imported[module].get(name)) is not None:
            yield found

    def _classes(self, module: str) -> Iterator[tuple[str, str]]:
        """The classes that a module defines or imports."""
        for name in (*self._defined[module], *self._imported[module]):
            for dotted in self._resolved(module, name):
                where, _, found = dotted.rpartition(".")
                if isinstance(self._defined.get(where, {}).get(found), ast.ClassDef):
                    yield where, found


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Of functions, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def _methods(one: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    body = one.body if isinstance(one, ast.ClassDef) else []
    return (inner for inner in body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))
