"""`tocsin waiting`: what waits and who is in front; let one go, or end it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    account_option,
    add_actions,
    add_command,
    at_least_one,
    reveal_option,
    yes_option,
)
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    actions = add_actions(
        commands, "waiting", help="show what waits and who is in front, release or cancel it"
    )
    listing = add_command(
        actions, "list", run_list, changes=False, help="list what waits, oldest first, with its place in line"
    )
    account_option(listing)
    listing.add_argument(
        "--heads", action="store_true", help="only those at the head of their recipient's line"
    )
    listing.add_argument("--most", type=at_least_one, default=200, help="print so many (default 200)")
    reveal_option(listing)
    releasing = add_command(actions, "release", run_release, changes=True, help="let it go within a minute")
    cancelling = add_command(
        actions, "cancel", run_cancel, changes=True, help="never send it; what is behind it goes on"
    )
    for parser in (releasing, cancelling):
        parser.add_argument("ids", metavar="ID", nargs="+", help="a notification's id")
    yes_option(cancelling)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import waiting

    accounts = [deployment.account(args.account)] if args.account else deployment.accounts
    waiting.list_waiting(deployment, accounts, output, most=args.most, heads=args.heads)


def run_release(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import waiting

    waiting.release(deployment, args.ids, output)


def run_cancel(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import waiting

    waiting.cancel(deployment, args.ids, output, yes=args.yes)
