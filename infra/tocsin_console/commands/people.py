"""`tocsin people`: who somebody is, whose a number is, and to forget a person."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    USER,
    account_option,
    add_actions,
    add_command,
    dry_run_option,
    yes_option,
)
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment
    from tocsin_console.people import People


def register(commands: Commands) -> None:
    actions = add_actions(
        commands, "people", help="show what is stored of a person, confirm whose a number is, forget somebody"
    )
    showing = add_command(actions, "show", run_show, help="show everything that is stored of a person")
    confirming = add_command(
        actions,
        "confirm",
        run_confirm,
        help="let what is for a number that went to somebody else go there, and release what waits for it",
    )
    inviting = add_command(
        actions,
        "invite",
        run_invite,
        help="make the link, and its QR, by which somebody writes to the account first",
    )
    forgetting = add_command(
        actions, "forget", run_forget, help="erase a person; an opt-out is kept as a keyed hash"
    )
    opt_outs = add_actions(actions, "opt-outs", help="list who wants no messages; add or remove one")
    listing = add_command(opt_outs, "list", run_list_opt_outs, help="list who opted out")
    adding = add_command(
        opt_outs,
        "add",
        run_add_opt_out,
        help="note that somebody wants no messages, as if they had written STOP",
    )
    removing = add_command(
        opt_outs, "remove", run_remove_opt_out, help="write to somebody again who had opted out"
    )
    for parser in (adding, removing):
        parser.add_argument("person", metavar="PERSON", help=USER)
    showing.add_argument("person", metavar="PERSON", help=USER)
    confirming.add_argument("person", metavar="NUMBER", help="the phone number")
    forgetting.add_argument("person", metavar="PERSON", help=USER)
    inviting.add_argument("person", metavar="PERSON", nargs="?", help=f"for whom: {USER}")
    inviting.add_argument("--text", default="Halo", help="what they send when they open it (default: Halo)")
    inviting.add_argument("--file", metavar="FILE", help="write the QR there: .svg, .png or .txt")
    for parser in (showing, confirming, inviting, forgetting, listing, adding, removing):
        account_option(parser)
    dry_run_option(forgetting)
    for parser in (confirming, forgetting, removing):
        yes_option(parser)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import people

    people.show_person(_people(args, deployment), args.person, output=output)


def run_confirm(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import people
    from tocsin_console.audit import note

    people.confirm_number(_people(args, deployment), args.person, output=output, yes=args.yes)
    note(deployment, "confirmed to whom a number belongs now")


def run_invite(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.invite import invite

    invite(_people(args, deployment), args.person, text=args.text, file=args.file, output=output)


def run_forget(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import forget
    from tocsin_console.audit import note

    found = _people(args, deployment)
    forget.forget_person(found, args.person, dry_run=args.dry_run, output=output, yes=args.yes)
    if not args.dry_run:
        note(deployment, "erased a person")


def run_list_opt_outs(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs

    opt_outs.list_opt_outs(_people(args, deployment), output)


def run_add_opt_out(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs
    from tocsin_console.audit import note

    people = _people(args, deployment)
    if opt_outs.add(people, args.person, output=output):
        note(deployment, f"noted that somebody opted out of the account {people.account}")


def run_remove_opt_out(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs
    from tocsin_console.audit import note

    people = _people(args, deployment)
    opt_outs.remove(people, args.person, output=output, yes=args.yes)
    note(deployment, f"took somebody's opt-out of the account {people.account} back")


def _people(args: argparse.Namespace, deployment: Deployment) -> People:
    from tocsin_console.people import People

    return People(deployment, deployment.account(args.account))
