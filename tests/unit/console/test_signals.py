"""A command that is ended from outside ends as with Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tocsin_console.signals import ENDING, as_interrupts


@pytest.mark.parametrize("name", ENDING)
def test_what_ends_the_command_interrupts_it(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), as_interrupts():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_in_another_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with as_interrupts():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
