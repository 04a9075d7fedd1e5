"""Tasks over the processor's cores: threads of one process, which share a model.

Measured on photographs, two of them are a tenth slower than two processes and take two thirds of their memory
(docs/scaling.md): what takes the time, decoders, ONNX Runtime and OpenCV, runs without Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import TypeVar

from figureground.data.workers import finished, no_interrupts
from figureground.threads import opencv_threads

Task = TypeVar("Task")
Done = TypeVar("Done")
_AHEAD = 2  # tasks handed out for each thread


def in_threads(
    work: Callable[[Task], Done], tasks: Iterable[Task | None], jobs: int, stop: Callable[[], None]
) -> Generator[tuple[Task, Done], None, None]:
    """Call `work(task)` for each and give (task, result) as they come.

    Args:
        work: what it raises is raised here.
        tasks: taken as they are needed, so there may be any number; None says that there is none at the moment.
        jobs: threads.
        stop: called when this ends, perhaps before all is done; what is at work then is waited for.
    """
    running = dict[Future[Done], Task]()
    pool = ThreadPoolExecutor(jobs)
    try:
        # OpenCV starts no threads of its own where the cores have work anyway.
        with opencv_threads(1) if jobs > 1 else nullcontext():
            for task in tasks:
                if task is not None:
                    running[pool.submit(work, task)] = task
                yield from finished(running, wait=False)
                while len(running) >= jobs * _AHEAD:
                    yield from finished(running)
            while running:
                yield from finished(running)
    finally:
        stop()
        with no_interrupts():  # a second Ctrl-C waits for the first to be done
            pool.shutdown(wait=True, cancel_futures=True)
