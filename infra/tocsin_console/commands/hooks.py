"""`tocsin hooks`: who outside hears of outcomes, and what became of telling them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_command, add_list, reveal_option, wait_option, yes_option
from tocsin_console.errors import Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    whole, actions = add_list(commands, "hooks", run_list, help="tell outcomes to webhooks of yours, signed")
    adding = add_command(
        actions, "add", run_add, changes=True, help="tell outcomes to a URL; prints its secret once"
    )
    adding.add_argument("url", metavar="URL", help="https://…, on port 443")
    adding.add_argument("--events", help="of these only, such as notification.failed,reply.received")
    adding.add_argument("--accounts", help="of these WhatsApp accounts only, with commas between them")
    adding.add_argument(
        "--form", choices=("standard", "cloudevents"), default="standard", help="of the bodies"
    )
    listing = add_command(actions, "list", run_list, changes=False, help="list them, with how it went last")
    telling = add_command(
        actions, "deliveries", run_deliveries, changes=False, help="list deliveries with each attempt"
    )
    resending = add_command(
        actions, "resend", run_resend, changes=True, help="tell a delivery again, or all dead ones"
    )
    resending.add_argument("hook", metavar="HOOK", nargs="?", help="with --crashed it may be left out")
    resending.add_argument("delivery", metavar="DELIVERY", nargs="?", help="as 'deliveries' lists it")
    which = resending.add_mutually_exclusive_group()
    which.add_argument("--dead", action="store_true", help="all that were given up")
    which.add_argument(
        "--crashed", action="store_true", help="all that the function crashed on, and could not put aside"
    )
    rotating = add_command(
        actions, "rotate", run_rotate, changes=True, help="make a new secret; the old one counts a day"
    )
    testing = add_command(
        actions, "test", run_test, changes=True, help="send a test, and wait for what it answers"
    )
    pausing = add_command(
        actions, "pause", run_pause, changes=True, help="tell it nothing for now; all of it waits"
    )
    resuming = add_command(
        actions, "resume", run_resume, changes=True, help="tell it again, after a pause or a 410"
    )
    removing = add_command(actions, "remove", run_remove, changes=True, help="tell it nothing any more")
    for parser in (telling, rotating, testing, pausing, resuming, removing):
        parser.add_argument("hook", metavar="HOOK")
    telling.add_argument("--dead", action="store_true", help="only those that were given up")
    reveal_option(whole)
    reveal_option(listing, with_default=False)
    wait_option(testing, seconds=45, what="for the answer")
    yes_option(removing)


def run_add(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.add(
        deployment,
        args.url,
        events=hooks.words(args.events),
        accounts=hooks.words(args.accounts),
        form=args.form,
        output=output,
    )


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.list_hooks(deployment, output)


def run_deliveries(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.list_deliveries(deployment, args.hook, dead=args.dead, output=output)


def run_resend(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    if args.crashed and args.delivery is None:
        hooks.resend_crashed(deployment, args.hook, output=output)
        return
    if args.crashed or args.hook is None:
        raise Usage(
            "name a webhook, and a delivery or --dead; or --crashed for all that the function failed at"
        )
    hooks.resend(deployment, args.hook, args.delivery, dead=args.dead, output=output)


def run_rotate(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.rotate(deployment, args.hook, output=output)


def run_test(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.ping(deployment, args.hook, wait=args.wait, output=output)


def run_pause(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.pause(deployment, args.hook, output=output)


def run_resume(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.resume(deployment, args.hook, output=output)


def run_remove(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import hooks

    hooks.remove(deployment, args.hook, yes=args.yes, output=output)
