"""Who is connected to the endpoint, and who must go: strangers don't take the places of those with a token.

A visitor is a stranger until its first authorised request. Strangers have seconds to make it, TLS included.
Each address has a share of places for them: one more, and its oldest one goes. When all places are taken, the
oldest stranger of all goes. Those who showed a token are never dropped.

The oldest goes and not the newest, because a function may share its address with whoever is silent. It needs
some ten milliseconds from its connection to its request: only a flood of new connections, faster than that,
makes it the oldest. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Visitor:
    """One connection. `address`: the peer's. `deadline`: by when a stranger must have become welcome (s)."""

    address: str
    deadline: float
    welcome: bool = field(default=False)


class Visitors:
    """`places`: for all. `share`: strangers of one address. `patience`: seconds that a stranger has."""

    def __init__(self, places: int, share: int, patience: float) -> None:
        self._places = places
        self._share = max(share, 1)
        self._patience = patience
        self._welcome: set[Visitor] = set()
        # In the order of their coming.
        self._strangers: dict[Visitor, None] = {}

    def __len__(self) -> int:
        return len(self._welcome) + len(self._strangers)

    def enter(self, address: str, now: float) -> tuple[Visitor | None, Visitor | None]:
        """Somebody connects: their place, None if there is none, and the stranger who must go for it."""
        leaving = self._who_goes(address)
        if leaving is not None:
            self.leave(leaving)
        elif len(self) >= self._places:
            return None, None
        visitor = Visitor(address, now + self._patience)
        self._strangers[visitor] = None
        return visitor, leaving

    def accept(self, visitor: Visitor) -> None:
        """It showed a token. Nothing if it has left."""
        if visitor in self._strangers:
            del self._strangers[visitor]
            self._welcome.add(visitor)
            visitor.welcome = True

    def leave(self, visitor: Visitor) -> None:
        self._strangers.pop(visitor, None)
        self._welcome.discard(visitor)

    def _who_goes(self, address: str) -> Visitor | None:
        ours = list(self._strangers_of(address))
        if len(ours) >= self._share:
            return ours[0]
        return next(iter(self._strangers), None) if len(self) >= self._places else None

    def _strangers_of(self, address: str) -> Iterator[Visitor]:
        return (visitor for visitor in self._strangers if visitor.address == address)
