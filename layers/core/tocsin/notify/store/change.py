"""An UpdateItem in the making: what is set, added, taken out and removed, and under which condition."""

from __future__ import annotations

from typing import Any

from tocsin.notify.notification import FROM, OUTCOMES, State
from tocsin.notify.store.attributes import to_attribute

# An update would otherwise found a torso of an item that its time to live has taken.
STILL_THERE = "attribute_exists(pk)"


class Change:
    """One update. Unless `outcome` is False it takes the attribute `outcome` away where it doesn't set it, so
    that the table's stream shows each outcome once."""

    def __init__(self, *, outcome: bool = True) -> None:
        self._sets: list[str] = []
        self._adds: list[str] = []
        self._deletes: list[str] = []
        self._removes: list[str] = ["outcome", "outcome_at"] if outcome else []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._condition = ""

    @classmethod
    def into(cls, state: State, *sources: State) -> Change:
        """A step into `state`, refused from any state but `sources` (default: those of `FROM`)."""
        change = cls()
        change.set("state", state)
        allowed = sources or FROM[state]
        marks = [f"from{number}" for number in range(len(allowed))]
        change.require(
            f"#state IN ({', '.join(':' + mark for mark in marks)})",
            naming=("state",),
            **dict(zip(marks, allowed, strict=True)),
        )
        return change

    @classmethod
    def to(cls, state: State, at: int) -> Change:
        """A step into `state` that the world is told of."""
        change = cls.into(state)
        change.set("outcome", OUTCOMES[state])
        change.set("outcome_at", at)
        return change

    def copy(self) -> Change:
        twin = Change()
        twin._sets, twin._adds, twin._removes = [*self._sets], [*self._adds], [*self._removes]
        twin._deletes = [*self._deletes]
        twin._names, twin._values = {**self._names}, {**self._values}
        twin._condition = self._condition
        return twin

    def set(self, name: str, value: Any) -> None:
        self._sets.append(f"{self._name(name)} = {self._value(name, value)}")
        if name in self._removes:
            self._removes.remove(name)

    def set_first(self, name: str, value: Any) -> None:
        """Set it unless it is set already."""
        mark = self._name(name)
        self._sets.append(f"{mark} = if_not_exists({mark}, {self._value(name, value)})")

    def set_in(self, name: str, key: str, value: Any) -> None:
        """Set one entry of a map that exists."""
        self._names["#entry"] = key
        self._sets.append(f"{self._name(name)}.#entry = {self._value(name, value)}")

    def append(self, name: str, entry: Any) -> None:
        mark = self._name(name)
        self._values[":nothing"] = []
        self._sets.append(
            f"{mark} = list_append(if_not_exists({mark}, :nothing), {self._value(name, [entry])})"
        )

    def add(self, name: str, amount: int | frozenset[str]) -> None:
        """Add to a number, or put into a set."""
        self._adds.append(f"{self._name(name)} {self._value(name, amount)}")

    def take_out(self, name: str, members: frozenset[str]) -> None:
        """Take out of a set; the last one takes the attribute away."""
        self._deletes.append(f"{self._name(name)} {self._value(name, members)}")

    def remove(self, *names: str) -> None:
        self._removes += names

    def require(self, condition: str, *, naming: tuple[str, ...] = (), **values: Any) -> None:
        self._condition = condition
        for name in naming:
            self._name(name)
        self._values.update({f":{name}": value for name, value in values.items()})

    def require_also(self, condition: str, **values: Any) -> None:
        """One more condition beside the one that is there."""
        self._condition = f"{self._condition} AND {condition}"
        self._values.update({f":{name}": value for name, value in values.items()})

    def expressions(self) -> dict[str, Any]:
        removes = [self._name(name) for name in self._removes]
        clauses = {"SET": self._sets, "ADD": self._adds, "DELETE": self._deletes, "REMOVE": removes}
        expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
        answer: dict[str, Any] = {"UpdateExpression": expression}
        if self._names:
            answer["ExpressionAttributeNames"] = self._names
        if self._values:
            answer["ExpressionAttributeValues"] = {
                mark: to_attribute(value) for mark, value in self._values.items()
            }
        if self._condition:
            answer["ConditionExpression"] = self._condition
        return answer

    def _name(self, name: str) -> str:
        self._names[f"#{name}"] = name
        return f"#{name}"

    def _value(self, name: str, value: Any) -> str:
        self._values[f":{name}"] = value
        return f":{name}"
