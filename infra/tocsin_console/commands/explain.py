"""`tocsin explain`: the history of a notification."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, reveal_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "explain",
        run,
        changes=False,
        help="show the history of a notification, and why it did not arrive",
    )
    parser.add_argument(
        "id",
        metavar="ID",
        help="of a notification, of its message (3EB0…), of a ticket or of an event; or a phone number",
    )
    parser.add_argument("--text", action="store_true", help="also show the message's text")
    reveal_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import explain

    explain.explain(deployment, args.id, output=output, text=args.text)
