"""`tocsin waiting`: what waits and who is in front; let one go, or end it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    account_option,
    add_command,
    add_list,
    at_least_one,
    reveal_option,
    yes_option,
)
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    whole, actions = add_list(
        commands, "waiting", run_list, help="list what waits and who is in front, release or cancel it"
    )
    listing = add_command(
        actions, "list", run_list, changes=False, help="list what waits, oldest first, with its place in line"
    )
    for parser, with_default in ((whole, True), (listing, False)):
        _list_options(parser, with_default=with_default)
    releasing = add_command(actions, "release", run_release, changes=True, help="let it go within a minute")
    cancelling = add_command(
        actions, "cancel", run_cancel, changes=True, help="never send it; what is behind it goes on"
    )
    for parser in (releasing, cancelling):
        parser.add_argument("ids", metavar="ID", nargs="+", help="a notification's id")
    yes_option(cancelling)


def _list_options(parser: argparse.ArgumentParser, *, with_default: bool) -> None:
    account_option(parser, with_default=with_default)
    parser.add_argument(
        "--heads",
        action="store_true",
        default=False if with_default else argparse.SUPPRESS,
        help="only those at the head of their recipient's line",
    )
    parser.add_argument(
        "--most",
        type=at_least_one,
        default=200 if with_default else argparse.SUPPRESS,
        help="print so many (default 200)",
    )
    reveal_option(parser, with_default=with_default)


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
