"""What an event would do, said to whoever writes the ticketing system's side: no stack is asked."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_deployment import Said
from tocsin.notify.events.samples import FULL, MINIMAL
from tocsin.notify.events.schema import DETAIL_TYPES
from tocsin_console import cli
from tocsin_console.check import StackFacts, check
from tocsin_console.errors import ConsoleError, Usage

DETAIL: dict[str, Any] = {
    "ticket": {"id": "TCK-1042", "revision": 1, "subject": "No internet"},
    "customer": {"name": "Siti", "phone": "0812-3456-7890", "language": "en"},
}


def checked(said: Said, folder: Path, value: Any, kind: str = "TicketCreated", **facts: Any) -> None:
    file = folder / "event.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    check(file, kind, StackFacts(**facts), said.output)


FORMS = {
    "a detail": DETAIL,
    "an event": {"detail-type": "TicketCreated", "source": "ticketing", "detail": DETAIL},
    "an entry": {"DetailType": "TicketCreated", "Source": "ticketing", "Detail": json.dumps(DETAIL)},
    "entries": [{"DetailType": "TicketCreated", "Source": "ticketing", "Detail": json.dumps(DETAIL)}],
    "a request": {
        "Entries": [{"DetailType": "TicketCreated", "Source": "ticketing", "Detail": json.dumps(DETAIL)}]
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_whoever_would_be_told_is_shown_with_the_text(said: Said, tmp_path: Path, form: str) -> None:
    checked(said, tmp_path, FORMS[form])
    assert said.lines[0] == "TicketCreated, ticket TCK-1042, revision 1"
    assert "customer +6281234567890 (Siti), in en:" in said.lines
    assert "  | - *Subject:* No internet" in said.lines


def test_the_type_of_a_detail_is_said_beside_it(said: Said, tmp_path: Path) -> None:
    checked(said, tmp_path, DETAIL, "TicketResolved")
    assert said.lines[0].startswith("TicketResolved, ")


def test_every_audience_is_shown(said: Said, tmp_path: Path) -> None:
    checked(said, tmp_path, FULL)
    shown = [line for line in said.lines if line.endswith(":") and ", in " in line]
    assert [line.split()[0] for line in shown] == ["customer", "technician", "technician", "group"]


def test_the_parameters_of_the_stack_decide_as_they_would_there(said: Said, tmp_path: Path) -> None:
    mexican = {**MINIMAL, "customer": {"phone": "55 1234 5678"}, "technicians": [], "groups": []}
    checked(said, tmp_path, mexican, default_region="MX", default_language="es")
    assert any(line.startswith("customer +525512345678") and ", in es" in line for line in said.lines)


def test_own_texts_come_before_the_built_in_ones(said: Said, tmp_path: Path) -> None:
    folder = tmp_path / "texts" / "en"
    folder.mkdir(parents=True)
    (folder / "TicketCreated.customer.txt").write_text("Own words for {{ ticket.id }}", encoding="utf-8")
    checked(said, tmp_path, DETAIL, texts=tmp_path / "texts")
    assert "  | Own words for TCK-1042" in said.lines


def test_who_cannot_be_told_is_named_with_the_reason_and_the_rest_is_told(said: Said, tmp_path: Path) -> None:
    checked(said, tmp_path, {**DETAIL, "technicians": [{"name": "Budi", "phone": "12"}]})
    assert any("technicians[0].phone" in line and "(invalid-phone)" in line for line in said.lines)
    assert any(line.startswith("customer +62") for line in said.lines)


def test_a_refusal_names_every_violation_and_fails(said: Said, tmp_path: Path) -> None:
    bad = {"ticket": {"id": "TCK-1", "revision": "two"}}
    with pytest.raises(ConsoleError, match="would be refused"):
        checked(said, tmp_path, bad)
    violations = [line for line in said.lines if line.startswith("    detail.ticket")]
    assert len(violations) == 2


def test_an_event_that_tells_nobody_says_so(said: Said, tmp_path: Path) -> None:
    checked(said, tmp_path, {"ticket": DETAIL["ticket"]})
    assert said.lines[-1].startswith("it tells nobody")


def test_what_the_schema_does_not_know_is_noted(said: Said, tmp_path: Path) -> None:
    checked(said, tmp_path, {**DETAIL, "colour": "red"})
    assert said.lines[-1] == "note: colour is unknown and ignored"


def test_a_message_without_a_ticket_is_shown_as_well(said: Said, tmp_path: Path) -> None:
    request = {"version": "1", "recipients": [{"phone": "+6281234567890"}], "text": "Your invoice"}
    checked(said, tmp_path, request, "MessageRequested")
    assert "  | Your invoice" in said.lines


def test_an_unknown_type_is_told_all_that_are_known(said: Said, tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match="would be refused"):
        checked(said, tmp_path, DETAIL, "TicketDeleted")
    [line] = [line for line in said.lines if "detail-type" in line]
    assert line.endswith(f"known are {', '.join(DETAIL_TYPES)}")
    assert {"TicketCreated", "MessageRequested"} <= set(DETAIL_TYPES)


@pytest.mark.parametrize(
    "words", ["", "{", "[1]", "[]", '{"Entries": []}', "7", '{"Detail": {}}', '{"Detail": "{"}', "[" * 5000]
)
def test_a_file_that_holds_no_event_is_a_usage_error(said: Said, tmp_path: Path, words: str) -> None:
    with pytest.raises(Usage):
        checked(said, tmp_path, words)


def test_a_file_that_is_not_there_is_a_usage_error(said: Said, tmp_path: Path) -> None:
    with pytest.raises(Usage, match="can't be read"):
        check(tmp_path / "none.json", "TicketCreated", StackFacts(), said.output)


def test_it_needs_neither_a_stack_nor_credentials(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(DETAIL).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert cli.main(["check", "-"]) == 0
    assert "+6281234567890" in capsys.readouterr().out
