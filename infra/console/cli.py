"""The command `tocsin`: one line per subcommand here, the work in the module of its name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from infra.console import dead_letters, pair, refused_events, send, status
from infra.console.deployment import Deployment
from infra.console.errors import ConsoleError
from infra.console.output import Output

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 too late, 130 interrupted."""
    options = _parser().parse_args(arguments)
    output = Output(as_json=options.json)
    try:
        _run(options, output)
    except KeyboardInterrupt:
        return 130
    except ConsoleError as error:
        return _fail(error, output, error.exit_code)
    except (BotoCoreError, ClientError) as error:
        return _fail(ConsoleError(_aws_trouble(error, options)), output, 1)
    return 0


def _run(options: argparse.Namespace, output: Output) -> None:
    deployment = Deployment.find(options.stack, region=options.region, endpoint_url=options.endpoint_url)
    match options.command:
        case "pair":
            pair.pair(
                deployment, deployment.account(options.account), wait_seconds=options.wait, output=output
            )
        case "status":
            status.show(deployment, output)
        case "send":
            ticket = send.TestTicket(options.to, options.name, options.subject, options.language)
            account = deployment.account(options.account)
            send.send_test(deployment, ticket, account, wait_seconds=options.wait, output=output)
        case "dead-letters":
            _dead_letters(options, deployment, output)


def _dead_letters(options: argparse.Namespace, deployment: Deployment, output: Output) -> None:
    match options.action:
        case "list":
            if options.queue == "events":
                refused_events.list_refused(deployment, output)
            else:
                dead_letters.list_letters(deployment, output)
        case "show":
            dead_letters.show_letter(deployment, options.notification, output)
        case "redrive":
            if not (options.notification or options.reason or options.all):
                raise ConsoleError("say which: a notification id, --reason CODE, or --all")
            selection = dead_letters.Selection(options.notification, options.reason)
            dead_letters.redrive_letters(deployment, selection, dry_run=options.dry_run, output=output)


def _fail(error: ConsoleError, output: Output, exit_code: int) -> int:
    output.record({"error": str(error)})
    if not output.as_json:
        print(f"tocsin: {error}", file=sys.stderr)
    return exit_code


def _aws_trouble(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: log in (aws sso login, or aws configure), or set AWS_PROFILE"
    if isinstance(error, EndpointConnectionError):
        return f"can't reach AWS ({error}); check the network, --region and --endpoint-url"
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in _DENIED:
        message = error.response["Error"]["Message"]
        return f"AWS refused it: {message}. Your own rights must allow what this command does"
    return f"AWS: {error}"


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    place = common.add_argument_group("where")
    place.add_argument(
        "--stack",
        default=os.environ.get("TOCSIN_STACK", "tocsin"),
        help="stack name (TOCSIN_STACK; default: tocsin)",
    )
    place.add_argument("--region", help="AWS region (default: as the AWS CLI finds it)")
    place.add_argument(
        "--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"), help="a local emulator instead of AWS"
    )
    common.add_argument("--json", action="store_true", help="one JSON document a line, for programs")

    parser = argparse.ArgumentParser(
        prog="tocsin", description="Operate a deployed Tocsin: link accounts, look, test, redrive."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    pairing = commands.add_parser(
        "pair", parents=[common], help="link a WhatsApp account: shows its QR code until it is scanned"
    )
    pairing.add_argument("--account", help="which account (default: the only one)")
    pairing.add_argument("--wait", type=float, default=180, help="seconds to wait for the scan (default 180)")

    commands.add_parser("status", parents=[common], help="accounts, connection, queues, dead letters")

    sending = commands.add_parser(
        "send", parents=[common], help="send a test notification through the whole way"
    )
    sending.add_argument("--to", required=True, metavar="PHONE", help="local or international form")
    sending.add_argument("--name", default="Test", help="the customer's name in the text")
    sending.add_argument("--subject", default="Test notification", help="the ticket's subject in the text")
    sending.add_argument("--language", choices=["id", "es", "en"])
    sending.add_argument("--account", help="which account sends (default: the only one)")
    sending.add_argument("--wait", type=float, default=60, help="seconds to follow it (default 60; 0: don't)")

    letters = commands.add_parser("dead-letters", help="what could not be delivered, and the way back")
    actions = letters.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="all of them, with reasons")
    listing.add_argument(
        "--queue",
        choices=["notifications", "events"],
        default="notifications",
        help="events: ticket events that were refused, with every violation",
    )
    showing = actions.add_parser("show", parents=[common], help="one with its history")
    showing.add_argument("notification", metavar="ID")
    redriving = actions.add_parser("redrive", parents=[common], help="send again, with retries unspent")
    redriving.add_argument("notification", metavar="ID", nargs="?")
    redriving.add_argument("--reason", metavar="CODE", help="all with this reason")
    redriving.add_argument("--all", action="store_true", help="all of them")
    redriving.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
