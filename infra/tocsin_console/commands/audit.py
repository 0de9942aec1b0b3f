"""`tocsin audit`: who changed what, and who saw what is masked elsewhere."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import WHEN, add_command, at_least_one, past
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "audit",
        run,
        changes=False,
        help="list who changed what, and who saw whole numbers, the last first",
    )
    parser.add_argument("--since", type=past, default=0, metavar="WHEN", help=f"from then on: {WHEN}")
    parser.add_argument("--until", type=past, metavar="WHEN", help="before then")
    parser.add_argument("--who", default="", metavar="TEXT", help="by whom, or a part of it")
    parser.add_argument("--what", default="", metavar="TEXT", help="what, or a part of it")
    parser.add_argument("--most", type=at_least_one, default=100, help="print so many (default 100)")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import audit

    wanted = audit.Wanted(args.since, args.until, args.who, args.what)
    audit.list_lines(deployment, wanted, output, most=args.most)
