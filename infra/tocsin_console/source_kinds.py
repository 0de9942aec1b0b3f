"""`tocsin sources kinds`: the help desks that are built in, and their files to begin one of your own with."""

from __future__ import annotations

from tocsin.door.desks.kind import UnknownKind, file_of, merged, names
from tocsin_console.errors import NotFound
from tocsin_console.output import Output


def list_kinds(output: Output) -> None:
    """Each kind, and the options that it knows."""
    for name in names():
        told = merged(file_of(name))
        parameters = {
            option: str(about.get("about", "")) for option, about in told.get("parameters", {}).items()
        }
        output.record({"kind": name, "about": told["about"], "options": parameters})
        output.say(f"{name:<10} {told['about']}")
        for option, about in parameters.items():
            output.say(f"           --option {option}=…  {about}")
    output.say("each of them: --option replies=text or notice, an agent's answer with or without its words")


def print_file(name: str, output: Output) -> None:
    """Raises NotFound."""
    try:
        text = file_of(name)
    except UnknownKind:
        raise NotFound(f"there is no kind '{name}': {', '.join(names())}") from None
    for line in text.splitlines():
        output.draw(line)
    output.record({"kind": name, "file": text})
