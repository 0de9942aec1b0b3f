"""The server of the page: on the loopback alone, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from aiohttp import web

from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, Interrupted
from tocsin_console.output import Output
from tocsin_console.page import opening
from tocsin_console.page.door import Door
from tocsin_console.page.site import HERE, SITE, Site, enter, guard, leave, of_site
from tocsin_console.page.views import VIEWS, begin, end

PORT: Final = 4380
LOOPBACK: Final = "127.0.0.1"
_MAX_BODY = 256 * 1024
_SHUTDOWN_SECONDS = 1.0


def application(site: Site) -> web.Application:
    """All pages of a site."""
    made = web.Application(middlewares=[guard], client_max_size=_MAX_BODY)
    made[SITE] = site
    made.router.add_static("/static/", HERE / "static")
    made.add_routes(of_site({"GET /enter": enter, "POST /leave": leave, **VIEWS}))

    async def alive(_: web.Application) -> AsyncIterator[None]:
        begin(site)
        yield
        end(site)
        for threads in (site.threads, site.readers):
            threads.shutdown(wait=False, cancel_futures=True)

    made.cleanup_ctx.append(alive)
    return made


def serve(deployment: Deployment, output: Output, *, port: int, browser: bool) -> None:
    """Serve until Ctrl-C. Raises ConsoleError if the port is taken, Interrupted at its end."""
    with listening(port) as door_socket, opening.private_folder() as folder:
        site = _site(deployment, door_socket)
        try:
            asyncio.run(_run(site, door_socket, output, folder if browser else None))
        except KeyboardInterrupt:
            raise Interrupted("the page is closed; nothing of it is left running") from None


@contextlib.contextmanager
def beside(deployment: Deployment, *, port: int = 0) -> Iterator[Door]:
    """Serve in a thread while the block lasts. Raises ConsoleError if the port is taken."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    with listening(port) as door_socket:
        site = _site(deployment, door_socket)
        thread.start()
        try:
            runner = asyncio.run_coroutine_threadsafe(_started(site, door_socket), loop).result()
            try:
                yield site.door
            finally:
                asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _site(deployment: Deployment, door_socket: socket.socket) -> Site:
    return Site(
        deployment,
        Door(door_socket.getsockname()[1]),
        reread=lambda: Deployment.at(deployment.place),
    )


async def _started(site: Site, door_socket: socket.socket) -> web.AppRunner:
    runner = web.AppRunner(application(site), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    await web.SockSite(runner, door_socket).start()
    return runner


def listening(port: int) -> socket.socket:
    """A socket on the loopback: on `port`, or if that is 0 on the usual one, else any. Raises
    ConsoleError."""
    for wanted in (port,) if port else (PORT, 0):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((LOOPBACK, wanted))
        except (OSError, OverflowError):
            made.close()
            continue
        made.listen()
        return made
    raise ConsoleError(
        f"nothing can listen on port {port} of this machine: it is taken, or no port; choose another"
    )


async def _run(site: Site, door_socket: socket.socket, output: Output, folder: Path | None) -> None:
    """`folder`: for the file that opens the browser; None: it isn't opened."""
    runner = await _started(site, door_socket)
    try:
        _invite(site, output, folder)
        output.say(
            "For this machine alone, with your AWS permissions. Enter: another address. Ctrl-C: close."
        )
        if output.can_ask:
            asyncio.get_running_loop().add_reader(sys.stdin, _asked, site, output)
        await asyncio.Event().wait()
    finally:
        with contextlib.suppress(Exception):
            await runner.cleanup()


def _asked(site: Site, output: Output) -> None:
    """Somebody pressed Enter, or closed the input."""
    if sys.stdin.readline():
        _invite(site, output, None)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin)


def _invite(site: Site, output: Output, folder: Path | None) -> None:
    address = site.door.invitation()
    output.record({"url": address})
    # A line of its own: of 80 columns it takes all, and what a terminal breaks is cut when it is copied.
    output.say("Open this once:")
    output.say(address)
    if folder is not None:
        opening.show(site.door.invitation(), folder)
