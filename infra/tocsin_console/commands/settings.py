"""`tocsin settings`: what can be changed while the stack runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, add_list, count, reveal_option, scope_of
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    listing, actions = add_list(
        commands, "settings", run_list, help="list or change settings; nothing is deployed"
    )
    looking = [
        add_command(actions, "list", run_list, changes=False, help="list all, and who changed what"),
        add_command(actions, "history", run_history, changes=False, help="list the last changes"),
    ]
    showing = add_command(actions, "show", run_show, changes=False, help="explain one, with all its values")
    setting = add_command(
        actions, "set", run_set, changes=True, help="set one, for the stack, an account or an audience"
    )
    resetting = add_command(actions, "reset", run_reset, changes=True, help="set one back to its default")
    for parser in (showing, setting, resetting):
        parser.add_argument("name", metavar="NAME")
    setting.add_argument("value", metavar="VALUE")
    for parser in (setting, resetting):
        parser.add_argument("--account", help="for this WhatsApp account alone")
        parser.add_argument("--audience", help="for customer, technician or group alone")
    add_command(actions, "undo", run_undo, changes=True, help="take the last change back")
    restoring = add_command(
        actions, "restore", run_restore, changes=True, help="set all back to how they were once"
    )
    restoring.add_argument("version", type=count, metavar="VERSION", help="of the history; 0: all defaults")
    reveal_option(listing)
    for parser in (*looking, showing):
        reveal_option(parser, with_default=False)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.list_settings(deployment, output)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.show_setting(deployment, args.name, output)


def run_set(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    change = settings.Change(args.name, args.value, scope_of(args, deployment))
    settings.change(deployment, [change], output)


def run_reset(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.settings.values import Scope
    from tocsin_console import settings

    # Of an account, too, that is served no more: what was set for it may go.
    scoped = args.account is not None or args.audience is not None
    scope = Scope(args.account, args.audience) if scoped else None
    settings.change(deployment, [settings.Change(args.name, None, scope)], output)


def run_history(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.list_history(deployment, output)


def run_undo(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.undo(deployment, output)


def run_restore(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.restore(deployment, args.version, output)
