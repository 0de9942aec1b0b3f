"""`tocsin pause` and `tocsin resume`: the switch that stops all sending."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, scope_of
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    pausing = add_command(
        commands,
        "pause",
        run_pause,
        changes=True,
        help="stop all sending within a second; what is to be sent waits",
    )
    resuming = add_command(
        commands, "resume", run_resume, changes=True, help="send again, in the order of before"
    )
    for parser in (pausing, resuming):
        parser.add_argument("--account", help="of this WhatsApp account alone")
        parser.add_argument("--audience", help="to customer, technician or group alone")


def run_pause(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import pause

    scope = scope_of(args, deployment)
    pause.pause(deployment, scope, output)


def run_resume(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import pause

    scope = scope_of(args, deployment)
    pause.resume(deployment, scope, output)
