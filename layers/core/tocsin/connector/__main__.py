"""`python -m tocsin.connector`: run until SIGTERM. Exit code 0 when told to stop, 1 when it can't go on."""

from __future__ import annotations

import gc

# What is loaded stays: looking for garbage in it takes a tenth of the start. `Connector.run` enables it.
gc.disable()

import asyncio  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402

from tocsin.connector.config import BadEnvironment, Config, read_config  # noqa: E402
from tocsin.connector.logs import set_up_logging  # noqa: E402
from tocsin.connector.process import Connector, exit_now  # noqa: E402


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
