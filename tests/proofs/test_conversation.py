"""Whatever somebody writes, edits, deletes or garbles, in any order: the world is told each thing once, and
consent is what they last said. Twins with one rule broken are noticed."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.proofs.conversation import ABSENT, CHANGES, WORDED, WORDLESS, WORDS, Conversation
from tests.proofs.scale import examples
from tocsin.dynamo.writes import ITEM_ABSENT

choices = st.integers(0, 2**8 - 1)
words = st.sampled_from(WORDS)


class Writing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation()

    @rule(kind=st.sampled_from((*WORDED, *WORDLESS)), words=words)
    def write(self, kind: str, words: str) -> None:
        self.conversation.write(kind, words)

    @rule(kind=st.sampled_from(CHANGES), which=choices, words=words)
    def change(self, kind: str, which: int, words: str) -> None:
        self.conversation.change(kind, which, words)

    @rule(kind=st.sampled_from(ABSENT))
    def lack(self, kind: str) -> None:
        self.conversation.lack(kind)

    @rule()
    def garble(self) -> None:
        self.conversation.garble()

    @rule(which=choices, kind=st.sampled_from((*WORDED, *WORDLESS)), words=words)
    def arrive(self, which: int, kind: str, words: str) -> None:
        self.conversation.arrive(which, kind, words)

    @rule(which=choices)
    def give_up(self, which: int) -> None:
        self.conversation.give_up(which)

    @rule(which=choices)
    def turn_out_silent(self, which: int) -> None:
        self.conversation.turn_out_silent(which)

    @rule()
    def repeat(self) -> None:
        self.conversation.repeat()

    @rule(seconds=st.sampled_from((60, 1800, 3600)))
    def wait(self, seconds: int) -> None:
        self.conversation.wait(seconds)

    @invariant()
    def the_world_knows_what_it_should(self) -> None:
        self.conversation.check()


TestWriting = Writing.TestCase
TestWriting.settings = examples(40, steps=30)

# The first failure is enough: nobody reads a smaller one.
UNTIL_NOTICED = settings(examples(400, steps=30), phases=(Phase.generate,))

TWINS = {
    "an edit gives consent": ("tocsin.notify.replies.EDIT", "no such kind"),
    "only texts can say STOP": ("tocsin.notify.replies.WORDED", frozenset({"text"})),
    "every kind can say STOP": ("tocsin.notify.replies.WORDED", frozenset({*WORDED, *WORDLESS, *CHANGES})),
    "content after absence is no news": ("tocsin.notify.store.replies.CONTENT_IS_NEWS", (ITEM_ABSENT,)),
    "content is always news": ("tocsin.notify.store.replies.CONTENT_IS_NEWS", ()),
    "absence is always news": ("tocsin.notify.store.replies.ABSENCE_IS_NEWS", ()),
    "giving up is no news while it is awaited": (
        "tocsin.notify.store.replies.ABSENCE_IS_NEWS",
        (ITEM_ABSENT,),
    ),
    "nothing counts as unread": ("tocsin.notify.replies.UNREAD", frozenset()),
}


@pytest.mark.parametrize("twin", TWINS)
def test_a_broken_rule_is_noticed(twin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = TWINS[twin]
    monkeypatch.setattr(name, value)
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        run_state_machine_as_test(Writing, settings=UNTIL_NOTICED)
