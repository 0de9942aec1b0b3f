"""`tocsin console`: everything on one page, in the browser of this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, count
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "console",
        run,
        changes=False,
        help="open everything on one page in the browser",
        description=(
            "Serve a page to this machine alone, with your AWS permissions, until Ctrl-C. The address that "
            "is printed lets one browser in, once; Enter prints another one."
        ),
    )
    parser.add_argument(
        "--port", type=count, default=0, help="where to listen (default: 4380, or a free one)"
    )
    parser.add_argument("--browser", action="store_true", help="open the address in the browser as well")


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.page import server

    server.serve(deployment, output, port=args.port, browser=args.browser)
