"""`tocsin people`: who somebody is, whose a number is, and to forget a person."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    USER,
    account_option,
    add_actions,
    add_command,
    add_list,
    dry_run_option,
    reveal_option,
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
    showing = add_command(
        actions, "show", run_show, changes=False, help="show everything that is stored of a person"
    )
    confirming = add_command(
        actions,
        "confirm",
        run_confirm,
        changes=True,
        help="let what is for a number that went to somebody else go there, and release what waits for it",
    )
    inviting = add_command(
        actions,
        "invite",
        run_invite,
        changes=False,
        help="make the link, and its QR, by which somebody writes to the account first",
    )
    forgetting = add_command(
        actions, "forget", run_forget, changes=True, help="erase a person; an opt-out is kept as a keyed hash"
    )
    whole, opt_outs = add_list(
        actions, "opt-outs", run_list_opt_outs, help="list who wants no messages; add or remove one"
    )
    listing = add_command(opt_outs, "list", run_list_opt_outs, changes=False, help="list who opted out")
    adding = add_command(
        opt_outs,
        "add",
        run_add_opt_out,
        changes=True,
        help="note that somebody wants no messages, as if they had written STOP",
    )
    removing = add_command(
        opt_outs, "remove", run_remove_opt_out, changes=True, help="write to somebody again who had opted out"
    )
    for parser in (adding, removing):
        parser.add_argument("person", metavar="PERSON", help=USER)
    showing.add_argument("person", metavar="PERSON", help=USER)
    for parser in (showing, whole):
        reveal_option(parser)
    reveal_option(listing, with_default=False)
    confirming.add_argument("person", metavar="NUMBER", help="the phone number")
    forgetting.add_argument("person", metavar="PERSON", help=USER)
    inviting.add_argument("person", metavar="PERSON", nargs="?", help=f"for whom: {USER}")
    inviting.add_argument("--text", default="Halo", help="what they send when they open it (default: Halo)")
    inviting.add_argument("--file", metavar="FILE", help="write the QR there: .svg, .png or .txt")
    for parser in (showing, confirming, inviting, forgetting, whole):
        account_option(parser)
    for parser in (listing, adding, removing):
        account_option(parser, with_default=False)
    dry_run_option(forgetting)
    for parser in (confirming, forgetting, removing):
        yes_option(parser)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.person_view import show_person

    show_person(_people(args, deployment), args.person, output=output)


def run_confirm(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import people

    people.confirm_number(_people(args, deployment), args.person, output=output, yes=args.yes)


def run_invite(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console.invite import invite

    invite(_people(args, deployment), args.person, text=args.text, file=args.file, output=output)


def run_forget(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import forget

    found = _people(args, deployment)
    forget.forget_person(found, args.person, dry_run=args.dry_run, output=output, yes=args.yes)


def run_list_opt_outs(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs

    opt_outs.list_opt_outs(_people(args, deployment), output)


def run_add_opt_out(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs

    people = _people(args, deployment)
    opt_outs.add(people, args.person, output=output)


def run_remove_opt_out(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import opt_outs

    people = _people(args, deployment)
    opt_outs.remove(people, args.person, output=output, yes=args.yes)


def _people(args: argparse.Namespace, deployment: Deployment) -> People:
    from tocsin_console.people import People

    return People(deployment, deployment.account(args.account))
