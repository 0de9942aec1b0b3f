"""The examples of help desks: each file is checked, and each sample becomes what stands beside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.rooms import ROOT
from tocsin.door.desks.foreign import translate_event
from tocsin.door.desks.kind import Kind, built_in
from tocsin.door.desks.lint import checked
from tocsin.door.desks.translate import Translation, translate
from tocsin.door.sources import Source
from tocsin.notify.events.schema import parse_event
from tocsin_console.bus_rules import pattern_findings

EXAMPLES = ROOT / "examples" / "desks"
BUILT_IN = ("zammad", "zendesk", "freshdesk")
QUERIES = {"zammad": "event=resolved"}


def read(place: str) -> Any:
    return json.loads((EXAMPLES / place).read_text(encoding="utf-8"))


def mapping(folder: str) -> str:
    return (EXAMPLES / folder / "mapping.json").read_text(encoding="utf-8")


def kind(folder: str) -> Kind:
    return built_in(folder) if folder in BUILT_IN else checked(mapping(folder), {})


def result(folder: str) -> Translation:
    if folder == "pager-on-the-bus":
        source = Source("pager", "bus", ("default",), mapping=mapping(folder))
        told = translate_event(source, read(f"{folder}/sample.json"))
    else:
        raw = (EXAMPLES / folder / "sample.json").read_bytes()
        told = translate(kind(folder), {}, raw, QUERIES.get(folder, ""), 0)
    assert isinstance(told, Translation), told
    return told


@pytest.mark.parametrize("folder", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_a_sample_becomes_what_stands_beside_it(folder: str) -> None:
    told = result(folder)
    assert told.entry is not None
    assert told.repairs == ()
    becomes = {"detail-type": told.entry.detail_type, "detail": told.entry.detail}
    assert becomes == read(f"{folder}/becomes.json")
    parse_event(json.dumps(becomes), default_region="ID", accounts=["default"])


def test_the_pattern_hears_the_sample_and_nothing_of_ours() -> None:
    text = (EXAMPLES / "pager-on-the-bus" / "pattern.json").read_text(encoding="utf-8")
    assert pattern_findings(text, "ticketing") == []
    pattern, sample = json.loads(text), read("pager-on-the-bus/sample.json")
    assert sample["source"].startswith(pattern["source"][0]["prefix"])
    heard = pattern["detail"]["event"]["event_type"]
    assert sample["detail"]["event"]["event_type"] in heard


@pytest.mark.parametrize("name", ["zendesk", "freshdesk"])
def test_the_body_to_paste_is_the_sample_with_placeholders(name: str) -> None:
    body = (EXAMPLES / name / "body.json").read_text(encoding="utf-8")
    sample = (EXAMPLES / name / "sample.json").read_text(encoding="utf-8")
    assert re.fullmatch(re.sub(r"\\{\\{.+?\\}\\}", ".*?", re.escape(body)), sample)


def test_zammads_trigger_calls_the_webhook_of_its_source(tmp_path: Path) -> None:
    """The script, with a curl that writes down what it is asked."""
    curl = tmp_path / "curl"
    curl.write_text(
        '#!/bin/sh\nfor last; do :; done\nprintf "%s\\n" "$last" "$@" >> "$ASKED"\necho \'{"id":12}\'\n'
    )
    curl.chmod(0o755)
    asked = tmp_path / "asked"
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "ASKED": str(asked),
        "ZAMMAD": "https://desk.example.com",
        "ZAMMAD_TOKEN": "zammad-token",
        "DOOR_URL": "https://door.example.com/",
        "SECRET": "s3cret",
    }
    shell = shutil.which("sh")
    assert shell is not None
    said = subprocess.run(
        [shell, str(EXAMPLES / "zammad" / "set-up.sh")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "webhook 12 and its trigger are made" in said.stdout
    told = asked.read_text()
    assert "https://desk.example.com/api/v1/webhooks" in told
    assert '"endpoint": "https://door.example.com/hooks/zammad?event=resolved"' in told
    assert '"signature_token": "s3cret"' in told
    assert '"webhook_id": 12' in told
