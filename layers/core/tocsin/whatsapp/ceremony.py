"""The passkey ceremony as a state machine without I/O: from the server's challenge to our pairing request.

    FETCHING     options missing: asked for        CHALLENGED   the operator fetches the assertion
    REFERRING    a fresh ref is asked for          STARTING     assertion, our key and commitment are sent
    AWAITING     accepted: the phone is to answer  REVEALING    it did: our nonce is sent
    COMPARING    no proof was sent: the codes are compared
    REQUESTING   our keys and the new secret are sent, sealed for the phone
    VOUCHING     accepted: pair-success is to come

Everything happens on one unpaired connection; all state dies with it. Each state has a deadline, and none is
left twice: whatever goes wrong ends the attempt (`PasskeyEnded`), because an assertion counts once. The one
way back is a new challenge of the server, which starts the ceremony anew.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from tocsin.signal.curve import KeyPair, key_pair
from tocsin.whatsapp import link_code, passkey
from tocsin.whatsapp.assertion import Assertion
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.events import (
    Event,
    PasskeyAccepted,
    PasskeyCode,
    PasskeyEnded,
    PasskeyRequested,
    PasskeySent,
    PasskeyWanted,
)
from tocsin.whatsapp.iq import IqRefused, checked
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.steps import Ask, Then

HANDOFF_SECONDS: Final = 300.0
"""From the server's first challenge: how long the secret of the scanned code proves that we showed it."""
ANSWER_SECONDS: Final = 30.0
"""For each of our requests."""
PHONE_SECONDS: Final = 180.0
"""From the accepted assertion to the phone's half. The owner has to press *Continue* there."""
COMPARE_SECONDS: Final = 300.0
"""For the operator to compare the codes."""
VOUCH_SECONDS: Final = 60.0
"""From the accepted pairing request to pair-success."""
MAX_CHALLENGES: Final = 8
"""On one connection. A second one was seen."""


class PasskeyBusy(RuntimeError):
    """There is nothing to hand over just now: no challenge is open, or an assertion is on its way."""


class _State(Enum):
    FETCHING = "fetching"
    CHALLENGED = "challenged"
    REFERRING = "referring"
    STARTING = "starting"
    AWAITING = "awaiting"
    REVEALING = "revealing"
    COMPARING = "comparing"
    REQUESTING = "requesting"
    VOUCHING = "vouching"
    ENDED = "ended"


_S = _State
_STARTED: Final = frozenset(
    {_S.STARTING, _S.AWAITING, _S.REVEALING, _S.COMPARING, _S.REQUESTING, _S.VOUCHING, _S.ENDED}
)
"""The prologue is sent: the phone will vouch under the secret that we hold now."""

_LATE: Final = {
    _S.FETCHING: "no-options",
    _S.CHALLENGED: "too-late",
    _S.REFERRING: "no-answer",
    _S.STARTING: "no-answer",
    _S.AWAITING: "no-continuation",
    _S.REVEALING: "no-answer",
    _S.COMPARING: "not-compared",
    _S.REQUESTING: "no-answer",
    _S.VOUCHING: "not-vouched",
}
"""How an attempt ends whose state lasts too long."""


class Ceremony:
    """One attempt, from the first challenge on.

    `scanned`: the secret that the phone has, of the code that it scanned or that was derived from a typed
    one; None if it has none of ours. `secret`: the one that the phone is to vouch with; it replaces the
    scanned one at once, so that nothing vouched for under that is accepted any more.
    """

    def __init__(
        self,
        noise: KeyPair,
        identity: KeyPair,
        scanned: bytes | None,
        now: float,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        self._noise = noise
        self._identity = identity
        self._random = random
        self._handoff_key = passkey.handoff_key(scanned) if scanned is not None else None
        self._handoff_until = now + HANDOFF_SECONDS
        self._challenges = 0
        self._state = _S.ENDED
        self._deadline = now
        self._ours: passkey.Prologue | None = None
        self._theirs: bytes | None = None
        self._agreement: passkey.Agreement | None = None
        self._proven = False
        self.secret = random(32)

    def __repr__(self) -> str:
        return f"Ceremony({self._state.value})"

    @property
    def ended(self) -> bool:
        return self._state is _S.ENDED

    @property
    def next_tick(self) -> float | None:
        return None if self.ended else self._deadline

    def tick(self, now: float) -> list[Event]:
        if self.ended or now < self._deadline:
            return []
        return self._end(_LATE[self._state]).events

    # What the server says

    def on_challenge(self, node: Node, now: float) -> Then:
        """A `passkey_prologue_request`: the first one begins the ceremony, any other begins it anew."""
        self._challenges += 1
        if self._challenges > MAX_CHALLENGES:
            return self._end("too-many-challenges")
        if self._challenges > 1:
            self.secret = self._random(32)
        self._ours = self._theirs = self._agreement = None
        try:
            return self._challenged(passkey.options_in(node), now)
        except InvalidStanza:
            self._go(_S.FETCHING, now + ANSWER_SECONDS)
            return Then([PasskeyWanted(self._deadline)], self._ask(passkey.options_request(), self._fetched))

    def on_refresh(self) -> None:
        """The server retired our secret. From the prologue on the phone goes by the one that we will send."""
        if self._state not in _STARTED:
            self.secret = self._random(32)

    def on_continuation(self, node: Node, now: float) -> Then:
        """A `crsc_continuation`: the phone's half, for which ours must be on its way."""
        try:
            content = node.require_child("primary_ephemeral_identity").bytes()
            if self._theirs is not None and content == self._theirs:
                return Then()  # the same once more
            if self._state not in (_S.STARTING, _S.AWAITING) or self._ours is None:
                return self._end("unexpected-continuation")
            self._agreement = passkey.agreement(self._ours, passkey.parse_primary(content))
        except InvalidStanza as exc:
            return self._end("bad-continuation", exc.reason)
        self._theirs = content
        self._go(_S.REVEALING, now + ANSWER_SECONDS)
        return Then(ask=self._ask(passkey.nonce_request(self._ours.nonce), self._revealed))

    # What the operator says

    def hand_over(self, assertion: Assertion, now: float, *, always_ask: bool) -> Then:
        """Begin with the assertion. Raises `PasskeyBusy`. `always_ask`: compare the codes even if the phone
        could do without."""
        if self._state is not _S.CHALLENGED:
            raise PasskeyBusy(self._state.value)
        self._go(_S.REFERRING, now + ANSWER_SECONDS)
        return Then(
            [PasskeySent()],
            self._ask(
                passkey.ref_request(), lambda answer, at: self._referred(assertion, always_ask, answer, at)
            ),
        )

    def compared(self, same: bool, now: float) -> Then:
        """The operator compared the codes. Raises `PasskeyBusy` if there is nothing to compare."""
        if self._state is not _S.COMPARING:
            raise PasskeyBusy(self._state.value)
        return self._request(now) if same else self._end("codes-differ")

    # Steps

    def _fetched(self, answer: Node, now: float) -> Then:
        return self._challenged(passkey.options_in(checked(answer)), now)

    def _challenged(self, options: passkey.Options, now: float) -> Then:
        self._go(_S.CHALLENGED, now + options.seconds)
        return Then([PasskeyRequested(options, self._deadline)])

    def _referred(self, assertion: Assertion, always_ask: bool, answer: Node, now: float) -> Then:
        ref = passkey.parse_ref(answer)
        ours = passkey.prologue(key_pair(self._random(32)), self._random(32), ref)
        proof = None
        if self._handoff_key is not None and now < self._handoff_until and not always_ask:
            proof = passkey.handoff_proof(self._handoff_key, ours.payload)
        self._ours, self._proven = ours, proof is not None
        question = passkey.prologue_request(assertion.credential_id, assertion.text, ours.payload, proof)
        self._go(_S.STARTING, now + ANSWER_SECONDS)
        return Then(ask=self._ask(question, self._accepted))

    def _accepted(self, answer: Node, now: float) -> Then:
        checked(answer)
        if self._state is not _S.STARTING:
            return Then()  # the phone was quicker than the server's answer
        self._go(_S.AWAITING, now + PHONE_SECONDS)
        return Then([PasskeyAccepted(self._deadline)])

    def _revealed(self, answer: Node, now: float) -> Then:
        checked(answer)
        if self._agreement is None:
            return self._end("no-answer")
        code = link_code.shown(self._agreement.code)
        if not self._proven:
            self._go(_S.COMPARING, now + COMPARE_SECONDS)
            return Then([PasskeyCode(code, must_compare=True, expires_at=self._deadline)])
        then = self._request(now)
        return Then([PasskeyCode(code, must_compare=False, expires_at=self._deadline)], then.ask)

    def _request(self, now: float) -> Then:
        if self._agreement is None:
            return self._end("no-answer")
        sealed = passkey.encrypted_pairing_request(
            self._agreement.key, self._noise.public, self._identity.public, self.secret, self._random(12)
        )
        self._go(_S.REQUESTING, now + ANSWER_SECONDS)
        return Then(ask=self._ask(passkey.pairing_request(sealed), self._requested))

    def _requested(self, answer: Node, now: float) -> Then:
        checked(answer)
        self._go(_S.VOUCHING, now + VOUCH_SECONDS)
        return Then()

    def _ask(self, node: Node, step: Callable[[Node, float], Then]) -> Ask:
        """The answer counts while the challenge that it belongs to is the current one; a refusal ends it."""
        challenge = self._challenges

        def on_answer(answer: Node, now: float) -> Then:
            if challenge != self._challenges or self.ended:
                return Then()
            try:
                return step(answer, now)
            except IqRefused as exc:
                return self._end("refused", f"{exc.code} {exc.text}".rstrip())
            except InvalidStanza as exc:
                return self._end("unreadable-answer", exc.reason)

        return Ask(node, on_answer)

    def _go(self, state: _State, deadline: float) -> None:
        self._state, self._deadline = state, deadline

    def _end(self, reason: str, detail: str = "") -> Then:
        where = self._state.value
        self._state = _S.ENDED
        self._ours = self._theirs = self._agreement = self._handoff_key = None
        return Then([PasskeyEnded(reason, where, detail)])
