"""What became of one event that the planner was given."""

from __future__ import annotations

from dataclasses import dataclass


class FilesAway(Exception):
    """A file of a request can't be had now. The queue brings the event again. `why`: a code."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Planned:
    """What became of one event.

    `new` were written now, `repeated` were there already (a doubled event), `violations` kept the event from
    being planned at all. `unreachable` are those (new or not) of recipients who can't be told. `ignored`
    names fields that the schema doesn't know, `cut` those that were too long, `left_out` those of a person
    that were malformed. `untold`: why the mapping of the event's source tells nobody of it.
    """

    event_id: str = ""
    event_type: str = ""
    ticket_id: str = ""
    new: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    untold: str = ""

    @property
    def refused(self) -> bool:
        return bool(self.violations)

    @property
    def has_no_recipients(self) -> bool:
        """Not an error, but worth a look: a ticket without anybody who can be told."""
        return not (self.new or self.repeated or self.violations or self.untold)
