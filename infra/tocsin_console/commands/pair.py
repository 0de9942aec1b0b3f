"""`tocsin pair`: link a WhatsApp account."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import account_option, add_command, wait_option
from tocsin_console.errors import Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "pair",
        run,
        changes=True,
        help="link a WhatsApp account: show its QR code until it is scanned",
    )
    account_option(parser)
    parser.add_argument(
        "--code",
        "--phone",
        dest="phone",
        metavar="PHONE",
        help="show a code to type on this phone, instead of a QR code",
    )
    parser.add_argument(
        "--assertion",
        metavar="FILE",
        help="take the browser's answer, if WhatsApp wants the account's passkey, from this file, which may"
        " appear meanwhile, or from standard input (-), instead of the terminal",
    )
    parser.add_argument(
        "--always-ask-code",
        action="store_true",
        help="with a passkey: always compare the code on the phone with the one shown here",
    )
    parser.add_argument(
        "--allow-shared-phone",
        action="store_true",
        help="link the phone even if another account of this stack is linked to it",
    )
    wait_option(parser, seconds=180, what="how long to wait for the phone")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.people.numbers import InvalidPhone, own_phone
    from tocsin_console import pair, unpair

    account, phone = deployment.account(args.account), None
    if args.phone is not None:
        try:
            phone = own_phone(args.phone, deployment["DefaultRegion"], deployment.default_area)
        except InvalidPhone as refusal:
            raise Usage(f"--code: the number {refusal}") from None
    wishes = pair.Wishes(phone, args.always_ask_code, args.allow_shared_phone, args.assertion)
    if not pair.pair(deployment, account, wait_seconds=args.wait, output=output, wishes=wishes):
        unpair.unpair(deployment, account, wait_seconds=args.wait, output=output, yes=True)
