"""`tocsin accounts`: which WhatsApp accounts a stack serves."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, add_list, yes_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    _, actions = add_list(commands, "accounts", run_list, help="list, add or remove WhatsApp accounts")
    add_command(actions, "list", run_list, changes=False, help="list all accounts and the connector of each")
    adding = add_command(
        actions, "add", run_add, changes=True, help="serve one more account, without a deployment"
    )
    adding.add_argument("name", metavar="NAME", help="its name in events and for --account")
    removing = add_command(
        actions, "remove", run_remove, changes=True, help="stop serving an account; unpair it first"
    )
    removing.add_argument("name", metavar="NAME")
    yes_option(removing)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import accounts

    accounts.list_accounts(deployment, output)


def run_add(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import accounts

    accounts.add(deployment, args.name, output)


def run_remove(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import accounts

    accounts.remove(deployment, args.name, output, yes=args.yes)
