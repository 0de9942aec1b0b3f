"""A help desk's webhook at the door: what it is answered, and what stands on the bus then."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.desks import NOW, SECRET, changed, recorded, signed
from tests.support.doors import FakeFacts
from tocsin.door.answer import Answer, Refused
from tocsin.door.desks.kind import Kind
from tocsin.door.dialect import Tell
from tocsin.door.hooks import Hooks
from tocsin.door.request import Request
from tocsin.door.sources import Source, hash_of
from tocsin.dynamo.writes import Key
from tocsin.notify.refused_events import RefusedEvent
from tocsin.tables.notifications import source_key


class Vault:
    """Opens what it was given for the very place. `opened`: how often."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]:
        assert (key, bound_to) in [
            (source_key("desk"), ("secret",)),
            (source_key("desk"), ("former_secret",)),
        ]
        assert isinstance(sealed, bytes)
        self.opened += 1
        return {"secret": sealed.decode()}


class Desk:
    """One source of a kind, and the hooks that hear it."""

    def __init__(self, kind: str, **changes: Any) -> None:
        self.kept: list[tuple[str, tuple[str, ...], str]] = []
        self.asked: list[list[str]] = []
        self.phones: dict[str, str] = {}
        self.vault = Vault()
        self.hooks = Hooks(self.vault, self._keep, self._ask)
        told = {"accounts": ("default",), "secret": SECRET.encode(), **changes}
        self.source = Source("desk", kind, **told)

    def _keep(self, body: str, violations: Sequence[str], refused_at: int, *, reason: str = "") -> None:
        assert refused_at == NOW * 1000
        self.kept.append((body, tuple(violations), reason))

    def _ask(self, source: Source, kind: Kind, ids: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(list(ids))
        return self.phones

    def post(
        self, body: bytes, headers: dict[str, str], query: str = "", method: str = "POST", now: int = NOW
    ) -> Tell | Answer:
        request = Request(method, "/hooks/desk", query, headers, body)
        return self.hooks(self.source, request, FakeFacts(now * 1000))

    def send(self, name: str, body: bytes | None = None, query: str | None = None) -> Tell | Answer:
        one = recorded()[name]
        raw = one.body if body is None else body
        headers = signed(self.source.kind, raw, one.headers)
        return self.post(raw, headers, one.query if query is None else query)


def told(result: Tell | Answer) -> tuple[str, Mapping[str, Any]]:
    assert isinstance(result, Tell)
    (entry,) = result.entries
    return entry.detail_type, entry.detail


@pytest.mark.parametrize(
    "kind", ["zammad", "glpi", "redmine", "freescout", "zendesk", "jira", "splynx", "generic"]
)
def test_a_signed_webhook_is_told_and_answered_200(kind: str) -> None:
    result = Desk(kind).send(f"{kind}-created")
    detail_type, detail = told(result)
    assert detail_type == "TicketCreated"
    assert detail["account"] == "default"
    assert isinstance(result, Tell)
    assert result.answer.status == 200
    assert json.loads(result.answer.body) == {"accepted": "TicketCreated"}


@pytest.mark.parametrize("kind", ["freshdesk", "znuny", "generic"])
def test_a_token_of_the_source_lets_in_where_the_help_desk_signs_nothing(kind: str) -> None:
    desk = Desk(kind, secret=b"", hash=hash_of("desk.token"))
    one = recorded()[f"{kind}-created"]
    assert told(desk.post(one.body, one.headers, "token=desk.token"))[0] == "TicketCreated"
    with pytest.raises(Refused) as caught:
        desk.post(one.body, one.headers, "token=desk.other")
    assert caught.value.status == 401


def test_the_secret_itself_lets_in_where_the_kind_takes_it_too() -> None:
    desk, one = Desk("redmine"), recorded()["redmine-created"]
    basic = base64.b64encode(f"any:{SECRET}".encode()).decode()
    assert told(desk.post(one.body, {**one.headers, "authorization": f"Basic {basic}"}))[0] == "TicketCreated"
    with pytest.raises(Refused):
        Desk("glpi").post(one.body, {**one.headers, "authorization": f"Basic {basic}"})


def test_whatever_is_wrong_with_a_signature_is_one_and_the_same_401() -> None:
    desk, one = Desk("zammad"), recorded()["zammad-created"]
    reasons = set()
    for headers in (one.headers, {**one.headers, "x-hub-signature": "sha1=" + "0" * 40}):
        with pytest.raises(Refused) as caught:
            desk.post(one.body, headers)
        reasons.add((caught.value.status, caught.value.code, caught.value.reason))
    assert len(reasons) == 1
    assert desk.kept == []


def test_the_former_secret_counts_for_a_while() -> None:
    desk = Desk("zammad", secret=b"new", former_secret=SECRET.encode(), former_until=(NOW + 10) * 1000)
    one = recorded()["zammad-created"]
    headers = signed("zammad", one.body, one.headers)
    assert told(desk.post(one.body, headers))[0] == "TicketCreated"
    with pytest.raises(Refused):
        desk.post(one.body, headers, now=NOW + 10)


def test_a_secret_is_opened_once() -> None:
    desk = Desk("zammad")
    for _ in range(3):
        desk.send("zammad-created")
    assert desk.vault.opened == 1


def test_glpis_challenge_is_answered_to_whoever_knows_the_secret() -> None:
    desk = Desk("glpi")
    token = hmac.new(SECRET.encode(), b"validate_cra_challenge", hashlib.sha256).hexdigest()
    answer = desk.post(b"", {}, f"crc_token={token}", method="GET")
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert answer.body == hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()


def test_a_challenge_without_the_secret_learns_nothing() -> None:
    with pytest.raises(Refused) as caught:
        Desk("glpi").post(b"", {}, "crc_token=" + "0" * 64, method="GET")
    assert (caught.value.status, caught.value.code) == (401, "unauthorised")


def test_a_get_without_a_challenge_is_a_401() -> None:
    with pytest.raises(Refused) as caught:
        Desk("glpi").post(b"", {}, "", method="GET")
    assert caught.value.status == 401


def test_splynxs_ping_is_answered_before_a_signature_is_asked_for() -> None:
    for body, content in (
        (b'{"type": "ping"}', "application/json"),
        (b"type=ping", "application/x-www-form-urlencoded"),
    ):
        answer = Desk("splynx").post(body, {"content-type": content})
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body) == (200, "ok")


def test_a_stranger_makes_nobody_read_a_long_body_for_a_ping() -> None:
    body = json.dumps({"type": "ping", "padding": "x" * 4096}).encode()
    with pytest.raises(Refused) as caught:
        Desk("splynx").post(body, {"content-type": "application/json"})
    assert caught.value.status == 401


def test_an_address_of_any_length_loses_that_person_and_not_the_ticket() -> None:
    long = "0812" + "x" * 300_000
    body = {
        "event": "created",
        "ticket": {"id": "7", "revision": 1, "subject": "Mati"},
        "customer": {"name": "Siti", "phone": long},
        "technicians": [{"id": "1", "name": "Budi", "phone": "081234567890"}],
        "groups": ["1" * 300_000, "120363000000000000@g.us"],
    }
    raw = json.dumps(body).encode()
    detail = told(Desk("generic").post(raw, signed("generic", raw, {"content-type": "application/json"})))[1]
    assert "phone" not in detail["customer"]
    assert detail["technicians"][0]["phone"] == "081234567890"
    assert detail["groups"] == ["120363000000000000@g.us"]


def test_an_internal_note_is_answered_200_and_told_to_nobody() -> None:
    answer = Desk("zammad").send("zammad-note")
    assert isinstance(answer, Answer)
    assert answer.status == 200


def test_what_cannot_be_told_is_kept_with_every_violation_and_answered_200() -> None:
    desk = Desk("zammad")
    result = desk.send(
        "zammad-created", changed(recorded()["zammad-created"], ticket__number=None, ticket__id=None)
    )
    assert isinstance(result, Tell)
    assert (result.entries, result.answer.status, result.refused) == ((), 200, "webhook-refused")
    ((body, violations, reason),) = desk.kept
    assert (violations, reason) == (("detail.ticket.id: is missing",), "webhook-refused")
    assert SECRET not in body


def test_what_is_kept_reads_as_a_refused_event() -> None:
    desk = Desk("zammad")
    desk.send("zammad-created", query="event=exploded")
    ((body, violations, reason),) = desk.kept
    letter = {"event": body, "violations": violations, "reason": reason, "refused_at": "2026-12-01T02:00:00Z"}
    event = RefusedEvent.parse({"MessageId": "m", "Body": json.dumps(letter)})
    assert (event.reason, event.detail_type) == ("webhook-refused", "WebhookRefused")
    assert event.violations[0].startswith("query.event: is none of created")


def test_people_whom_the_source_may_not_reach_are_left_out() -> None:
    _, detail = told(Desk("zammad", recipients=("+62",)).send("zammad-assigned"))
    assert "customer" not in detail
    assert [one["phone"] for one in detail["technicians"]] == ["+62 813 1111 2222"]


def test_phones_are_asked_for_in_one_go() -> None:
    desk = Desk("glpi", client=b"sealed")
    desk.phones = {"12": "0812-3456-7890", "7": "+62 813 1111 2222"}
    _, detail = told(desk.send("glpi-assigned"))
    assert desk.asked == [["12", "7"]]
    assert detail["customer"]["phone"] == "0812-3456-7890"
    assert [one["phone"] for one in detail["technicians"]] == ["+62 813 1111 2222"]


def test_a_help_desk_that_tells_phones_is_asked_for_none() -> None:
    desk = Desk("zammad")
    desk.send("zammad-created")
    assert desk.asked == []


def test_phones_that_were_looked_up_are_bound_by_what_the_source_may_reach() -> None:
    desk = Desk("glpi", client=b"sealed", recipients=("+1",))
    desk.phones = {"12": "0812-3456-7890"}
    _, detail = told(desk.send("glpi-created"))
    assert "customer" not in detail


def test_a_method_that_no_help_desk_uses_is_refused() -> None:
    one = recorded()["zammad-created"]
    with pytest.raises(Refused) as caught:
        Desk("zammad").post(one.body, signed("zammad", one.body, one.headers), method="DELETE")
    assert caught.value.status == 405


def test_a_damaged_record_is_a_503() -> None:
    with pytest.raises(Refused) as caught:
        Desk("zammad", mapping="{}").send("zammad-created")
    assert caught.value.status == 503


def test_the_same_delivery_twice_is_one_event_to_the_planner() -> None:
    desk = Desk("zammad")
    assert told(desk.send("zammad-created")) == told(desk.send("zammad-created"))


def test_an_operators_own_kind(recwarn: pytest.WarningsRecorder) -> None:
    mapping = json.dumps(
        {
            "extends": "zammad",
            "signature": [{"header": "x-my-signature"}],
            "customer": {"phone": "note"},
        }
    )
    desk, one = Desk("own", mapping=mapping), recorded()["zammad-created"]
    body = changed(one, ticket__customer__note="+62 812 0000 1111")
    headers = {**one.headers, "x-my-signature": hmac.new(SECRET.encode(), body, "sha256").hexdigest()}
    _, detail = told(desk.post(body, headers))
    assert detail["customer"]["phone"] == "+62 812 0000 1111"
    assert detail["customer"]["name"] == "Siti Rahma"
