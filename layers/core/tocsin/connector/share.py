"""Which connector serves how many accounts: pure arithmetic, by what the heartbeats tell.

Each connector is entitled to the whole part of an equal share, and takes that at once. What is left over goes
to whoever has least. Who has more than its share gives, one at a time, while another has two less: so it ends
with loads that differ by one at most, and nobody takes back what it gave.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Loads:
    """`accounts`: of the whole stack. `mine`: how many I hold; `others`: how many each other connector holds
    that lives and isn't leaving."""

    accounts: int
    mine: int
    others: Collection[int] = ()

    @property
    def unheld(self) -> int:
        """Accounts that nobody seems to hold; not below 0, for a heartbeat may be a moment old."""
        return max(self.accounts - self.mine - sum(self.others), 0)

    @property
    def share(self) -> int:
        """The accounts to which each connector is entitled."""
        return self.accounts // (len(self.others) + 1)

    @property
    def least(self) -> int:
        return min((self.mine, *self.others))

    def may_take(self) -> bool:
        return self.mine < self.share or self.mine <= self.least

    def should_give(self) -> bool:
        """Only when nothing is on its way to somebody already."""
        return self.unheld == 0 and self.mine > self.share and self.mine - self.least >= 2
