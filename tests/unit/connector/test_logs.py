"""Logs and metrics: one JSON object a line, in the forms CloudWatch reads."""

from __future__ import annotations

import io
import json
import logging

import pytest

from tocsin.connector.logs import set_up_logging


@pytest.fixture(autouse=True)
def _process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions' logger, set up by tests before these, takes what the layer says and keeps it."""
    for name in ("tocsin", "tocsin.connector"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    # What these set up is none of the tests after them.
    monkeypatch.setattr(logging.getLogger("tocsin"), "level", logging.NOTSET)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)


def test_a_log_line_carries_its_fields() -> None:
    stream = io.StringIO()
    set_up_logging("connector", "INFO", stream)
    logging.getLogger("tocsin.connector.x").info("logged in", extra={"account": "default", "epoch": 3})
    line = json.loads(stream.getvalue())
    assert line["level"] == "INFO"
    assert line["message"] == "logged in"
    assert (line["account"], line["epoch"], line["service"]) == ("default", 3, "connector")
    assert line["timestamp"].endswith("Z")


def test_an_exception_stays_on_its_line() -> None:
    stream = io.StringIO()
    set_up_logging("connector", "INFO", stream)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("tocsin").exception("failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: why" in json.loads(line)["exception"]


def test_libraries_speak_up_only_to_warn() -> None:
    stream = io.StringIO()
    set_up_logging("connector", "DEBUG", stream)
    logging.getLogger("websockets").info("noise")
    logging.getLogger("botocore").debug("noise")
    assert stream.getvalue() == ""
