"""`python -m tocsin.connector`: run until SIGTERM. Exit code 0 when told to stop, 1 when it can't go on."""

from __future__ import annotations

import asyncio
import logging
import sys

from tocsin.connector.config import BadEnvironment, Config, read_config
from tocsin.connector.logs import set_up_logging
from tocsin.connector.process import Connector, exit_now


def main() -> None:
    try:
        config = read_config()
    except BadEnvironment as exc:
        sys.exit(f"tocsin.connector: {exc}")
    set_up_logging(config.service, config.log_level)
    try:
        code = asyncio.run(_run(config))
    except Exception:
        logging.getLogger(__name__).exception("the connector can't start")
        code = 1
    exit_now(code)


async def _run(config: Config) -> int:
    return await Connector(config).run()


if __name__ == "__main__":
    main()
