"""JMESPath over what strangers send: whatever it holds, an expression answers."""

from __future__ import annotations

import pytest

from tocsin.door.desks.expressions import InvalidExpression, found, holds

DOCUMENT = {
    "text": "x",
    "number": 5,
    "endless": float("inf"),
    "huge": 10**400,
    "mixed": [{"k": 1}, {"k": "a"}],
}


@pytest.mark.parametrize(
    "expression",
    [
        "contains(text, number)",
        "text < number",
        "number >= text",
        "floor(endless)",
        "ceil(endless)",
        "max_by(mixed, &k)",
        "min_by(mixed, &k)",
        "mixed[::0]",
        "merge(@, number)",
        "avg([huge, `1.5`])",
        "sum([huge, `1.5`])",
        "join(text, mixed)",
    ],
)
def test_what_its_functions_do_not_take_is_nothing(expression: str) -> None:
    assert found(expression, DOCUMENT) is None
    assert not holds(expression, DOCUMENT)


def test_what_they_take_is_found() -> None:
    assert found("max_by(mixed[:1], &k).k", DOCUMENT) == 1
    assert holds("contains(text, 'x') && number < `6`", DOCUMENT)


def test_what_is_no_expression_is_said() -> None:
    with pytest.raises(InvalidExpression):
        found("text <", DOCUMENT)
