"""`tocsin unpair`: end the link to the phone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command, wait_option, yes_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "unpair",
        run,
        changes=True,
        help="end the link to the phone; nothing is sent until the next pair",
    )
    account_option(parser)
    wait_option(parser, seconds=60, what="how long to wait for WhatsApp")
    yes_option(parser)
    parser.add_argument(
        "--withdraw",
        action="store_true",
        help="take back what another console asked of the account, if no connector accepted it yet",
    )


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import unpair

    account = deployment.account(args.account)
    if args.withdraw:
        unpair.take_back(deployment, account, output=output)
        return
    unpair.unpair(deployment, account, wait_seconds=args.wait, output=output, yes=args.yes)
