"""Each dialect answered exactly as its callers need it (shared facts of who takes what for a success)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.doors import OpenDoor, value_of
from tocsin.accounts.state import AccountState
from tocsin.door.dialects import evolution, waha

PDF = base64.b64encode(b"%PDF-1.4").decode()
STATES = list(AccountState)


@pytest.fixture
def door() -> OpenDoor:
    made = OpenDoor()
    for kind in ("evolution", "waha", "gowa", "fonnte", "phpnuxbill"):
        made.add(kind)
    return made


def only(door: OpenDoor) -> dict[str, Any]:
    (detail,) = door.events.details
    return detail


# -- Evolution API v2 --------------------------------------------------------------------------------------


def evo(door: OpenDoor, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return door.ask(method, path, body, apikey=door.tokens["evolution"], **headers)


def test_evolution_answers_a_text_with_201_and_a_pending_message(door: OpenDoor) -> None:
    answer = evo(door, "POST", "/message/sendText/billing", {"number": "6281234567890", "text": "*Halo*\nya"})
    told = value_of(answer)
    assert answer.status == 201
    assert told["key"] == {
        "remoteJid": "6281234567890@s.whatsapp.net",
        "fromMe": True,
        "id": only(door)["key"],
    }
    assert (told["status"], told["messageType"]) == ("PENDING", "conversation")
    assert told["messageTimestamp"] == door.now // 1000
    assert (only(door)["account"], only(door)["text"]) == ("billing", "*Halo*\nya")


@pytest.mark.parametrize("instance", ["evolution", "default"])
def test_evolution_takes_the_name_of_the_source_for_its_first_account(door: OpenDoor, instance: str) -> None:
    evo(door, "POST", f"/message/sendText/{instance}", {"number": "62812", "text": "a"})
    assert only(door)["account"] == "default"


@pytest.mark.parametrize(
    ("media", "told"),
    [
        (PDF, {"content": PDF}),
        (f"data:application/pdf;base64,{PDF}", {"content": PDF}),
        (
            "https://files.example.com/a/invoice.pdf?x=1",
            {"url": "https://files.example.com/a/invoice.pdf?x=1"},
        ),
    ],
)
def test_evolution_takes_a_file_as_url_base64_or_data_url(
    door: OpenDoor, media: str, told: dict[str, str]
) -> None:
    body = {
        "number": "6281234567890",
        "mediatype": "document",
        "media": media,
        "fileName": "a.pdf",
        "caption": "",
    }
    assert evo(door, "POST", "/message/sendMedia/default", body).status == 201
    assert only(door)["files"][0].items() >= {"name": "a.pdf", **told}.items()


@pytest.mark.parametrize(
    "changes",
    [
        {"fileName": ""},
        {"media": ""},
        {"media": "no base64!"},
        {"mediatype": "sticker"},
        {"number": ""},
        {"media": ["a"]},
    ],
)
def test_evolution_says_of_a_bad_request_what_is_wrong_in_a_list_within_a_list(
    door: OpenDoor, changes: dict[str, Any]
) -> None:
    body = {"number": "6281234567890", "mediatype": "document", "media": PDF, "fileName": "a.pdf", **changes}
    answer = evo(door, "POST", "/message/sendMedia/default", body)
    told = value_of(answer)
    assert (answer.status, told["status"], told["error"]) == (400, 400, "Bad Request")
    assert isinstance(told["response"]["message"], list)
    assert door.events.entries == []


def test_evolution_says_of_a_number_that_is_none_that_it_does_not_exist(door: OpenDoor) -> None:
    answer = evo(door, "POST", "/message/sendText/default", {"number": "Siti", "text": "a"})
    assert value_of(answer)["response"]["message"] == [{"jid": "", "exists": False, "number": "Siti"}]


def test_evolution_says_unauthorized_as_a_text(door: OpenDoor) -> None:
    answer = door.ask("POST", "/message/sendText/default", {"number": "62812", "text": "a"}, apikey="no.no")
    assert value_of(answer) == {
        "status": 401,
        "error": "Unauthorized",
        "response": {"message": "Unauthorized"},
    }


def test_evolution_says_404_of_an_instance_to_who_has_a_key(door: OpenDoor) -> None:
    answer = evo(door, "POST", "/message/sendText/nowhere", {"number": "62812", "text": "a"})
    assert answer.status == 404
    assert value_of(answer)["response"]["message"] == ['The "nowhere" instance does not exist']


@pytest.mark.parametrize("state", STATES)
def test_evolution_s_states_are_the_true_ones(door: OpenDoor, state: AccountState) -> None:
    door.facts.known["default"] = state
    told = value_of(evo(door, "GET", "/instance/connectionState/default"))
    assert told == {"instance": {"instanceName": "default", "state": evolution.state_word(state)}}
    listed = {
        one["name"]: one["connectionStatus"] for one in value_of(evo(door, "GET", "/instance/fetchInstances"))
    }
    assert listed == {"default": evolution.state_word(state), "billing": "open"}


def test_evolution_calls_open_only_what_is_logged_in() -> None:
    words = {state: evolution.state_word(state) for state in STATES}
    assert [state for state in STATES if words[state] == "open"] == ["resuming", "connected", "restricted"]
    assert {words[AccountState.PAIRING], words[AccountState.CONNECTING]} == {"connecting"}


def test_evolution_is_told_of_numbers_whether_they_can_exist(door: OpenDoor) -> None:
    numbers = ["6281234567890", "0812 3456 7890", "123", "Siti"]
    told = value_of(evo(door, "POST", "/chat/whatsappNumbers/default", {"numbers": numbers}))
    assert [one["exists"] for one in told] == [True, True, False, False]
    assert told[1]["jid"] == "6281234567890@s.whatsapp.net"


# -- WAHA --------------------------------------------------------------------------------------------------


def test_waha_answers_201_with_a_message(door: OpenDoor) -> None:
    body = {"session": "default", "chatId": "6281234567890@c.us", "text": "Halo"}
    answer = door.ask("POST", "/api/sendText", body, x_api_key=door.tokens["waha"])
    told = value_of(answer)
    assert (answer.status, told["to"], told["fromMe"]) == (201, "6281234567890@c.us", True)
    assert only(door)["recipients"] == [{"phone": "+6281234567890"}]


@pytest.mark.parametrize(
    ("session", "account"), [("", "default"), ("waha", "default"), ("billing", "billing")]
)
def test_a_session_of_waha_is_an_account(door: OpenDoor, session: str, account: str) -> None:
    body = {"session": session, "chatId": "120363000000000000@g.us", "text": "Halo"}
    assert door.ask("POST", "/api/sendText", body, x_api_key=door.tokens["waha"]).status == 201
    assert only(door)["account"] == account


def test_the_default_session_is_the_first_account_whatever_that_is_called(door: OpenDoor) -> None:
    token = door.add("waha", "other", accounts=("billing",))
    body = {"session": "default", "chatId": "62812", "text": "Halo"}
    assert door.ask("POST", "/api/sendText", body, x_api_key=token).status == 201
    assert only(door)["account"] == "billing"


@pytest.mark.parametrize("call", ["sendImage", "sendFile"])
@pytest.mark.parametrize("place", [{"data": PDF}, {"url": "https://files.example.com/a.pdf"}])
def test_waha_takes_a_file(door: OpenDoor, call: str, place: dict[str, str]) -> None:
    file = {"mimetype": "application/pdf", "filename": "a.pdf", **place}
    body = {"chatId": "62812", "file": file, "caption": "Tagihan"}
    assert door.ask("POST", f"/api/{call}", body, x_api_key=door.tokens["waha"]).status == 201
    assert only(door)["files"][0]["name"] == "a.pdf"


def test_waha_s_old_get_still_sends(door: OpenDoor) -> None:
    path = (
        f"/api/sendText?phone=6281234567890&text=satu%2Cdua&session=default&x-api-key={door.tokens['waha']}"
    )
    assert door.ask("GET", path).status == 201
    assert only(door)["text"] == "satu,dua"


def test_waha_says_unauthorized_as_its_documentation_has_it(door: OpenDoor) -> None:
    answer = door.ask("POST", "/api/sendText", {"chatId": "62812", "text": "a"})
    assert value_of(answer) == {"message": "Unauthorized", "statusCode": 401}


def test_waha_says_404_of_a_session(door: OpenDoor) -> None:
    answer = door.ask("GET", "/api/sessions/nowhere", x_api_key=door.tokens["waha"])
    assert (answer.status, value_of(answer)["statusCode"]) == (404, 404)


@pytest.mark.parametrize("state", STATES)
def test_waha_s_sessions_are_in_their_true_state(door: OpenDoor, state: AccountState) -> None:
    door.facts.known["default"] = state
    told = value_of(door.ask("GET", "/api/sessions/default", x_api_key=door.tokens["waha"]))
    assert told["status"] == waha.status_of(state)
    assert (told["me"] is not None) is (told["status"] == "WORKING")
    listed = value_of(door.ask("GET", "/api/sessions", x_api_key=door.tokens["waha"]))
    assert [one["name"] for one in listed] == ["default", "billing"]


# -- go-whatsapp-web-multidevice ---------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def gowa(door: OpenDoor, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return door.ask(method, path, body, authorization=basic("gowa", door.tokens["gowa"]), **headers)


def test_gowa_answers_200_with_success(door: OpenDoor) -> None:
    answer = gowa(door, "POST", "/send/message", {"phone": "6281234567890@s.whatsapp.net", "message": "Halo"})
    told = value_of(answer)
    assert (answer.status, told["code"], told["results"]["message_id"]) == (200, "SUCCESS", only(door)["key"])


def test_gowa_takes_the_key_behind_its_dot_as_the_password(door: OpenDoor) -> None:
    secret = door.tokens["gowa"].partition(".")[2]
    answer = door.ask("GET", "/app/status", authorization=basic("gowa", secret))
    assert answer.status == 200


@pytest.mark.parametrize(
    ("phone", "recipient"),
    [
        ("+6281234567890", {"phone": "+6281234567890"}),
        ("120363000000000000", {"group": "120363000000000000@g.us"}),
        ("1203630000000000", {"group": "1203630000000000@g.us"}),
    ],
)
def test_gowa_takes_more_than_fifteen_digits_for_a_group(
    door: OpenDoor, phone: str, recipient: dict[str, str]
) -> None:
    assert gowa(door, "POST", "/send/message", {"phone": phone, "message": "a"}).status == 200
    assert only(door)["recipients"] == [recipient]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"phone": "081234567890", "message": "a"}, 400, "VALIDATION_ERROR"),
        ({"phone": "", "message": "a"}, 400, "INVALID_JID"),
        ({"phone": "6281234567890", "message": ""}, 400, "VALIDATION_ERROR"),
        ({"phone": "a@newsletter", "message": "a"}, 400, "INVALID_JID"),
    ],
)
def test_gowa_names_its_errors_as_its_program_does(
    door: OpenDoor, body: dict[str, str], status: int, code: str
) -> None:
    answer = gowa(door, "POST", "/send/message", body)
    assert (answer.status, value_of(answer)["code"]) == (status, code)


def test_a_device_of_gowa_is_an_account_and_may_be_percent_encoded(door: OpenDoor) -> None:
    body = {"phone": "6281234567890", "message": "a"}
    assert gowa(door, "POST", "/send/message", body, x_device_id="b%69lling").status == 200
    assert only(door)["account"] == "billing"
    answer = gowa(door, "POST", "/send/message?device_id=nowhere", body)
    assert (answer.status, value_of(answer)["code"]) == (404, "DEVICE_NOT_FOUND")


def test_gowa_is_asked_for_its_password(door: OpenDoor) -> None:
    answer = door.ask("GET", "/app/status")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert (answer.status, value_of(answer)["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("state", "connected", "logged_in"),
    [
        ("connected", True, True),
        ("connecting", False, True),
        ("logged_out", False, False),
        ("stopped", False, False),
    ],
)
def test_gowa_s_status_is_the_true_one(door: OpenDoor, state: str, connected: bool, logged_in: bool) -> None:
    door.facts.known["default"] = AccountState(state)
    told = value_of(gowa(door, "GET", "/app/status"))["results"]
    assert (told["is_connected"], told["is_logged_in"]) == (connected, logged_in)


# -- Fonnte ------------------------------------------------------------------------------------------------


def fonnte(door: OpenDoor, body: Any, **headers: str) -> Any:
    return door.ask("POST", "/send", body, **{"authorization": door.tokens["fonnte"], **headers})


def test_fonnte_answers_200_with_ids_and_targets(door: OpenDoor) -> None:
    told = value_of(fonnte(door, {"target": "081234567890,+34612345678", "message": "Halo"}))
    assert (told["status"], told["process"], told["target"]) == (
        True,
        "pending",
        ["6281234567890", "34612345678"],
    )
    assert len(told["id"]) == 2
    assert only(door)["recipients"] == [{"phone": "+6281234567890"}, {"phone": "+34612345678"}]


def test_fonnte_s_targets_bring_their_own_words(door: OpenDoor) -> None:
    body = {"target": "0812345678|Siti|INV-7,0812345679|Budi|INV-8", "message": "{name}: {var1}, {var2}"}
    fonnte(door, body)
    assert [one["text"] for one in door.events.details] == ["Siti: INV-7, {var2}", "Budi: INV-8, {var2}"]


@pytest.mark.parametrize(
    ("code", "phone"), [("62", "+6281234567890"), ("34", "+3481234567890"), ("0", "081234567890")]
)
def test_fonnte_s_country_code_takes_the_place_of_the_zero(door: OpenDoor, code: str, phone: str) -> None:
    fonnte(door, {"target": "081234567890", "message": "a", "countryCode": code})
    assert only(door)["recipients"] == [{"phone": phone}]


def test_fonnte_s_words_in_the_text_grow_into_no_flood(door: OpenDoor) -> None:
    body = {"target": f"0812345678|{'x' * 10_000}", "message": "{name}" * 3000}
    told = value_of(fonnte(door, body))
    assert (told["status"], told["reason"]) == (False, "message: is longer than 20000 characters")
    assert door.events.entries == []


def test_fonnte_s_get_sends(door: OpenDoor) -> None:
    path = f"/send?token={door.tokens['fonnte']}&target=6281234567890&message=a%2Cb"
    assert value_of(door.ask("GET", path))["status"] is True
    assert only(door)["text"] == "a,b"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"target": "", "message": "a"},
        {"target": "x", "message": "a"},
        {"target": "62812", "message": ""},
        {"target": "62812", "message": "a", "schedule": 1796000000},
    ],
)
def test_fonnte_says_no_with_200_and_a_reason(door: OpenDoor, body: dict[str, Any]) -> None:
    answer = fonnte(door, body)
    assert (answer.status, value_of(answer)["status"]) == (200, False)
    assert value_of(answer)["reason"]
    assert door.events.entries == []


def test_fonnte_says_token_invalid(door: OpenDoor) -> None:
    answer = fonnte(door, {"target": "62812", "message": "a"}, authorization="no.no")
    assert (answer.status, value_of(answer)) == (200, {"status": False, "reason": "token invalid"})


def test_fonnte_is_told_by_the_status_what_is_worth_another_try(door: OpenDoor) -> None:
    door.events.down = True
    assert fonnte(door, {"target": "6281234567890", "message": "a"}).status == 503


# -- PHPNuxBill --------------------------------------------------------------------------------------------


def test_phpnuxbill_gets_a_body_that_is_neither_empty_nor_zero(door: OpenDoor) -> None:
    query = f"number=6281234567890&text=Kode+117733%0ABerlaku+5%2B&secret={door.tokens['phpnuxbill']}"
    answer = door.ask("GET", f"/wa_url?{query}")
    assert answer.status == 200
    assert answer.body not in ("", "0")


def test_phpnuxbill_s_texts_are_sensitive_unless_the_source_says_otherwise(door: OpenDoor) -> None:
    query = "number=6281234567890&text=Kode+117733&secret="
    door.ask("GET", f"/wa_url?{query}{door.tokens['phpnuxbill']}")
    door.ask("GET", f"/wa_url?{query}{door.add('phpnuxbill', 'plain', options={'sensitive': 'off'})}")
    hidden, plain = door.events.details
    assert (hidden["sensitive"], "text" in hidden) == (True, False)
    assert plain["text"] == "Kode 117733"


@pytest.mark.parametrize("query", ["", "number=62812&text=a", "number=62812&text=a&secret=no.no"])
def test_phpnuxbill_is_refused_with_an_empty_body_which_it_takes_for_a_failure(
    door: OpenDoor, query: str
) -> None:
    answer = door.ask("GET", f"/wa_url?{query}")
    assert (answer.status, answer.body) == (401, "")


@pytest.mark.parametrize("query", ["number=Siti&text=a", "number=62812&text=", "text=a"])
def test_phpnuxbill_s_bad_requests_have_an_empty_body_and_say_why_in_a_header(
    door: OpenDoor, query: str
) -> None:
    answer = door.ask("GET", f"/wa_url?{query}&secret={door.tokens['phpnuxbill']}")
    assert (answer.status, answer.body) == (400, "")
    assert answer.headers["x-tocsin-refused"].startswith("invalid")


# -- all of them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["evolution", "waha", "gowa", "fonnte"])
def test_the_header_idempotency_key_counts_everywhere(door: OpenDoor, kind: str) -> None:
    calls = {
        "evolution": ("/message/sendText/default", {"number": "62812345678", "text": "a"}),
        "waha": ("/api/sendText", {"chatId": "62812345678", "text": "a"}),
        "gowa": ("/send/message", {"phone": "62812345678", "message": "a"}),
        "fonnte": ("/send", {"target": "62812345678", "message": "a"}),
    }
    token = door.tokens[kind]
    keys = {
        "evolution": {"apikey": token},
        "waha": {"x_api_key": token},
        "gowa": {"authorization": basic("gowa", token)},
        "fonnte": {"authorization": token},
    }
    path, body = calls[kind]
    answers = [door.ask("POST", path, body, idempotency_key="7", **keys[kind]) for _ in range(2)]
    assert len({answer.status for answer in answers}) == 1
    assert len(door.events.entries) == 1


def test_no_answer_repeats_a_text_or_a_key(door: OpenDoor) -> None:
    token = door.tokens["evolution"]
    for body in ({"number": "62812345678", "text": "rahasia"}, {"number": "x", "text": "rahasia"}):
        answer = evo(door, "POST", "/message/sendText/default", body)
        assert "rahasia" not in answer.body + json.dumps(dict(answer.headers))
        assert token not in answer.body
