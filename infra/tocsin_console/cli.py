"""The command `tocsin`. Each command is declared and carried out in its module of `commands`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC
from types import ModuleType

from tocsin_console.commands import (
    accounts,
    adopt,
    audit,
    check,
    completion,
    console,
    dead_letters,
    deploy,
    doctor,
    explain,
    groups,
    hooks,
    pair,
    pause,
    people,
    reconnect,
    recoveries,
    self_test,
    send,
    sessions,
    settings,
    sources,
    status,
    tail,
    unpair,
    waiting,
)
from tocsin_console.commands.options import Parser, Version, deployment_options
from tocsin_console.errors import EXIT_CODES, ConsoleError, Interrupted, Usage
from tocsin_console.output import (
    Output,
    complain,
    end_after_closed_pipe,
    plain_logs,
    replace_unencodable,
    show_times_in,
)

_IDENTITY = re.compile(r"(?=.*[a-f])[0-9a-f-]{18,60}", re.IGNORECASE)
"""Of a notification, a message or an event: digits of it are no number's."""

COMMANDS = (
    deploy,
    doctor,
    pair,
    unpair,
    pause,
    status,
    console,
    send,
    check,
    self_test,
    explain,
    tail,
    reconnect,
    recoveries,
    accounts,
    people,
    sessions,
    groups,
    waiting,
    dead_letters,
    sources,
    hooks,
    settings,
    audit,
    adopt,
    completion,
)
"""As `--help` lists them. Each is called like its module; `pause` brings `resume` along."""

DEBUG = "TOCSIN_DEBUG"

COMPLETING = "_ARGCOMPLETE"
"""What a shell sets that wants to know how a command line may go on."""

_CODES = "\n".join(f"  {code:<5}{text.replace('`', '')}" for code, text in EXIT_CODES.items())
_EPILOG = f"""\
exit codes:
{_CODES}

A command that can't be undone asks first; where it can't ask, it needs --yes.
NO_COLOR=1 takes the colours away, COLUMNS says how wide the terminal is, TZ
in which zone times are shown (--utc: in UTC). With {DEBUG}=1 an
unexpected error prints its traceback.

`tocsin COMMAND --help` shows examples.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; the help text lists them."""
    replace_unencodable()
    plain_logs()
    if COMPLETING in os.environ:
        _complete()
    words = sys.argv[1:] if arguments is None else list(arguments)
    output = Output(as_json="--json" in words)
    try:
        args = read(words)
        show_times_in(UTC if args.utc else None)
        _guarded(args, output)
    except ConsoleError as error:
        return _fail(error, output)
    except BrokenPipeError:
        return end_after_closed_pipe()
    return 0


def read(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line; the result has a `run`. Raises Usage.

    Seventy parsers take longer to make than most lines take to be carried out, so only those are made that
    the line may name. A mistake is read again with all of them, for what is near it may be any.
    """
    asks_for_help = any(word.startswith(("-h", "--h")) for word in words)
    named = [command for command in COMMANDS if names_of(command).intersection(words)]
    if named and not asks_for_help:
        with contextlib.suppress(Usage):
            return parser(named).parse_args(words)
    return parser().parse_args(words)


def names_of(command: ModuleType) -> set[str]:
    """The words that call what a module of `commands` declares."""
    name = command.__name__.rpartition(".")[2].replace("_", "-")
    return {name, "resume"} if command is pause else {name}


def parser(known: Sequence[ModuleType] = COMMANDS) -> Parser:
    """The parser of the whole command line, or of the `known` commands. What it parses has a `run`."""
    made = Parser(
        prog="tocsin",
        description="Operate a deployed Tocsin: link accounts, inspect, test, redrive.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action=Version, help="show the version and exit")
    deployment_options(made, with_defaults=True)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in known:
        command.register(commands)
    return made


def _complete() -> None:
    """Tell the shell how the line may go on, and end the process."""
    import argcomplete

    argcomplete.autocomplete(parser(), default_completer=argcomplete.completers.FilesCompleter())


def _guarded(args: argparse.Namespace, output: Output) -> None:
    """Run the command. Any other error becomes a ConsoleError that says what happened."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tocsin.dynamo.errors import TableError
    from tocsin_console import trouble

    try:
        _run(args, output)
    except (ConsoleError, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    except (BotoCoreError, ClientError, TableError) as error:
        raise ConsoleError(trouble.sentence(error, where=_where(args))) from error
    except Exception as error:
        if os.environ.get(DEBUG):
            for line in traceback.format_exc().split("\n"):
                complain(line)
        # Its text is not printed: it may hold a key or a phone number.
        raise ConsoleError(
            f"unexpected {type(error).__name__}: this is a fault of the console; {DEBUG}=1 shows where"
        ) from error


def _run(args: argparse.Namespace, output: Output) -> None:
    from tocsin_console.deployment import Deployment

    if demand := getattr(args, "demand", None):
        demand(args)
    # What runs before there is a stack, or after it was deleted.
    look_up = Deployment.find if args.needs_stack else Deployment.without_stack
    deployment = look_up(args.stack, region=args.region, endpoint_url=args.endpoint_url, profile=args.profile)
    if not getattr(args, "reveal", False):
        args.run(args, deployment, output)
        return
    from tocsin_console import masking

    with masking.lifted(masking.Reveal(deployment, f"whole values by '{_named(args)}'")):
        args.run(args, deployment, output)


def _named(args: argparse.Namespace) -> str:
    """The command, and what it is about; of what may be somebody's number or JID as little as lists show."""
    from tocsin_console.masking import hidden

    about = (getattr(args, "id", None) or "")[:60]
    if "@" in about or not any(sign.isalpha() for sign in about):
        return str(args.command)
    return f"{args.command} {about if _IDENTITY.fullmatch(about) else hidden(about)}"


def _fail(error: ConsoleError, output: Output) -> int:
    output.record({"error": str(error), "exit_code": error.exit_code})
    if not output.as_json:
        complain(f"tocsin: {error}")
    return error.exit_code


def _where(args: argparse.Namespace) -> str:
    region = args.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = args.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    return ", ".join(filter(None, (f"region {region}" if region else "the profile's region", endpoint)))


if __name__ == "__main__":
    sys.exit(main())
