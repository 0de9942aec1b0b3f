"""The domain knows no transport: what `notify` may import, and what it may not spell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tocsin.notify

HERE = Path(tocsin.notify.__file__).parent
MODULES = sorted(HERE.rglob("*.py"))
BELOW = ("accounts", "dynamo", "notify", "tables", "timestamps")


def tocsin_imports(source: str) -> set[str]:
    """The packages of the layer that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return {module.split(".")[1] for module in modules if module.startswith("tocsin.")}


def names(path: Path) -> str:
    return str(path.relative_to(HERE))


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_the_domain_imports_no_transport(path: Path) -> None:
    assert tocsin_imports(path.read_text()) <= set(BELOW)


def test_an_import_inside_a_function_counts() -> None:
    source = "def send():\n    from tocsin.whatsapp.jid import JID\n"
    assert tocsin_imports(source) == {"whatsapp"}


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_the_domain_spells_no_jid(path: Path) -> None:
    assert not {"@s.whatsapp.net", "@lid"} & set(_strings(path.read_text()))


def _strings(source: str) -> list[str]:
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]
