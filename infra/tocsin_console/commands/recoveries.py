"""`tocsin recoveries`: how often messages could not be read at first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command, at_least_one, reveal_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "recoveries",
        run,
        changes=False,
        help="show how many messages could not be read at first: causes, success, time to heal",
    )
    parser.add_argument("--days", type=at_least_one, default=7, help="how many days to show (default 7)")
    account_option(parser)
    reveal_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import recoveries

    account = deployment.account(args.account)
    recoveries.show_recoveries(deployment, account, days=args.days, output=output)
