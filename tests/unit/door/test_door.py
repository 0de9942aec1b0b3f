"""Who is let in, how often, and whom they reach, whatever dialect they speak."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.doors import NOW, OpenDoor, value_of
from tocsin.door.door import REMEMBERED_MS
from tocsin.door.meter import MAX_CHANGES
from tocsin.door.routing import DIALECTS
from tocsin.door.source_reader import FRESH_MS
from tocsin.door.sources import Source, hash_of, new_token
from tocsin.dynamo.writes import Delete, Put, Update
from tocsin.tables.keys import source_version_key
from tocsin.tables.notifications import source_key, source_use_key

HALLO = {"to": "+6281234567890", "text": "Halo"}


@pytest.fixture
def door() -> OpenDoor:
    made = OpenDoor()
    made.add("api")
    return made


def send(door: OpenDoor, token: str | None = None, body: Any = None, **headers: str) -> Any:
    key = door.tokens["api"] if token is None else token
    return door.ask("POST", "/v1/messages", body or HALLO, authorization=f"Bearer {key}", **headers)


# -- the key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        "api",
        "api.",
        "api.wrong",
        ".",
        "nobody.secret",
        "API.x",
        "api\n.x",
        "a" * 9000,
        "é.é",
        "..",
        "%.%",
    ],
)
def test_whatever_is_wrong_with_a_key_is_answered_the_same(door: OpenDoor, token: str) -> None:
    answer = send(door, token)
    assert answer == send(door, "nobody.secret")
    assert answer.status == 401
    assert door.events.entries == []


def test_the_first_letter_of_a_key_counts_as_much_as_the_last(door: OpenDoor) -> None:
    token = door.tokens["api"]
    assert send(door, token[:-1] + ("A" if token[-1] != "A" else "B")).status == 401
    assert send(door, token + "A").status == 401
    assert send(door, token).status == 202


@pytest.mark.parametrize("instance", ["default", "billing", "nowhere"])
def test_strangers_do_not_learn_which_instances_exist(door: OpenDoor, instance: str) -> None:
    known = door.ask("POST", f"/message/sendText/{instance}", {"number": "62812", "text": "a"})
    assert known == door.ask("POST", "/message/sendText/default", {})
    assert known.status == 401


def test_a_former_key_counts_until_its_time_is_over(door: OpenDoor) -> None:
    from tocsin.door.sources import hash_of

    old = door.tokens["api"]
    door.add("api", "api", hash=hash_of("api.new"), former_hash=hash_of(old), former_until=NOW + 1)
    assert send(door, old).status == 202
    assert send(door, "api.new").status == 202
    door.now = NOW + 1
    assert send(door, old).status == 401


def test_a_key_of_another_dialect_is_not_let_in(door: OpenDoor) -> None:
    token = door.add("waha")
    assert send(door, token).status == 403
    assert door.events.entries == []


def test_a_source_without_a_hash_is_called_by_nobody(door: OpenDoor) -> None:
    door.add("api", "empty", hash="")
    assert send(door, "empty.").status == 401
    assert send(door, "empty.x").status == 401


def test_a_source_that_was_removed_is_heard_no_longer_than_it_is_remembered(door: OpenDoor) -> None:
    assert send(door).status == 202
    door.table.delete(Delete(source_key("api")))
    door.now += FRESH_MS
    assert send(door).status == 401


def test_a_damaged_record_lets_nobody_in(door: OpenDoor) -> None:
    door.table.update(Update(source_key("api"), set={"accounts": "default"}))
    assert send(door).status == 401


@pytest.mark.parametrize(
    "written",
    [
        {"hash": hash_of("api.stranger")},
        {"kind": "waha"},
        {"accounts": ["default", "billing", "vip"]},
        {"audiences": ["customer", "technician", "group"]},
        {"recipients": ["+"]},
        {"per_minute": 100_000},
        {"former_hash": hash_of("api.stranger"), "former_until": NOW + 1_000_000},
        {"options": {"sensitive": "off"}},
        {"paused": True},
    ],
    ids=lambda written: "-".join(written),
)
def test_who_can_only_write_to_the_table_gives_a_source_no_other_key_and_no_other_reach(
    door: OpenDoor, written: dict[str, Any]
) -> None:
    door.table.update(Update(source_key("api"), set=written))
    assert send(door).status == 401
    assert send(door, "api.stranger").status == 401


def test_who_can_only_write_to_the_table_makes_nobody_a_source(door: OpenDoor) -> None:
    told = door.table.get(source_key("api"))
    forged = {name: value for name, value in (told or {}).items() if name not in ("pk", "sk")}
    door.table.put(Put(source_key("mine"), {**forged, "hash": hash_of("mine.x")}))
    door.table.put(
        Put(source_key("bare"), Source("bare", "api", ("default",), hash=hash_of("bare.x")).item())
    )
    assert [send(door, token).status for token in ("mine.x", "bare.x")] == [401, 401]


def as_it_stands(door: OpenDoor) -> Put:
    told = door.table.get(source_key("api")) or {}
    return Put(source_key("api"), {name: told[name] for name in told if name not in ("pk", "sk")})


def test_a_record_of_earlier_that_is_put_back_lets_nobody_in(door: OpenDoor) -> None:
    before, former = as_it_stands(door), door.tokens["api"]
    token = new_token("api", b"y" * 32)
    door.add("api", hash=hash_of(token), version=1)
    door.table.put(before)
    assert [send(door, one).status for one in (former, token)] == [401, 401]


def test_a_record_that_was_removed_and_is_put_back_lets_nobody_in(door: OpenDoor) -> None:
    before = as_it_stands(door)
    door.table.delete(Delete(source_key("api")))
    door.versions.note("api", 1)
    door.table.put(before)
    assert send(door).status == 401


def test_a_record_that_claims_a_later_version_than_its_proof_lets_nobody_in(door: OpenDoor) -> None:
    door.table.update(Update(source_key("api"), set={"version": 9}))
    assert send(door).status == 401


def test_a_source_is_heard_while_it_is_changed(door: OpenDoor) -> None:
    """The record is written before its version is noted, and read after it."""
    token = new_token("api", b"y" * 32)
    door.add("api", hash=hash_of(token), version=1)
    door.keys.delete(Delete(source_version_key("api")))
    assert send(door, token).status == 202


def test_a_version_never_goes_back(door: OpenDoor) -> None:
    door.versions.note("api", 7)
    door.versions.note("api", 3)
    assert door.versions.last("api") == 7
    assert door.versions.last("nobody") == 0


def test_without_the_key_of_the_texts_nobody_is_told_that_theirs_is_wrong(
    door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("of somebody's")

    monkeypatch.setattr(door.texts, "open", away)
    assert send(door).status == 503


def test_without_the_table_nobody_is_let_in_or_told_that_their_key_is_wrong(
    door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ConnectionError("of somebody's")

    monkeypatch.setattr(door.table, "get", fail)
    assert send(door).status == 503


def test_a_help_desk_whose_secret_does_not_open_is_told_to_come_again(door: OpenDoor) -> None:
    door.add("freescout", "desk", hash="", secret=b"sealed for another place")
    assert door.ask("POST", "/hooks/desk", {}, x_freescout_signature="x").status == 503


def test_a_paused_source_is_told_so(door: OpenDoor) -> None:
    token = door.add("api", "still", paused=True)
    assert (send(door, token).status, value_of(send(door, token))["title"]) == (403, "paused")


# -- the rate ----------------------------------------------------------------------------------------------


def test_more_than_the_rate_gets_429_until_the_minute_is_over(door: OpenDoor) -> None:
    token = door.add("api", "slow", per_minute=3)
    assert [send(door, token).status for _ in range(5)] == [202, 202, 202, 429, 429]
    wait = int(send(door, token).headers["retry-after"])
    assert 0 < wait <= 61
    door.now += wait * 1000
    assert send(door, token).status == 202


def test_processes_share_the_rate_but_for_one_request_each_that_they_have_not_told_of(door: OpenDoor) -> None:
    token = door.add("api", "slow", per_minute=4)
    one, other = door.another_process(), door.another_process()
    asked = [
        door.ask("POST", "/v1/messages", HALLO, door=which, authorization=f"Bearer {token}").status
        for which in (one, other) * 4
    ]
    assert 4 <= asked.count(202) <= 5


def test_strangers_use_up_nothing_of_a_source(door: OpenDoor) -> None:
    door.add("api", "slow", per_minute=2)
    for _ in range(20):
        send(door, "slow.wrong")
    assert send(door, door.tokens["slow"]).status == 202


def test_many_requests_are_few_writes(door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    token = door.add("api", "busy", per_minute=600)
    written = []
    update = door.table.update
    monkeypatch.setattr(door.table, "update", lambda change: written.append(change) or update(change))
    for _ in range(600):
        assert send(door, token).status == 202
    assert len(written) <= 25
    use = door.table.get(source_use_key("busy"))
    assert use is not None
    assert use["heard"] >= 570


def test_a_lone_request_is_counted_at_once(door: OpenDoor) -> None:
    send(door)
    use = door.table.get(source_use_key("api"))
    assert use is not None
    assert (use["heard"], use["used_at"]) == (1, NOW)


def test_what_was_refused_last_is_shown_to_the_operator(door: OpenDoor) -> None:
    send(door, "api.wrong")
    use = door.table.get(source_use_key("api"))
    assert use is not None
    assert (use["refused"], use["refusal"], use["refused_at"]) == (1, "unauthorised", NOW)


def test_a_refusal_after_an_accepted_request_is_shown_at_once(door: OpenDoor) -> None:
    send(door)
    door.now += 1000
    send(door, body={"text": "Halo"})
    use = door.table.get(source_use_key("api"))
    assert use is not None
    assert (use["heard"], use["refused"], use["refused_at"]) == (2, 1, NOW + 1000)


def test_a_sender_that_fails_every_other_time_causes_few_writes(
    door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    update = door.table.update
    monkeypatch.setattr(door.table, "update", lambda change: written.append(change) or update(change))
    for number in range(40):
        door.now = NOW // 60_000 * 60_000 + number * 1000
        send(door, None if number % 2 else "api.wrong")
    assert len(written) <= MAX_CHANGES + 3


def test_strangers_cause_one_write_a_minute(door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    update = door.table.update
    monkeypatch.setattr(door.table, "update", lambda change: written.append(change) or update(change))
    for number in range(200):
        door.now = NOW + number * 100
        send(door, "api.wrong")
    assert len(written) <= 4


def test_a_count_that_cannot_be_written_fails_nobody_s_message(
    door: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tocsin.dynamo.errors import Contention

    def contend(_: object) -> None:
        raise Contention("busy")

    monkeypatch.setattr(door.table, "update", contend)
    assert send(door).status == 202


# -- whom it reaches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("+6281234567890", 202),
        ("081234567890", 202),
        ("+6285634567890", 403),
        ("+34612345678", 403),
        ("120363000000000001@g.us", 202),
        ("120363000000000002@g.us", 403),
        ("08123", 400),
    ],
)
def test_a_source_reaches_what_its_list_allows_however_it_is_written(
    door: OpenDoor, to: str, status: int
) -> None:
    token = door.add("api", "tight", recipients=("+62812", "120363000000000001@g.us"))
    assert send(door, token, {"to": to, "text": "Halo"}).status == status


def test_one_recipient_too_many_lets_nobody_be_told(door: OpenDoor) -> None:
    token = door.add("api", "tight", recipients=("+62812",))
    assert send(door, token, {"to": ["+6281234567890", "+34612345678"], "text": "Halo"}).status == 403
    assert door.events.entries == []


@pytest.mark.parametrize(
    ("audiences", "person", "group"),
    [((), 202, 202), (("group",), 403, 202), (("customer",), 202, 403), (("technician",), 202, 403)],
)
def test_a_source_speaks_to_its_audiences(
    door: OpenDoor, audiences: tuple[str, ...], person: int, group: int
) -> None:
    token = door.add("api", "tight", audiences=audiences)
    assert send(door, token).status == person
    assert send(door, token, {"to": "120363000000000001@g.us", "text": "Halo"}).status == group


def test_a_source_for_technicians_sends_by_their_rules(door: OpenDoor) -> None:
    token = door.add("api", "tight", audiences=("technician",))
    assert send(door, token).status == 202
    assert send(door, token, {**HALLO, "audience": "customer"}).status == 403
    assert door.events.details[0]["audience"] == "technician"


def test_a_caller_may_say_whose_rules_hold(door: OpenDoor) -> None:
    send(door, None, {**HALLO, "audience": "technician"})
    send(door)
    assert [one.get("audience") for one in door.events.details] == ["technician", None]
    assert send(door, None, {**HALLO, "audience": "boss"}).status == 400


def test_a_source_uses_its_accounts_and_no_other(door: OpenDoor) -> None:
    token = door.add("api", "tight", accounts=("billing",))
    assert send(door, token, {**HALLO, "account": "default"}).status == 403
    assert send(door, token).status == 202
    assert door.events.details[0]["account"] == "billing"


def test_of_a_ticket_only_those_are_told_whom_the_source_reaches(door: OpenDoor) -> None:
    token = door.add("api", "tight", recipients=("+62812",), audiences=("customer", "technician"))
    told = {
        "event": "created",
        "ticket": {"id": "7", "revision": 1, "subject": "Mati"},
        "customer": {"phone": "0812 3456 7890"},
        "technicians": [{"phone": "+62 813 1111 2222"}, {"phone": "+62 812 1111 2222"}, {"name": "Ayu"}],
        "groups": ["120363000000000001@g.us"],
    }
    answer = door.ask("POST", "/v1/tickets", told, authorization=f"Bearer {token}")
    assert value_of(answer)["left_out"] == ["technicians[0]", "groups"]
    (detail,) = door.events.details
    assert [one.get("phone") for one in detail["technicians"]] == ["+62 812 1111 2222", None]
    assert "groups" not in detail


# -- paths and the bus -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/messages", "/hooks", "/hooks/a/b", "/message/sendText"])
def test_a_path_without_anything_is_404(door: OpenDoor, path: str) -> None:
    assert door.ask("POST", path, HALLO).status == 404


def test_another_method_is_405_for_who_has_the_key_and_401_for_others(door: OpenDoor) -> None:
    token = door.tokens["api"]
    assert door.ask("DELETE", "/v1/messages", authorization=f"Bearer {token}").status == 405
    assert door.ask("DELETE", "/v1/messages").status == 401


@pytest.mark.parametrize("path", ["/v1/messages/", "//v1/messages", "/api/v1/messages"])
def test_a_slash_or_the_name_of_the_dialect_leads_to_the_same_and_nobody_is_sent_elsewhere(
    door: OpenDoor, path: str
) -> None:
    answer = door.ask("POST", path, HALLO, authorization=f"Bearer {door.tokens['api']}")
    assert answer.status == 202


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_no_dialect_ever_answers_a_redirect(door: OpenDoor, kind: str) -> None:
    from tocsin.door.answer import Refused

    dialect = DIALECTS[kind]
    statuses = {
        dialect.refuse(Refused(status, "x", "y")).status
        for status in (400, 401, 403, 404, 405, 413, 422, 429, 503)
    }
    assert not [status for status in statuses if 300 <= status < 400]


@pytest.mark.parametrize("hook", ["api", "nobody", "A", "a" * 40, "..", "%2e%2e"])
def test_a_webhook_of_no_help_desk_is_a_stranger_s(door: OpenDoor, hook: str) -> None:
    assert door.ask("POST", f"/hooks/{hook}", {}).status == 401


def test_a_bus_that_refuses_half_is_asked_again_for_that_half(door: OpenDoor) -> None:
    token = door.add("fonnte", "many")
    door.events.refusals = [1]
    answer = door.ask(
        "POST",
        "/send",
        {"target": "6281234567890|A,6285611112222|B", "message": "Halo {name}"},
        authorization=token,
    )
    assert value_of(answer)["status"] is True
    assert sorted(one["text"] for one in door.events.details) == ["Halo A", "Halo B"]


def test_a_bus_that_goes_on_refusing_is_a_503_and_no_success(door: OpenDoor) -> None:
    door.events.refusals = [1, 1, 1]
    answer = send(door)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert door.events.entries == []
    assert send(door).status == 202


def test_a_bus_that_nobody_reaches_is_a_503(door: OpenDoor) -> None:
    door.events.down = True
    assert send(door).status == 503


def test_a_message_that_failed_is_not_remembered_as_told(door: OpenDoor) -> None:
    door.events.down = True
    assert send(door, idempotency_key="1").status == 503
    door.events.down = False
    assert send(door, idempotency_key="1").status == 202
    assert len(door.events.entries) == 1


def test_a_key_is_forgotten_after_a_while_and_the_planner_still_knows_it(door: OpenDoor) -> None:
    send(door, idempotency_key="1")
    door.now += REMEMBERED_MS + 1
    assert send(door, idempotency_key="1").status == 202
    first, second = door.events.details
    assert first["key"] == second["key"]


def test_an_event_that_the_bus_could_not_carry_is_refused_before_any_is_put(door: OpenDoor) -> None:
    content = "A" * (24 * 1024)
    files = [{"name": f"{n}.txt", "content": content * 10} for n in range(5)]
    assert send(door, None, {**HALLO, "files": files}).status == 413
    assert door.events.entries == []


def test_nothing_of_a_request_is_told_to_the_log_but_names(door: OpenDoor) -> None:
    door.ask("GET", f"/wa_url?number=6281234567890&text=rahasia&secret={door.add('phpnuxbill')}")
    told = repr(door.told)
    assert "rahasia" not in told
    assert "6281234567890" not in told
    assert door.tokens["phpnuxbill"] not in told


def test_an_event_says_which_source_brought_it(door: OpenDoor) -> None:
    assert send(door).status == 202
    assert [entry["Resources"] for entry in door.events.entries] == [["tocsin-source:api"]]
