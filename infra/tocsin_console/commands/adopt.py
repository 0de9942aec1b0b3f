"""`tocsin adopt`: a new stack on the tables and secrets of a deleted one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, yes_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "adopt",
        run,
        changes=True,
        needs_stack=False,
        help="find and check what a deleted stack left, and print what a new one is deployed with to use it",
    )
    parser.add_argument("--from", dest="former", help="name of the deleted stack (default: that of --stack)")
    parser.add_argument("--keys-table", metavar="NAME", help="its keys table, if it has another name by now")
    parser.add_argument("--notifications-table", metavar="NAME", help="the same for its notifications table")
    parser.add_argument("--sealing-secret", metavar="ARN", help="the secret that its keys are sealed with")
    parser.add_argument("--texts-secret", metavar="ARN", help="the secret that its texts are sealed with")
    parser.add_argument(
        "--without-keys", action="store_true", help="its keys table is lost: take a new one, and pair again"
    )
    parser.add_argument(
        "--reset",
        action="store_true",
        help="abandon the sessions of accounts whose keys are from a backup; the link to the phone stays",
    )
    yes_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.adopt import adopt
    from tocsin_console.leftovers import Leftovers

    named = Leftovers(args.keys_table, args.notifications_table, args.sealing_secret, args.texts_secret)
    adopt(
        deployment,
        args.former or args.stack,
        named,
        output,
        without_keys=args.without_keys,
        reset=args.reset,
        yes=args.yes,
    )
