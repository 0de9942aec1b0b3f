"""What `make docs` does beside MkDocs: it brings the pages that lie beside the code, makes those of the event
schemas and of the alarms, and turns links to code into its path.

A link is written as it holds in the repository, and is turned here into one that holds on the site."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "layers/core"))

from tocsin.settings.declared import DECLARED, Setting  # noqa: E402

PAGES = "infra/site/pages"
RUNBOOKS = "infra/runbooks"
EVENTS = "layers/core/tocsin/notify/events"
IN = ("ticket-event.schema.json", "message-requested.schema.json")
OUT = ("outcomes", "account-event.schema.json")
PLACES = {
    "README.md": "index.md",
    RUNBOOKS: "alarms.md",
    f"{EVENTS}/{IN[0]}": "events-in.md",
    f"{EVENTS}/{OUT[0]}": "events-out.md",
    "template.yaml": "reference.md",
}
"""What shows here on a page of another name."""
SHARED, SHARED_ID = "notification-outcome.schema.json", "urn:tocsin:notification-outcome:"

_LINK = re.compile(
    r"(?<!!)\[(?P<text>(?:`[^`\n]*`|[^\]\\\n`]|\\.)+)\]\((?P<target>[^)\s]+)(?P<title>\s+\"[^\"]*\")?\)"
)
_PICTURE = re.compile(r"!\[(?P<text>[^\]\n]*)\]\((?P<target>[^)\s]+)\)")
_ABROAD = re.compile(r"[a-z][a-z0-9+.-]*:|#|/", re.I)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path in pages_of_the_repository():
        level = InclusionLevel.NOT_IN_NAV if path.startswith(RUNBOOKS) else InclusionLevel.UNDEFINED
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path), inclusion=level))
    made = {
        "events-in.md": events_in(),
        "events-out.md": events_out(),
        "alarms.md": alarms(),
        "reference.md": reference(),
    }
    for path, words in made.items():
        files.append(File.generated(config, path, content=words))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links are written for the repository. Here they lead to pages and pictures; what is neither is named
    instead."""
    here = posixpath.dirname(page.file.src_uri)
    folder = here if page.file.generated_by else PAGES

    def followed(found: re.Match[str]) -> str:
        target, text = found["target"], found["text"]
        if _ABROAD.match(target):
            return found.group()
        name, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(folder, name))
        shown = PLACES.get(path, path.removeprefix(f"{PAGES}/"))
        if files.get_file_from_path(shown) is not None:
            place = posixpath.relpath(shown, here or ".") + (f"#{anchor}" if anchor else "")
            return f"[{text}]({place}{found['title'] or ''})"
        if not (ROOT / path).exists():
            # MkDocs says that it leads nowhere.
            return found.group()
        # A mark in a table, or a text that is the file's name, says enough.
        is_named = found["title"] or posixpath.basename(path) in text
        return text if is_named else f"{text} (`{path}`)"

    def shown_here(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found["target"]))
        return f"![{found['text']}]({posixpath.relpath(path.removeprefix(f'{PAGES}/'), here or '.')})"

    return _PICTURE.sub(shown_here, _LINK.sub(followed, markdown))


def pages_of_the_repository() -> list[str]:
    """The Markdown files that are part of the repository, but for those of this site and the README, which
    is the first page of the repository itself."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    parts = ("README.md", "tests/cost/", "infra/site/")
    return [path for path in listed if path and not path.startswith(parts)]


# -- made of data ------------------------------------------------------------------------------------------


def alarms() -> str:
    rows = []
    for file in sorted((ROOT / RUNBOOKS).glob("*.md")):
        text = file.read_text(encoding="utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        urgent = _sentence(text, "**How urgent.**")
        rows.append(
            f"| [{title}]({RUNBOOKS}/{file.name}) | {_sentence(text, '**What it means.**')} | {urgent} |"
        )
    return "\n".join(
        [
            "# Alarms",
            "",
            "After this page you know what each alarm means, and what to do when one rings at night.",
            "",
            "Each alarm has a page: what it means, how bad it is, what to do. Its text links there. Set"
            " `AlarmEmail` or `AlarmTopicArn` to be told; `tocsin doctor` says whether somebody is.",
            "",
            "| alarm | what it means | how urgent |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _sentence(text: str, label: str) -> str:
    """The first sentence of the paragraph that begins with a label."""
    paragraph = text.partition(label)[2].strip().partition("\n")[0]
    return re.split(r"(?<=\.)\s", paragraph, maxsplit=1)[0].replace("|", "\\|")


def reference() -> str:
    """Every setting, as the code declares it, and every parameter of the template."""
    settings = [
        f"| `{one.name}` | {_cell(_default(one))} | {_cell(one.kind.wanted)} | {_cell(one.says)} |"
        for one in DECLARED.values()
    ]
    template = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader=_Template)  # noqa: S506
    parameters = template["Parameters"]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    return "\n".join(
        [
            "# All settings and parameters",
            "",
            "After this page you know every value that you may change, and its default.",
            "",
            "## Settings",
            "",
            "`tocsin settings set NAME VALUE` changes one while the stack runs"
            " ([more](infra/PARAMETERS.md)).",
            "",
            "| setting | default | may be | what it says |",
            "| --- | --- | --- | --- |",
            *settings,
            "",
            "## Parameters",
            "",
            "`tocsin deploy --set NAME=VALUE` changes one, with a deployment.",
            *(line for group in groups for line in _parameters(group, parameters)),
            "",
        ]
    )


def _default(setting: Setting[Any]) -> str:
    told = [setting.kind.show(setting.default) or "none"]
    told += [f"{audience}: {setting.kind.show(value)}" for audience, value in setting.defaults.items()]
    return "; ".join(told)


def _parameters(group: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "",
        f"### {group['Label']['default']}",
        "",
        "| parameter | default | what it says |",
        "| --- | --- | --- |",
    )
    for name in group["Parameters"]:
        declared = parameters[name]
        default = str(declared.get("Default", "")) or "none"
        yield f"| `{name}` | {_cell(default)} | {_cell(declared['Description'])} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("*", "\\*")


class _Template(yaml.SafeLoader):
    """Reads what is no intrinsic function; those are left out."""


_Template.add_multi_constructor("!", lambda loader, suffix, node: None)


def events_in() -> str:
    return "\n".join(
        [
            "# Events in",
            "",
            "After this page you know every field of an event that a ticketing system may put on the bus.",
            "",
            "`tocsin check event.json` says what an event would do,"
            " without a stack. Text that is too long is cut, and a wrong field that nobody needs is left out;"
            " an event that can't be told at all is put aside with every violation:"
            " `tocsin dead-letters list --queue events`.",
            "",
            *(line for name in IN for line in _described(ROOT / EVENTS / name)),
        ]
    )


def events_out() -> str:
    found = [
        path
        for name in OUT
        for path in sorted([*(ROOT / EVENTS).glob(f"{name}/*"), *(ROOT / EVENTS).glob(name)])
    ]
    # What others build on comes first.
    schemas = sorted((path for path in found if path.suffix == ".json"), key=lambda path: path.name != SHARED)
    return "\n".join(
        [
            "# Events out",
            "",
            "After this page you know every field of an event that Tocsin puts on the bus.",
            "",
            "Their source is `tocsin`. [How to receive them](receiving.md).",
            "",
            *(line for path in schemas for line in _described(path)),
        ]
    )


def _described(path: Path) -> Iterator[str]:
    """A section, and one below it for each kind of event, where a file has several. Raises ValueError if it
    would tell nothing."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    yield from (f"## {schema.get('title', path.stem)}", "", str(schema.get("description", "")), "")
    kinds = [one["$ref"].rpartition("/")[2] for one in schema.get("anyOf", ()) if "$ref" in one]
    for kind in kinds:
        node = schema["$defs"][kind]
        yield from (f"### {kind}", "", str(node.get("description", "")), "", *_table(node, schema, kind))
    if not kinds:
        yield from _table(schema, schema, path.name)


def _table(node: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> Iterator[str]:
    fields = list(_fields(node, schema, "", 0))
    if not fields:
        raise ValueError(f"{name} has no fields that can be shown")
    if any(SHARED_ID in part.get("$ref", "") for part in node.get("allOf", ())):
        always = ", ".join(
            f"`{field}`" for field in node.get("required", ()) if field not in node["properties"]
        )
        more = f" Of those it always has {always}." if always else ""
        yield from (f"It has all fields of an [outcome](#outcome-of-a-notification) as well.{more}", "")
    yield from ("| field | type | |", "| --- | --- | --- |")
    for field, below, needed in fields:
        told = str(below.get("description", "")).replace("|", "\\|").replace("\n", " ")
        yield f"| `{field}`{' *' if needed else ''} | {_type(below)} | {told} |"
    yield from ("", "A field with a * must be there.", "")


MAX_DEPTH = 6


def _fields(
    node: Mapping[str, Any], schema: Mapping[str, Any], path: str, depth: int
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    if depth > MAX_DEPTH:
        return
    node = _resolved(node, schema)
    for part in node.get("allOf", ()):
        yield from _fields(part, schema, path, depth + 1)
    required = node.get("required", ())
    for name, value in node.get("properties", {}).items():
        value = _resolved(value, schema)
        below = f"{path}{name}"
        yield below, value, name in required
        yield from _fields(value, schema, f"{below}.", depth + 1)
        if isinstance(value.get("items"), dict):
            yield from _fields(value["items"], schema, f"{below}[].", depth + 1)


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what `$ref` of the same file says, what stands beside it first."""
    reference = node.get("$ref", "")
    if not reference.startswith("#/"):
        return node
    found: Any = schema
    for part in reference[2:].split("/"):
        found = found.get(part, {})
    return {**found, **node}


def _type(node: Mapping[str, Any]) -> str:
    kind = node.get("type", "")
    kinds = kind if isinstance(kind, list) else [kind]
    if "const" in node:
        return f"always {json.dumps(node['const'])}"
    if "enum" in node:
        return f"one of {', '.join(map(str, node['enum']))}"
    return " or ".join(one for one in kinds if one)
