"""What the endpoint may ask of an account in each of its states."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tocsin.accounts.lease import LeaseLost
from tocsin.accounts.limits import Limit
from tocsin.accounts.state import AccountState
from tocsin.connector.gateway.endpoint import Handling, Refusal
from tocsin.connector.gateway.holds import Holds, unheld
from tocsin.connector.gateway.status import AccountGateway, AccountStatus
from tocsin.connector.socket import LineClosed, LineLost
from tocsin.connector_client import protocol
from tocsin.pace.ledger import Ledger
from tocsin.settings.reader import unchanged_settings
from tocsin.signal.curve import key_pair
from tocsin.signal.wire import MAC_LENGTH, encode_signal_message
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node

IQ = Node("iq", {"type": "get"})
RATCHET = key_pair(bytes(32)).public
MESSAGE = Node("message", {"id": "M"}, b"x")
RECEIPT = Node("receipt", {"id": "M"})
ACK = Node("ack", {"class": "message", "id": "M"})


@dataclass
class Line:
    """Answers with `answer`, or raises it."""

    answer: Node | Exception = ACK
    written: list[Node] = field(default_factory=list)

    async def request(self, node: Node, seconds: float = 60) -> Node:
        self.written.append(node)
        return self._answer()

    async def message(self, node: Node, seconds: float = 75) -> Node:
        self.written.append(node)
        return self._answer()

    def write(self, node: Node) -> None:
        self._answer()
        self.written.append(node)

    def _answer(self) -> Node:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@dataclass
class Lease:
    """Remembers what is written into it. `lost`: another connector has the account."""

    lost: bool = False
    written: list[tuple[str, str]] = field(default_factory=list)

    def valid(self) -> bool:
        return not self.lost

    async def set_state(self, state: AccountState, detail: str = "") -> None:
        if self.lost:
            raise LeaseLost("default")
        self.written.append((state, detail))


def status(line: Any = None, **facts: Any) -> AccountStatus:
    values = {"token": "t", "incarnation": 3, "state": "connected", "ready": True, "lease": Lease()}
    return AccountStatus("default", line=line, **(values | facts))


async def ask(account: AccountStatus, what: str, *, incarnation: int = 3, **how: Any) -> Any:
    desk = AccountGateway({"default": account})
    match what:
        case "iq":
            return await desk.request("default", incarnation, IQ, 5)
        case "message":
            return await desk.message("default", incarnation, MESSAGE, encode(MESSAGE), Handling(**how))
        case "stanza":
            return await desk.stanza("default", incarnation, RECEIPT)
        case _:
            return await desk.resumed("default", incarnation)


async def refusal(account: AccountStatus, what: str, **how: Any) -> str:
    with pytest.raises(Refusal) as raised:
        await ask(account, what, **how)
    return raised.value.code


EVERYTHING = pytest.mark.parametrize("what", ["iq", "message", "stanza"])


@EVERYTHING
async def test_connected_it_serves(what: str) -> None:
    line = Line()
    await ask(status(line), what)
    assert len(line.written) == 1


@EVERYTHING
async def test_without_the_lease_nothing_is_written(what: str) -> None:
    line = Line()
    assert await refusal(status(line, lease=Lease(lost=True)), what) == "lease"
    assert line.written == []


@EVERYTHING
@pytest.mark.parametrize("incarnation", [2, 4])
async def test_state_of_another_pairing_never_reaches_the_wire(what: str, incarnation: int) -> None:
    line = Line()
    assert await refusal(status(line), what, incarnation=incarnation) == "incarnation"
    assert line.written == []


@EVERYTHING
@pytest.mark.parametrize("state", ["unpaired", "pairing", "connecting", "logged_out", "replaced", "stopped"])
async def test_without_a_line_it_says_in_which_state_it_is(what: str, state: str) -> None:
    with pytest.raises(Refusal) as raised:
        await ask(status(state=state), what)
    assert (raised.value.code, raised.value.fields["state"]) == ("not-connected", state)


@EVERYTHING
async def test_kept_away_by_the_server_it_says_until_when(what: str) -> None:
    with pytest.raises(Refusal) as raised:
        await ask(status(state="restricted", until=1.5e9), what)
    assert (raised.value.code, raised.value.fields["until"]) == ("restricted", 1.5e9)


@EVERYTHING
async def test_restricted_to_known_contacts_it_serves_all_the_same(what: str) -> None:
    await ask(status(Line(), state="restricted", until=1.5e9), what)


async def test_before_the_backlog_has_come_messages_wait_and_all_else_passes() -> None:
    account = status(Line(), state="resuming", ready=False)
    assert await refusal(account, "message") == "resuming"
    assert await refusal(account, "message", resumed=True) == "resuming"
    await ask(account, "iq")
    await ask(account, "stanza")


async def test_while_resuming_only_parked_messages_pass() -> None:
    account = status(Line(), state="resuming")
    assert await refusal(account, "message") == "resuming"
    assert await ask(account, "message", resumed=True) == ACK


async def test_the_end_of_the_resume_is_passed_on() -> None:
    ended = asyncio.Event()
    await ask(status(Line(), state="resuming", on_resumed=ended.set), "resumed")
    assert ended.is_set()


@pytest.mark.parametrize(("what", "code"), [("iq", "request-timeout"), ("message", "ack-timeout")])
async def test_silence_is_named_for_what_was_awaited(what: str, code: str) -> None:
    assert await refusal(status(Line(TimeoutError())), what) == code


@pytest.mark.parametrize(
    ("what", "lost"),
    [
        ("iq", LineLost()),
        ("iq", LineClosed()),
        ("message", LineLost()),
        ("message", LineClosed()),
        ("stanza", LineClosed()),
    ],
)
async def test_a_line_that_ends_is_not_connected(what: str, lost: Exception) -> None:
    with pytest.raises(Refusal) as raised:
        await ask(status(Line(lost)), what)
    assert (raised.value.code, raised.value.fields["state"]) == ("not-connected", "connecting")


@pytest.mark.parametrize(("error", "told"), [("463", ["463"]), ("479", ["479"]), (None, [])])
async def test_what_the_server_refuses_is_heard_before_the_lambda_hears_it(
    error: str | None, told: list[str]
) -> None:
    heard: list[str] = []

    async def hear(error: str, to: str) -> dict[str, str]:
        heard.append(error)
        return {}

    ack = Node("ack", {"class": "message", "id": "M"} | ({"error": error} if error else {}))
    assert await ask(status(Line(ack), on_refused=hear), "message") == ack
    assert heard == told


async def test_what_was_found_out_about_a_refusal_goes_along_with_the_ack_and_nobody_else_can_say_it() -> (
    None
):
    async def locked(error: str, to: str) -> dict[str, str]:
        return {protocol.VERDICT: protocol.LOCKED, protocol.VERDICT_UNTIL: "2000000000"}

    refused = Node("ack", {"class": "message", "id": "M", "error": "463", protocol.VERDICT: protocol.COLD})
    ack = await ask(status(Line(refused), on_refused=locked), "message")
    assert (ack.attrs[protocol.VERDICT], ack.attrs[protocol.VERDICT_UNTIL]) == ("locked", "2000000000")
    ack = await ask(status(Line(refused)), "message")
    assert protocol.VERDICT not in ack.attrs


async def test_before_a_first_contact_it_is_found_out_whether_one_may_go() -> None:
    asked: list[str] = []
    account = status(Line())

    async def find_out() -> None:
        asked.append("asked")
        account.limit = {"first-contacts": Limit("first-contacts", "reachout-lock", 2_000_000_000, 0)}.get

    account.before_first_contact = find_out
    with pytest.raises(Refusal):
        await ask(account, "message", first_contact=True)
    assert asked == ["asked"]


@pytest.mark.parametrize("urgent", [False, True])
async def test_the_last_new_chats_are_for_what_is_urgent(urgent: bool) -> None:
    account = limited("few-new-chats")
    if urgent:
        assert await ask(account, "message", first_contact=True, urgent=True) == ACK
        return
    with pytest.raises(Refusal) as raised:
        await ask(account, "message", first_contact=True)
    assert raised.value.fields["limit"] == "first-contacts"


async def test_before_any_other_message_nobody_is_asked() -> None:
    async def never() -> None:
        raise AssertionError

    account = status(Line())
    account.before_first_contact = never
    assert await ask(account, "message") == ACK


@pytest.mark.parametrize("kind", ["new-chats", "cold-refusals"])
async def test_functions_of_before_know_one_kind_for_first_contacts(kind: str) -> None:
    with pytest.raises(Refusal) as raised:
        await ask(limited(kind), "message", first_contact=True)
    assert (raised.value.fields["limit"], raised.value.fields["cause"]) == ("first-contacts", "463")


def limited(kind: str) -> AccountStatus:
    limit = Limit(kind, "463", 2_000_000_000, 0)
    return status(Line(), limit={kind: limit}.get)


async def test_a_first_contact_is_not_tried_against_a_restriction_and_known_ones_pass() -> None:
    account = limited("first-contacts")
    with pytest.raises(Refusal) as raised:
        await ask(account, "message", first_contact=True)
    assert (raised.value.code, raised.value.fields["until"]) == ("restricted", 2_000_000_000)
    assert raised.value.fields["limit"] == "first-contacts"
    assert await ask(account, "message") == ACK


async def test_who_knows_an_earlier_number_only_is_not_tried_against_a_restriction_either() -> None:
    account = limited("first-contacts")
    account.hold.begin_with(Ledger(since=1_000))
    with pytest.raises(Refusal):
        await ask(account, "message", known_at=999)
    assert await ask(account, "message", known_at=1_000) == ACK


async def test_no_message_is_tried_against_a_limit_for_all_and_receipts_and_queries_pass() -> None:
    account = limited("messages")
    assert await refusal(account, "message") == "restricted"
    await ask(account, "iq")
    await ask(account, "stanza")


def a_message(message_id: str, text: bytes, number: int = 4) -> Node:
    """To one device, under one key of the chain."""
    body = encode_signal_message(RATCHET, number, 0, text) + bytes(MAC_LENGTH)
    return Node("message", {"id": message_id, "to": "1234@lid"}, (Node("enc", {"type": "msg"}, body),))


async def sent(gateway: AccountGateway, message: Node) -> Node:
    return await gateway.message("default", 3, message, encode(message), Handling())


async def test_a_message_key_never_reaches_the_wire_twice() -> None:
    line = Line()
    gateway = AccountGateway({"default": status(line)})
    first, repeat = a_message("M", b"one"), a_message("N", b"one")
    await sent(gateway, first)
    await sent(gateway, repeat)  # the same ciphertext: nothing is given away
    with pytest.raises(Refusal) as raised:
        await sent(gateway, a_message("O", b"other"))
    assert (raised.value.code, raised.value.fields) == ("key-used", {"names": "1234@lid"})
    assert line.written == [first, repeat]


async def test_a_message_that_was_held_back_uses_no_key() -> None:
    """Only what leaves is remembered: after a refusal the function encrypts anew, now or later."""
    account, line = limited("messages"), Line()
    gateway = AccountGateway({"default": account})
    with pytest.raises(Refusal, match="restricted"):
        await sent(gateway, a_message("M", b"one"))
    account.limit, account.line = (lambda kind: None), line
    await sent(gateway, a_message("M", b"other"))
    assert len(line.written) == 1


async def test_accounts_of_one_process_share_the_memory_and_never_each_others_keys() -> None:
    two = AccountGateway({name: status(Line()) for name in ("default", "second")})
    await sent(two, a_message("M", b"one"))
    other = a_message("M", b"other", number=5)
    assert await two.message("second", 3, other, encode(other), Handling()) == ACK


def test_a_token_is_known_only_for_accounts_that_were_served() -> None:
    desk = AccountGateway({"default": status(), "new": AccountStatus("new")})
    assert [desk.token(name) for name in ("default", "new", "unknown")] == ["t", None, None]


async def test_a_state_is_written_into_the_lease_and_here() -> None:
    lease = Lease()
    account = status(lease=lease, state=AccountState.RESUMING)
    await account.set(AccountState.CONNECTED, "fine")
    assert (lease.written, account.state) == ([("connected", "fine")], AccountState.CONNECTED)


async def test_a_state_that_the_lease_refuses_is_not_taken_here_either() -> None:
    account = status(lease=Lease(lost=True), state=AccountState.RESUMING)
    with pytest.raises(LeaseLost):
        await account.set(AccountState.CONNECTED)
    assert account.state == AccountState.RESUMING


async def test_no_state_is_set_without_a_lease() -> None:
    account = AccountStatus("default")
    with pytest.raises(LeaseLost):
        await account.set(AccountState.UNPAIRED)
    assert account.state == AccountState.CONNECTING


@pytest.mark.parametrize(("before", "unexpected"), [("resuming", []), ("unpaired", ["unexpected state"])])
async def test_a_state_that_may_not_follow_is_logged_and_written_all_the_same(
    before: str, unexpected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    account = status(state=AccountState(before))
    await account.set(AccountState.CONNECTED)
    assert [record.message for record in caplog.records] == unexpected
    assert account.state == AccountState.CONNECTED


async def test_a_new_lease_begins_as_connecting() -> None:
    account = status(state=AccountState.REPLACED, leaving=True)
    account.begin(Lease())
    assert (account.state, account.leaving, account.holds()) == (AccountState.CONNECTING, False, True)


async def test_what_is_held_back_by_ourselves_uses_no_key() -> None:
    class Held(Holds):
        def admit(self, message: Node, how: Handling) -> float:
            raise Refusal("restricted", "paused", until=None, limit="paused")

    account, line = status(Line()), Line()
    account.hold = Held("default", unchanged_settings)
    gateway = AccountGateway({"default": account})
    with pytest.raises(Refusal, match="restricted"):
        await sent(gateway, a_message("M", b"one"))
    account.hold, account.line = unheld(), line
    await sent(gateway, a_message("M", b"other"))
    assert len(line.written) == 1


async def test_a_message_that_took_its_time_is_looked_at_once_more() -> None:
    """The operator paused sending while it waited."""
    asked: list[str] = []

    class Slow(Holds):
        def admit(self, message: Node, how: Handling) -> float:
            asked.append("admit")
            return 0.001

        def check_pause(self, message: Node, how: Handling) -> None:
            raise Refusal("restricted", "paused", until=None, limit="paused")

    line = Line()
    account = status(line)
    account.hold = Slow("default", unchanged_settings)
    with pytest.raises(Refusal, match="paused"):
        await sent(AccountGateway({"default": account}), a_message("M", b"one"))
    assert (asked, line.written) == (["admit"], [])
