"""The domain knows people by names that it is given: it spells no JID itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tocsin.notify
import tocsin.tables.names

HERE = Path(tocsin.notify.__file__).parent
SERVERS = {"@s.whatsapp.net", "@lid", "@g.us"}


def strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: str(path.relative_to(HERE)))
def test_the_domain_spells_no_jid(path: Path) -> None:
    assert not strings(path) & SERVERS


def test_the_names_of_the_tables_spell_them() -> None:
    assert strings(Path(tocsin.tables.names.__file__)) >= SERVERS
