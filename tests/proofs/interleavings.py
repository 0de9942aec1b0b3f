"""All orders in which the requests of a few Lambdas may come, one life for each, with a crash at each place.

Three actors, two operations each. A schedule says whose request comes next; the first runs each actor to its
end, and every other one is found by leaving a schedule already seen at some place. Tried are all those that
leave a running actor, or end it by a crash, up to so many times in all; who comes next when one is done is
free. (What most faults need is one or two: Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007.)

What must hold in each life is what `tests.unit.keys.simulation` watches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.unit.keys.simulation import Task, World

Work = Callable[[], None]
OPERATIONS = ("send", "receive", "archive", "recover", "move")
CRASH = -1
"""In a schedule: the actor whose request it is ends instead."""


@dataclass(frozen=True)
class Place:
    """A request of a life: who made it, and what else might have come there at what price."""

    chosen: int
    others: tuple[int, ...]


class Scripted(World):
    """A life whose order is told. Two sessions' worth of messages lie ready to be received."""

    def __init__(self, programs: Sequence[Sequence[str]]) -> None:
        super().__init__(seed=1, hostility=0)
        self._collected: list[Work] | None = None
        self._crash = False
        self._converse()
        self._actors = [Task(" ".join(program), self._all_of(program)) for program in programs]

    def live(self, schedule: Sequence[int]) -> list[Place]:
        """Follow the schedule, then run each actor to its end; take stock. Returns what was done.

        Raises Violation.
        """
        places: list[Place] = []
        running = 0
        while any(not actor.done for actor in self._actors):
            ready = [number for number, actor in enumerate(self._actors) if not actor.done]
            chosen = schedule[len(places)] if len(places) < len(schedule) else running
            if chosen == CRASH:
                self._crash, actor = True, running
            else:
                actor = running = chosen if chosen in ready else ready[0]
            places.append(Place(chosen if chosen == CRASH else actor, tuple(ready)))
            self._step(self._actors[actor])
        self._settle()
        return places

    def at_request(self, *, writes: bool) -> str | None:
        fault = super().at_request(writes=writes)
        if self._crash and self.running is not None:
            self._crash = False
            return "crash"
        return fault

    def _step(self, task: Task) -> None:
        if task in self._actors:
            self.running = task
            try:
                task.step()
            finally:
                self.running = None
        else:
            super()._step(task)

    def _converse(self) -> None:
        """Both have written, and two answers are on their way, so that to receive is a turn."""
        self._actors: list[Task] = []
        for _ in range(2):
            self.send()
            while self.tasks:
                World._step(self, self.tasks[0])
            while self.to_phones:
                self.phone_reads()
            self.phone_sends(0)
            self._receive_all()
        for _ in range(4):
            self.phone_sends(0)

    def _all_of(self, program: Sequence[str]) -> Work:
        self._collected = []
        for name in program:
            operation = {"archive": self.mark_stale, "recover": self.rebuild, "move": self.learn}.get(name)
            (operation or getattr(self, name))()
        works, self._collected = self._collected, None

        def one_after_the_other() -> None:
            for work in works:
                work()

        return one_after_the_other

    def _task(self, work: Work) -> None:
        if self._collected is None:
            super()._task(work)
        else:
            self._collected.append(work)


def explore(programs: Sequence[Sequence[str]], *, disturbances: int | None) -> Iterator[list[Place]]:
    """Live every schedule with up to so many disturbances (None: any number), each once. Raises Violation."""
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        prefix = waiting.pop()
        places = Scripted(programs).live(prefix)
        yield places
        done = [place.chosen for place in places]
        for at in range(len(prefix), len(places)):
            for other in _alternatives(places, at):
                schedule = (*done[:at], other)
                if disturbances is None or _disturbances(schedule, places) <= disturbances:
                    waiting.append(schedule)


def _alternatives(places: list[Place], at: int) -> Iterator[int]:
    place = places[at]
    yield from (other for other in place.others if other != place.chosen)
    # Who has begun may end. One that ends at its first request is as one that was never there.
    if at and places[at - 1].chosen in place.others:
        yield CRASH


def _disturbances(schedule: tuple[int, ...], places: list[Place]) -> int:
    """How often an actor was left or ended that could have gone on."""
    return sum(
        here == CRASH or (here != before != CRASH and before in place.others)
        for before, here, place in zip(schedule, schedule[1:], places[1:], strict=False)
    )
