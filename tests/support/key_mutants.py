"""Each rule of the key store, taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tocsin.dynamo.table import Contention, OutcomeUnknown
from tocsin.dynamo.writes import Absent, Condition, Delete, Exists, Item, Key, Update
from tocsin.keys import establish, receive, reserve, turn
from tocsin.keys.context import KeyContext
from tocsin.signal.errors import SignalError
from tocsin.signal.state import Record, evolve

ANYTHING = Absent("no such attribute")


Patch = Callable[[Any, str, Any], None]


def no_fence(patch: Patch) -> None:
    patch(turn, "fence_holds", lambda fence: Exists("next"))


def no_tags(patch: Patch) -> None:
    patch(turn, "as_read", lambda attribute, item: ANYTHING)


def no_tags_on_the_receiving_half(patch: Patch) -> None:
    patch(turn, "as_read", _but_for("tag"))


def a_move_that_minds_no_turn(patch: Patch) -> None:
    patch(turn, "as_read", _but_for("turn"))


def _but_for(*ignored: str) -> Callable[[str, Item | None], Condition]:
    from tocsin.dynamo.writes import as_read

    return lambda attribute, item: ANYTHING if attribute in ignored else as_read(attribute, item)


def a_number_from_a_read(patch: Patch) -> None:
    def take(vault: KeyContext, key: Key) -> Item:
        item = vault.table.get(key) or {}
        if "next" not in item:
            return properly(vault, key)
        following = item["next"]
        assert isinstance(following, int)
        try:
            return vault.table.update(Update(key, set={"next": following + 1}))
        except (Contention, OutcomeUnknown):
            return properly(vault, key)

    properly = reserve.take_number
    patch(reserve, "take_number", take)


def used_indexes_forgotten(patch: Patch) -> None:
    """A chain that comes back starts from its beginning."""
    original = turn.Turn._turn_chain

    def forgetful(self: turn.Turn, device: int, record: Record) -> None:
        current = record.current
        if current is not None:
            record = evolve(record, states=(evolve(current, used=0), *record.archived))
        original(self, device, record)

    patch(turn.Turn, "_turn_chain", forgetful)


def one_state_for_all_tries(patch: Patch) -> None:
    """What an earlier try may have stored is stored again."""
    original = establish._Maker.state
    made: dict[int, Any] = {}

    def repeated(self: Any) -> Any:
        if id(self) not in made:
            made[id(self)] = (self, original(self))
        return made[id(self)][1]

    patch(establish._Maker, "state", repeated)
    patch(establish._Maker, "has_made", lambda self, record: False)


def failures_believed_at_once(patch: Patch) -> None:
    def believe(self: Any, user: str, sessions: Any, failure: SignalError) -> None:
        raise failure

    patch(receive._Reception, "_second_look", believe)


def the_session_read_first(patch: Patch) -> None:
    """… then the stanza record and the prekey, and no second look at the session."""
    known, read = receive.StanzaRecords.known, receive.read_sessions
    early: list[Any] = []

    def look(self: Any, user: str) -> Any:
        early[:] = [read(self._context, self._incarnation, user, self._arrival.device)]
        return known(self, user)

    patch(receive.StanzaRecords, "known", look)
    patch(receive, "read_sessions", lambda *arguments, **options: early[0])
    failures_believed_at_once(patch)


def the_text_not_stored(patch: Patch) -> None:
    patch(receive.StanzaRecords, "opened", lambda self, user, item: None)


def a_blind_checkpoint(patch: Patch) -> None:
    patch(reserve, "unchanged", lambda chain, device: ANYTHING)
    patch(reserve, "CHECKPOINT_DISTANCE", 1)


def no_tombstone(patch: Patch) -> None:
    original = turn.Turn._outbound_writes

    def swept(self: turn.Turn) -> list[Any]:
        writes = original(self)
        return [Delete(writes[0].key, writes[0].when)] if self._moved_to is not None else writes

    patch(turn.Turn, "_outbound_writes", swept)
