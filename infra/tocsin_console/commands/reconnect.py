"""`tocsin reconnect`: log an account in again."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command, wait_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "reconnect",
        run,
        changes=True,
        help="log an account in again, also one that is replaced or stopped",
    )
    account_option(parser)
    wait_option(parser, seconds=60, what="how long to wait for the login")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import reconnect

    reconnect.reconnect(deployment, deployment.account(args.account), wait_seconds=args.wait, output=output)
