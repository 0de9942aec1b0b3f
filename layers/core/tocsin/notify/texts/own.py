"""What texts may be that an operator writes while the stack runs: judged before they count.

A text has words, fields, choices (`{% if %}`) and parts (`{% include %}`), and nothing else: no loops, no
calls, no
arithmetic. So it ends, at once, whatever a ticket says, and needs no clock to be stopped by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from tocsin.notify.texts import lint
from tocsin.notify.texts.languages import is_language
from tocsin.notify.texts.template import TemplateFailed, Templates

MAX_CHARACTERS: Final = 8_000
MAX_FILES: Final = 200
MAX_ALL: Final = 150_000
"""Characters of one file, files, characters of all: they lie in one item of the table."""

_MAX_INCLUDES: Final = 10
_FILTERS: Final = frozenset({"quote", "upper", "lower", "title", "capitalize", "trim", "default"})
_NODES: Final = frozenset(
    {
        *("Template", "Output", "TemplateData", "If", "Include", "Name", "Getattr", "Getitem", "Const"),
        *("Filter", "Compare", "Operand", "And", "Or", "Not", "CondExpr", "Concat", "Test", "Keyword"),
    }
)
_LINE = re.compile(r"^[^:]*:(\d+): (.*)$", re.DOTALL)
WORDS: Final = "words.json"


class Finding(NamedTuple):
    """What is wrong. `line`: 0 if that isn't known."""

    path: str
    line: int
    text: str


def is_path(path: str) -> bool:
    """Whether a text may lie there: `<language>/<EventType>.<audience>.txt`, a part, or the words."""
    language, slash, name = path.partition("/")
    return bool(slash) and is_language(language) and (name == WORDS or lint.is_text(name))


def judge(path: str, files: Mapping[str, str]) -> list[Finding]:
    """What is wrong with one of `files`, among the others and those of the package; empty if nothing is."""
    if not is_path(path):
        return [Finding(path, 0, "is no place of a text")]
    text = files[path]
    if len(text) > MAX_CHARACTERS:
        return [Finding(path, 0, f"is longer than {MAX_CHARACTERS} characters")]
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_ALL:
        return [Finding(path, 0, f"too much: {MAX_FILES} texts and {MAX_ALL} characters in all")]
    if path.endswith(WORDS):
        return list(_of_words(path, text))
    found = list(_of_form(path, text))
    if not found:
        found = list(_of_fields(path, files))
    return found or list(_of_samples(path, files))


def _of_words(path: str, text: str) -> Iterator[Finding]:
    try:
        words = json.loads(text)
    except ValueError as error:
        yield Finding(path, getattr(error, "lineno", 0), f"is no JSON: {error}")
        return
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        yield Finding(path, 0, "is not an object of texts")


def _of_form(path: str, text: str) -> Iterator[Finding]:
    """What it is made of."""
    from jinja2 import TemplateSyntaxError, nodes

    try:
        tree = Templates().environment.parse(text)
    except TemplateSyntaxError as error:
        yield Finding(path, error.lineno, error.message or "can't be read")
        return
    except RecursionError:
        yield Finding(path, 0, "is nested too deeply")
        return
    includes = 0
    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        line = getattr(node, "lineno", 0)
        if kind not in _NODES:
            yield Finding(path, line, f"{_word(kind)} isn't allowed here: words, fields, if and include are")
        elif isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            yield Finding(
                path, line, f"there is no filter {node.name}; there are {', '.join(sorted(_FILTERS))}"
            )
        elif isinstance(node, nodes.Include):
            includes += 1
            yield from _of_include(path, line, node)
    if includes > _MAX_INCLUDES:
        yield Finding(path, 0, f"includes more than {_MAX_INCLUDES} parts")


def _of_include(path: str, line: int, node: Any) -> Iterator[Finding]:
    from jinja2 import nodes

    target = node.template.value if isinstance(node.template, nodes.Const) else None
    if path.partition("/")[2].startswith("_"):
        yield Finding(path, line, "a part can't include another part")
    elif not isinstance(target, str) or not target.partition("/")[2].startswith("_"):
        yield Finding(path, line, "only a part can be included, by its name")


def _word(kind: str) -> str:
    return {"For": "a loop", "Call": "a call", "Mul": "arithmetic", "Pow": "arithmetic"}.get(
        kind, kind.lower()
    )


def _of_fields(path: str, files: Mapping[str, str]) -> Iterator[Finding]:
    """Fields and parts that don't exist, also where no sample event reaches."""
    for said in lint.unknown_fields(Templates(overrides=files), path):
        numbered = _LINE.match(said)
        line, text = (int(numbered[1]), numbered[2]) if numbered else (0, said.removeprefix(f"{path}: "))
        yield Finding(path, line, text)


def _of_samples(path: str, files: Mapping[str, str]) -> Iterator[Finding]:
    """Every sample event in its language."""
    language, _, name = path.partition("/")
    templates = Templates(overrides=files)
    for event, recipient in lint.samples():
        if name.startswith("_") or name == f"{event.event_type}.{recipient.audience}.txt":
            try:
                templates.render(event, replace(recipient, language=language), language)
            except TemplateFailed as failure:
                yield Finding(path, 0, failure.reason)
                return
