"""This release on what the previous one wrote, and the previous one on what this one writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.releases import NoHistory, previous_sources
from tests.upgrade.story import NEXT_RELEASE, SCENES, go_on, with_unknown_fields, write
from tocsin.tables import keys, notifications

HERE = Path(__file__).parent
STORY = HERE / "story.py"
PREVIOUS_WROTE = HERE / "data" / "0.1.0.json"

GOES_ON = {
    "states are read": {
        "read": "read",
        "sent": "sent",
        "overdue": "sent",
        "unread": "sent",
        "healed": "sent",
        "broken": "sent",
        "planned": "planned",
        "failed": "failed",
        "waiting": "waiting",
    },
    "what got no receipt in time is found": ["broken", "healed", "sent", "unread"],
    "the order is carried out in the session that is there": ["sent", ["Tiket 7"], [], 0],
    "what waits goes on": ["connector-away", "sent", ["Tiket 9"], []],
    "a device that could not read it gets it again": ["resent", True],
    "a receipt counts": "delivered",
    "an answer is read once": [["reply", "duplicate"], 1],
    "a late receipt of what was overdue counts": "read",
    "a dead letter is redriven": [True, "sent", ["Tiket 8"]],
    "consent is kept": "stop",
    "the account is what it was": {
        "incarnation": 2,
        "prekeys": True,
        "mark": True,
        "lease": ["c-first", "connected", 1],
        "where": ["c-first", "https://127.0.0.1:1", "PEM"],
        "limits": ["first-contacts"],
        "asked": "reconnect",
        "shown": ["connected", "seen"],
        "added": ["second"],
    },
    "requests are served": [200, 200, 200, 200, 200],
    "answers are understood": ["ok", "ok", "ok", "ok", "ok"],
    "refusals are understood": {
        "ack-timeout": "AckTimeout",
        "broken": "Refused",
        "draining": "ConnectorAway",
        "incarnation": "IncarnationRefused",
        "key-used": "KeyUsed",
        "lease": "LeaseMoved",
        "malformed": "Refused",
        "no-such-path": "Refused",
        "not-connected": "NotConnected",
        "request-timeout": "RequestTimeout",
        "restricted": "Restricted",
        "resuming": "Resuming",
        "slow": "Refused",
        "too-large": "Refused",
        "unauthorized": "Refused",
        "upload-failed": "UploadFailed",
        "upload-refused": "UploadRefused",
    },
    "another connector takes over": [1, "c-second"],
    "the next send needs no question": [{"0": ["Tiket 20"], "1": ["Tiket 20"]}, 0],
    "no number was used twice": [],
}
"""What comes of each scene, whichever release told the first half and whichever goes on."""


def comparable(results: Any) -> dict[str, Any]:
    """As JSON has it, without what `kept` lists."""
    told: dict[str, Any] = json.loads(json.dumps(results, default=str))
    return {name: result for name, result in told.items() if name != "kept"}


def written_by_the_previous_release() -> Any:
    return json.loads(PREVIOUS_WROTE.read_text(encoding="utf-8"))


def previous_release(*words: str) -> str:
    """The story by the previous release's own code, in a process of its own."""
    try:
        root = previous_sources()
    except NoHistory as missing:
        pytest.skip(str(missing))
    place = os.pathsep.join(str(root / part) for part in ("", "layers/core", "infra"))
    ran = subprocess.run(
        [sys.executable, str(STORY), *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": place},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def test_this_release_goes_on_where_the_previous_one_was() -> None:
    assert comparable(go_on(written_by_the_previous_release())) == GOES_ON


def test_the_previous_release_goes_on_where_this_one_was(tmp_path: Path) -> None:
    """After a rollback."""
    file = tmp_path / "written.json"
    file.write_text(json.dumps(write()), encoding="utf-8")
    # 0.1.0 looks for missing receipts in another partition: those of what this release sent are told only
    # once this release is back.
    expected = {**GOES_ON, "what got no receipt in time is found": []}
    assert comparable(json.loads(previous_release("go-on", str(file)))) == expected


def test_the_fixture_is_what_the_previous_release_writes(tmp_path: Path) -> None:
    file = tmp_path / "fresh.json"
    previous_release("write", str(file))
    fresh, kept = json.loads(file.read_text(encoding="utf-8")), written_by_the_previous_release()
    for table in ("keys", "notifications"):
        assert shapes(fresh["tables"][table]) == shapes(kept["tables"][table])


def shapes(items: Any) -> list[list[str]]:
    """The attributes of each item, but for the names that are random."""
    return sorted(sorted(item) for item in items)


# -- a release further on --------------------------------------------------------------------------------

RECORDS = Path(__file__).parents[2] / "layers" / "core" / "tocsin" / "RECORDS.md"


def kinds() -> set[str]:
    """What a partition key begins with, of each record of the story and of each that `tables` spells."""
    wrote = written_by_the_previous_release()["tables"]
    seen = {str(item["pk"]["S"]).partition("#")[0] for items in wrote.values() for item in items}
    spelled = re.findall(r"^\| `([a-z-]+)[#`]", str(notifications.__doc__), re.M)
    spelled += re.findall(r'f"([a-z]+)#\{', Path(str(keys.__file__)).read_text(encoding="utf-8"))
    return seen | set(spelled)


def test_every_kind_of_record_stands_in_the_page_of_records() -> None:
    listed = set(re.findall(r"`([a-z-]+)[#`]", RECORDS.read_text(encoding="utf-8")))
    assert len(kinds()) > 20
    attributes = {"chain", "tag"}
    assert kinds() - listed - attributes == set()


REPLACED_AS_A_WHOLE = ("connectors / ", " / inbound#", " / devices")
"""Records that RECORDS.md names as replaced: what the next release adds there must be able to get lost."""


@pytest.mark.parametrize("source", [written_by_the_previous_release, write])
def test_what_this_release_does_not_know_hinders_nothing(source: Any) -> None:
    assert comparable(go_on(with_unknown_fields(source()))) == GOES_ON


@pytest.mark.parametrize("source", [written_by_the_previous_release, write])
def test_what_this_release_does_not_know_survives_where_a_record_is_changed(source: Any) -> None:
    lost = go_on(with_unknown_fields(source()))["kept"]
    assert [name for name in lost if not any(part in name for part in REPLACED_AS_A_WHOLE)] == []


def test_twin_that_replaces_a_notification_as_a_whole_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = with_unknown_fields(write())

    def spoiled(house: Any) -> None:
        from tocsin.dynamo.writes import Put

        table = house.aws.notifications_table
        key = (f"notification#{house.told['notifications']['read']}", "state")
        item = dict(table.get(key))
        item.pop(NEXT_RELEASE)
        table.put(Put((str(item.pop("pk")), str(item.pop("sk"))), item))

    monkeypatch.setitem(SCENES, "spoiled", spoiled)
    assert any(name.startswith("notification#") for name in go_on(told)["kept"])
