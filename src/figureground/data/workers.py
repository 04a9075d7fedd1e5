"""Work on pictures spread over the processor's cores."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2

from figureground.errors import FigureGroundError

Key = TypeVar("Key")
Result = TypeVar("Result")
_AHEAD = 8  # items handed out for each worker: enough to keep it busy, few enough to hold in memory
_LOOK = 0.1  # seconds between two looks for what is done


def in_parallel(
    work: Callable[..., Result], items: Iterable[tuple[Key, tuple[Any, ...]]], jobs: int | None = None
) -> Generator[tuple[Key, Result], None, None]:
    """Call `work(*arguments)` for each (key, arguments) and give (key, result) as they come.

    Args:
        work: a function of a module; what it raises is raised here.
        items: taken as they are needed, so there may be any number.
        jobs: processes; None: one a core; 1: this process.

    Raises:
        FigureGroundError: a process was killed from outside, most likely for its memory.
    """
    jobs = jobs or cores()
    if jobs == 1:
        yield from ((key, work(*arguments)) for key, arguments in items)
        return
    # Not forked: the threads of OpenCV and of whoever calls would not survive that.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin)
    running = dict[Future[Result], Key]()
    try:
        with no_interrupts():  # of which the processes inherit this: Ctrl-C is for whoever started them
            futures.wait([pool.submit(_ready) for _ in range(jobs)], timeout=0)
        for key, arguments in items:
            running[pool.submit(work, *arguments)] = key
            while len(running) >= jobs * _AHEAD:
                yield from finished(running)
        while running:
            yield from finished(running)
    except BrokenProcessPool as error:
        raise FigureGroundError("a worker process was killed, perhaps for its memory; run it again to go on") from error
    finally:
        with no_interrupts():  # a second Ctrl-C waits for the first to be done
            pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def finished(running: dict[Future[Result], Key], wait: bool = True) -> Iterator[tuple[Key, Result]]:
    """Take what is done out of `running` and give it; perhaps nothing, though it waits a moment for something.

    Only a moment: a Ctrl-C that comes just as Python falls asleep on a lock does not wake it, and would be lost until
    the next task is done. That was 1 in 90 of those that came in the first half second of a video.
    """
    for future in futures.wait(running, _LOOK if wait else 0, futures.FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ready() -> None:
    """Make the pool start its processes."""


def _begin() -> None:
    """Of each process: one core is enough for it."""
    cv2.setNumThreads(1)
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it remarks on a file is no message of ours
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Of each process: if its parent was killed, nobody else would ever end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
