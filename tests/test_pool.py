"""Tasks over threads: Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from figureground.batch.pool import in_threads


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a terminal; what is started in the background of a shell ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows cannot send a thread a signal")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_that_does_not_wake_the_main_thread_ends_the_work_all_the_same() -> None:
    """One that comes just as it falls asleep is as this one: Python knows of it, and nothing wakes the sleeper."""
    stopped, ended = threading.Event(), list[bool]()

    def work(_: int) -> None:
        time.sleep(0.5)  # until the main thread is asleep
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        ended.append(stopped.wait(20))

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(work, [0], 1, stopped.set))
    assert ended == [True], "it was waited for to its end"
