"""The second request for phones: what the help desk is asked, what comes of its answers, and how long it may
take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from tocsin.door.desks.kind import Kind, built_in
from tocsin.door.desks.phones import (
    CLIENT,
    REQUEST_SECONDS,
    TOTAL_SECONDS,
    AskedPhones,
    client_findings,
)
from tocsin.door.sources import Source
from tocsin.dynamo.writes import Key
from tocsin.guarded_http import Answer, Unreachable, UrlRefused
from tocsin.notify.store.texts import TextWithheld
from tocsin.tables.notifications import source_key

GLPI = {"url": "https://glpi.example.com/", "id": "tocsin", "secret": "s3cret"}


class HelpDesk:
    """Answers by path. `asked`: method, URL, headers and body of each request; `takes`: seconds of each."""

    def __init__(self, answers: Mapping[str, Any], client: Mapping[str, str], takes: float = 0.0) -> None:
        self.answers = answers
        self.client = dict(client)
        self.takes = takes
        self.now = 1000.0
        self.asked: list[tuple[str, str, Mapping[str, str], bytes | None]] = []
        self.phones = AskedPhones(self, ask=self._ask, clock=lambda: self.now)

    def open(self, sealed: object, key: Key, *bound_to: str) -> dict[str, Any]:
        assert (sealed, key, bound_to) == (b"sealed", source_key("desk"), (CLIENT,))
        return self.client

    def _ask(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        max_bytes: int,
        policy: object,
    ) -> Answer:
        self.asked.append((method, url, headers, body))
        assert 0 < seconds <= REQUEST_SECONDS
        self.now += min(self.takes, seconds)
        if self.takes > seconds:
            raise Unreachable("timeout")
        answer = self.answers.get(url.removeprefix(str(self.client["url"]).rstrip("/")), 404)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return Answer(answer, {}, b"")
        return Answer(200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def asked(desk: HelpDesk, *ids: str, kind: str = "glpi", **changes: Any) -> Mapping[str, str]:
    source = Source("desk", kind, ("default",), **{"client": b"sealed", **changes})
    return desk.phones(source, built_in(kind), ids)


TOKEN = {"access_token": "abc", "expires_in": 3600}
USER = "/api.php/v2/Administration/User/"


def test_glpi_is_asked_with_a_token_of_its_client() -> None:
    desk = HelpDesk(
        {"/api.php/token": TOKEN, f"{USER}7": {"mobile": "+62 813 1111 2222", "phone": "1"}}, GLPI
    )
    assert asked(desk, "7") == {"7": "+62 813 1111 2222"}
    (_, _, _, form), (method, url, headers, _) = desk.asked
    assert parse_qs((form or b"").decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["tocsin"],
        "client_secret": ["s3cret"],
        "scope": ["api"],
    }
    assert (method, url) == ("GET", f"https://glpi.example.com{USER}7")
    assert headers["Authorization"] == "Bearer abc"


def test_a_user_of_the_client_asks_by_password() -> None:
    desk = HelpDesk(
        {"/api.php/token": TOKEN, f"{USER}7": {"phone": "1"}}, {**GLPI, "user": "bot", "password": "p"}
    )
    asked(desk, "7")
    form = parse_qs((desk.asked[0][3] or b"").decode())
    assert (form["grant_type"], form["username"], form["password"]) == (["password"], ["bot"], ["p"])


def test_a_telephone_where_there_is_no_mobile() -> None:
    desk = HelpDesk(
        {"/api.php/token": TOKEN, f"{USER}7": {"mobile": "", "phone": None, "phone2": 6281}}, GLPI
    )
    assert asked(desk, "7") == {"7": "6281"}


def test_freescout_is_asked_with_its_key() -> None:
    customer = {"id": 30, "_embedded": {"phones": [{"value": "0812", "type": "mobile"}]}}
    desk = HelpDesk({"/api/customers/30": customer}, {"url": "https://help.example.com", "key": "k"})
    assert asked(desk, "30", kind="freescout") == {"30": "0812"}
    assert desk.asked[0][2]["x-freescout-api-key"] == "k"


def test_splynx_is_asked_with_basic() -> None:
    path = "/api/2.0/admin/customers/customer/55"
    desk = HelpDesk({path: {"phone": "0812"}}, {"url": "https://isp.example.com", "id": "key", "secret": "s"})
    assert asked(desk, "55", kind="splynx") == {"55": "0812"}
    assert desk.asked[0][2]["Authorization"] == "Basic a2V5OnM="


def test_tokens_and_phones_are_remembered_for_a_while() -> None:
    desk = HelpDesk({"/api.php/token": TOKEN, f"{USER}7": {"mobile": "1"}, f"{USER}8": {"mobile": "2"}}, GLPI)
    asked(desk, "7"), asked(desk, "7"), asked(desk, "8")
    assert len(desk.asked) == 3
    desk.now += 61
    asked(desk, "7")
    assert len(desk.asked) == 4
    desk.now += 301
    asked(desk, "7")
    assert [url for _, url, _, _ in desk.asked].count("https://glpi.example.com/api.php/token") == 2


def test_one_who_is_not_found_costs_the_others_nothing() -> None:
    desk = HelpDesk({"/api.php/token": TOKEN, f"{USER}8": {"mobile": "2"}}, GLPI)
    assert asked(desk, "7", "8") == {"8": "2"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{",
        b'{"access_token": 7}',
        b'{"access_token": "a\\nb"}',
        500,
        302,
        UrlRefused("x"),
        Unreachable("tls"),
    ],
)
def test_without_a_token_nobody_is_asked_for(answer: Any) -> None:
    desk = HelpDesk({"/api.php/token": answer, f"{USER}7": {"mobile": "1"}}, GLPI)
    assert asked(desk, "7", "8") == {}
    assert len(desk.asked) == 1


def test_a_token_of_any_life_is_a_token() -> None:
    for seconds in (10**400, -(10**400), None, True, "3600"):
        desk = HelpDesk(
            {"/api.php/token": {**TOKEN, "expires_in": seconds}, f"{USER}7": {"mobile": "1"}}, GLPI
        )
        assert asked(desk, "7") == {"7": "1"}


def test_a_client_that_cannot_be_opened_costs_the_phones_and_not_the_ticket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def withheld(*_: object) -> dict[str, Any]:
        raise TextWithheld("damaged")

    monkeypatch.setattr(HelpDesk, "open", withheld)
    assert asked(HelpDesk({"/api.php/token": TOKEN}, GLPI), "7") == {}


@pytest.mark.parametrize("answer", [b"", b"[]", b"\xff", b"[" * 100_000, {"mobile": ["1"]}, {}, 401, 302])
def test_an_odd_answer_is_no_phone(answer: Any) -> None:
    desk = HelpDesk({"/api.php/token": TOKEN, f"{USER}7": answer}, GLPI)
    assert asked(desk, "7") == {}


def test_all_of_it_is_bound_however_many_are_asked_for_and_however_slow() -> None:
    desk = HelpDesk(
        {"/api.php/token": TOKEN, **{f"{USER}{n}": {"mobile": "1"} for n in range(50)}}, GLPI, takes=0.4
    )
    before = desk.now
    asked(desk, *map(str, range(50)))
    assert desk.now - before <= TOTAL_SECONDS
    slow = HelpDesk({"/api.php/token": TOKEN}, GLPI, takes=60)
    before = slow.now
    assert asked(slow, "7", "8") == {}
    assert slow.now - before <= REQUEST_SECONDS


@pytest.mark.parametrize(
    "identity", ["", "..", "../../etc", "7/../8", "7?x=1", "x" * 65, "7\r\nHost: a", "é"]
)
def test_an_id_that_could_lead_elsewhere_is_not_asked_for(identity: str) -> None:
    desk = HelpDesk({"/api.php/token": TOKEN}, GLPI)
    assert asked(desk, identity) == {}
    assert all("token" in url for _, url, _, _ in desk.asked)


def test_without_a_client_nobody_is_asked() -> None:
    desk = HelpDesk({}, GLPI)
    assert asked(desk, "7", client=b"") == {}
    assert desk.asked == []


@pytest.mark.parametrize(
    ("kind", "told", "finding"),
    [
        ("glpi", {"url": "https://x.example"}, "client.id: is missing"),
        ("glpi", {**GLPI, "url": "http://x.example"}, "client.url: must begin with https://"),
        ("glpi", {**GLPI, "token": "x"}, "client: has no token"),
        ("glpi", [], "client: is not a JSON object"),
        ("glpi", {**GLPI, "secret": 7}, "client: is not a JSON object of texts"),
        ("freescout", {"url": "https://x.example"}, "client.key: is missing"),
        ("zammad", GLPI, "client: help desks of this kind aren't asked"),
    ],
)
def test_the_file_of_a_client_is_checked(kind: str, told: Any, finding: str) -> None:
    made: Kind = built_in(kind)
    assert any(one.startswith(finding) for one in client_findings(told, made.lookup))


def test_the_file_of_a_client_that_can_be_used() -> None:
    assert client_findings(GLPI, built_in("glpi").lookup) == []
