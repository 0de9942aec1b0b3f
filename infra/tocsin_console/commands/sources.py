"""`tocsin sources`: who may put events in by HTTP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin_console.commands.options import (
    add_command,
    add_list,
    at_least_one,
    count,
    reveal_option,
    yes_option,
)
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.commands.options import Commands
    from tocsin_console.deployment import Deployment


def register(commands: Commands) -> None:
    _, actions = add_list(
        commands, "sources", run_list, help="who may put events in by HTTP, and whom they reach"
    )
    adding = add_command(
        actions, "add", run_add, changes=True, help="add one; prints its URL and its key, once"
    )
    adding.add_argument("name", metavar="NAME", help="its name, of a-z, 0-9 and -")
    adding.add_argument(
        "--kind", required=True, help="what calls: api, evolution, waha, gowa, … (see tocsin sources kinds)"
    )
    adding.add_argument("--account", action="append", help="an account it may use; repeat it for more")
    adding.add_argument("--language", default="", help="of texts whose caller names none")
    adding.add_argument("--audience", action="append", default=[], help="customer, technician or group alone")
    adding.add_argument(
        "--recipient",
        action="append",
        default=[],
        help="a group, or the beginning of numbers (+62812), alone",
    )
    adding.add_argument(
        "--per-minute", type=at_least_one, help="requests a minute (default 600); more get 429"
    )
    adding.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="what its kind asks for"
    )
    adding.add_argument("--mapping", type=Path, metavar="FILE", help="a kind of your own")
    adding.add_argument(
        "--client", type=Path, metavar="FILE", help="how the help desk is asked for phones (GLPI, FreeScout)"
    )
    adding.add_argument(
        "--pattern", type=Path, metavar="FILE", help="of --kind bus: the event pattern that it listens to"
    )
    adding.add_argument(
        "--bus", default="", metavar="NAME", help="of --kind bus: another bus than the stack's"
    )
    _secret_option(adding)
    kinds = add_command(
        actions, "kinds", run_kinds, changes=False, help="list the kinds of help desks, or print one's file"
    )
    kinds.add_argument("name", metavar="KIND", nargs="?", help="whose file to print, to begin your own with")
    add_command(actions, "list", run_list, changes=False, help="list all, with last use and last refusal")
    for name, run, text in (
        ("show", run_show, "show one; its key is shown nowhere"),
        ("pause", run_pause, "hear one no more, until it is resumed"),
        ("resume", run_resume, "hear a paused one again"),
    ):
        parser = add_command(actions, name, run, changes=name != "show", help=text)
        parser.add_argument("name", metavar="NAME")
    changing = add_command(
        actions, "change", run_change, changes=True, help="give one another mapping, option or client"
    )
    changing.add_argument("name", metavar="NAME")
    changing.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="what its kind asks for"
    )
    for option, text in (
        ("--mapping", "the mended file of a kind of your own"),
        ("--client", "how the help desk is asked for phones"),
        ("--pattern", "of kind bus: the event pattern that it listens to"),
    ):
        changing.add_argument(option, type=Path, metavar="FILE", help=text)
    rotating = add_command(
        actions, "rotate", run_rotate, changes=True, help="give one a new key; the old one ends later"
    )
    rotating.add_argument("name", metavar="NAME")
    rotating.add_argument("--hours", type=count, default=24, help="how long the old key counts (default 24)")
    _secret_option(rotating)
    yes_option(rotating)
    removing = add_command(actions, "remove", run_remove, changes=True, help="remove one")
    removing.add_argument("name", metavar="NAME")
    yes_option(removing)
    testing = add_command(
        actions, "test", run_test, changes=False, help="show what a sample would become; sends nothing"
    )
    testing.add_argument("name", metavar="NAME")
    testing.add_argument(
        "--sample", type=Path, required=True, metavar="FILE", help="a body, or a whole request with its head"
    )
    reveal_option(testing)


def _secret_option(parser: argparse.ArgumentParser) -> None:
    text = "the secret with which the help desk signs, where it makes one itself; - reads it from the input"
    parser.add_argument("--secret-from", metavar="FILE", help=text)


def run_add(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources
    from tocsin_console.source_input import Wanted

    wanted = Wanted(
        name=args.name,
        kind=args.kind,
        accounts=tuple(args.account or ()),
        language=args.language,
        audiences=tuple(args.audience),
        recipients=tuple(args.recipient),
        per_minute=args.per_minute,
        options=tuple(args.option),
        mapping=args.mapping,
        secret_from=args.secret_from,
        client=args.client,
        pattern=args.pattern,
        bus=args.bus,
    )
    sources.add(deployment, wanted, output)


def run_change(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources

    sources.change(
        deployment,
        args.name,
        output,
        options=tuple(args.option),
        mapping=args.mapping,
        client=args.client,
        pattern=args.pattern,
    )


def run_kinds(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import source_kinds

    if args.name:
        source_kinds.print_file(args.name, output)
    else:
        source_kinds.list_kinds(output)


def run_list(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import source_view

    source_view.list_sources(deployment, output)


def run_show(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import source_view

    source_view.show(deployment, args.name, output)


def run_pause(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources

    sources.pause(deployment, args.name, output, paused=True)


def run_resume(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources

    sources.pause(deployment, args.name, output, paused=False)


def run_rotate(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources

    sources.rotate(
        deployment, args.name, output, hours=args.hours, yes=args.yes, secret_from=args.secret_from
    )


def run_remove(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sources

    sources.remove(deployment, args.name, output, yes=args.yes)


def run_test(args: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import source_trial

    source_trial.show_trial(deployment, args.name, args.sample, output)
