"""Lint of texts: every template rendered against sample events, every field that doesn't exist named.

python -m tocsin.notify.texts.lint [--show] [FOLDER …]     FOLDER: texts of your own, such as
                                                     functions/plan_notifications/templates
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tocsin.notify.events.audience import ROUTES, Recipient, recipients
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.events.samples import FULL, HOSTILE, MINIMAL, sample_body
from tocsin.notify.events.schema import parse_event
from tocsin.notify.texts import consent
from tocsin.notify.texts.languages import DEFAULTS, is_language, languages
from tocsin.notify.texts.template import TemplateFailed, Templates, context

AUDIENCES = ("customer", "technician", "group")

_TEXT = re.compile(rf"(?:{'|'.join(ROUTES)})\.(?:{'|'.join(AUDIENCES)})\.txt")
_PART = re.compile(r"_[a-z_.]+\.txt")
_MAKERS: tuple[dict[str, str] | None, ...] = (
    {"role": "admin", "id": "U-1"},
    {"role": "technician", "id": "T-9"},
    {"role": "customer", "id": "C-77"},
    None,
)


def lint(*folders: Path) -> list[str]:
    """What is wrong with the texts in `folders` (before those of this package); empty if nothing is."""
    templates = Templates(*folders)
    findings: list[str] = []
    for folder in templates.folders:
        findings += _misplaced(folder)
    for language in languages(*templates.folders):
        for path in _paths(templates, language):
            findings += unknown_fields(templates, path)
    if not findings:
        findings += _unrendered(templates)
    return list(dict.fromkeys(findings))


def is_text(name: str) -> bool:
    """Whether a file with this name is a text, or a part of some."""
    return bool(_TEXT.fullmatch(name) or _PART.fullmatch(name))


def samples() -> Iterator[tuple[TicketEvent, Recipient]]:
    """Each event type × full, minimal and hostile × made by whom, for everybody it tells."""
    for event_type in ROUTES:
        for detail in (FULL, MINIMAL, HOSTILE):
            for maker in _MAKERS:
                body = sample_body(event_type, detail, created_by=maker)
                event = parse_event(body, default_region="ID", accounts=["default"])
                for recipient in recipients(event):
                    yield event, recipient


def _misplaced(folder: Path) -> Iterator[str]:
    """A file nobody would ever read is a typo."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        place = path.relative_to(folder)
        if path.is_dir() or place.name in ("README.md", ".gitkeep"):
            continue
        if len(place.parts) != 2 or not is_language(place.parts[0]):
            yield f"{place}: texts lie in folders named by their language"
        elif place.name == "words.json":
            yield from _bad_words(path, place)
        elif place.name == consent.FILE:
            yield from _bad_consent(path, place)
        elif not is_text(place.name):
            yield f"{place}: is no <EventType>.<audience>.txt, no _<part>.txt and no words.json"


def _bad_consent(path: Path, place: Path) -> Iterator[str]:
    """Only the layer's own folder is read for it: the function that reads replies has no other."""
    if not path.is_relative_to(DEFAULTS):
        yield f"{place}: nobody reads it here; words of consent belong in {DEFAULTS.name}/ of the layer"


def _bad_words(path: Path, place: Path) -> Iterator[str]:
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        yield f"{place}: {exc}"
        return
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        yield f"{place}: is not an object of texts"


def _paths(templates: Templates, language: str) -> list[str]:
    names = {
        path.name
        for folder in templates.folders
        if (folder / language).is_dir()
        for path in (folder / language).glob("*.txt")
    }
    return [f"{language}/{name}" for name in sorted(names)]


def unknown_fields(templates: Templates, path: str) -> Iterator[str]:
    """Also in branches that no sample event reaches."""
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    environment = templates.environment
    try:
        source = environment.loader.get_source(environment, path)[0] if environment.loader else ""
        tree = environment.parse(source)
        undeclared = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as exc:
        yield f"{path}:{exc.lineno}: {exc.message}"
        return
    except (TemplateError, UnicodeDecodeError) as exc:
        yield f"{path}: {exc}"
        return
    known = _vocabulary()
    for name in sorted(undeclared - set(known)):
        yield f"{path}: there is no {name}; there are {', '.join(sorted(known))}"
    yield from _unknown_attributes(tree, path, known)
    for part in meta.find_referenced_templates(tree):
        if part is not None and not templates.has(part):
            yield f"{path}: includes {part}, which doesn't exist"


def _unknown_attributes(tree: Any, path: str, known: Mapping[str, Any]) -> Iterator[str]:
    from jinja2 import nodes

    for access in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if not isinstance(access.node, nodes.Name) or not isinstance(known.get(access.node.name), dict):
            continue
        if isinstance(access, nodes.Getattr):
            attribute = access.attr
        elif isinstance(access.arg, nodes.Const):
            attribute = access.arg.value
        else:
            continue
        fields = known[access.node.name]
        if attribute not in fields:
            yield (
                f"{path}:{access.lineno}: {access.node.name} has no {attribute}; it has "
                f"{', '.join(sorted(fields))}"
            )


def _vocabulary() -> Mapping[str, Any]:
    """The names a template may use, as `context` gives them."""
    event, recipient = next(samples())
    return context(event, recipient, {})


def _unrendered(templates: Templates) -> Iterator[str]:
    """Each language as the recipient's and as the account's, so that every text is rendered."""
    for language in languages(*templates.folders):
        for event, recipient in samples():
            try:
                templates.render(event, replace(recipient, language=language), language)
            except TemplateFailed as failure:
                yield str(failure)


def _show(templates: Templates) -> Iterator[str]:
    for language in languages(*templates.folders):
        for event_type in ROUTES:
            event = parse_event(sample_body(event_type), default_region="ID", accounts=["default"])
            for audience in AUDIENCES:
                told = next((one for one in recipients(event) if one.audience == audience), None)
                if told is None:
                    continue
                rendered = templates.render(event, replace(told, language=language), language)
                yield f"--- {language} {event_type} {audience}\n{rendered.text}\n"


def main(arguments: Sequence[str]) -> int:
    folders = [Path(argument) for argument in arguments if argument != "--show"]
    missing = [f"{folder}: is no folder" for folder in folders if not folder.is_dir()]
    findings = missing or lint(*folders)
    for finding in findings:
        sys.stderr.write(finding + "\n")
    if not findings and "--show" in arguments:
        for text in _show(Templates(*folders)):
            sys.stdout.write(text + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
