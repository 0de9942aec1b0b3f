"""What commands are declared with: the parser, and the options that several of them take."""

from __future__ import annotations

import argparse
import difflib
import functools
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from tocsin_console.errors import Usage
from tocsin_console.examples import epilog_of
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin.settings.values import Scope
    from tocsin_console.deployment import Deployment

Run = Callable[[argparse.Namespace, "Deployment", Output], None]
"""Does what a command line asks for. Raises ConsoleError."""

WHEN = "2h, 3d, 2026-11-24, or 2026-11-24T08:00"
_SHOWN_ZONE = re.compile(r" (?:UTC|([+-]\d{2}(?::\d{2})?))$")
_UNIT_SECONDS = {"min": 60, "h": 3600, "d": 86400}

USER = "a phone number, or a JID such as 1234@lid"

WITHOUT_ACTION = "Without an action it lists."


class Parser(argparse.ArgumentParser):
    """Raises Usage for a wrong command line, so that it is printed as every other error is, also as JSON."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message} (see '{self.prog} --help')")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Says which choice is nearest: the list of all of them is long, and the mistake mostly a letter."""
        if action.choices is None or value in action.choices:
            return
        known = [str(one) for one in action.choices]
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
        raise argparse.ArgumentError(action, f"{str(value)[:80]!r} is unknown; {hint}")


class _Help(argparse.HelpFormatter):
    """Breaks the lines of descriptions, and leaves those of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return text
        return super()._fill_text(text, width, indent)


class Version(argparse.Action):
    """Looks the version up only when it is asked for, because that takes long."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        print(f"tocsin {metadata.version('tocsin')}")
        parser.exit()


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def add_command(
    commands: Commands, name: str, run: Run, *, changes: bool, needs_stack: bool = True, **texts: Any
) -> Parser:
    """Declare a command, or an action of one, that `run` carries out. `changes`: whether it can change
    anything of a stack; then each change leaves a line by `audit.note`. `needs_stack`: whether the stack must
    be there; else `run` gets a deployment without outputs. `texts`: as for `ArgumentParser`."""
    parser = commands.add_parser(name, parents=[_common()], formatter_class=_Help, **texts)
    parser.epilog = epilog_of(parser.prog)
    parser.set_defaults(command=parser.prog, run=run, changes=changes, needs_stack=needs_stack)
    return parser


def add_actions(commands: Commands, name: str, **texts: Any) -> Commands:
    """Declare a command that only groups actions, such as `list` and `show`."""
    return commands.add_parser(name, **texts).add_subparsers(dest="action", required=True, metavar="ACTION")


def add_list(commands: Commands, name: str, run: Run, **texts: Any) -> tuple[Parser, Commands]:
    """Declare a command that groups actions, and without one lists, by `run`. Returns it, and its actions.
    An option that both take has SUPPRESS as default in `list`: else that default would override."""
    parser = add_command(commands, name, run, changes=False, description=WITHOUT_ACTION, **texts)
    return parser, parser.add_subparsers(metavar="[ACTION]")


def deployment_options(parser: argparse.ArgumentParser, *, with_defaults: bool) -> None:
    """Options that may stand before the command and after it; those after it take precedence."""

    def default(value: object) -> object:
        return value if with_defaults else argparse.SUPPRESS

    group = parser.add_argument_group("deployment")
    group.add_argument(
        "--stack",
        default=default(os.environ.get("TOCSIN_STACK", "tocsin")),
        help="name of the stack (default: TOCSIN_STACK, or tocsin)",
    )
    group.add_argument("--region", default=default(None), help="AWS region (default: the AWS CLI's)")
    group.add_argument(
        "--profile", default=default(None), help="profile of the AWS CLI (default: AWS_PROFILE, or its own)"
    )
    group.add_argument(
        "--endpoint-url", default=default(None), help="an emulator instead of AWS (default: AWS_ENDPOINT_URL)"
    )
    parser.add_argument(
        "--json", action="store_true", default=default(False), help="print one JSON document per line"
    )
    parser.add_argument(
        "--utc",
        action="store_true",
        default=default(False),
        help="show times in UTC (default: in this machine's zone, or TZ's)",
    )


@functools.cache
def _common() -> Parser:
    parser = Parser(add_help=False)
    deployment_options(parser, with_defaults=False)
    return parser


def account_option(parser: argparse.ArgumentParser, *, with_default: bool = True) -> None:
    """`with_default`: as of `reveal_option`."""
    default = None if with_default else argparse.SUPPRESS
    parser.add_argument("--account", default=default, help="the WhatsApp account (default: the only one)")


def wait_option(parser: argparse.ArgumentParser, *, seconds: int, what: str) -> None:
    """`what` the command waits for."""
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=seconds,
        metavar="SECONDS",
        help=f"{what} (default {seconds} seconds)",
    )


def reveal_option(parser: argparse.ArgumentParser, *, with_default: bool = True) -> None:
    """`with_default`: False for an action of a command that takes the option itself; its value holds."""
    parser.add_argument(
        "--reveal",
        action="store_true",
        default=False if with_default else argparse.SUPPRESS,
        help="show whole what is masked else; that you saw it is written down (tocsin audit)",
    )


def dry_run_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only print what would be done")


def yes_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask first; scripts need this")


def count(text: str) -> int:
    """Raises ArgumentTypeError, ValueError."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a whole number, 0 or more")
    return value


def at_least_one(text: str) -> int:
    """Of what 0 makes no sense. Raises ArgumentTypeError, ValueError."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("a whole number, 1 or more")
    return value


def past(text: str) -> int:
    """A moment, in ms: so long ago (90min, 2h, 3d), or an ISO date or time, of this machine's zone if it
    names none; as the console shows it, too. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,6})(min|h|d)", text)
    if found:
        return int((time.time() - int(found[1]) * _UNIT_SECONDS[found[2]]) * 1000)
    try:
        # Without a zone it is local time.
        return int(datetime.fromisoformat(_SHOWN_ZONE.sub(_iso_zone, text)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no time: give {WHEN}") from None


def _iso_zone(found: re.Match[str]) -> str:
    return found[1] or "Z"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("seconds, 0 or more")
    return value


def scope_of(args: argparse.Namespace, deployment: Deployment) -> Scope:
    """What --account and --audience narrow a setting or a pause to. Raises Usage for an account that isn't
    served: nobody would heed it."""
    from tocsin.settings.values import Scope

    account = deployment.account(args.account) if args.account is not None else None
    return Scope(account, args.audience)
