"""Groups between phones: written once for all, read by each, and nothing for those who are out."""

import pytest

from tests.support.local_server import BUDI, DEWI, SITI, LocalServer
from tocsin.whatsapp.iq import group_info
from tocsin.whatsapp.jid import JID, phash
from tocsin.whatsapp.node import Node
from tocsin_whatsapp_server.companion import Companion
from tocsin_whatsapp_server.group_routing import NOT_A_MEMBER, STALE_ADDRESSING
from tocsin_whatsapp_server.inbox import InvalidRequest


@pytest.fixture
def crew(local: LocalServer):
    return local.phone(SITI, "Siti"), local.phone(BUDI, "Budi"), local.phone(DEWI, "Dewi")


@pytest.fixture(params=["lid", "pn"])
def group(local: LocalServer, crew, request):
    siti, *others = (phone.account for phone in crew)
    change = local.board.groups.create("Technicians", siti, others, now=1, mode=request.param)
    local.board.group_changed(change)
    return change.group


def texts(phone):
    return [entry.text for entry in phone.messages()]


def remove(local, group, account):
    local.board.group_changed(local.board.groups.remove(group, group.creator, [account]))


def audit(local):
    return local.board.audit.report()["message_keys_reused"]


def test_what_one_writes_all_others_read_and_confirm(local, crew, group):
    siti, budi, dewi = crew
    sent = siti.write(group, "who is near Jl. Merdeka?")
    budi.write(group, "I am")
    assert texts(dewi) == ["who is near Jl. Merdeka?", "I am"]
    assert dewi.messages()[0].chat == str(group.jid)
    assert sorted(sent.receipts["delivered"]) == [f"{BUDI}:0", f"{DEWI}:0"]
    assert sent.error is None
    assert audit(local) == 0


def test_the_sender_key_goes_out_once(local, crew, group):
    siti, _, dewi = crew
    for number in range(3):
        siti.write(group, f"message {number}")
    ledger = local.board.audit.ledger(SITI)
    assert (ledger.ciphertexts, ledger.group_ciphertexts) == (5, 3)
    assert texts(dewi) == [f"message {number}" for number in range(3)]


def test_who_was_removed_gets_nothing_more_and_all_others_a_new_key(local, crew, group):
    siti, budi, dewi = crew
    siti.write(group, "all of us")
    remove(local, group, dewi.account)
    siti.write(group, "two of us")
    assert texts(dewi) == ["all of us"]
    assert texts(budi) == ["all of us", "two of us"]
    assert local.board.audit.ledger(SITI).ciphertexts == 5
    with pytest.raises(InvalidRequest):
        dewi.write(group, "and me?")


def test_who_joins_reads_what_comes_from_then_on(local, crew, group):
    siti = crew[0]
    siti.write(group, "before")
    agus = local.phone("6281200000009", "Agus")
    local.board.group_changed(local.board.groups.add(group, siti.account, [agus.account]))
    siti.write(group, "welcome")
    assert texts(agus) == ["welcome"]


@pytest.mark.parametrize(
    "fault", ["forget_sender_keys", "corrupt_sender_keys", "forget_sessions", "reinstall"]
)
def test_a_broken_member_heals_alone(local, crew, group, fault):
    siti, budi, dewi = crew
    siti.write(group, "first")
    getattr(budi, fault)()
    siti.write(group, "second")
    assert texts(budi) == ["first", "second"]
    assert not dewi.messages()[-1].failures
    siti.write(group, "third")
    assert texts(budi)[-1] == "third"
    assert audit(local) == 0


def test_its_companions_read_it_too(local, crew, group):
    siti, budi, _ = crew
    of_budi, of_siti = (Companion(phone.account, local.board) for phone in (budi, siti))
    siti.write(group, "on every device")
    assert texts(of_budi) == ["on every device"]
    assert [entry.text for entry in of_siti.from_own_devices()] == ["on every device"]


def test_who_is_in_it_is_told_to_members_alone(local, crew, group):
    device = local.companion(crew[1].account)
    device.submit(Node("iq", {**group_info(group.jid).attrs, "id": "1"}, group_info(group.jid).content))
    (answer,) = device.taken("iq")
    told = answer.require_child("group")
    assert told.attr_str("addressing_mode") == group.mode
    members = told.children("participant")
    assert [member.attr_jid("jid").server for member in members] == [group.server] * 3
    assert members[0].attr_str("type") == "admin"
    stranger = local.companion(local.phone("6281200000009").account)
    for jid, code in ((group.jid, "403"), (JID("1203", "g.us"), "404")):
        stranger.submit(Node("iq", {**group_info(jid).attrs, "id": "2"}, group_info(jid).content))
        (answer,) = stranger.taken("iq")
        assert answer.require_child("error").attr_str("code") == code


def skmsg(group, message_id="3EB0AA", **attrs):
    shared = Node("enc", {"v": "2", "type": "skmsg"}, b"\x33" + bytes(80))
    attrs = {"addressing_mode": group.mode, **attrs}
    return Node("message", {"id": message_id, "to": group.jid, "type": "text", **attrs}, (shared,))


def test_a_wrong_participant_hash_is_answered_with_the_right_one(local, crew, group):
    device = local.companion(crew[1].account)
    right = phash(member.address(group.server) for member in group.devices)
    for told, answered in (("2:AAAAAAAA", right), (right, None)):
        device.submit(skmsg(group, phash=told))
        (ack,) = device.taken("ack")
        assert ack.optional_str("phash") == answered


def test_the_other_addressing_mode_is_refused(local, crew, group):
    device = local.companion(crew[1].account)
    device.submit(skmsg(group, addressing_mode="pn" if group.mode == "lid" else "lid"))
    (ack,) = device.taken("ack")
    assert ack.optional_int("error") == STALE_ADDRESSING
    assert ack.optional_str("addressing_mode") is None


@pytest.mark.parametrize("why", ["removed", "announcement", "suspended"])
def test_who_may_not_write_is_told_so(local, crew, group, why):
    budi = crew[1]
    device = local.companion(budi.account)
    if why == "removed":
        remove(local, group, budi.account)
    else:
        local.board.groups.set(group, **{why: True})
    device.submit(skmsg(group))
    (ack,) = device.taken("ack")
    assert ack.optional_int("error") == NOT_A_MEMBER


def test_a_fault_can_be_aimed_at_a_group(local, crew, group):
    device = local.companion(crew[1].account)
    local.board.faults.make({"kind": "ack-error", "code": 420, "n": 1, "to": str(group.jid)})
    for error in (420, None):
        device.submit(skmsg(group))
        (ack,) = device.taken("ack")
        assert ack.optional_int("error") == error


def test_members_hear_of_changes_and_so_does_who_is_out(local, crew, group):
    _, budi, dewi = crew
    device, other = local.companion(dewi.account), local.companion(budi.account)
    remove(local, group, dewi.account)
    for companion in (device, other):
        (told,) = companion.taken("notification")
        assert (told.attr_jid("from"), told.attr_str("type")) == (group.jid, "w:gp2")
        (gone,) = told.require_child("remove").children("participant")
        assert gone.attr_jid("jid") == dewi.account.bare(group.server)


def test_a_client_can_make_a_group_and_change_it(local, crew):
    siti, budi, dewi = crew
    device = local.companion(siti.account)

    def ask(to, child):
        device.submit(Node("iq", {"id": "1", "to": to, "type": "set", "xmlns": "w:g2"}, (child,)))
        (answer,) = device.taken("iq")
        assert answer.attr_str("type") == "result"
        return answer

    member = Node("participant", {"jid": budi.account.lid})
    made = ask(JID("", "g.us"), Node("create", {"subject": "Field"}, (member,))).require_child("group")
    group = local.board.groups.get(made.attr_str("id"))
    nobody = Node("participant", {"jid": JID("6289999999999", "s.whatsapp.net")})
    added = ask(group.jid, Node("add", {}, (Node("participant", {"jid": dewi.account.pn}), nobody)))
    assert [one.optional_str("error") for one in added.require_child("add").children()] == [None, "404"]
    ask(group.jid, Node("promote", {}, (member,)))
    assert group.as_json()["admins"] == [SITI, BUDI]
    ask(group.jid, Node("remove", {}, (member,)))
    ask(JID("", "g.us"), Node("leave", {}, (Node("group", {"id": str(group.jid)}),)))
    assert list(group.members) == [dewi.account]
