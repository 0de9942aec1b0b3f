"""`tocsin settings`: what can be changed while the stack runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, count
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin.settings.values import Scope
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    # Without an action it lists them.
    listing = add_command(commands, "settings", run_list, help="list or change settings; nothing is deployed")
    actions = listing.add_subparsers(metavar="ACTION")
    add_command(actions, "list", run_list, help="list all, with defaults, and who changed what")
    showing = add_command(actions, "show", run_show, help="explain one, with all its values")
    setting = add_command(actions, "set", run_set, help="set one, for the stack, an account or an audience")
    resetting = add_command(actions, "reset", run_reset, help="set one back to its default")
    for parser in (showing, setting, resetting):
        parser.add_argument("name", metavar="NAME")
    setting.add_argument("value", metavar="VALUE")
    for parser in (setting, resetting):
        parser.add_argument("--account", help="for this WhatsApp account alone")
        parser.add_argument("--audience", help="for customer, technician or group alone")
    add_command(actions, "history", run_history, help="list the last changes")
    add_command(actions, "undo", run_undo, help="take the last change back")
    restoring = add_command(actions, "restore", run_restore, help="set all back to how they were once")
    restoring.add_argument("version", type=count, metavar="VERSION", help="of the history; 0: all defaults")


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.list_settings(deployment, output)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.show_setting(deployment, args.name, output)


def run_set(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings
    from tocsin_console.audit import note

    change = settings.Change(args.name, args.value, _scope(args, deployment))
    settings.change(deployment, [change], output)
    note(deployment, f"settings: set {args.name}")


def run_reset(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.settings.values import Scope
    from tocsin_console import settings
    from tocsin_console.audit import note

    # Of an account, too, that is served no more: what was set for it may go.
    scoped = args.account is not None or args.audience is not None
    scope = Scope(args.account, args.audience) if scoped else None
    settings.change(deployment, [settings.Change(args.name, None, scope)], output)
    note(deployment, f"settings: reset {args.name}")


def run_history(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings

    settings.list_history(deployment, output)


def run_undo(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings
    from tocsin_console.audit import note

    settings.undo(deployment, output)
    note(deployment, "settings: took the last change back")


def run_restore(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import settings
    from tocsin_console.audit import note

    settings.restore(deployment, args.version, output)
    note(deployment, f"settings: back to version {args.version}")


def _scope(args: argparse.Namespace, deployment: Deployment) -> Scope:
    from tocsin.settings.values import Scope

    # An account that isn't served is refused here: a value for it would be heeded by nobody.
    account = deployment.account(args.account) if args.account is not None else None
    return Scope(account, args.audience)
