"""`tocsin settings`: what is in force, who changed it, and how to change it and back."""

from __future__ import annotations

import re

import pytest

from tests.support.fake_deployment import NOW, FakeDeployment, Said
from tocsin.dynamo.writes import Put
from tocsin.settings.declared import DECLARED, RETRIES
from tocsin.settings.values import STACK, Scope
from tocsin.tables.notifications import settings_key
from tocsin_console import cli, settings
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.settings import Change


def change(
    fake: FakeDeployment, said: Said, name: str, value: str | None, scope: Scope | None = STACK
) -> None:
    settings.change(fake.deployment, [Change(name, value, scope)], said.output, clock=lambda: NOW)


def row(said: Said, name: str) -> list[str]:
    return next(line for line in said.lines if line.startswith(name)).split()


def test_by_itself_all_are_defaults(fake: FakeDeployment, said: Said) -> None:
    settings.list_settings(fake.deployment, said.output)
    assert row(said, "updates-as") == ["updates-as", "message", "default"]
    assert [line.split()[0] for line in said.lines[1:]] == list(DECLARED)


def test_a_change_says_when_it_is_heeded_and_is_listed_with_who_made_it(
    fake: FakeDeployment, said: Said
) -> None:
    change(fake, said, "retries", "5")
    assert said.lines == ["version 1: retries 5; functions and connectors heed it within 30 seconds"]
    settings.list_settings(fake.deployment, said.output)
    assert row(said, "retries")[:2] == ["retries", "5"]
    assert "2026-11-18 11:06:40 UTC by assumed-role/Operator/dewi" in said.text


def test_it_is_what_functions_read(fake: FakeDeployment, said: Said) -> None:
    change(fake, said, "retries", "5", Scope("default", "group"))
    read = fake.deployment.settings()
    assert (read.value(RETRIES, account="default", audience="group"), read.value(RETRIES)) == (5, 2)


def test_who_changed_it_is_who_changed_this_one(fake: FakeDeployment, said: Said) -> None:
    deployment = fake.deployment
    for who, change in (("dewi", Change("retries", "5")), ("budi", Change("link-previews", "true"))):
        vars(deployment)["caller"] = who
        settings.change(deployment, [change], said.output, clock=lambda: NOW)
    settings.list_settings(deployment, said.output)
    assert row(said, "retries")[-1] == "dewi"
    assert row(said, "link-previews")[-1] == "budi"


@pytest.mark.parametrize(
    ("name", "value", "scope", "kind", "says"),
    [
        ("retries", "9", Scope(), Usage, "retries must be a whole number of 0 to 8, not '9'"),
        ("retires", "3", Scope(), NotFound, "'retries'?"),
        ("nonsense", "3", Scope(), NotFound, "'tocsin settings' lists them"),
        ("retries", "3", Scope(None, "all"), Usage, "customer, technician, group"),
        ("decline-calls", "true", Scope(None, "group"), Usage, "can't be set for that: --account"),
        ("session-idle-days", "30", Scope("default"), Usage, "the whole stack only"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_changed(
    fake: FakeDeployment, said: Said, name: str, value: str, scope: Scope, kind: type[ConsoleError], says: str
) -> None:
    with pytest.raises(kind, match=re.escape(says)):
        change(fake, said, name, value, scope)
    assert fake.deployment.outside_table.get(settings_key()) is None


def test_what_is_so_already_makes_no_version(fake: FakeDeployment, said: Said, told: Said) -> None:
    change(fake, told, "retries", "5")
    change(fake, told, "retries", "5")
    assert [(one["version"], one["changed"]) for one in told.records] == [(1, True), (1, False)]


def test_a_reset_ends_it_everywhere(fake: FakeDeployment, said: Said) -> None:
    change(fake, said, "retries", "5")
    change(fake, said, "retries", "6", Scope("default"))
    change(fake, said, "retries", None, None)
    assert fake.deployment.settings().value(RETRIES, account="default") == 2


def test_what_was_set_for_an_account_that_went_can_be_reset(
    fake: FakeDeployment, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setattr(Deployment, "find", lambda *_, **__: fake.deployment)
    change(fake, said, "retries", "6", Scope("gone"))
    assert cli.main(["settings", "set", "retries", "5", "--account", "gone"]) == 3
    assert cli.main(["settings", "reset", "retries", "--account", "gone"]) == 0
    assert fake.deployment.settings().value(RETRIES, account="gone") == 2


def test_undo_takes_the_last_change_back_and_is_a_version_itself(fake: FakeDeployment, said: Said) -> None:
    change(fake, said, "retries", "5")
    change(fake, said, "retries", "6")
    settings.undo(fake.deployment, said.output, clock=lambda: NOW)
    assert said.lines[-1].startswith("version 3: back to version 1")
    assert fake.deployment.settings().value(RETRIES) == 5


def test_undo_of_the_first_change_leads_to_the_defaults(fake: FakeDeployment, said: Said) -> None:
    change(fake, said, "retries", "5")
    settings.undo(fake.deployment, said.output, clock=lambda: NOW)
    assert fake.deployment.settings().value(RETRIES) == 2


def test_with_nothing_to_take_back_it_says_so(fake: FakeDeployment, said: Said) -> None:
    with pytest.raises(NotFound, match="never changed"):
        settings.undo(fake.deployment, said.output)
    with pytest.raises(
        NotFound, match="no version 7 of the settings is kept; 'tocsin settings history' lists"
    ):
        settings.restore(fake.deployment, 7, said.output)


def test_the_history_is_told_the_newest_first(fake: FakeDeployment, said: Said, told: Said) -> None:
    settings.list_history(fake.deployment, said.output)
    assert "never changed" in said.text
    change(fake, told, "retries", "5")
    change(fake, told, "retries", "6", Scope("default"))
    settings.list_history(fake.deployment, told.output)
    assert [one["what"] for one in told.records[2:]] == ["retries 6 for account=default", "retries 5"]


def test_what_another_operator_did_at_the_same_moment_is_told(fake: FakeDeployment, said: Said) -> None:
    class Slow(type(fake.deployment.outside_table)):  # type: ignore[misc]
        """Somebody else is faster."""

        def transact(self, writes: object, token: str) -> None:
            content = {"version": 1, "values": {}, "at": 1, "by": "budi", "what": "retries 7"}
            super().put(Put(settings_key(), content))
            super().transact(writes, token)

    fake.deployment.outside_table.__class__ = Slow
    with pytest.raises(ConsoleError, match="budi wrote version 1 \\(retries 7\\) at the same moment"):
        change(fake, said, "retries", "5")


def test_an_item_of_nonsense_is_told_with_its_remedy_and_mended_by_the_next_change(
    fake: FakeDeployment, said: Said
) -> None:
    fake.deployment.outside_table.put(Put(settings_key(), {"version": 3, "values": {"retries": {"*": 99}}}))
    settings.list_settings(fake.deployment, said.output)
    assert "invalid: retries is 99: must be a whole number of 0 to 8" in said.lines
    assert "tocsin settings restore VERSION" in said.lines[-1]
    change(fake, said, "link-previews", "true")
    assert "dropped, it was invalid: retries is 99" in said.text
    assert fake.deployment.settings().value(RETRIES) == 2


def test_one_is_explained_with_all_its_values(fake: FakeDeployment, said: Said, told: Said) -> None:
    change(fake, said, "retries", "5", Scope("default"))
    settings.show_setting(fake.deployment, "retries", said.output)
    assert "a whole number of 0 to 8" in said.text
    assert "is       5  account=default (not linked)" in said.lines
    settings.show_setting(fake.deployment, "retries", told.output)
    assert told.records[0]["values"] == {"account=default": 5}
