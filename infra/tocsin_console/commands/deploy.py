"""`tocsin deploy`: the guided deployment, from the folder with Tocsin's sources."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, dry_run_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "deploy",
        run,
        changes=True,
        needs_stack=False,
        help="deploy or update a stack, from the folder with template.yaml; asks at most eight questions",
    )
    parser.add_argument(
        "--set",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template; can be given several times, and isn't asked for then",
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing; scripts need this")
    parser.add_argument(
        "--despite-faults", action="store_true", help="deploy although doctor --before-deploy finds a fault"
    )
    dry_run_option(parser)


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import deploy

    wanted = deploy.Wanted(args.given, yes=args.yes, dry_run=args.dry_run, despite_faults=args.despite_faults)
    deploy.deploy(deployment.place, wanted, output, profile=args.profile)
