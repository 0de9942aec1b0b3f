"""Stories of the key store that a mutant of it must spoil."""

from __future__ import annotations

from tests.support.key_peers import End, once
from tocsin.dynamo.table import OutcomeUnknown

PN = "628111222333@s.whatsapp.net"


LID = "200@lid"


class Renamed:
    """Bob as Ann knew him: under his phone number."""

    def __init__(self, bob: End, user: str = PN) -> None:
        self.user, self.device, self.bundle = user, bob.device, bob.bundle
        self.account_key, self.voucher = bob.account_key, bob.voucher


def a_device_that_joins_between_read_and_commit_moves_too(ann: End, bob: End, old_bob: End) -> None:
    ann.meet(old_bob)
    tablet = End(LID, device=5, clock=ann.clock, phone=bob)

    def join() -> None:
        bundles = {5: tablet.bundle()}
        ann.keys.sending.make_sessions(ann.profile, ann.credentials, PN, bundles, devices=[0, 5])

    ann.table.before = once("transact", join)
    ann.keys.contacts.learn(PN, LID)
    assert ann.reserve(bob).chains.keys() == {0, 5}


def a_session_that_was_made_without_our_knowledge_is_not_made_twice(ann: End, bob: End) -> None:
    """Its making was answered by a timeout; it was used, and archived, before we look again. To store it once
    more would bring its first indexes back."""
    used = []

    def use_and_archive() -> None:
        used.append(ann.say(bob, b"first use"))
        ann.keys.sending.mark_stale(ann.profile, bob.user, bob.device)
        raise OutcomeUnknown

    ann.table.after = once("transact", use_and_archive)
    ann.meet(bob)
    assert ann.reserve(bob).in_need([bob.device]) == [bob.device]
    ann.meet(bob)
    again = ann.say(bob, b"second session")
    assert [bob.read(ann, message) for message in (*used, again)] == [b"first use", b"second session"]
