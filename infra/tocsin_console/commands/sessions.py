"""`tocsin sessions`: the sessions with recipients' devices."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    USER,
    account_option,
    add_command,
    add_list,
    count,
    dry_run_option,
    reveal_option,
    yes_option,
)
from tocsin_console.errors import Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment
    from tocsin_console.sessions import Sessions


def register(commands: Commands) -> None:
    whole, actions = add_list(
        commands, "sessions", run_list, help="list, archive or reset the sessions with recipients' devices"
    )
    listing = add_command(
        actions, "list", run_list, changes=False, help="list all users, with counters and ages"
    )
    for parser, limit in ((whole, 100), (listing, argparse.SUPPRESS)):
        parser.add_argument(
            "--limit", type=count, default=limit, help="at most so many (default 100; 0: all)"
        )
    showing = add_command(
        actions, "show", run_show, changes=False, help="show the sessions with one user, by device"
    )
    showing.add_argument("user", metavar="USER", help=USER)
    cleaning = add_command(
        actions, "clean", run_clean, changes=True, help="archive sessions; the next send creates new ones"
    )
    which = cleaning.add_mutually_exclusive_group(required=True)
    which.add_argument("user", metavar="USER", nargs="?", help=USER)
    which.add_argument("--all", action="store_true", help="the sessions with all users")
    cleaning.add_argument("--device", type=count, metavar="D", help="only this device of the user")
    resetting = add_command(
        actions,
        "reset",
        run_reset,
        changes=True,
        help="abandon all sessions, as after a restored backup; the link to the phone stays",
    )
    account_option(whole)
    for parser in (listing, showing, cleaning, resetting):
        account_option(parser, with_default=False)
    reveal_option(whole)
    for parser in (listing, showing):
        reveal_option(parser, with_default=False)
    for parser in (cleaning, resetting):
        dry_run_option(parser)
        yes_option(parser)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sessions

    sessions.list_sessions(_sessions(args, deployment), most=args.limit, output=output)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sessions

    sessions.show_sessions(_sessions(args, deployment), args.user, output=output)


def run_clean(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sessions

    found = _sessions(args, deployment)
    if args.all and args.device is not None:
        raise Usage("--device belongs to one user, not to --all")
    wanted = None if args.all else args.user
    sessions.clean_sessions(
        found, wanted, device=args.device, dry_run=args.dry_run, output=output, yes=args.yes
    )


def run_reset(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sessions

    found = _sessions(args, deployment)
    sessions.reset_sessions(found, dry_run=args.dry_run, output=output, yes=args.yes)


def _sessions(args: argparse.Namespace, deployment: Deployment) -> Sessions:
    from tocsin_console.sessions import Sessions

    return Sessions.of(deployment, deployment.account(args.account))
