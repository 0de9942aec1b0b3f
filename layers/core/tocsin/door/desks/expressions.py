"""JMESPath, the language in which a kind's file says where a field is, with a few functions more.

    lower(text)              the text in lower case
    after(text, separator)   what stands behind the last separator; the whole text without one
    near(a, b, seconds)      whether two times lie at most so far apart
    within(text, separator)  the parts of a text, without blanks around them

A function that gets what it can't use answers null instead of failing: a help desk leaves fields out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError

from tocsin.door.desks.times import moment

MAX_CHARACTERS = 1000
"""Of one expression. The longest that a help desk needed has 150."""

_ANY: dict[str, list[str]] = {"types": []}


class InvalidExpression(ValueError):
    """Not JMESPath; the text says where."""


class _Functions(functions.Functions):  # type: ignore[misc]
    @functions.signature(_ANY)  # type: ignore[untyped-decorator]
    def _func_lower(self, text: Any) -> str | None:
        return text.lower() if isinstance(text, str) else None

    @functions.signature(_ANY, _ANY)  # type: ignore[untyped-decorator]
    def _func_after(self, text: Any, separator: Any) -> str | None:
        if not isinstance(text, str) or not isinstance(separator, str) or not separator:
            return None
        return text.rpartition(separator)[2]

    @functions.signature(_ANY, _ANY, _ANY)  # type: ignore[untyped-decorator]
    def _func_near(self, one: Any, other: Any, seconds: Any) -> bool | None:
        first, second = moment(one), moment(other)
        if first is None or second is None or not isinstance(seconds, int | float):
            return None
        return abs(first.microseconds - second.microseconds) <= seconds * 1_000_000

    @functions.signature(_ANY, _ANY)  # type: ignore[untyped-decorator]
    def _func_within(self, text: Any, separator: Any) -> list[str] | None:
        if not isinstance(text, str) or not isinstance(separator, str) or not separator:
            return None
        return [part.strip() for part in text.split(separator) if part.strip()]


_OPTIONS = jmespath.Options(custom_functions=_Functions())


@lru_cache(maxsize=1024)
def compiled(expression: str) -> Any:
    """Raises InvalidExpression."""
    if len(expression) > MAX_CHARACTERS:
        raise InvalidExpression(f"is longer than {MAX_CHARACTERS} characters")
    try:
        parsed = jmespath.compile(expression)
    except JMESPathError as error:
        raise InvalidExpression(str(error).partition("\n")[0]) from None
    for node in _nodes(parsed.parsed):
        if node.get("type") == "function_expression" and node["value"] not in _Functions.FUNCTION_TABLE:
            raise InvalidExpression(f"there is no function {node['value']}")
        if _negates_half(node):
            raise InvalidExpression("! binds closer than the dot: write !(a.b) where !a.b stands")
    return parsed


def _nodes(tree: Any) -> Iterator[Any]:
    level = [tree]
    while level:
        node = level.pop()
        yield node
        level += _children(node)


def _children(node: Any) -> list[Any]:
    return [child for child in node.get("children", []) if isinstance(child, dict)]


def _negates_half(node: Any) -> bool:
    """Whether a path goes on behind a negation, which no author ever means."""
    return bool(node["type"] == "subexpression" and _children(node)[0].get("type") == "not_expression")


def found(expression: str, document: Any) -> Any:
    """What stands there; None if nothing does, or if what stands there is of a kind that the expression's
    functions don't take. Raises InvalidExpression."""
    parsed = compiled(expression)
    try:
        return parsed.search(document, _OPTIONS)
    except JMESPathError:
        return None
    except (TypeError, ValueError, ArithmeticError, RecursionError):
        # The library lets Python compare a text with a number, and round what is infinite.
        return None


def holds(expression: str, document: Any) -> bool:
    """Whether a condition holds: JMESPath's truth, so null, false and what is empty don't."""
    value = found(expression, document)
    return value is not None and value is not False and value not in ("", [], {})
