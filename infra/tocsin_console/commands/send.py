"""`tocsin send`: a test notification."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command, wait_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands, "send", run, changes=True, help="send a test notification, as a ticket event"
    )
    parser.add_argument("--to", required=True, metavar="PHONE", help="in local or international form")
    parser.add_argument("--name", default="Test", help="the customer's name in the text")
    parser.add_argument("--subject", default="Test notification", help="the ticket's subject in the text")
    parser.add_argument("--language", metavar="TAG", help="such as id or es-MX (default: the deployment's)")
    parser.add_argument(
        "--attach", type=Path, metavar="FILE", help="send this file too, through the bucket AttachmentsBucket"
    )
    account_option(parser)
    wait_option(parser, seconds=60, what="how long to follow the notification; 0: do not")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import send

    ticket = send.SampleTicket(args.to, args.name, args.subject, args.language, args.attach)
    account = deployment.account(args.account)
    send.send_test(deployment, ticket, account, wait_seconds=args.wait, output=output)
