"""What is no key and yet leads somewhere: who we are, where sessions lie, who is in a group."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.key_peers import End
from tocsin.dynamo.writes import Put, Update, Value
from tocsin.keys.errors import NoOutbound
from tocsin.keys.signpost import read_signpost, signpost_to
from tocsin.sealing import Place
from tocsin.tables.keys import address_key, credentials_key, group_key, outbound_key

STRANGER = "666@lid"
GROUP = "123-456@g.us"

values = st.one_of(st.text(max_size=12), st.integers(-3, 99), st.binary(max_size=12), st.booleans())


def item_of(end: End, key: tuple[str, str]) -> dict[str, Any]:
    item = end.table.get(key)
    assert item is not None
    return dict(item)


def put(end: End, key: tuple[str, str], attributes: dict[str, Value]) -> None:
    end.table.put(Put(key, {name: value for name, value in attributes.items() if name not in ("pk", "sk")}))


# -- who we are -------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.sampled_from(["jid", "lid", "device_identity", "incarnation"]), value=values)
def test_whatever_is_written_in_plain_we_stay_who_we_are(ann: End, name: str, value: Value) -> None:
    """Our own devices get a copy of each message: another LID of ours would be a stranger's."""
    before, key = ann.keys.account.profile(), credentials_key("main")
    kept = item_of(ann, key)
    ann.table.update(Update(key, set={name: value}))
    assert ann.opened().account.profile() == before
    assert ann.opened().account.credentials().profile == before
    put(ann, key, kept)


def test_facts_that_are_taken_away_are_still_known(ann: End) -> None:
    before, key = ann.keys.account.profile(), credentials_key("main")
    ann.table.update(Update(key, remove=("jid", "lid", "device_identity", "incarnation")))
    assert ann.opened().account.profile() == before


def test_an_account_of_before_the_seals_is_sealed_when_the_connector_opens_it(
    ann: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key = ann.keys.account.profile(), credentials_key("main")
    monkeypatch.setattr("tocsin.keys.account.BOUND", "of before")
    ann.keys.account.save_lid(before.lid or "")  # as 0.1.0 writes it
    monkeypatch.undo()
    assert ann.opened().account.profile() == before
    assert ann.opened().account.create().profile == before
    ann.table.update(Update(key, set={"lid": STRANGER}))
    assert ann.opened().account.profile() == before


# -- where sessions lie -----------------------------------------------------------------------------------


def test_a_tombstone_that_nobody_sealed_leads_nowhere(ann: End, bob: End) -> None:
    """Else one write to the table sends somebody's messages to another person."""
    ann.meet(bob)
    victim = "777@lid"
    key = outbound_key("main", ann.profile.incarnation, victim)
    put(ann, key, {"moved": bob.user})
    with pytest.raises(NoOutbound):
        ann.keys.sending.reserve(ann.profile, victim)


def test_a_tombstone_of_another_user_leads_nowhere(ann: End, bob: End) -> None:
    ann.meet(bob)
    key, other = (outbound_key("main", ann.profile.incarnation, user) for user in ("777@lid", "778@lid"))
    put(ann, key, signpost_to(ann.keys._context, other, bob.user))
    with pytest.raises(NoOutbound):
        ann.keys.sending.reserve(ann.profile, "777@lid")
    assert len(ann.damages) == 1


def test_over_a_forged_tombstone_a_session_is_made_anew(ann: End, bob: End) -> None:
    """It costs a session, and no message."""
    ann.meet(bob)
    put(ann, outbound_key("main", ann.profile.incarnation, bob.user), {"moved": STRANGER})
    with pytest.raises(NoOutbound):
        ann.reserve(bob)
    ann.meet(bob)
    assert bob.read(ann, ann.say(bob, b"hello")) == b"hello"
    assert not {"moved", "signpost"} & item_of(ann, outbound_key("main", 2, bob.user)).keys()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(sealed=values, moved=values)
def test_no_value_of_a_stranger_is_a_signpost(ann: End, sealed: Value, moved: Value) -> None:
    item: dict[str, Value] = {"pk": "session#main.2#777@lid", "sk": "outbound", "moved": moved}
    assert read_signpost(ann.keys._context, {**item, "signpost": sealed}) is None
    assert read_signpost(ann.keys._context, item) is None


# -- whose number it is -----------------------------------------------------------------------------------

PN, LID = "628111@s.whatsapp.net", "777@lid"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.sampled_from(["pn", "lid", "absent_at", "checked_at"]), value=values)
def test_whatever_is_written_in_plain_a_number_stays_whose_it_is(ann: End, name: str, value: Value) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.table.update(Update(address_key("main", PN), set={name: value}))
    assert ann.opened().contacts.address(PN) == {"pn": PN, "lid": LID}


def test_the_address_of_another_number_is_refused(ann: End) -> None:
    ann.keys.contacts.learn(PN, LID)
    ann.keys.contacts.learn("628222@s.whatsapp.net", STRANGER)
    put(ann, address_key("main", PN), item_of(ann, address_key("main", "628222@s.whatsapp.net")))
    assert ann.opened().contacts.address(PN) is None


def test_what_remains_is_an_address_of_earlier_put_back(ann: End) -> None:
    """Said in SEALED.md: all of it was true once, so its seal opens."""
    ann.keys.contacts.learn(PN, LID)
    earlier = item_of(ann, address_key("main", PN))
    ann.keys.contacts.learn(PN, "888@lid")
    assert ann.opened().contacts.address(PN) == {"pn": PN, "lid": "888@lid"}
    put(ann, address_key("main", PN), earlier)
    assert ann.opened().contacts.address(PN) == {"pn": PN, "lid": LID}


# -- who is in a group ------------------------------------------------------------------------------------


def test_a_group_that_somebody_else_describes_is_asked_for_anew(ann: End) -> None:
    ann.keys.groups.save(GROUP, "the roster")
    assert ann.keys.groups.known(GROUP) is not None
    ann.table.update(Update(group_key("main", GROUP), set={"told": f"the roster and {STRANGER}"}))
    assert ann.keys.groups.known(GROUP) is None


def test_the_roster_of_another_group_is_refused(ann: End) -> None:
    ann.keys.groups.save(GROUP, "the roster")
    ann.keys.groups.save("999@g.us", "another roster")
    other = item_of(ann, group_key("main", "999@g.us"))
    put(ann, group_key("main", GROUP), other)
    assert ann.keys.groups.known(GROUP) is None


def test_a_group_s_members_are_not_to_be_read_in_the_table(ann: End) -> None:
    ann.keys.groups.save(GROUP, "1234@lid is in it")
    assert "1234" not in repr(item_of(ann, group_key("main", GROUP)))


# -- all of them ------------------------------------------------------------------------------------------


def test_no_sealed_value_opens_at_the_place_of_another(ann: End, bob: End) -> None:
    """Every sealed attribute of an account's table, at every place of another one of them."""
    ann.meet(bob)
    ann.keys.groups.save(GROUP, "the roster")
    ann.keys.contacts.learn("628111@s.whatsapp.net", "777@lid")
    ann.keys.account.new_prekeys(2)
    sealer, places = ann.keys._context.sealer, dict[tuple[str, str, str], tuple[bytes, bytes]]()
    for item in ann.table.table.scan().items:
        for name, value in item.items():
            tag = item.get({"secrets": "tag", "states": "tag"}.get(name, name.replace("chain#", "tag#")))
            if isinstance(value, bytes) and value[:3] == b"\x02k1":
                places[str(item["pk"]), str(item["sk"]), name] = (
                    value,
                    tag if isinstance(tag, bytes) and tag != value else b"",
                )
    assert len(places) >= 6
    for place, (_, tag) in places.items():
        for other, (sealed, _) in places.items():
            opens = True
            try:
                sealer.unseal(sealed, Place(*place, tag))
            except Exception:  # noqa: BLE001
                opens = False
            assert opens == (place == other)
