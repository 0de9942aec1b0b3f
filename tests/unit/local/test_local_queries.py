"""Answers to requests: complete, in the address form asked for, and nothing handed out twice."""

import pytest

from tests.support.local_server import BUDI, SITI, LocalServer
from tocsin.whatsapp.jid import JID, LID, PN, SERVER, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.endpoint import Endpoint


@pytest.fixture
def asking(local: LocalServer):
    siti, budi = local.phone(SITI), local.phone(BUDI)
    return local.companion(siti.account), local.companion(budi.account).device


def ask(companion, xmlns, kind, *children):
    companion.submit(Node("iq", {"id": "1", "to": SERVER, "xmlns": xmlns, "type": kind}, children or None))
    (answer,) = companion.taken("iq")
    return answer


def usync(companion, protocols, users):
    attrs = {"sid": "s", "mode": "query", "context": "message", "last": "true", "index": "0"}
    request = Node("usync", attrs, (Node("query", {}, protocols), Node("list", {}, users)))
    return (
        ask(companion, "usync", "get", request).require_child("usync").require_child("list").children("user")
    )


@pytest.mark.parametrize("server", [PN, LID])
def test_devices_are_listed_in_the_form_asked_for(asking, server):
    companion, target = asking
    jid = target.account.bare(server)
    protocols = (Node("devices", {"version": "2"}), Node("lid"), Node("status"))
    (user,) = usync(companion, protocols, (Node("user", {"jid": jid}),))
    assert user.attrs["jid"] == jid
    listed = user.require_child("devices").require_child("device-list")
    assert [dict(device.attrs) for device in listed.children("device")] == [
        {"id": "0"},
        {"id": "1", "key-index": "1"},
    ]
    assert listed.attrs["hash"] == phash([jid, jid.with_device(1)])
    assert user.require_child("lid").attrs["val"] == target.account.lid
    assert user.child("status") is None


def test_who_asked_for_devices_hears_of_their_changes(local, asking):
    companion, target = asking
    usync(companion, (Node("devices"),), (Node("user", {"jid": target.account.lid}),))
    local.board.unlink(target)
    assert companion.taken("notification")[0].child("remove") is not None


def test_a_number_is_found_as_it_was_typed(asking):
    companion, target = asking
    known, unknown = f"+{BUDI}@c.us", "+62 899 0000"
    users = tuple(Node("user", {}, (Node("contact", {}, text.encode()),)) for text in (known, unknown))
    found, missing = usync(companion, (Node("contact"),), users)
    assert (found.attrs["jid"], found.require_child("contact").attrs["type"]) == (target.account.pn, "in")
    assert found.require_child("contact").text() == known
    assert missing.require_child("contact").attrs["type"] == "out"


def test_a_number_may_be_answered_by_lid(asking):
    companion, target = asking
    users = (Node("user", {}, (Node("contact", {}, f"+{BUDI}".encode()),)),)
    (user,) = usync(companion, (Node("contact", {"addressing_mode": "lid"}),), users)
    assert (user.attrs["jid"], user.attrs["pn_jid"]) == (target.account.lid, target.account.pn)


def test_an_unknown_user_is_an_error_of_that_user_only(asking):
    companion, target = asking
    users = tuple(Node("user", {"jid": jid}) for jid in (JID("1", LID), target.account.lid))
    unknown, known = usync(companion, (Node("devices"),), users)
    assert unknown.require_child("devices").require_child("error").attrs["code"] == "404"
    assert known.require_child("devices").child("device-list") is not None


def bundles(companion, *jids):
    users = tuple(Node("user", {"jid": jid, "reason": "identity"}) for jid in jids)
    return ask(companion, "encrypt", "get", Node("key", {}, users)).require_child("list").children("user")


def test_each_one_time_prekey_is_handed_out_once_and_then_none(asking):
    companion, target = asking
    target.prekeys = dict(list(target.prekeys.items())[:2])
    answers = [bundles(companion, target.lid)[0] for _ in range(3)]
    ids = [answer.require_child("key").require_child("id").bytes(3) for answer in answers[:2]]
    assert len(set(ids)) == 2
    assert answers[2].child("key") is None


def test_a_bundle_has_exact_lengths_and_the_jid_as_asked(asking):
    companion, target = asking
    for jid in (target.pn, target.lid):
        (user,) = bundles(companion, jid)
        assert user.attrs["jid"] == jid
        user.require_child("registration").bytes(4)
        user.require_child("identity").bytes(32)
        user.require_child("skey").require_child("signature").bytes(64)
        assert user.require_child("type").bytes() == b"\x05"
        assert user.require_child("device-identity").bytes() == target.device_identity


def test_an_unknown_device_is_an_error_of_that_device_only(asking):
    companion, target = asking
    missing, found = bundles(companion, target.account.lid.with_device(9), target.lid)
    assert missing.require_child("error").attrs["code"] == "404"
    assert found.child("error") is None


def upload(keys, prekeys, **changes):
    parts = {
        "registration": keys.registration_id.to_bytes(4, "big"),
        "type": b"\x05",
        "identity": keys.identity.public,
        "list": tuple(
            Node("key", {}, (Node("id", {}, number.to_bytes(3, "big")), Node("value", {}, public)))
            for number, public in prekeys.items()
        ),
        "skey": (
            Node("id", {}, keys.signed_prekey.id.to_bytes(3, "big")),
            Node("value", {}, keys.signed_prekey.public),
            Node("signature", {}, keys.signed_prekey.signature),
        ),
    } | changes
    return tuple(Node(tag, {}, content) for tag, content in parts.items())


def test_uploaded_prekeys_are_counted_and_digested(local, asking):
    companion, _ = asking
    made = companion.endpoint.keys.new_prekeys(3, local.random)
    assert ask(companion, "encrypt", "set", *upload(companion.endpoint.keys, made)).attrs["type"] == "result"
    count = ask(companion, "encrypt", "get", Node("count")).require_child("count")
    assert count.attr_int("value") == 23
    digest = ask(companion, "encrypt", "get", Node("digest")).require_child("digest")
    assert len(digest.require_child("list").children("id")) == 23


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identity": bytes(32)}, "406"),
        ({"registration": b"short"}, "400"),
        ({"list": (Node("key", {}, (Node("id", {}, b"1"), Node("value", {}, bytes(32)))),)}, "400"),
        (
            {
                "skey": (
                    Node("id", {}, bytes(3)),
                    Node("value", {}, bytes(32)),
                    Node("signature", {}, bytes(64)),
                )
            },
            "406",
        ),
    ],
)
def test_an_upload_with_one_mistake_is_refused_whole(local, asking, changes, code):
    companion, _ = asking
    made = companion.endpoint.keys.new_prekeys(2, local.random)
    before = dict(companion.device.prekeys)
    answer = ask(companion, "encrypt", "set", *upload(companion.endpoint.keys, made, **changes))
    assert answer.require_child("error").attrs["code"] == code
    assert companion.device.prekeys == before


def test_a_rotated_signed_prekey_is_handed_out_from_then_on(local, asking):
    companion, _ = asking
    other = Endpoint(local.random, local.clock).keys
    wrong = Node("rotate", {}, upload(other, {})[-1:])
    assert ask(companion, "encrypt", "set", wrong).require_child("error").attrs["code"] == "406"
    right = Node("rotate", {}, upload(companion.endpoint.keys, {})[-1:])
    assert ask(companion, "encrypt", "set", right).attrs["type"] == "result"
    assert companion.device.signed_prekey.id == companion.endpoint.keys.signed_prekey.id


def test_a_companion_can_unlink_itself(asking):
    companion, _ = asking
    request = Node("remove-companion-device", {"jid": companion.device.pn, "reason": "user_initiated"})
    assert ask(companion, "md", "set", request).attrs["type"] == "result"
    assert companion.ended[-1].child("conflict").attrs["type"] == "device_removed"


def test_a_companion_can_not_unlink_somebody_elses(asking):
    companion, target = asking
    answer = ask(companion, "md", "set", Node("remove-companion-device", {"jid": target.pn}))
    assert answer.require_child("error").attrs["code"] == "404"
    assert target.number in target.account.devices
