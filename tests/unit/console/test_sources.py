"""`tocsin sources`: a key that is shown once, and what a sample would become."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.fake_deployment import NOW, FakeDeployment, Said, typing
from tests.support.leading_keys import GrantedTable
from tocsin.door.proofs import proven_source
from tocsin.door.sources import SECRET, SECRET_BYTES
from tocsin.dynamo.writes import Delete, Put, Update
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.keys import source_version_key
from tocsin.tables.notifications import source_key, source_use_key
from tocsin.versions import source_versions
from tocsin_console import source_records, source_trial, source_view, sources
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.source_input import Wanted

URL = "https://abc.lambda-url.eu-west-1.on.aws/"


@pytest.fixture
def deployment(fake: FakeDeployment) -> Deployment:
    """A stack with a door."""
    return dataclasses.replace(fake.deployment, outputs={**fake.deployment.outputs, "DoorUrl": URL})


def add(deployment: Deployment, kind: str = "api", **more: Any) -> tuple[Said, str]:
    """Add a source; what was said, and its key."""
    said = Said(as_json=True)
    sources.add(deployment, Wanted("billing", kind, **more), said.output, clock=lambda: NOW)
    return said, said.records[-1]["key"]


def stored(deployment: Deployment) -> dict[str, Any]:
    item = deployment.outside_table.get(source_key("billing"))
    assert item is not None
    return dict(item)


def test_a_source_gets_a_key_of_which_only_a_hash_is_stored(deployment: Deployment) -> None:
    _, key = add(deployment)
    item = stored(deployment)
    assert item["hash"] == hashlib.sha256(key.encode()).hexdigest()
    assert key not in repr(item)
    assert source_records.find(deployment, "billing").is_called_with(key, NOW * 1000)


def test_whoever_added_one_is_told_how_to_try_it(deployment: Deployment) -> None:
    said = Said()
    sources.add(deployment, Wanted("billing", "api"), said.output, clock=lambda: NOW)
    assert said.lines[-1] == "    tocsin sources test billing --sample FILE"


def test_the_key_is_as_random_as_it_is_long(deployment: Deployment) -> None:
    said = Said(as_json=True)
    asked: list[int] = []
    sources.add(
        deployment,
        Wanted("billing", "api"),
        said.output,
        random=lambda count: asked.append(count) or bytes(count),  # type: ignore[func-returns-value]
    )
    assert asked == [SECRET_BYTES]


def test_a_help_desk_that_signs_has_its_secret_sealed(deployment: Deployment) -> None:
    _, key = add(deployment, "freescout")
    item = stored(deployment)
    assert "hash" not in item
    assert key.encode() not in item[SECRET]
    opened = deployment.stores.texts.open(item[SECRET], source_key("billing"), SECRET)
    assert opened == {"secret": key}


def test_a_secret_that_the_help_desk_made_is_taken_from_a_file(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("zendesk-made-this-one\n")
    for kind in ("zendesk", "jira"):
        _, key = add(deployment, kind, secret_from=str(file))
        assert key == "zendesk-made-this-one"
        assert "hash" not in stored(deployment)
        sources.remove(deployment, "billing", Said().output, yes=True)


def test_without_a_door_nothing_is_added(fake: FakeDeployment) -> None:
    with pytest.raises(ConsoleError, match="HttpDoor=on"):
        sources.add(fake.deployment, Wanted("billing", "api"), Said().output)


def test_a_name_is_taken_once(deployment: Deployment) -> None:
    add(deployment)
    with pytest.raises(ConsoleError, match="rotate"):
        add(deployment)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "telegram"}, "there is no kind 'telegram'"),
        ({"audiences": ("boss",)}, "no audience 'boss'"),
        ({"recipients": ("62812",)}, "neither the beginning of a number"),
        ({"recipients": ("x@g.us",)}, "neither the beginning of a number"),
        ({"per_minute": 0}, "a rate is 1 to"),
        ({"options": ("sensitive",)}, "NAME=VALUE"),
        ({"secret_from": "-"}, "signs nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_added(
    deployment: Deployment, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Usage, match=said):
        add(deployment, **{"kind": "api", **more})
    assert deployment.outside_table.get(source_key("billing")) is None


def test_an_account_that_is_not_served_is_refused(deployment: Deployment) -> None:
    with pytest.raises(NotFound):
        add(deployment, accounts=("nobody",))


def test_rotating_gives_a_new_key_and_lets_the_old_one_count_for_a_while(deployment: Deployment) -> None:
    _, old = add(deployment)
    said = Said(as_json=True)
    sources.rotate(deployment, "billing", said.output, hours=2, clock=lambda: NOW)
    new = said.records[-1]["key"]
    source = source_records.find(deployment, "billing")
    assert source.is_called_with(new, NOW * 1000)
    assert source.is_called_with(old, NOW * 1000 + 2 * sources.MS_PER_HOUR - 1)
    assert not source.is_called_with(old, NOW * 1000 + 2 * sources.MS_PER_HOUR)


def test_rotating_changes_nothing_else(deployment: Deployment) -> None:
    add(deployment, recipients=("+62812",), per_minute=7, options=("sensitive=on",))
    before = stored(deployment)
    sources.rotate(deployment, "billing", Said().output, hours=0, yes=True, clock=lambda: NOW)
    kept = {
        name: value
        for name, value in stored(deployment).items()
        if "hash" not in name and name not in ("proof", "version")
    }
    assert kept | {"former_until": 0} == {
        name: value for name, value in before.items() if name not in ("hash", "proof", "version")
    } | {"former_until": 0}


def test_pausing_and_removing(deployment: Deployment) -> None:
    add(deployment)
    sources.pause(deployment, "billing", Said().output, paused=True)
    assert source_records.find(deployment, "billing").paused
    sources.pause(deployment, "billing", Said().output, paused=False)
    assert not source_records.find(deployment, "billing").paused
    sources.remove(deployment, "billing", Said().output, yes=True)
    with pytest.raises(NotFound):
        source_records.find(deployment, "billing")


def test_the_list_tells_use_and_last_refusal_and_no_key(deployment: Deployment) -> None:
    _, key = add(deployment)
    use = {
        "heard": 12,
        "used_at": NOW * 1000,
        "refused": 1,
        "refused_at": NOW * 1000,
        "refusal": "rate-limited",
    }
    deployment.outside_table.update(Update(source_use_key("billing"), set=use))
    said = Said()
    source_view.list_sources(deployment, said.output)
    assert "12" in said.text
    assert "rate-limited at 2026" in said.text
    source_view.show(deployment, "billing", said.output)
    assert key not in said.text
    assert key.partition(".")[2] not in said.text


def test_what_is_shown_says_that_counts_may_lag(deployment: Deployment) -> None:
    add(deployment)
    said = Said()
    source_view.show(deployment, "billing", said.output)
    assert "counts may lag" in said.lines[-1]


def test_a_damaged_record_is_listed_as_such(deployment: Deployment) -> None:
    add(deployment)
    deployment.outside_table.update(Update(source_key("billing"), set={"accounts": "default"}))
    said = Said()
    source_view.list_sources(deployment, said.output)
    assert "damaged (accounts)" in said.text


def test_a_record_that_was_written_past_the_console_is_listed_as_such_and_made_no_better(
    deployment: Deployment,
) -> None:
    add(deployment)
    deployment.outside_table.update(Update(source_key("billing"), set={"accounts": ["default", "vip"]}))
    said = Said()
    source_view.list_sources(deployment, said.output)
    assert "damaged (proof)" in said.text
    with pytest.raises(ConsoleError, match="damaged"):
        sources.pause(deployment, "billing", said.output, paused=False)
    with pytest.raises(ConsoleError, match="damaged"):
        sources.rotate(deployment, "billing", said.output, hours=1)


def test_who_may_not_read_the_texts_secret_sees_sources_and_changes_none(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)
    monkeypatch.setattr(deployment.stores.texts, "_sealer", lambda: None)
    said = Said()
    source_view.list_sources(deployment, said.output)
    source_view.show(deployment, "billing", said.output)
    assert "damaged" not in said.text
    with pytest.raises(ConsoleError, match="TextsSecretArn"):
        sources.pause(deployment, "billing", said.output, paused=True)
    with pytest.raises(ConsoleError, match="TextsSecretArn"):
        sources.add(deployment, Wanted("other", "api"), said.output)
    assert not stored(deployment).get("paused")


def test_who_may_only_look_sees_them_with_the_rights_of_the_template(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)
    monkeypatch.setattr(deployment.stores.texts, "_sealer", lambda: None)
    monkeypatch.setattr(Deployment, "keys_table", GrantedTable(policy="ViewerPolicy"))
    said = Said()
    source_view.list_sources(deployment, said.output)
    assert "billing" in said.text


def test_a_damaged_source_can_be_removed(deployment: Deployment) -> None:
    add(deployment)
    deployment.outside_table.update(Update(source_key("billing"), set={"accounts": "default"}))
    sources.remove(deployment, "billing", Said().output, yes=True)
    assert deployment.outside_table.get(source_key("billing")) is None


def test_what_is_changed_is_proven_anew(deployment: Deployment) -> None:
    _, key = add(deployment)
    sources.pause(deployment, "billing", Said().output, paused=True)
    sources.rotate(deployment, "billing", Said().output, hours=1, clock=lambda: NOW)
    item = deployment.outside_table.get(source_key("billing"))
    source = proven_source("billing", item or {}, deployment.stores.texts)
    assert source.paused
    assert source.is_called_with(key, NOW * 1000)


def put_back(deployment: Deployment, item: dict[str, Any]) -> None:
    record = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    deployment.outside_table.put(Put(source_key("billing"), record))


def test_a_record_of_earlier_that_is_put_back_is_listed_as_damaged(deployment: Deployment) -> None:
    add(deployment)
    before = stored(deployment)
    sources.rotate(deployment, "billing", Said().output, hours=1, clock=lambda: NOW)
    put_back(deployment, before)
    said = Said()
    source_view.list_sources(deployment, said.output)
    assert "damaged (version 1 of 2)" in said.text


def test_a_source_that_is_added_anew_is_later_than_the_one_that_was_removed(deployment: Deployment) -> None:
    add(deployment)
    before = stored(deployment)
    sources.remove(deployment, "billing", Said().output, yes=True)
    add(deployment)
    assert sources.find(deployment, "billing").version == 3
    put_back(deployment, before)
    with pytest.raises(ConsoleError, match="damaged"):
        sources.find(deployment, "billing")


def test_of_two_who_change_one_source_the_later_is_told_and_undoes_nothing(deployment: Deployment) -> None:
    _, former = add(deployment)
    read_before = source_records.find(deployment, "billing")
    sources.rotate(deployment, "billing", Said().output, hours=0, yes=True, clock=lambda: NOW)
    with pytest.raises(ConsoleError, match="at this moment"):
        source_records.rewrite(deployment, dataclasses.replace(read_before, paused=True))
    source = source_records.find(deployment, "billing")
    assert not source.is_called_with(former, NOW * 1000)
    assert not source.paused


def test_twin_a_record_of_before_versions_is_changed_once(deployment: Deployment) -> None:
    add(deployment)
    source = dataclasses.replace(source_records.find(deployment, "billing"), version=0)
    put_back(deployment, source_records.proven(deployment, source))
    deployment.keys_table.delete(Delete(source_version_key("billing")))
    source_records.rewrite(deployment, dataclasses.replace(source, paused=True))
    with pytest.raises(ConsoleError, match="at this moment"):
        source_records.rewrite(deployment, source)
    assert source_records.find(deployment, "billing").paused


def test_a_removal_that_failed_halfway_lets_nobody_in_and_can_be_done_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)
    before = stored(deployment)
    for broken in (deployment.keys_table, deployment.outside_table):
        with monkeypatch.context() as failing:
            for write in ("update", "delete"):
                failing.setattr(broken, write, lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                sources.remove(deployment, "billing", Said().output, yes=True)
    sources.remove(deployment, "billing", Said().output, yes=True)
    put_back(deployment, before)
    with pytest.raises(ConsoleError, match="damaged"):
        source_records.find(deployment, "billing")


def test_what_was_changed_while_its_removal_was_asked_about_is_removed_for_good(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)

    def changed(*_: object, **__: object) -> None:
        source = source_records.find(deployment, "billing")
        source_records.rewrite(deployment, dataclasses.replace(source, language="id"))

    monkeypatch.setattr(sources, "confirm", changed)
    sources.remove(deployment, "billing", Said().output, yes=False)
    assert source_versions(deployment.keys_table).last("billing") == 3


def test_what_is_changed_while_it_is_removed_stays_and_no_record_of_it_can_come_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)

    def changed_meanwhile(*asked: Any) -> int:
        last = source_records.version_of(*asked)
        source = source_records.find(deployment, "billing")
        source_records.rewrite(deployment, dataclasses.replace(source, language="id"))
        return last

    with monkeypatch.context() as racing:
        racing.setattr(sources, "version_of", changed_meanwhile)
        with pytest.raises(ConsoleError, match="at this moment"):
            sources.remove(deployment, "billing", Said().output, yes=True)
    before = stored(deployment)
    assert source_records.find(deployment, "billing").language == "id"
    sources.remove(deployment, "billing", Said().output, yes=True)
    put_back(deployment, before)
    with pytest.raises(ConsoleError, match="damaged"):
        source_records.find(deployment, "billing")


@pytest.fixture
def unnoted(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions can't be written."""
    refusal = {"Error": {"Code": "AccessDeniedException", "Message": ""}}

    def refused(*_: object, **__: object) -> None:
        raise ClientError(refusal, "UpdateItem")

    monkeypatch.setattr(deployment.keys_table, "update", refused)


def test_a_key_whose_version_cannot_be_noted_is_shown_all_the_same(
    deployment: Deployment, unnoted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts by then, and nobody could ever see it again."""
    said, key = add(deployment)
    assert source_records.find(deployment, "billing").is_called_with(key, NOW * 1000)
    assert "an earlier one could be put back" in " ".join(capsys.readouterr().err.split())
    sources.rotate(deployment, "billing", said.output, hours=1, clock=lambda: NOW + 1)
    rotated = source_records.find(deployment, "billing")
    assert rotated.is_called_with(said.records[-1]["key"], NOW * 1000)
    assert rotated.is_called_with(key, NOW * 1000)
    assert [line.what for line in deployment.stores.audit.lines()] == [
        "gave the source billing a new key",
        "added the source billing (api)",
    ]


def test_a_removal_whose_version_cannot_be_noted_removes_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(deployment)
    monkeypatch.setattr(deployment.keys_table, "update", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sources.remove(deployment, "billing", Said().output, yes=True)
    assert source_records.find(deployment, "billing")


# -- samples -----------------------------------------------------------------------------------------------


def trial(deployment: Deployment, folder: Path, sample: str) -> str:
    file = folder / "sample"
    file.write_text(sample, encoding="utf-8")
    said = Said()
    source_trial.show_trial(deployment, "billing", file, said.output, clock=lambda: NOW)
    return said.text


def test_a_sample_of_a_body_shows_the_event_and_masks_numbers(deployment: Deployment, tmp_path: Path) -> None:
    add(deployment)
    told = trial(deployment, tmp_path, json.dumps({"to": "+6281234567890", "text": "Halo"}))
    assert "MessageRequested, account default" in told
    assert "6281…90" in told
    assert "6281234567890" not in told


def test_a_sample_of_a_whole_request_is_read_with_its_head(deployment: Deployment, tmp_path: Path) -> None:
    add(deployment, "fonnte")
    head = "POST /send HTTP/1.1\nContent-Type: application/x-www-form-urlencoded"
    request = f"{head}\n\ntarget=081234567890&message=Halo"
    assert "text        Halo" in trial(deployment, tmp_path, request)


def test_a_sample_of_a_help_desk_shows_who_would_be_told(deployment: Deployment, tmp_path: Path) -> None:
    add(deployment, "generic")
    body = {
        "event": "created",
        "ticket": {"id": "7", "revision": 1, "subject": "Mati"},
        "customer": {"name": "Siti", "phone": "081234567890"},
    }
    assert "Siti +6281…90" in trial(deployment, tmp_path, json.dumps(body))


def test_a_sample_that_would_be_refused_says_why(deployment: Deployment, tmp_path: Path) -> None:
    add(deployment, recipients=("+34",))
    with pytest.raises(ConsoleError, match="not-allowed"):
        trial(deployment, tmp_path, json.dumps({"to": "+6281234567890", "text": "Halo"}))


def test_a_sensitive_sample_is_not_shown(deployment: Deployment, tmp_path: Path) -> None:
    add(deployment, "phpnuxbill")
    told = trial(deployment, tmp_path, "GET /wa_url?number=6281234567890&text=Kode+117733\n\n")
    assert "117733" not in told


def test_a_secret_moved_from_another_source_does_not_open(deployment: Deployment) -> None:
    _, key = add(deployment, "freescout")
    with pytest.raises(TextWithheld):
        deployment.stores.texts.open(stored(deployment)[SECRET], source_key("other"), SECRET)
    assert key


@pytest.mark.parametrize("way", ["token", "signature"])
def test_a_kind_that_takes_either_way_lets_in_by_both(deployment: Deployment, way: str) -> None:
    from tocsin.door.hooks import Hooks
    from tocsin.door.request import Request

    _, key = add(deployment, "generic")
    body = b"{}"
    headers = {
        "token": {"x-tocsin-token": key},
        "signature": {"x-hub-signature-256": "sha256=" + hmac.new(key.encode(), body, "sha256").hexdigest()},
    }
    hooks = Hooks(deployment.stores.texts, lambda *_, **__: None)
    request = Request("POST", "/hooks/billing", "", headers[way], body)
    assert hooks.verified(source_records.find(deployment, "billing"), request, NOW * 1000) is None


def test_the_signature_of_the_secret_that_was_printed_is_the_door_s(deployment: Deployment) -> None:
    from tocsin.door.hooks import Hooks
    from tocsin.door.request import Request

    _, key = add(deployment, "zammad")
    body = b'{"ticket": {}}'
    signature = "sha1=" + hmac.new(key.encode(), body, "sha1").hexdigest()
    hooks = Hooks(deployment.stores.texts, lambda *_, **__: None)
    signed = Request("POST", "/hooks/billing", "", {"x-hub-signature": signature}, body)
    assert hooks.verified(source_records.find(deployment, "billing"), signed, NOW * 1000) is None


@pytest.mark.parametrize(("answer", "same"), [("n\n", True), ("y\n", False)])
def test_a_key_that_ends_at_once_is_asked_about(deployment: Deployment, answer: str, same: bool) -> None:
    add(deployment)
    before = sources.find(deployment, "billing").hash
    with contextlib.suppress(ConsoleError):
        sources.rotate(deployment, "billing", typing(answer), hours=0, clock=lambda: NOW)
    assert (sources.find(deployment, "billing").hash == before) == same
