"""`tocsin-whatsapp`: run the server until it is told to stop. Prints one line of JSON when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tocsin_whatsapp_server.certificates import BadRootKeyFile, load_root_key

DEFAULT_ROOT_KEY_FILE = Path(".run/whatsapp-root.key")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tocsin-whatsapp",
        description="A WhatsApp server for one machine, for clients under test. When it is ready it prints "
        "one line of JSON: url and root_public_key for clients, control for scripts.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port for clients (default: a free one)")
    parser.add_argument("--control-port", type=int, default=0, help="port of the control API (default: free)")
    parser.add_argument(
        "--root-key-file",
        type=Path,
        default=DEFAULT_ROOT_KEY_FILE,
        help="where the certificate root's private key is kept; made on first use (default: %(default)s)",
    )
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=["debug", "info", "warning", "error"],
        help="how much to say on stderr (default: %(default)s); debug shows every stanza",
    )
    parser.add_argument(
        "--bad-day",
        type=int,
        metavar="SEED",
        help="drop, refuse, repeat and forget at random, every second or two; the same for the same seed",
    )
    parser.add_argument(
        "--stop-with-stdin",
        action="store_true",
        help="end when stdin is closed, so that the server never outlives a program that started it",
    )
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> None:
    """startup, ready, shutdown. SIGINT, SIGTERM and, if asked for, the end of stdin set a flag."""
    from tocsin_whatsapp_server.bad_day import live_through
    from tocsin_whatsapp_server.control import Control
    from tocsin_whatsapp_server.server import WhatsAppServer

    server = WhatsAppServer(load_root_key(options.root_key_file), host=options.host, port=options.port)
    control = Control(server, host=options.host, port=options.control_port)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    if options.stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(0, 4096) else stopping.set())
    bad_day: asyncio.Task[None] | None = None
    await server.start()
    await control.start()
    try:
        certificate = options.root_key_file.with_suffix(".media.pem")
        certificate.write_text(server.media_certificate)
        ready = {
            "url": server.url,
            "control": control.url,
            "root_public_key": server.root_public_key.hex(),
            "media_certificate": str(certificate.absolute()),
        }
        print(json.dumps(ready), flush=True)
        if options.bad_day is not None:
            bad_day = asyncio.create_task(live_through(options.bad_day, server.switchboard))
        await stopping.wait()
    finally:
        if bad_day is not None:
            bad_day.cancel()
        await server.stop()
        await control.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), stream=sys.stderr, format="%(levelname).1s %(name)s: %(message)s"
    )
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(options))
    except (BadRootKeyFile, OSError) as error:
        print(f"tocsin-whatsapp: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        # The console needs none of these, so a plain installation is without them.
        print(f"tocsin-whatsapp: {error.name} isn't installed: pip install '.[local]'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
