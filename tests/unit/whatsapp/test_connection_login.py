"""A paired connection, from login to its end."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.noise_peer import (
    NOW,
    OWN_LID,
    OWN_PN,
    ROOT,
    Peer,
    Talk,
    device_keys,
    entropy,
    from_server,
    logged_in,
)
from tocsin.whatsapp import iq
from tocsin.whatsapp.connection import Config, Connection, NotOpen
from tocsin.whatsapp.device_keys import Login
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import EncodeError
from tocsin.whatsapp.events import (
    AckReceived,
    AckTimeout,
    Event,
    FrameDropped,
    LoggedIn,
    OfflineDone,
    PreKeysLow,
    RequestTimeout,
    Response,
    RoutingInfo,
    StanzaReceived,
    StreamEnded,
    VersionExpiring,
)
from tocsin.whatsapp.jid import JID, SERVER
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import Kind
from tocsin.whatsapp.usync import usync_devices

ALICE = JID.parse("200000000000002:1@lid")


def message(message_id: str = "3EB0AA", **attrs: str) -> Node:
    return Node("message", {"id": message_id, "to": ALICE.bare, "type": "text", **attrs})


def incoming(message_id: str, **attrs: str) -> Node:
    return Node("message", {"id": message_id, "from": ALICE, "type": "text", **attrs})


def ended(events: Iterable[Event]) -> str:
    [reason] = [event.reaction.reason for event in events if isinstance(event, StreamEnded)]
    return reason


# Login


def test_success_tells_lid_and_clock() -> None:
    talk = Talk(Login(OWN_PN))
    [event] = talk.hears(Node("success", {"t": str(int(NOW) + 7), "lid": OWN_LID}))
    assert event == LoggedIn(OWN_LID, int(NOW) + 7, 7.0)
    assert talk.client.is_open


def test_success_without_anything_is_enough() -> None:
    talk = Talk(Login(OWN_PN))
    assert talk.hears(Node("success", {"t": "soon", "lid": "@"})) == [LoggedIn(None, None, None)]


def test_only_the_first_success_counts() -> None:
    talk = logged_in()
    assert talk.hears(Node("success", {"t": "1"})) == []


def test_nothing_is_sent_before_login() -> None:
    talk = Talk(Login(OWN_PN))
    with pytest.raises(NotOpen):
        talk.client.send_message(message(), talk.now)


def test_a_stanza_before_login_is_dropped() -> None:
    talk = Talk(Login(OWN_PN))
    assert talk.hears(message()) == [FrameDropped("<message> before login")]


def test_a_silent_server_is_given_up() -> None:
    talk = Talk(Login(OWN_PN))
    assert ended(talk.waits(31)) == "handshake-timeout"


def test_a_server_that_never_answers_the_hello_is_given_up() -> None:
    client = Connection(device_keys(), Config(root_key=ROOT.public), random=entropy())
    client.start(NOW)
    assert client.next_tick == NOW + 20
    client.tick(NOW + 20)
    assert ended(client.events()) == "handshake-timeout"


def test_a_socket_closed_in_place_of_the_servers_hello_is_a_failed_handshake() -> None:
    client = Connection(device_keys(), Config(root_key=ROOT.public), random=entropy())
    client.start(NOW)
    client.connection_lost()
    assert ended(client.events()) == "handshake-failed"


def test_a_bad_certificate_ends_the_connection_before_we_say_who_we_are() -> None:
    peer = Peer()
    peer.certificate = b""
    client = Connection(device_keys(), Config(root_key=ROOT.public), random=entropy())
    client.start(NOW)
    [hello] = client.data_to_send()
    peer.certificate = b"\x0a\x00"
    client.receive_data(peer.answer_hello(hello), NOW)
    assert client.data_to_send() == []
    assert ended(client.events()) == "certificate"


def test_going_active_tells_our_name_but_not_that_we_are_online() -> None:
    talk = logged_in(push_name="Help desk")
    request = talk.client.go_active(talk.now)
    active, presence = talk.says()
    assert active.attrs == {"to": SERVER, "type": "set", "xmlns": "passive", "id": request}
    assert active.child("active")
    assert presence == Node("presence", {"type": "unavailable", "name": "Help desk"})


def test_no_name_is_invented() -> None:
    talk = logged_in(push_name=None)
    talk.client.go_active(talk.now)
    assert [node.tag for node in talk.says()] == ["iq"]


# Requests


def answer_to(request: Node, *children: Node, kind: str = "result") -> Node:
    return from_server("iq", {"type": kind, "id": request.attr_str("id")}, *children)


def test_a_request_gets_the_answer_with_its_id() -> None:
    talk = logged_in()
    first = talk.client.request(iq.prekey_count(), talk.now)
    second = talk.client.request(iq.prekey_count(), talk.now)
    asked = talk.says()
    assert [node.attrs["id"] for node in asked] == [first, second]
    answer = answer_to(asked[1], Node("count", {"value": "9"}))
    assert talk.hears(answer) == [Response(second, answer)]
    assert talk.hears(answer) == []


def test_an_error_is_an_answer_too() -> None:
    talk = logged_in()
    request = talk.client.request(iq.prekey_count(), talk.now)
    [asked] = talk.says()
    answer = answer_to(asked, Node("error", {"code": "503", "text": "later"}), kind="error")
    [event] = talk.hears(answer)
    assert event == Response(request, answer)
    with pytest.raises(iq.IqRefused) as refused:
        iq.checked(answer)
    assert (refused.value.code, refused.value.text) == (503, "later")


def test_a_request_without_answer_times_out_once() -> None:
    talk = logged_in()
    request = talk.client.request(iq.prekey_count(), talk.now, timeout=10)
    assert talk.waits(9) == []
    assert RequestTimeout(request) in talk.waits(2)
    assert RequestTimeout(request) not in talk.waits(60)


def test_a_usync_query_gets_an_id_of_its_own() -> None:
    talk = logged_in()
    request = talk.client.request(usync_devices([ALICE.bare]), talk.now)
    [asked] = talk.says()
    assert asked.require_child("usync").attrs["sid"] == request


@pytest.mark.parametrize(
    ("ping", "answered"),
    [
        ({"type": "get", "xmlns": "urn:xmpp:ping", "id": "7"}, {"to": SERVER, "type": "result", "id": "7"}),
        ({"xmlns": "urn:xmpp:ping"}, {"to": SERVER, "type": "result"}),
        ({"type": "result", "xmlns": "urn:xmpp:ping", "id": "7"}, None),
        ({"type": "error", "xmlns": "urn:xmpp:ping"}, None),
    ],
)
def test_pings_of_the_server_are_answered(
    ping: dict[str, str | JID], answered: dict[str, str | JID] | None
) -> None:
    talk = logged_in()
    talk.hears(from_server("iq", ping))
    assert [node.attrs for node in talk.says()] == ([] if answered is None else [answered])


def test_a_ping_may_be_told_by_its_child() -> None:
    talk = logged_in()
    talk.hears(from_server("iq", {"type": "get", "id": "7"}, Node("ping")))
    assert [node.attrs["type"] for node in talk.says()] == ["result"]


def test_a_question_we_don_t_know_gets_an_error() -> None:
    talk = logged_in()
    talk.hears(from_server("iq", {"type": "set", "xmlns": "news", "id": "8"}))
    [answer] = talk.says()
    assert (answer.attrs["type"], answer.attrs["id"]) == ("error", "8")


# Messages


def ack(message_id: str, kind: str = "message", **attrs: str) -> Node:
    return Node("ack", {"id": message_id, "class": kind, "from": ALICE.bare, **attrs})


def test_a_message_is_over_with_its_ack() -> None:
    talk = logged_in()
    assert talk.client.send_message(message(), talk.now) == "3EB0AA"
    assert talk.says() == [message()]
    assert talk.hears(ack("3EB0AA")) == [AckReceived("3EB0AA", ack("3EB0AA"))]


@pytest.mark.parametrize("other", [ack("3EB0AA", "receipt"), ack("3EB0BB"), ack("3EB0AA", "notification")])
def test_another_ack_is_not_the_one(other: Node) -> None:
    talk = logged_in()
    talk.client.send_message(message(), talk.now)
    assert talk.hears(other) == []


def test_one_id_sent_twice_is_acknowledged_twice() -> None:
    talk = logged_in()
    talk.client.send_message(message(), talk.now)
    talk.client.send_message(message(device_fanout="false"), talk.now)
    assert len(talk.hears(ack("3EB0AA"), ack("3EB0AA"), ack("3EB0AA"))) == 2


def test_a_message_without_ack_times_out() -> None:
    talk = logged_in()
    talk.client.send_message(message(), talk.now)
    talk.hears(from_server("ib", {}, Node("offline", {"count": "0"})))
    assert talk.waits(74) == []
    assert talk.waits(2) == [AckTimeout("3EB0AA")]


def test_a_message_that_can_t_be_written_changes_nothing() -> None:
    talk = logged_in()
    with pytest.raises(EncodeError):
        talk.client.send_message(Node("message", {"id": "1", "to": JID("1", "lid", 999)}), talk.now)
    assert talk.hears(ack("1")) == []
    talk.client.send_node(message())
    assert talk.says() == [message()]


@pytest.mark.parametrize("tag", ["message", "receipt", "notification", "call"])
def test_stanzas_go_to_the_shell_which_acknowledges_them(tag: str) -> None:
    talk = logged_in()
    node = Node(tag, {"from": ALICE, "id": "M1", "type": "text"})
    assert talk.hears(node) == [StanzaReceived(node)]
    assert talk.says() == []


@pytest.mark.parametrize("tag", ["presence", "chatstate"])
def test_what_needs_no_ack_is_ignored(tag: str) -> None:
    talk = logged_in()
    assert talk.hears(Node(tag, {"from": ALICE, "id": "M1"})) == []
    assert talk.says() == []


@pytest.mark.parametrize("tag", ["appdata", "status", "something-new"])
def test_a_stanza_of_an_unknown_kind_is_acknowledged_and_named(tag: str) -> None:
    talk = logged_in()
    assert talk.hears(Node(tag, {"from": ALICE, "id": "M1"})) == [FrameDropped(f"unknown stanza <{tag}>")]
    [answer] = talk.says()
    assert answer.attrs == {"class": tag, "id": "M1", "to": ALICE}


@pytest.mark.parametrize("attrs", [{}, {"id": "M1"}, {"from": ALICE}])
def test_a_stanza_of_an_unknown_kind_without_address_can_t_be(attrs: dict[str, str | JID]) -> None:
    talk = logged_in()
    assert talk.hears(Node("something-new", attrs)) == []
    assert talk.says() == []


def test_few_prekeys_are_told_and_acknowledged() -> None:
    talk = logged_in()
    note = from_server("notification", {"type": "encrypt", "id": "N"}, Node("count", {"value": "3"}))
    assert talk.hears(note) == [PreKeysLow(3)]
    [answer] = talk.says()
    assert answer.attrs == {"class": "notification", "id": "N", "to": SERVER, "type": "encrypt"}


def test_an_address_that_can_be_read_but_not_written_costs_one_answer() -> None:
    """`hosted` without a user comes as a pair of nothing and a server, and can't be sent back."""
    talk = logged_in()
    attrs: dict[str, str | JID] = {"id": "N", "type": "encrypt", "from": JID("", "unheard.of")}
    frame = encode(Node("notification", attrs, (Node("count", {"value": "3"}),)))
    frame = frame.replace(b"\xfc\x0aunheard.of", b"\xfc\x06hosted")
    talk.client.receive_data(talk.peer.seal(frame), talk.now)
    assert PreKeysLow(3) in talk.client.events()
    assert talk.says() == []
    talk.client.send_node(message())
    assert talk.says() == [message()]


# The offline queue


def preview(count: int) -> Node:
    return from_server("ib", {}, Node("offline_preview", {"count": str(count)}))


def test_the_queue_is_asked_for_batch_by_batch() -> None:
    talk = logged_in()
    talk.hears(preview(250))
    for number in range(250):
        talk.hears(incoming(f"{number}", offline=str(number)))
    batches = talk.says()
    assert [node.require_child("offline_batch").attrs["count"] for node in batches] == ["100"] * 3
    assert talk.hears(from_server("ib", {}, Node("offline", {"count": "250"}))) == [OfflineDone(True)]


def test_an_empty_queue_isn_t_asked_for() -> None:
    talk = logged_in()
    talk.hears(preview(0))
    assert talk.says() == []


def test_a_queue_without_end_mark_ends_by_itself() -> None:
    talk = logged_in()
    talk.waits(15)
    talk.hears(incoming("3EB0AA", offline="0"))
    assert OfflineDone(False) not in talk.waits(19)
    assert OfflineDone(False) in talk.waits(2)
    assert talk.hears(from_server("ib", {}, Node("offline"))) == []


def test_a_queue_that_never_ends_keeps_nothing_waiting_for_ever() -> None:
    """It ends by a bound that no stanza moves, whichever kind the server goes on with."""
    talk = logged_in()
    events: list[Event] = []
    for number in range(21):
        events += talk.waits(15)
        events += talk.hears(incoming(f"{number}", offline="0"))
    assert events.count(OfflineDone(False)) == 1
    talk.hears(from_server("ib", {}, Node("offline")))
    assert OfflineDone(True) not in talk.hears(from_server("ib", {}, Node("offline")))


def test_a_long_queue_is_asked_for_to_its_end_although_it_counts_as_over() -> None:
    talk = logged_in()
    for number in range(21):
        talk.waits(15)
        talk.hears(incoming(f"{number}", offline="0"))
    talk.says()
    for number in range(21, 101):
        talk.hears(incoming(f"{number}", offline="1"))
    assert any(node.child("offline_batch") is not None for node in talk.says())
    assert OfflineDone(True) not in talk.hears(from_server("ib", {}, Node("offline")))


# Other news


def test_routing_info_is_handed_out() -> None:
    routing = Node("edge_routing", {}, (Node("routing_info", {}, b"\x08\x02"),))
    assert logged_in().hears(from_server("ib", {}, routing)) == [RoutingInfo(b"\x08\x02")]


def test_a_dirty_part_is_said_to_be_clean() -> None:
    talk = logged_in()
    talk.hears(from_server("ib", {}, Node("dirty", {"type": "groups", "timestamp": "5"})))
    [clean] = talk.says()
    assert clean.require_child("clean").attrs == {"type": "groups", "timestamp": "5"}


def test_an_expiring_version_is_announced() -> None:
    child = Node("client_expiration", {"t": "1790000000"})
    assert logged_in().hears(from_server("ib", {}, child)) == [VersionExpiring(1790000000)]


# Keepalive


def test_silence_is_asked_about_then_believed() -> None:
    talk = logged_in()
    talk.hears(from_server("ib", {}, Node("offline")))
    assert talk.waits(31, alive=False) == []
    [ping] = talk.says()
    assert ping.attrs["xmlns"] == "w:p"
    assert ended(talk.waits(20, alive=False)) == "deaf"


def test_any_frame_is_life() -> None:
    talk = logged_in()
    talk.hears(from_server("ib", {}, Node("offline")))
    for _ in range(20):
        assert talk.waits(15, alive=False) == []
        talk.hears(Node("presence", {"from": ALICE}))
    assert talk.says() == []


def test_an_answered_ping_keeps_the_line() -> None:
    talk = logged_in()
    talk.hears(from_server("ib", {}, Node("offline")))
    assert talk.waits(300) == []


# The end


@pytest.mark.parametrize(
    ("node", "kind", "reason", "wipe"),
    [
        (Node("stream:error", {"code": "515"}), Kind.RECONNECT_NOW, "restart-required", False),
        (Node("stream:error", {"code": "503"}), Kind.BACKOFF, "server-restart", False),
        (
            Node("stream:error", {}, (Node("conflict", {"type": "replaced"}),)),
            Kind.STOP,
            "replaced",
            False,
        ),
        (
            Node("stream:error", {"code": "401"}, (Node("conflict", {"type": "device_removed"}),)),
            Kind.STOP,
            "device-removed",
            True,
        ),
        (Node("xmlstreamend"), Kind.BACKOFF, "stream-end", False),
    ],
)
def test_the_server_ends_the_stream(node: Node, kind: Kind, reason: str, wipe: bool) -> None:
    talk = logged_in()
    [event] = talk.hears(node)
    assert isinstance(event, StreamEnded)
    assert (event.reaction.kind, event.reaction.reason, event.reaction.wipe) == (kind, reason, wipe)
    with pytest.raises(NotOpen):
        talk.client.send_node(message())
    talk.client.connection_lost()
    assert talk.client.events() == []
    assert talk.client.next_tick is None


def test_a_refused_login_ends_the_stream() -> None:
    talk = Talk(Login(OWN_PN))
    [event] = talk.hears(Node("failure", {"reason": "401", "location": "x"}))
    assert isinstance(event, StreamEnded)
    assert event.reaction.wipe


def test_a_lost_connection_backs_off() -> None:
    talk = logged_in()
    talk.client.connection_lost()
    assert ended(talk.client.events()) == "connection-lost"


def test_after_our_close_nothing_follows() -> None:
    talk = logged_in()
    talk.client.close()
    talk.client.connection_lost()
    assert talk.hears(message()) == []
    assert talk.client.is_ended


# Whatever comes


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_plaintext_raises(plaintext: bytes) -> None:
    talk = logged_in()
    talk.client.receive_data(talk.peer.seal(b"\x00" + plaintext), talk.now)
    assert all(isinstance(event, FrameDropped | StreamEnded) for event in talk.client.events())


TAGS = ["iq", "ack", "ib", "message", "receipt", "notification", "call", "success", "failure", "stream:error"]
INNER = ["pair-device", "pair-success", "ping", "offline_preview", "dirty", "edge_routing", "count", "ref"]
INNER += ["client_expiration", "error", "conflict", "link_code_companion_reg", "companion_reg_refresh"]
texts = st.one_of(
    st.sampled_from(["", "get", "set", "result", "encrypt", "9" * 30, "402", "x", "urn:xmpp:ping"])
)
some_attrs = st.dictionaries(
    st.sampled_from(
        ["id", "type", "from", "class", "code", "reason", "expire", "count", "xmlns", "t", "offline"]
    ),
    st.one_of(texts, st.just(SERVER), st.just(ALICE)),
)
inner = st.builds(Node, st.sampled_from(INNER), some_attrs, st.one_of(st.none(), st.binary(max_size=9)))
middle = st.builds(
    Node, st.sampled_from(INNER), some_attrs, st.one_of(st.none(), st.lists(inner, max_size=2).map(tuple))
)
stanzas = st.builds(
    Node, st.sampled_from(TAGS), some_attrs, st.one_of(st.none(), st.lists(middle, max_size=2).map(tuple))
)


@given(st.lists(stanzas, max_size=4), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_stanza_raises(nodes: list[Node], paired: bool) -> None:
    talk = logged_in() if paired else Talk()
    talk.hears(*nodes)
    talk.waits(5)


def test_a_malformed_stanza_is_looked_for_among_the_last_ones_sent() -> None:
    talk = logged_in()
    for number in range(7):
        talk.client.send_message(message(f"3EB0{number}"), NOW)
    [end] = talk.hears(Node("stream:error", {}, (Node("xml-not-well-formed"),)))
    assert isinstance(end, StreamEnded)
    assert end.reaction.detail == "last sent: " + ", ".join(
        f"message text 3EB0{number}" for number in range(2, 7)
    )
