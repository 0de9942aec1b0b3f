"""`tocsin dead-letters`: what could not be delivered, of both queues."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    USER,
    WHEN,
    add_command,
    add_list,
    dry_run_option,
    past,
    reveal_option,
    wait_option,
    yes_option,
)
from tocsin_console.errors import Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin.notify.redrive import Selection
    from tocsin.notify.refused_events import EventSelection
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


EVENTS = "events"


def register(commands: Commands) -> None:
    whole, actions = add_list(
        commands, "dead-letters", run_list, help="list, redrive or drop what could not be delivered"
    )
    listing = add_command(actions, "list", run_list, changes=False, help="list all, with their reasons")
    showing = add_command(actions, "show", run_show, changes=False, help="show one, with its history")
    showing.add_argument("id", metavar="ID")
    showing.add_argument("--text", action="store_true", help="also show the message's text, or the event")
    reveal_option(whole)
    for parser in (listing, showing):
        reveal_option(parser, with_default=False)
    redriving = add_command(
        actions,
        "redrive",
        run_redrive,
        changes=True,
        help="send again, with all retries; asks before more than 20",
    )
    dropping = add_command(actions, "drop", run_drop, changes=True, help="delete for good")
    for parser in (whole, listing, showing, redriving, dropping):
        parser.add_argument(
            "--queue",
            choices=["notifications", EVENTS],
            default="notifications" if parser is whole else argparse.SUPPRESS,
            help="events: ticket events that were refused, with every violation (default: notifications)",
        )
    wait_option(redriving, seconds=30, what="how long to watch what becomes of each; 0: do not")
    for parser in (redriving, dropping):
        parser.add_argument("id", metavar="ID", nargs="?")
        parser.add_argument("--all", action="store_true", help="all of them")
        parser.add_argument("--reason", metavar="CODE", help="all with this reason")
        parser.add_argument("--ticket", metavar="ID", help="all of this ticket")
        parser.add_argument("--person", metavar="PERSON", help=f"all to one person: {USER}")
        parser.add_argument("--since", type=past, metavar="WHEN", help=f"all given up from then on: {WHEN}")
        parser.add_argument("--until", type=past, metavar="WHEN", help="all given up before then")
        dry_run_option(parser)
        yes_option(parser)
        parser.set_defaults(demand=_demand_choice)


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
    from tocsin_console import dead_letters, refused_events

    how = {"dry_run": args.dry_run, "output": output, "yes": args.yes}
    if args.queue == EVENTS:
        refused_events.redrive_refused(deployment, _events(args), **how)
    else:
        dead_letters.redrive_letters(
            deployment, _letters(args, deployment), **how, wait_seconds=0 if args.dry_run else args.wait
        )


def run_drop(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import dead_letters, refused_events

    how = {"dry_run": args.dry_run, "output": output, "yes": args.yes}
    if args.queue == EVENTS:
        refused_events.drop_refused(deployment, _events(args), **how)
    else:
        dead_letters.drop_letters(deployment, _letters(args, deployment), **how)


def _demand_choice(args: argparse.Namespace) -> None:
    """Raises Usage unless it is clear which are meant: one, all, or those that every filter lets through."""
    filters = ("reason", "ticket", "person", "since", "until")
    given = [name for name in filters if getattr(args, name) is not None]
    ways = [args.id is not None, args.all, bool(given)]
    if sum(ways) != 1:
        named = ", ".join(f"--{name}" for name in filters)
        raise Usage(f"choose which are meant: ID, or --all, or one or more of {named}")


def _letters(args: argparse.Namespace, deployment: Deployment) -> Selection:
    from tocsin.notify.redrive import Selection
    from tocsin_console.explain import ids_of_ticket
    from tocsin_console.people import recipients

    return Selection(
        args.id,
        args.reason,
        among=frozenset(ids_of_ticket(deployment, args.ticket)) if args.ticket is not None else None,
        recipients=recipients(deployment, args.person) if args.person is not None else None,
        since=args.since,
        until=args.until,
    )


def _events(args: argparse.Namespace) -> EventSelection:
    from tocsin.notify.refused_events import EventSelection

    if args.person is not None:
        raise Usage("an event that was refused has no person yet: choose it by --ticket or --since")
    return EventSelection(args.id, args.reason, args.ticket, args.since, args.until)
