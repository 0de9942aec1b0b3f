"""A fault is described once, checked then, and met as often as it says."""

import pytest

from tocsin_whatsapp_server.faults import Faults, InvalidFault


@pytest.fixture
def faults():
    return Faults()


def test_a_fault_is_met_n_times(faults):
    faults.make({"kind": "ack-error", "code": 463, "n": 2})
    met = [faults.take("ack-error", "62812", 1) for _ in range(3)]
    assert [fault is not None for fault in met] == [True, True, False]


def test_a_fault_without_a_number_lasts_until_it_is_cleared(faults):
    faults.make({"kind": "deaf"})
    assert all(faults.take("deaf", "62812", 1) for _ in range(5))
    assert faults.clear() == 1
    assert faults.take("deaf", "62812", 1) is None


def test_a_deaf_socket_may_be_cured_by_a_fresh_one() -> None:
    faults = Faults()
    faults.make({"kind": "deaf", "account": "62812", "cured": True})
    faults.make({"kind": "deaf", "account": "62813"})
    for account in ("62812", "62813"):
        faults.freshly_connected(account, 1)
    assert faults.take("deaf", "62812", 1) is None
    assert faults.take("deaf", "62813", 1)


@pytest.mark.parametrize(
    ("aim", "met"),
    [
        ({}, True),
        ({"account": "62812"}, True),
        ({"number": "+62812"}, True),
        ({"account": "62813"}, False),
        ({"device": 1}, True),
        ({"device": 2}, False),
        ({"to": "999"}, True),
        ({"to": "998"}, False),
    ],
)
def test_a_fault_hits_whom_it_is_aimed_at(faults, aim, met):
    faults.make({"kind": "lose-acks", **aim})
    assert (faults.take("lose-acks", "62812", 1, to="999") is not None) is met


def test_one_of_several_can_be_cleared(faults):
    first = faults.make({"kind": "deaf"})
    faults.make({"kind": "delay", "seconds": 1})
    assert faults.clear(first.id) == 1
    assert [fault.kind for fault in faults.waiting()] == ["delay"]


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({}, "unknown kind"),
        ({"kind": "earthquake"}, "known: drop"),
        ({"kind": ["deaf"]}, "unknown kind"),
        ({"kind": "ack-error"}, "needs code"),
        ({"kind": "ack-error", "code": "463"}, "code must be int"),
        ({"kind": "ack-error", "code": True}, "code must be int"),
        ({"kind": "ack-error", "code": 1, "n": 0}, "n must be 1 or more"),
        ({"kind": "delay", "seconds": "long"}, "seconds must be float"),
        ({"kind": "deaf", "volume": 11}, "deaf has no volume"),
        ({"kind": "stream-error"}, "needs code, conflict or text"),
        ({"kind": "cold"}, "needs to"),
        ({"kind": "account-news", "what": "weather"}, "challenge, complaints, unknown"),
        ({"kind": "new-chats", "used": "30"}, "used must be int"),
        ({"kind": "deaf", "device": "first"}, "device is a number"),
    ],
)
def test_what_can_not_be_injected_says_why(faults, description, said):
    with pytest.raises(InvalidFault, match=said):
        faults.make(description)
    assert faults.waiting() == ()
