"""`tocsin completion`: the script that lets a shell complete command lines of tocsin."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment

SHELLS = ("bash", "zsh", "fish")


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "completion",
        run,
        changes=False,
        needs_stack=False,
        help="print the script with which a shell completes commands and options",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    import argcomplete.shell_integration

    script = argcomplete.shell_integration.shellcode(["tocsin"], shell=args.shell)
    output.record({"shell": args.shell, "script": script})
    for line in script.split("\n"):
        output.draw(line)
