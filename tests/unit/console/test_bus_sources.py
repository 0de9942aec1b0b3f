"""`tocsin sources` for a bus, and the client by which a help desk is asked for phones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.desks import recorded
from tests.support.desks_on_bus import MAPPING, PATTERN
from tests.support.event_rules import Events, Queues
from tests.support.fake_deployment import FakeDeployment, Said
from tocsin.door.desks.kind import file_of
from tocsin.door.desks.phones import CLIENT
from tocsin.tables.notifications import source_key
from tocsin_console import sources
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.source_input import Wanted
from tocsin_console.source_kinds import list_kinds, print_file
from tocsin_console.source_records import find
from tocsin_console.source_trial import show_trial
from tocsin_console.sources import add, change, pause, remove, rotate


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch, fake: FakeDeployment) -> Events:
    made, elsewhere = Events(), Deployment.client
    ours: dict[str, Any] = {"events": made, "sqs": Queues()}
    monkeypatch.setattr(
        Deployment, "client", lambda found, service: ours.get(service) or elsewhere(found, service)
    )
    return made


def written(folder: Path, **files: Any) -> dict[str, Path]:
    made = {}
    for name, told in files.items():
        made[name] = folder / f"{name}.json"
        made[name].write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return made


def shop(folder: Path, **changes: Any) -> Wanted:
    files = written(folder, pattern=PATTERN, mapping=MAPPING)
    told: dict[str, Any] = {"name": "shop", "kind": "bus", **files, **changes}
    return Wanted(**told)


def test_a_source_of_a_bus_has_a_rule_and_no_key(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path, language="en"), said.output)
    source = find(fake.deployment, "shop")
    assert (source.kind, source.language, source.hash, source.secret) == ("bus", "en", "", b"")
    ((place, rule),) = events.rules.items()
    assert place == (fake.deployment["EventBusName"], f"{fake.stack}-source-shop")
    assert json.loads(rule["EventPattern"]) == PATTERN
    assert "remove the source before you delete the stack" in said.text


def test_it_needs_no_door(fake: FakeDeployment, events: Events, said: Said, tmp_path: Path) -> None:
    assert "DoorUrl" not in fake.deployment.outputs
    add(fake.deployment, shop(tmp_path, bus="aws.partner/shop.example/1"), said.output)
    assert [bus for bus, _ in events.rules] == ["aws.partner/shop.example/1"]


def test_pausing_switches_the_rule_off(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    (rule,) = events.rules.values()
    pause(fake.deployment, "shop", said.output, paused=True)
    assert rule["State"] == "DISABLED"
    pause(fake.deployment, "shop", said.output, paused=False)
    assert rule["State"] == "ENABLED"


def test_removing_it_removes_the_rule(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    remove(fake.deployment, "shop", said.output, yes=True)
    assert events.rules == {}
    assert fake.deployment.outside_table.get(source_key("shop")) is None


def test_a_source_whose_rule_cannot_be_made_is_none(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    events.failed = [{"ErrorCode": "AccessDenied"}]
    with pytest.raises(ConsoleError, match="AccessDenied"):
        add(fake.deployment, shop(tmp_path), said.output)
    assert fake.deployment.outside_table.get(source_key("shop")) is None


@pytest.mark.parametrize(
    ("files", "changes", "finding"),
    [
        ({"pattern": {"source": ["tocsin"]}}, {}, "listens to tocsin"),
        ({"pattern": "{"}, {}, "pattern: is not JSON"),
        ({"mapping": {**MAPPING, "change": []}}, {}, "change: is missing"),
        ({}, {"pattern": None}, "needs --pattern and --mapping"),
        ({}, {"mapping": None}, "needs --pattern and --mapping"),
        ({}, {"secret_from": "-"}, "has no key"),
        ({}, {"kind": "zammad"}, "belong to --kind bus"),
    ],
)
def test_what_cannot_be_meant(
    fake: FakeDeployment,
    events: Events,
    said: Said,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, Any],
    changes: dict[str, Any],
    finding: str,
) -> None:
    monkeypatch.setattr(sources, "door_url", lambda _: "https://door.example/")
    wanted = shop(tmp_path, **changes)
    written(tmp_path, **files)
    with pytest.raises(Usage, match=finding):
        add(fake.deployment, wanted, said.output)
    assert events.rules == {}


def test_a_source_of_a_bus_has_no_key_to_rotate(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    with pytest.raises(Usage, match="has no key"):
        rotate(fake.deployment, "shop", said.output, hours=1)


# -- the client of a help desk -------------------------------------------------------------------------------


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "door_url", lambda _: "https://door.example/")


CLIENT_OF_GLPI = {"url": "https://glpi.example.com", "id": "tocsin", "secret": "s3cret-of-glpi"}


@pytest.mark.usefixtures("door")
def test_the_client_is_sealed_to_its_source(fake: FakeDeployment, said: Said, tmp_path: Path) -> None:
    files = written(tmp_path, client=CLIENT_OF_GLPI)
    add(fake.deployment, Wanted("helpdesk", "glpi", client=files["client"]), said.output)
    source = find(fake.deployment, "helpdesk")
    assert b"s3cret-of-glpi" not in source.client
    assert "s3cret-of-glpi" not in said.text
    texts = fake.deployment.stores.texts
    assert texts.open(source.client, source_key("helpdesk"), CLIENT) == CLIENT_OF_GLPI


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize(
    ("kind", "client", "finding"),
    [
        ("glpi", {**CLIENT_OF_GLPI, "url": "http://glpi.example.com"}, "must begin with https"),
        ("glpi", "{", "is not JSON"),
        ("zammad", CLIENT_OF_GLPI, "aren't asked for phones"),
        ("evolution", CLIENT_OF_GLPI, "aren't asked for phones"),
    ],
)
def test_a_client_that_cannot_be_used(
    fake: FakeDeployment, said: Said, tmp_path: Path, kind: str, client: Any, finding: str
) -> None:
    files = written(tmp_path, client=client)
    with pytest.raises(Usage, match=finding):
        add(fake.deployment, Wanted("helpdesk", kind, client=files["client"]), said.output)


@pytest.mark.usefixtures("door")
def test_parameters_of_a_kind_are_options_of_its_source(
    fake: FakeDeployment, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, Wanted("tickets", "jira", options=("phone_field=customfield_10050",)), said.output)
    assert find(fake.deployment, "tickets").options == {"phone_field": "customfield_10050"}
    with pytest.raises(Usage, match="is no parameter of this kind"):
        add(fake.deployment, Wanted("others", "jira", options=("fone_field=x",)), said.output)


# -- trials and kinds ----------------------------------------------------------------------------------------


def test_a_sample_of_a_bus_is_a_whole_event(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    event = {"id": "1", "source": "shop", "detail-type": "OrderLate", "detail": {"order": 7, "what": "Modem"}}
    files = written(tmp_path, whole=event, half={"order": 7})
    show_trial(fake.deployment, "shop", files["whole"], said.output)
    assert "TicketCreated of ticket 7" in said.text
    with pytest.raises(Usage, match="is a whole event"):
        show_trial(fake.deployment, "shop", files["half"], said.output)


@pytest.mark.usefixtures("door")
def test_a_trial_tells_what_is_repaired_and_what_would_be_asked_for(
    fake: FakeDeployment, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, Wanted("helpdesk", "glpi"), said.output)
    body = recorded()["glpi-created"].told["body"]
    body = {**body, "item": {**body["item"], "name": ""}}
    show_trial(fake.deployment, "helpdesk", written(tmp_path, sample=body)["sample"], said.output)
    assert "repaired: detail.ticket.subject: is missing" in said.text
    assert "asked for: the phone of 12" in said.text


def test_kinds_are_listed_with_their_options(said: Said) -> None:
    list_kinds(said.output)
    assert "--option phone_field=" in said.text
    assert [line.split()[0] for line in said.lines if line.startswith("zammad")] == ["zammad"]


def test_a_kinds_file_is_printed_as_it_is(said: Said) -> None:
    print_file("zammad", said.output)
    assert said.text == file_of("zammad")
    with pytest.raises(NotFound):
        print_file("nothing", said.output)


# -- changes -------------------------------------------------------------------------------------------------


def test_a_mapping_and_a_pattern_are_changed_in_place(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    mended = {**MAPPING, "ticket": {"id": "body.order", "subject": "body.item"}}
    files = written(tmp_path, mended=mended, other={"source": ["shop"], "detail-type": ["OrderLost"]})
    change(fake.deployment, "shop", said.output, mapping=files["mended"], pattern=files["other"])
    assert json.loads(find(fake.deployment, "shop").mapping) == mended
    (rule,) = events.rules.values()
    assert "OrderLost" in rule["EventPattern"]


@pytest.mark.usefixtures("door")
def test_an_option_is_changed_and_the_key_stays(fake: FakeDeployment, said: Said, tmp_path: Path) -> None:
    add(fake.deployment, Wanted("tickets", "jira", options=("phone_field=a", "replies=text")), said.output)
    before = find(fake.deployment, "tickets")
    change(fake.deployment, "tickets", said.output, options=("phone_field=b", "replies="))
    after = find(fake.deployment, "tickets")
    assert after.options == {"phone_field": "b"}
    assert (after.secret, after.hash, after.created_at) == (before.secret, before.hash, before.created_at)


@pytest.mark.usefixtures("door")
def test_a_change_that_cannot_be_meant_changes_nothing(
    fake: FakeDeployment, events: Events, said: Said, tmp_path: Path
) -> None:
    add(fake.deployment, shop(tmp_path), said.output)
    add(fake.deployment, Wanted("tickets", "jira"), said.output)
    files = written(tmp_path, bad={**MAPPING, "change": []}, other=PATTERN)
    before = [fake.deployment.outside_table.get(source_key(name)) for name in ("shop", "tickets")]
    for name, changes in (
        ("shop", {"mapping": files["bad"]}),
        ("tickets", {"mapping": files["bad"]}),
        ("tickets", {"pattern": files["other"]}),
        ("tickets", {"options": ("fone_field=x",)}),
    ):
        with pytest.raises(Usage):
            change(fake.deployment, name, said.output, **changes)  # type: ignore[arg-type]
    assert [fake.deployment.outside_table.get(source_key(name)) for name in ("shop", "tickets")] == before
