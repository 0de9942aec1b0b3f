"""The local AWS emulator: MiniStack on a free port, in a folder of its own; it ends when we end.

Its functions are processes that inherit its environment variables and see the packages installed beside it.
So it gets a virtual environment with nothing else in it, and no variable of ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

from tocsin_local.paths import EMULATOR, RUNS
from tocsin_local.ports import Port, any_port
from tocsin_local.processes import Child, ProcessFailed, answers, clean_environment, free_port, running

REGION = "us-east-1"

# The credentials of the emulator's root user, who may do anything even if IAM is enforced.
ROOT_USER = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

TRIES = 3

MINISTACK = Path(__file__).with_name("unpack_once.py")
"""The program that the emulator's interpreter runs."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `folder` holds its log and stays until the run's folder is removed."""

    url: str
    folder: Path
    iam: bool
    process: Child
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _making_clients: Lock = field(default_factory=Lock, repr=False, compare=False)

    def environment(self, credentials: Mapping[str, str] = ROOT_USER) -> dict[str, str]:
        """A clean environment in which AWS is this emulator, for any program that uses an AWS SDK."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return clean_environment(
            HOME=str(home),
            AWS_ENDPOINT_URL=self.url,
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
            # There is no instance metadata service, and looking for it takes seconds.
            AWS_EC2_METADATA_DISABLED="true",
            **credentials,
        )

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of the emulator, whatever our own environment says about AWS. Without `options` the
        same one each time: making one takes longer than a request."""
        if options:
            return self._session.client(service, endpoint_url=self.url, **options)
        with self._making_clients:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, endpoint_url=self.url)
            return self._clients[service]

    @cached_property
    def _session(self) -> Any:
        import boto3  # late: half a second that the set-up and the help text needn't pay

        return boto3.Session(
            aws_access_key_id=ROOT_USER["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ROOT_USER["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )


@contextlib.contextmanager
def emulator(folder: Path, *, iam: bool = False, ports: Port = any_port) -> Iterator[Emulator]:
    """Run an emulator while the block lasts, its files in `folder`. With `iam`, role policies are enforced.

    Raises `ProcessFailed` if it doesn't start.
    """
    state, temporary = folder / "state", folder / "tmp"
    for place in (state, temporary):
        place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Code and layers are unpacked there, and every worker of a function leaves a folder of links behind.
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        stack.callback(shutil.rmtree, state, ignore_errors=True)
        url, child = stack.enter_context(_started(folder, ports, iam=iam))
        yield Emulator(url=url, folder=folder, iam=iam, process=child)


@contextlib.contextmanager
def _started(folder: Path, ports: Port, *, iam: bool) -> Iterator[tuple[str, Child]]:
    """Start MiniStack on a free port; another port, should somebody have taken it in between."""
    for attempt in range(1, TRIES + 1):
        port = ports("emulator") or free_port()
        url = f"http://127.0.0.1:{port}"
        with contextlib.ExitStack() as stack:
            child = stack.enter_context(
                running(
                    "emulator",
                    [str(interpreter()), "-P", str(MINISTACK)],
                    environment=clean_environment(
                        GATEWAY_PORT=str(port),
                        BIND_HOST="127.0.0.1",
                        MINISTACK_REGION=REGION,
                        STATE_DIR=str(folder / "state"),
                        TMPDIR=str(folder / "tmp"),
                        HOME=str(folder / "tmp"),
                        LAMBDA_EXECUTOR="local",
                        # They would open ports of their own.
                        IOT_MTLS_ENABLED="0",
                        SFTP_ENABLED="0",
                        # Tocsin needs no containers, and must not touch the machine's Docker.
                        DOCKER_HOST="unix:///nonexistent",
                        AUTH="true" if iam else "false",
                    ),
                    log=folder / "emulator.log",
                    folder=folder,
                )
            )
            try:
                child.wait_until(partial(answers, f"{url}/_ministack/health"))
            except ProcessFailed:
                if attempt == TRIES or child.alive():
                    raise
                continue
            yield url, child
            return


def interpreter() -> Path:
    """The Python that runs the emulator and with it the functions."""
    return EMULATOR / "bin" / "python"


@contextlib.contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """A folder for one run, below `.run`. It stays, for its logs, until the next run of that name."""
    RUNS.mkdir(exist_ok=True)
    _remove_leftovers(name)
    folder = RUNS / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _remove_leftovers(name: str) -> None:
    """Remove the folders of earlier runs of that name whose process is gone."""
    for old in RUNS.glob(f"{name}-*"):
        owner = old.name.removeprefix(f"{name}-")
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Run an emulator until Ctrl-C, for looking around."""
    with contextlib.suppress(KeyboardInterrupt), run_folder("emulator") as folder, emulator(folder) as aws:
        print(f"emulator at {aws.url}, log in {folder / 'emulator.log'}; Ctrl-C ends it", flush=True)
        while aws.process.alive():
            with contextlib.suppress(TimeoutError):
                aws.process.wait_until(lambda: False, seconds=3600)


if __name__ == "__main__":
    main()
