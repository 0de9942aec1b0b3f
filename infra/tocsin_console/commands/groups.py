"""`tocsin groups`: the groups of an account."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "groups",
        run,
        changes=False,
        help="list the groups of the account, with their JIDs for events",
    )
    account_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import groups

    groups.list_groups(deployment, deployment.account(args.account), output)
