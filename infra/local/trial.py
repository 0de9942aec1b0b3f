"""`make local`: the whole stack on this machine, linked and left running, with what to type next."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from infra.console import pair
from infra.console.errors import ConsoleError
from infra.local.demo import ACCOUNT, DESK, SITI
from infra.local.emulator import REGION, ROOT_USER
from infra.local.processes import ProcessFailed, exit_on_sigterm
from infra.local.stack import CommandFailed
from infra.local.whatsapp.control_client import ControlError
from infra.local.world import World, world


def main() -> int:
    """Run until Ctrl-C. 0 then, 1 if it didn't come up."""
    exit_on_sigterm()
    try:
        with world("local", progress=_say) as running_world, running_world.connector():
            _link(running_world)
            print(instructions(running_world), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running")
        return 0
    except (ConsoleError, ControlError, ProcessFailed, CommandFailed) as trouble:
        print(f"local: {trouble}", file=sys.stderr)
        return 1
    return 0


def _link(here: World) -> None:
    """Two phones: the help desk's, linked to the account, and a customer's."""
    here.phones.add_phone(DESK.number, DESK.name)
    here.phones.add_phone(SITI.number, SITI.name, reads=True)
    for code in pair.codes(here.deployment, ACCOUNT, wait_seconds=60):
        if isinstance(code, pair.Code):
            here.phones.link(DESK.number, code.text)
    _say(f"linked to the phone of {DESK.name} ({DESK.number})")


def instructions(here: World) -> str:
    """What to type next, to be pasted into another terminal."""
    console = Path(sys.executable).with_name("tocsin")
    settings = {
        "AWS_ENDPOINT_URL": here.stack.aws.url,
        "AWS_DEFAULT_REGION": REGION,
        **ROOT_USER,
    }
    exports = "\n".join(f"  export {name}={value}" for name, value in settings.items())
    return f"""
Running. In another terminal, so that the AWS CLI, boto3 and the console mean this machine:

{exports}

  {console} status
  {console} send --to +{SITI.number} --name {SITI.name} --language en
  {console} dead-letters list

Phones are scripted over HTTP (all of it: infra/local/whatsapp/README.md):

  curl {here.phones.url}/phones/{SITI.number}/messages
  curl -X POST {here.phones.url}/phones/{SITI.number}/faults -d '{{"kind": "corrupt-session"}}'
  curl -X POST {here.phones.url}/phones -d '{{"number": "6285700000001", "name": "Dewi", "reads": true}}'

Ticket events go on the bus {here.stack.outputs["EventBusName"]}, source {here.stack.outputs["EventSource"]}.
Logs: {here.folder}
Ctrl-C stops everything.
"""


def _say(text: str) -> None:
    print(f"   {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
