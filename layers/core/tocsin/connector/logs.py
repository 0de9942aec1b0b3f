"""Structured logs, JSON on standard output, where CloudWatch reads them.

The standard library's logging with a formatter: the powertools would double what is imported.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One object a line; what a call passes as `extra` becomes fields of it."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "service": self._service,
            "location": f"{record.module}:{record.lineno}",
        }
        line |= {name: value for name, value in vars(record).items() if name not in _ORDINARY}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logging(service: str, level: str, stream: TextIO = sys.stdout) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("tocsin").setLevel(level)
