"""`tocsin self-test`: an account writes to its own chat."""

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
        "self-test",
        run,
        changes=True,
        help="have an account write to its own chat, and wait until that arrived",
    )
    account_option(parser)
    wait_option(parser, seconds=120, what="how long to wait for the result; 0: do not")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import self_test

    account = deployment.account(args.account)
    self_test.run_once(deployment, account, wait_seconds=args.wait, output=output)
