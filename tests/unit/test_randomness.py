"""Where random numbers come from: the kernel, never a library's own generator (see STARTS.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "layers").glob("**/*.py"), *(ROOT / "functions").glob("**/*.py")])

MADE_BY_A_LIBRARY = {"generate", "generate_key", "generate_private_key", "RAND_bytes"}
"""Calls that have OpenSSL draw a key or a nonce from a generator of its own."""

OFF_THE_RECORD = {"random"}
"""Modules whose numbers may repeat: good for jitter, never for what must be unique."""

JITTER = {
    "layers/core/tocsin/connector/context.py",
    "layers/core/tocsin/connector/forwarding/forwarder.py",
    "layers/core/tocsin/connector/gateway/holds.py",
    "layers/core/tocsin/connector/placement.py",
    "layers/core/tocsin/hooks/deliver.py",
    "layers/core/tocsin/notify/delivery.py",
}

TLS_CERTIFICATE = "layers/core/tocsin/connector/certificate.py"
"""Of the connector, which is no Lambda and never resumed."""


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.slow
def test_no_key_is_drawn_by_a_library() -> None:
    found = [
        name(path)
        for path in SOURCES
        if not MADE_BY_A_LIBRARY.isdisjoint(calls(ast.parse(path.read_text(encoding="utf-8"))))
    ]
    assert [one for one in found if one != TLS_CERTIFICATE] == []


@pytest.mark.slow
def test_numbers_that_may_repeat_are_for_jitter_alone() -> None:
    users = {
        name(path)
        for path in SOURCES
        if OFF_THE_RECORD.intersection(imported(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert users <= JITTER


def test_a_key_that_a_library_draws_would_be_found() -> None:
    tree = ast.parse("from x import X25519PrivateKey\nkey = X25519PrivateKey.generate()")
    assert not MADE_BY_A_LIBRARY.isdisjoint(calls(tree))
