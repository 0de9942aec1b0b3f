"""`tocsin doctor`: what is wrong, what follows, and the command that mends it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command
from tocsin_console.errors import Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    parser = add_command(
        commands,
        "doctor",
        run,
        changes=False,
        needs_stack=False,
        help="check everything: what is wrong, and the command that mends it",
    )
    parser.add_argument(
        "--before-deploy",
        action="store_true",
        help="check AWS account, region and parameters (those of samconfig.toml in this folder) instead",
    )


def run(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import doctor

    if not deployment.place.region:
        raise Usage("no AWS region: pass --region, or set AWS_REGION or a profile with a region")
    if args.before_deploy:
        doctor.before_deploy(deployment.place, output)
    else:
        doctor.examine(deployment.place, output)
