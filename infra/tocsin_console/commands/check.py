"""`tocsin check`: what an event would do, without a stack."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "check",
        run,
        changes=False,
        needs_stack=False,
        help="show whom an event would tell, and what; needs no stack, sends nothing",
    )
    parser.add_argument(
        "event", type=Path, metavar="FILE", help="an event, entries of put-events, or a detail; -: read stdin"
    )
    parser.add_argument(
        "--type",
        default="TicketCreated",
        metavar="TYPE",
        help="detail-type of a file that is a detail alone (default: TicketCreated)",
    )
    # The rest are parameters of the stack, with the template's defaults.
    parser.add_argument("--default-region", default="ID", metavar="COUNTRY", help="(default: ID)")
    parser.add_argument("--default-area", default="", metavar="CODE", help="(default: none)")
    parser.add_argument("--default-language", default="id", metavar="TAG", help="(default: id)")
    parser.add_argument("--accounts", default="default", metavar="NAMES", help="(default: default)")
    parser.add_argument("--texts", type=Path, metavar="FOLDER", help="own texts, before the built-in ones")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.check import StackFacts, check

    facts = StackFacts(
        default_region=args.default_region.upper(),
        default_area=args.default_area,
        default_language=args.default_language,
        accounts=tuple(filter(None, (name.strip() for name in args.accounts.split(",")))),
        texts=args.texts,
    )
    check(args.event, args.type, facts, output)
