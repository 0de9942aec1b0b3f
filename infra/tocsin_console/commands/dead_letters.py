"""`tocsin dead-letters`: what could not be delivered, of both queues."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import add_actions, add_command, dry_run_option, yes_option
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


EVENTS = "events"


def register(commands: Commands) -> None:
    actions = add_actions(commands, "dead-letters", help="show, redrive or drop what could not be delivered")
    listing = add_command(actions, "list", run_list, help="list all, with their reasons")
    showing = add_command(actions, "show", run_show, help="show one, with its history")
    showing.add_argument("id", metavar="ID")
    showing.add_argument("--text", action="store_true", help="also show the message's text, or the event")
    redriving = add_command(actions, "redrive", run_redrive, help="send again, with all retries")
    dropping = add_command(actions, "drop", run_drop, help="delete for good")
    for parser in (listing, showing, redriving, dropping):
        parser.add_argument(
            "--queue",
            choices=["notifications", EVENTS],
            default="notifications",
            help="events: ticket events that were refused, with every violation (default: notifications)",
        )
    for parser in (redriving, dropping):
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", metavar="ID", nargs="?")
        which.add_argument("--reason", metavar="CODE", help="all with this reason")
        which.add_argument("--all", action="store_true", help="all of them")
        dry_run_option(parser)
    yes_option(dropping)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import dead_letters, refused_events

    if args.queue == EVENTS:
        refused_events.list_refused(deployment, output)
    else:
        dead_letters.list_letters(deployment, output)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import dead_letters, refused_events

    show = refused_events.show_refused if args.queue == EVENTS else dead_letters.show_letter
    show(deployment, args.id, text=args.text, output=output)


def run_redrive(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.notify.redrive import Selection
    from tocsin.notify.refused_events import EventSelection
    from tocsin_console import dead_letters, refused_events

    if args.queue == EVENTS:
        events = EventSelection(args.id, args.reason)
        refused_events.redrive_refused(deployment, events, dry_run=args.dry_run, output=output)
    else:
        letters = Selection(args.id, args.reason)
        dead_letters.redrive_letters(deployment, letters, dry_run=args.dry_run, output=output)


def run_drop(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.notify.redrive import Selection
    from tocsin.notify.refused_events import EventSelection
    from tocsin_console import dead_letters, refused_events

    if args.queue == EVENTS:
        events = EventSelection(args.id, args.reason)
        refused_events.drop_refused(deployment, events, dry_run=args.dry_run, output=output, yes=args.yes)
    else:
        letters = Selection(args.id, args.reason)
        dead_letters.drop_letters(deployment, letters, dry_run=args.dry_run, output=output, yes=args.yes)
