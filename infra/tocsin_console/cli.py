"""The command `tocsin`: one line per subcommand here, the work in the module of its name."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tocsin_console.errors import ConsoleError, Interrupted, Usage
from tocsin_console.output import Output, complain, plain_logs

if TYPE_CHECKING:
    from tocsin_console.deployment import Deployment

DEBUG = "TOCSIN_DEBUG"

_EPILOG = f"""\
exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 too late, 5 needs attention (status --check, explain
with a record that can't be read), 130 interrupted. What can't be undone is asked about first; where nobody
can be asked, it needs --yes. With {DEBUG}=1 an unexpected error shows where it came from.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. The exit codes stand in the help text."""
    _speak_any_language()
    plain_logs()
    words = sys.argv[1:] if arguments is None else list(arguments)
    output = Output(as_json="--json" in words)
    try:
        _guarded(_parser().parse_args(words), output)
    except ConsoleError as error:
        return _fail(error, output)
    except BrokenPipeError:
        return _hung_up()
    return 0


def _guarded(options: argparse.Namespace, output: Output) -> None:
    """Run the command; whatever goes wrong becomes a ConsoleError with a sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    from tocsin.dynamo.errors import TableError
    from tocsin_console import trouble

    try:
        _run(options, output)
    except (ConsoleError, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    except (BotoCoreError, ClientError, TableError) as error:
        raise ConsoleError(trouble.sentence(error, where=_where(options))) from error
    except Exception as error:
        if os.environ.get(DEBUG):
            for line in traceback.format_exc().split("\n"):
                complain(line)
        # Its text stays unsaid: nobody knows what it holds.
        raise ConsoleError(
            f"unexpected {type(error).__name__}: this is a fault of the console; {DEBUG}=1 shows where"
        ) from error


def _run(options: argparse.Namespace, output: Output) -> None:
    from tocsin_console.deployment import Deployment

    deployment = Deployment.find(
        options.stack, region=options.region, endpoint_url=options.endpoint_url, profile=options.profile
    )
    match options.command:
        case "pair":
            _pair(options, deployment, output)
        case "unpair":
            from tocsin_console import unpair

            account = deployment.account(options.account)
            unpair.unpair(deployment, account, wait_seconds=options.wait, output=output, yes=options.yes)
        case "accounts":
            _accounts(options, deployment, output)
        case "status":
            from tocsin_console import status

            status.show(deployment, output, check=options.check)
        case "send":
            from tocsin_console import send

            ticket = send.SampleTicket(
                options.to, options.name, options.subject, options.language, options.attach
            )
            account = deployment.account(options.account)
            send.send_test(deployment, ticket, account, wait_seconds=options.wait, output=output)
        case "explain":
            from tocsin_console import explain

            explain.explain(deployment, options.id, output=output, text=options.text)
        case "recoveries":
            from tocsin_console import recoveries

            account = deployment.account(options.account)
            recoveries.show_recoveries(deployment, account, days=options.days, output=output)
        case "sessions":
            _sessions(options, deployment, output)
        case "groups":
            from tocsin_console import groups

            groups.list_groups(deployment, deployment.account(options.account), output)
        case "dead-letters" if options.queue == "events":
            _refused_events(options, deployment, output)
        case "dead-letters":
            _dead_letters(options, deployment, output)


def _pair(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin.notify.events.phone import InvalidPhone, normalise_phone
    from tocsin_console import pair

    account, phone = deployment.account(options.account), None
    if options.phone is not None:
        try:
            phone = normalise_phone(options.phone, deployment["DefaultRegion"])
        except InvalidPhone as refusal:
            raise Usage(f"--code: the number {refusal}") from None
    pair.pair(deployment, account, wait_seconds=options.wait, output=output, phone=phone)


def _accounts(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import accounts

    match options.action:
        case "list":
            accounts.list_accounts(deployment, output)
        case "add":
            accounts.add(deployment, options.name, output)
        case "remove":
            accounts.remove(deployment, options.name, output, yes=options.yes)


def _sessions(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import sessions

    found = sessions.Sessions.of(deployment, deployment.account(options.account))
    match options.action:
        case "list":
            sessions.list_sessions(found, most=options.limit, output=output)
        case "show":
            sessions.show_sessions(found, options.user, output=output)
        case "clean":
            if options.all and options.device is not None:
                raise Usage("--device belongs to one user, not to --all")
            wanted = None if options.all else options.user
            sessions.clean_sessions(
                found,
                wanted,
                device=options.device,
                dry_run=options.dry_run,
                output=output,
                yes=options.yes,
            )
        case "reset":
            sessions.reset_sessions(found, dry_run=options.dry_run, output=output, yes=options.yes)


def _dead_letters(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import dead_letters

    match options.action:
        case "list":
            dead_letters.list_letters(deployment, output)
        case "show":
            dead_letters.show_letter(deployment, options.id, text=options.text, output=output)
        case "redrive":
            selection = dead_letters.Selection(options.id, options.reason)
            dead_letters.redrive_letters(deployment, selection, dry_run=options.dry_run, output=output)
        case "drop":
            selection = dead_letters.Selection(options.id, options.reason)
            dead_letters.drop_letters(
                deployment, selection, dry_run=options.dry_run, output=output, yes=options.yes
            )


def _refused_events(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    from tocsin_console import refused_events

    match options.action:
        case "list":
            refused_events.list_refused(deployment, output)
        case "show":
            refused_events.show_refused(deployment, options.id, text=options.text, output=output)
        case "redrive":
            selection = refused_events.Selection(options.id, options.reason)
            refused_events.redrive_refused(deployment, selection, dry_run=options.dry_run, output=output)
        case "drop":
            selection = refused_events.Selection(options.id, options.reason)
            refused_events.drop_refused(
                deployment, selection, dry_run=options.dry_run, output=output, yes=options.yes
            )


def _fail(error: ConsoleError, output: Output) -> int:
    output.record({"error": str(error), "exit_code": error.exit_code})
    if not output.as_json:
        complain(f"tocsin: {error}")
    return error.exit_code


def _hung_up() -> int:
    """Whoever read our output has enough (`| head`). Python must not complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _where(options: argparse.Namespace) -> str:
    region = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    return ", ".join(filter(None, (f"region {region}" if region else "the profile's region", endpoint)))


def _speak_any_language() -> None:
    """A terminal that can't show a character shows "?" instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


class _Parser(argparse.ArgumentParser):
    """What is wrong with the command line is said as everything else is, as JSON too where that is wanted."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message} (see '{self.prog} --help')")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: all else of a command line takes less time."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        print(f"tocsin {metadata.version('tocsin')}")
        parser.exit()


def _where_options(parser: argparse.ArgumentParser, *, with_defaults: bool) -> None:
    """Taken before the command and after it; what stands after it counts."""

    def default(value: object) -> object:
        return value if with_defaults else argparse.SUPPRESS

    place = parser.add_argument_group("where")
    place.add_argument(
        "--stack",
        default=default(os.environ.get("TOCSIN_STACK", "tocsin")),
        help="stack name (TOCSIN_STACK; default: tocsin)",
    )
    place.add_argument(
        "--region", default=default(None), help="AWS region (default: as the AWS CLI finds it)"
    )
    place.add_argument(
        "--profile", default=default(None), help="profile of the AWS CLI (AWS_PROFILE; default: its own)"
    )
    place.add_argument(
        "--endpoint-url", default=default(None), help="a local emulator instead of AWS (AWS_ENDPOINT_URL)"
    )
    parser.add_argument(
        "--json", action="store_true", default=default(False), help="one JSON document a line, for programs"
    )


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    _where_options(common, with_defaults=False)
    parser = _Parser(
        prog="tocsin",
        description="Operate a deployed Tocsin: link accounts, look, test, redrive.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    _where_options(parser, with_defaults=True)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    pairing = commands.add_parser(
        "pair", parents=[common], help="link a WhatsApp account: shows its QR code until it is scanned"
    )
    pairing.add_argument("--account", help="which account (default: the only one)")
    pairing.add_argument(
        "--code",
        "--phone",
        dest="phone",
        metavar="PHONE",
        help="show a code to type on this phone, no QR code",
    )
    pairing.add_argument("--wait", type=_seconds, default=180, help="seconds to wait for it (default 180)")

    parting = commands.add_parser(
        "unpair", parents=[common], help="end the link to the phone; nothing is sent until the next pair"
    )
    parting.add_argument("--account", help="which account (default: the only one)")
    parting.add_argument("--wait", type=_seconds, default=60, help="seconds to wait for it (default 60)")
    _yes_option(parting)

    status = commands.add_parser(
        "status", parents=[common], help="accounts, connection, queues, dead letters"
    )
    status.add_argument(
        "--check", action="store_true", help="exit code 5 if an account isn't connected or a letter is dead"
    )

    sending = commands.add_parser(
        "send", parents=[common], help="send a test notification through the whole way"
    )
    sending.add_argument("--to", required=True, metavar="PHONE", help="local or international form")
    sending.add_argument("--name", default="Test", help="the customer's name in the text")
    sending.add_argument("--subject", default="Test notification", help="the ticket's subject in the text")
    sending.add_argument("--language", metavar="TAG", help="such as id or es-MX (default: the deployment's)")
    sending.add_argument(
        "--attach",
        type=Path,
        metavar="FILE",
        help="send this file too, by way of the bucket AttachmentsBucket",
    )
    sending.add_argument("--account", help="which account sends (default: the only one)")
    sending.add_argument(
        "--wait", type=_seconds, default=60, help="seconds to follow it (default 60; 0: don't)"
    )

    explaining = commands.add_parser(
        "explain", parents=[common], help="why did it not arrive? the whole life of a notification"
    )
    explaining.add_argument(
        "id", metavar="ID", help="of a notification, of its message (3EB0…), or of a ticket"
    )
    explaining.add_argument("--text", action="store_true", help="also the message's text")

    recovering = commands.add_parser(
        "recoveries", parents=[common], help="what could not be read at first: causes, success, time to heal"
    )
    recovering.add_argument("--days", type=_count, default=7, help="today and so many before (default 7)")
    recovering.add_argument("--account", help="which account's (default: the only one)")

    _account_commands(commands, common)
    _session_commands(commands, common)
    _group_commands(commands, common)
    _letter_commands(commands, common)
    return parser


def _account_commands(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    accounts = commands.add_parser("accounts", help="which WhatsApp accounts are served; one more, one less")
    actions = accounts.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", parents=[common], help="all, with who serves them")
    adding = actions.add_parser("add", parents=[common], help="serve one more, without a deployment")
    adding.add_argument("name", metavar="NAME", help="as events and --account shall call it")
    removing = actions.add_parser("remove", parents=[common], help="serve it no more; unpair it first")
    removing.add_argument("name", metavar="NAME")
    _yes_option(removing)


def _group_commands(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    groups = commands.add_parser(
        "groups", parents=[common], help="the groups that the account is in, with their JIDs for events"
    )
    groups.add_argument("--account", help="which account's (default: the only one)")


def _session_commands(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    sessions = commands.add_parser(
        "sessions", help="what is shared with recipients' devices; cleaning, reset"
    )
    actions = sessions.add_subparsers(dest="action", required=True, metavar="ACTION")
    whose = _Parser(add_help=False)
    whose.add_argument("--account", help="which account's (default: the only one)")
    rehearsal = _Parser(add_help=False)
    rehearsal.add_argument("--dry-run", action="store_true", help="only say what would be done")
    user = "a phone number, or a JID such as 1234@lid"

    listing = actions.add_parser("list", parents=[common, whose], help="all users, with counters and ages")
    listing.add_argument("--limit", type=_count, default=100, help="at most so many (default 100; 0: all)")
    showing = actions.add_parser("show", parents=[common, whose], help="one user, device by device")
    showing.add_argument("user", metavar="USER", help=user)
    cleaning = actions.add_parser(
        "clean", parents=[common, whose, rehearsal], help="archive sessions; the next send makes new ones"
    )
    which = cleaning.add_mutually_exclusive_group(required=True)
    which.add_argument("user", metavar="USER", nargs="?", help=user)
    which.add_argument("--all", action="store_true", help="everybody's")
    cleaning.add_argument("--device", type=_count, metavar="D", help="this device of the user alone")
    _yes_option(cleaning)
    resetting = actions.add_parser(
        "reset",
        parents=[common, whose, rehearsal],
        help="leave all behind, as after a restored backup; the link to the phone stays",
    )
    _yes_option(resetting)


def _letter_commands(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    letters = commands.add_parser("dead-letters", help="what could not be delivered, and the way back")
    actions = letters.add_subparsers(dest="action", required=True, metavar="ACTION")
    queue = _Parser(add_help=False)
    queue.add_argument(
        "--queue",
        choices=["notifications", "events"],
        default="notifications",
        help="events: ticket events that were refused, with every violation (default: notifications)",
    )
    actions.add_parser("list", parents=[common, queue], help="all of them, with reasons")
    showing = actions.add_parser("show", parents=[common, queue], help="one with its history")
    showing.add_argument("id", metavar="ID")
    showing.add_argument("--text", action="store_true", help="also the message's text, or the event itself")
    for name, what in (("redrive", "send again, with retries unspent"), ("drop", "delete for good")):
        acting = actions.add_parser(name, parents=[common, queue], help=what)
        which = acting.add_mutually_exclusive_group(required=True)
        which.add_argument("id", metavar="ID", nargs="?")
        which.add_argument("--reason", metavar="CODE", help="all with this reason")
        which.add_argument("--all", action="store_true", help="all of them")
        acting.add_argument("--dry-run", action="store_true", help="only say what would be done")
        if name == "drop":
            _yes_option(acting)


def _yes_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="without a question, as scripts need it")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a whole number, 0 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("seconds, 0 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
