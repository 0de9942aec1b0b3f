"""`tocsin tail`: what changes, as it happens."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, at_least_one, reveal_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment

STATES = ("planned", "waiting", "sent", "delivered", "read", "failed", "suppressed")


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "tail",
        run,
        changes=False,
        help="print a line for each change of a notification, as it happens; Ctrl-C ends it",
    )
    parser.add_argument("--ticket", default="", metavar="ID", help="of this ticket alone")
    parser.add_argument("--person", default="", help="of a number, or of a part of a number or a name, alone")
    parser.add_argument("--state", default="", choices=STATES, help="only what is in this state now")
    parser.add_argument("--account", help="of this WhatsApp account alone")
    parser.add_argument(
        "--source", default="", help="of events from this ticketing system, or source of the door, alone"
    )
    parser.add_argument(
        "--seconds", type=at_least_one, metavar="N", help="end after so long (default: Ctrl-C)"
    )
    reveal_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.feed.sifting import Sieve
    from tocsin_console.tail import tail

    account = deployment.account(args.account) if args.account else ""
    sieve = Sieve(
        ticket=args.ticket, person=args.person, state=args.state, account=account, source=args.source
    )
    tail(deployment, sieve, output, seconds=args.seconds)
