"""Making, renewing and ending sessions on the sending side: each is a turn of the user's sessions.

Two senders may fetch bundles for one device at once. The first turn wins; the other one finds the session
usable and drops its bundle, so that a burst makes one session and not ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tocsin.dynamo.table import ConditionFailed
from tocsin.dynamo.writes import Update
from tocsin.keys.context import KeyContext
from tocsin.keys.observe import LOG, RECOVERED
from tocsin.keys.proof import PHONE, is_proven, name_of
from tocsin.keys.reserve import HAS_COUNTER
from tocsin.keys.sessions import Sessions, read_sessions
from tocsin.keys.signpost import MAX_WALK, SIGNPOST, read_signpost
from tocsin.keys.turn import Try, Turn, commit, turning
from tocsin.sealing import DamagedRecord
from tocsin.signal.curve import key_pair
from tocsin.signal.errors import SignalError, UnprovenDevice
from tocsin.signal.session import archive_current, start
from tocsin.signal.state import Record, State
from tocsin.signal.x3dh import Local, PreKeyBundle, initiate
from tocsin.tables.keys import outbound_key
from tocsin.timestamps import is_recent

# One broken session is archived, or rebuilt on demand of retry receipts, at most once in this time.
REBUILD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What recovery asks about the current session. `born`: the number from which on it was used; `rebuilt`:
    when a session of this device was last replaced or archived on purpose, in seconds, 0 for never."""

    born: int
    remote_registration_id: int
    base_key: bytes = field(repr=False)
    identity: bytes = field(repr=False)
    created: int
    rebuilt: int


def session_facts(context: KeyContext, incarnation: int, user: str, device: int) -> SessionFacts | None:
    """Facts about the session that is used for sending to this device, or None if there is none."""

    def look(current: Try) -> SessionFacts | None:
        sessions = follow(context, incarnation, user, current, device=device)
        record, chain = sessions.record(device, sessions.next or 0), sessions.chain(device)
        inbound = sessions.inbound(device)
        if record is None or record.current is None or chain is None or inbound is None:
            return None
        state = record.current
        return SessionFacts(
            chain.born,
            state.remote_registration_id,
            state.base_key,
            state.remote_identity,
            state.created,
            inbound.rebuilt,
        )

    return turning(context, look)


def make_sessions(
    context: KeyContext,
    incarnation: int,
    local: Local | None,
    user: str,
    bundles: Mapping[int, PreKeyBundle],
    *,
    devices: Iterable[int] | None,
    replace: frozenset[int] = frozenset(),
    account_key: bytes | None = None,
) -> dict[int, SignalError]:
    """See `SendingKeys.make_sessions`."""
    listed = None if devices is None else frozenset(devices)
    # The phone comes first: its identity is the one that vouches for the others.
    makers = {
        device: _Maker(context, local, bundles[device], account_key)
        for device in sorted(bundles)
        if local is not None
    }

    def attempt(current: Try) -> None:
        sessions = follow(context, incarnation, user, current)
        turn = Turn(sessions, current.leap)
        for device in sessions.devices:
            if listed is not None and device not in listed:
                _end(turn, device)
        for device, maker in makers.items():
            maker.renew(turn, device, even_if_usable=device in replace)
        if listed is not None:
            turn.check_devices(context.now())
        commit(context, turn.writes(), turn)

    turning(context, attempt)
    return {device: maker.refused for device, maker in makers.items() if maker.refused is not None}


class _Maker:
    """Makes the session of one device from one bundle, over as many tries as the turn takes.

    Each try draws keys of its own: of an earlier one whose answer was lost, the chain may be in use by now,
    and its indexes would be taken again.
    """

    def __init__(
        self, context: KeyContext, local: Local, bundle: PreKeyBundle, account_key: bytes | None = None
    ) -> None:
        """`account_key`: see `SendingKeys.make_sessions`."""
        self.refused: SignalError | None = None
        self._account_key = account_key
        self._context = context
        self._local = local
        self._bundle = bundle
        self._tried: set[bytes] = set()
        self._found: bytes | None = None

    def renew(self, turn: Turn, device: int, *, even_if_usable: bool) -> None:
        """Put a new session into the turn, unless there is one that serves."""
        record = turn.record(device)
        self.refused = None
        if self.has_made(record):
            return
        # Another one than at first: somebody was faster, and that one serves.
        replaced = self.replaced_since(record)
        if (replaced or not even_if_usable) and _usable(turn, device, record):
            return
        try:
            self.prove(turn, device)
            state = self.state()
        except SignalError as error:
            self.refused = error
            if isinstance(error, UnprovenDevice) and not _is_proven(turn, device, record):
                _end(turn, device)
            return
        rebuilt = self._context.now() if record is not None and record.states else None
        turn.replace(device, start(record, state, self._context.now()), rebuilt=rebuilt)

    def state(self) -> State:
        """A new session. Raises BadSignature, InvalidKey."""
        base, ratchet = key_pair(self._context.random(32)), key_pair(self._context.random(32))
        state = initiate(self._local, self._bundle, base=base, ratchet=ratchet, now=self._context.now())
        self._tried.add(state.base_key)
        return state

    def prove(self, turn: Turn, device: int) -> None:
        """Note in the turn who vouches for the device of this bundle. Raises UnprovenDevice."""
        phone, identity = self._account_key or turn.phone_identity(), self._bundle.identity
        vouched = turn.vouched_by(device, identity)
        if not is_proven(device, phone, vouched, identity, self._bundle.voucher):
            raise UnprovenDevice(phone_known=phone is not None)
        if device != PHONE:
            turn.prove(device, name_of(phone))

    def has_made(self, record: Record | None) -> bool:
        """Whether an earlier try was stored after all. Then the bundle is spent, whatever came of it."""
        return record is not None and any(state.base_key in self._tried for state in record.states)

    def has_made_current(self, record: Record | None) -> bool:
        """Whether what an earlier try stored is the current session."""
        return _base_key(record) in self._tried

    def expect(self, base_key: bytes) -> None:
        """The session to be replaced; any other one is somebody's newer one."""
        self._found = base_key

    def replaced_since(self, record: Record | None) -> bool:
        """Whether the current session is another one than when this was asked first."""
        base_key = _base_key(record)
        if self._found is None:
            self._found = base_key
        return base_key != self._found


def touch_devices(context: KeyContext, incarnation: int, user: str, devices: Iterable[int]) -> None:
    """Note that the device list was compared now, and end sending to devices that aren't on it."""
    make_sessions(context, incarnation, None, user, {}, devices=devices)


def expire_devices(context: KeyContext, incarnation: int, user: str) -> None:
    """Note that the device list is out of date: the next send compares it. No turn, for no chain changes."""
    for _ in range(2):
        key = outbound_key(context.account, incarnation, user)
        update = Update(key, set={"checked_at": 0}, when=(HAS_COUNTER,))
        try:
            context.patiently(lambda update=update: context.table.update(update))  # type: ignore[misc]
        except ConditionFailed as failed:
            moved = read_signpost(context, failed.item)
            if moved is None:
                return
            user = moved
            continue
        return


def rebuild(
    context: KeyContext,
    incarnation: int,
    local: Local,
    user: str,
    device: int,
    bundle: PreKeyBundle,
    *,
    seen: SessionFacts | None = None,
    account_key: bytes | None = None,
) -> bool:
    """See `SendingKeys.rebuild`."""
    maker = _Maker(context, local, bundle, account_key)
    if seen is not None:
        maker.expect(seen.base_key)

    def attempt(current: Try) -> bool:
        sessions = follow(context, incarnation, user, current, device=device, phone=True)
        turn = Turn(sessions, current.leap)
        record = turn.record(device)
        if maker.has_made(record):
            return maker.has_made_current(record)
        if maker.replaced_since(record) and _usable(turn, device, record):
            return False
        maker.prove(turn, device)
        turn.replace(device, start(record, maker.state(), context.now()), rebuilt=context.now())
        commit(context, turn.writes(), turn)
        (context.observer or LOG).session(RECOVERED, sessions.user, device)
        return True

    return turning(context, attempt)


def mark_stale(context: KeyContext, incarnation: int, user: str, device: int) -> bool:
    """See `SendingKeys.mark_stale`."""

    def attempt(current: Try) -> bool:
        sessions = follow(context, incarnation, user, current, device=device)
        inbound = sessions.inbound(device)
        if inbound is not None and is_recent(inbound.rebuilt, context.now(), REBUILD_SECONDS):
            return False
        turn = Turn(sessions, current.leap)
        if not _end(turn, device, rebuilt=context.now()):
            return False
        commit(context, turn.writes(), turn)
        return True

    return turning(context, attempt)


def remove_device(context: KeyContext, incarnation: int, user: str, device: int) -> None:
    """See `SendingKeys.remove_device`."""

    def attempt(current: Try) -> None:
        turn = Turn(follow(context, incarnation, user, current, device=device), current.leap)
        record = turn.record(device)
        if record is not None:
            turn.forget(device, record)
        else:
            turn.drop(device)
        commit(context, turn.writes(), turn)

    turning(context, attempt)


def phone_identity(context: KeyContext, incarnation: int, user: str) -> bytes | None:
    """The identity of a user's phone as pinned by our session with it; None if there was never one."""
    return turning(
        context,
        lambda current: follow(context, incarnation, user, current, device=PHONE).phone_identity(),
    )


def follow(
    context: KeyContext,
    incarnation: int,
    user: str,
    current: Try,
    *,
    device: int | None = None,
    phone: bool = False,
) -> Sessions:
    """The sessions of `user` (all, or those with one device, and with the phone too), where they lie now.
    Raises DamagedRecord for tombstones that lead in a circle."""
    for _ in range(MAX_WALK):
        sessions = read_sessions(
            context, incarnation, user, device, torn_is_lost=current.torn_is_lost, phone=phone
        )
        if sessions.moved in (None, user):
            return sessions
        user = sessions.moved or user
    raise DamagedRecord(*outbound_key(context.account, incarnation, user), SIGNPOST)


def _base_key(record: Record | None) -> bytes:
    """The name of the current session; empty if there is none."""
    return record.current.base_key if record is not None and record.current is not None else b""


def _usable(turn: Turn, device: int, record: Record | None) -> bool:
    """Whether the next number could be sent with the current session."""
    chain = turn.sessions.chain(device)
    if chain is None or record is None or record.current is None or not _is_proven(turn, device, record):
        return False
    return chain.staleness(turn.fence, turn.sessions.context.now()) is None


def _is_proven(turn: Turn, device: int, record: Record | None) -> bool:
    """Whether the phone as pinned now vouched for the device as we know it."""
    identity, phone = record.identity if record is not None else None, turn.phone_identity()
    if identity is None:
        return False
    return is_proven(device, phone, turn.vouched_by(device, identity), identity, None)


def _end(turn: Turn, device: int, *, rebuilt: int | None = None) -> bool:
    """Archive the device's current session, or drop a chain without one; whether there was either."""
    record = turn.record(device)
    if record is None:
        if turn.sessions.chain(device) is None:
            return False
        turn.drop(device)
        return True
    if record.current is None:
        return False
    turn.replace(device, archive_current(record, turn.sessions.context.now()), rebuilt=rebuilt)
    return True
