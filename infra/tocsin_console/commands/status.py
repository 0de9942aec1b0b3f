"""`tocsin status`: is everything there, and is anything stuck?"""

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
        "status",
        run,
        changes=False,
        help="show accounts, their connections and restrictions, and queues",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit with code 5 if an account is not connected or a dead-letter queue is not empty",
    )
    reveal_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import status

    status.show(deployment, output, check=args.check)
