"""The same work on a Ray cluster. The only import of ray.

Tasks go out in shards, chosen by the hash of their names. A result appears whole or not at all, and only the driver
writes the manifest: so a shard that is lost with its process or machine is done again, one that takes far too long is
begun a second time somewhere else, and neither loses or doubles anything. A long video is made in spans, each a call of
its own. All machines must see the files under the same paths or URLs, and have this package.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any, Generic, TypeVar

import cv2

from figureground.backgrounds import is_path
from figureground.batch.manifest import Entry
from figureground.batch.options import Options
from figureground.batch.places import is_url
from figureground.batch.plan import Item, Job, is_video
from figureground.batch.spans import Span, replace_span
from figureground.batch.worker import Done, Result, Task, Worker
from figureground.data.workers import cores, no_interrupts
from figureground.engine import Model, shipped_models
from figureground.errors import ClusterError, FigureGroundError, MissingExtraError
from figureground.runtimes.peers import open_model

Key = TypeVar("Key")
_LOOPBACK = ("127.0.0.1:", "localhost:")
SHARD = 32  # pictures: seconds of work, so that little is lost with a machine and little time goes with sending
RETRIES = 2  # of a call whose process or machine dies
# A call that takes so many times as long as half of the others did, and so many seconds, is begun a second time.
SLOW, LEAST = 4.0, 20.0
REACHED = 10.0  # seconds in which a cluster answers
ATTEMPTS = 3  # at starting a cluster
ENDING = 10.0  # seconds that an interrupted call has for tidying up


def in_cluster(
    address: str, options: Options, tasks: Iterable[Task | None], jobs: int
) -> Generator[tuple[Task, Done], None, None]:
    """Do tasks on a cluster and give them with what became of each, as they come.

    Args:
        address: `local`: one of this machine's cores, started for this call. `auto`: the one that runs on this
            machine, or else as `local`. Else the address of one that runs: HOST:PORT or ray://HOST:PORT.
        options: what is asked of every input.
        tasks: taken as they are needed, so there may be any number.
        jobs: calls at once; 0: one a core.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: no cluster there, or nothing can be done on it.
    """
    with _connected(address, jobs) as ray:
        shard = ray.remote(num_cpus=1, max_retries=RETRIES)(_shard)
        asked = ray.put(_everywhere(options))

        def call(tasks: Sequence[Task]) -> Callable[[], Any]:
            return lambda: shard.remote(asked, [replace(task, item=_absolute(task.item)) for task in tasks])

        calls: _Calls[Sequence[Task]] = _Calls(ray, _slots(ray, jobs))
        with calls:
            for tasks_of_shard in _shards(tasks, 4 * calls.slots):
                calls.begin(tasks_of_shard, call(tasks_of_shard), once=is_video(Path(tasks_of_shard[0].item.input)))
                while len(calls) >= calls.slots:
                    yield from _taken(calls, call)
            while len(calls):
                yield from _taken(calls, call)


def _taken(
    calls: _Calls[Sequence[Task]], call: Callable[[Sequence[Task]], Callable[[], Any]]
) -> Iterator[tuple[Task, Done]]:
    """The tasks of shards that are finished; those of a shard that was lost again and again are tried one by one."""
    for tasks, done in calls.finished():
        if not isinstance(done, Exception):
            yield from ((task, _named(task.item, each)) for task, each in zip(tasks, done, strict=True))
        elif len(tasks) > 1:
            for task in tasks:
                calls.begin([task], call([task]), once=False)
        else:
            item = tasks[0].item
            reason = f"{item.input}: the process that did it died, {RETRIES + 1} times ({type(done).__name__})"
            entry = Entry(item.name, item.result, "failed", reason) if item.result else None
            yield tasks[0], Done(Result(item.input, item.output, "failed", reason=reason), entry)


def _shards(tasks: Iterable[Task | None], buckets: int) -> Iterator[list[Task]]:
    """Shards of tasks: pictures by the hashes of their names, each video alone."""
    waiting: list[list[Task]] = [[] for _ in range(buckets)]
    for task in tasks:
        if task is None:
            continue
        if is_video(Path(task.item.input)):
            yield [task]
            continue
        digest = blake2b(os.fsencode(task.item.name or task.item.input), digest_size=8).digest()
        bucket = waiting[int.from_bytes(digest, "big") % buckets]
        bucket.append(task)
        if len(bucket) == SHARD:
            yield bucket.copy()
            bucket.clear()
    yield from filter(None, waiting)


def _everywhere(options: Options) -> Options:
    """The options with paths that hold wherever a process was started."""
    # A file or folder that happens to be called "small" or "blur" is not meant by these words.
    model = options.model if options.model in shipped_models() else os.path.abspath(options.model)
    background = os.path.abspath(options.background) if is_path(options.background) else options.background
    sheet = None if options.sheet is None else os.path.abspath(options.sheet)
    return replace(options, model=model, background=background, sheet=sheet, resume=True)


def _absolute(item: Item) -> Item:
    places = [place if is_url(place) else os.path.abspath(place) for place in (item.input, item.output)]
    return replace(item, input=places[0], output=places[1])


def _named(item: Item, done: Done) -> Done:
    """What became of an item in the words of whoever asked."""
    sent = _absolute(item)
    reason = done.result.reason.replace(sent.input, item.input).replace(sent.output, item.output)
    result = replace(done.result, input=item.input, output=item.output, reason=reason)
    return Done(result, done.entry and replace(done.entry, reason=reason))


# ---- what the processes of the cluster do


def _shard(options: Options, tasks: Sequence[Task]) -> list[Done]:
    return [*map(_worker(options), tasks)]


@lru_cache(1)
def _worker(options: Options) -> Worker:
    """One for all shards that a process gets."""
    cv2.setNumThreads(1)
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    return Worker(options, spread=_spread)


@lru_cache(1)
def _opened(model: str) -> Model:
    cv2.setNumThreads(1)
    return open_model(model)


def _span(job: Job, options: Options, span: Span) -> None:
    replace_span(job, options, span, _opened(options.model))


def _spread(job: Job, options: Options, spans: Sequence[Span]) -> None:
    """Make the spans of a video all over the cluster; its own core is free for one of them meanwhile."""
    import ray

    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_span)
    calls: _Calls[Span] = _Calls(ray, len(spans))
    with calls:
        for span in spans:
            calls.begin(span, partial(remote.remote, job, options, span), once=False)
        while len(calls):
            for span, done in calls.finished():
                if isinstance(done, Exception):
                    raise ClusterError(f"{job.input}: the process that did its part {span.number} died") from done


# ---- calls, and the cluster they go to


@dataclass(eq=False, slots=True)
class _Call(Generic[Key]):
    key: Key
    begin: Callable[[], Any]
    begun: float
    once: bool  # or begun a second time: not again
    copies: int = 1  # at work


class _Calls(Generic[Key]):
    """Calls at work on the cluster, up to `slots` at once; the first result of each counts."""

    def __init__(self, ray: Any, slots: int) -> None:
        self._ray, self.slots = ray, slots
        self._running = dict[Any, _Call[Key]]()
        self._took = deque[float](maxlen=100)

    def __len__(self) -> int:
        return len(set(self._running.values()))

    def begin(self, key: Key, begin: Callable[[], Any], once: bool) -> None:
        """Begin a call; `once`: never a second time beside itself."""
        call = _Call(key, begin, time.monotonic(), once)
        self._running[begin()] = call

    def finished(self) -> list[tuple[Key, Any]]:
        """What has come back within a second or so: keys, each with its result, or the error of a call that is lost.

        Raises:
            FigureGroundError: the call itself raised one: it would everywhere.
        """
        ready, _ = self._ray.wait([*self._running], num_returns=1, timeout=1.0)
        found = [self._result(ref) for ref in ready if ref in self._running]
        if not ready and len(self._running) < self.slots:
            self._begin_again()
        return [each for each in found if each is not None]

    def _result(self, ref: Any) -> tuple[Key, Any] | None:
        call = self._running.pop(ref)
        call.copies -= 1
        try:
            result = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, FigureGroundError) else None
            raise cause or ClusterError(f"on the cluster: {_last_line(error)}") from error
        except self._ray.exceptions.RayError as error:
            return None if call.copies else (call.key, error)
        self._took.append(time.monotonic() - call.begun)
        for twin in [other for other, of in self._running.items() if of is call]:
            del self._running[twin]
            self._ray.cancel(twin)
        return call.key, result

    def _begin_again(self) -> None:
        """Begin what takes far too long once more, where nobody else has work."""
        if not self._took:
            return
        limit = time.monotonic() - max(LEAST, SLOW * median(self._took))
        for call in {*self._running.values()}:
            if call.begun < limit and not call.once and len(self._running) < self.slots:
                call.once, call.copies = True, call.copies + 1
                self._running[call.begin()] = call

    def __enter__(self) -> _Calls[Key]:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is still at work is given up, and has a moment to leave nothing half-written."""
        if self._running:
            with no_interrupts():
                for ref in self._running:
                    self._ray.cancel(ref)
                self._ray.wait([*self._running], num_returns=len(self._running), timeout=ENDING)


@contextmanager
def _connected(address: str, jobs: int) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers that it was started
    if address == "local":
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # as it is then anyway, but with a remark
    if address in ("local", "auto") or address.startswith(_LOOPBACK):
        # What makes Ray keep to this machine's loopback, whatever the system.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray, which --cluster needs,", "cluster") from error
    # A process that dies it tells on stdout, whatever `log_to_driver` says; what came of it is told by its results.
    ray._private.worker._worker_logs_enabled = False
    _connect(ray, address, jobs)
    try:
        yield ray
    finally:
        with no_interrupts():
            ray.shutdown()


def _connect(ray: Any, address: str, jobs: int) -> None:
    try:
        if address == "auto":
            try:
                ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
                return
            except ConnectionError:
                address = "local"
        if address == "local":
            _start(ray, jobs or cores())
        else:
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), REACHED).close()  # Ray itself would try for minutes
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        mend = "try again" if address == "local" else "see that `ray start` runs there, same Python, same Ray"
        raise ClusterError(f"--cluster {address}: cannot be reached ({_last_line(error)}); {mend}") from error


def _start(ray: Any, cpus: int) -> None:
    """A cluster of this machine alone; where others keep it busy, Ray's own half a minute may not be enough."""
    for attempt in range(ATTEMPTS):
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _system_config={"agent_register_timeout_ms": 120_000},
            )
            return
        except Exception:
            ray.shutdown()
            if attempt == ATTEMPTS - 1:
                raise


def _slots(ray: Any, jobs: int) -> int:
    have = max(1, int(ray.cluster_resources().get("CPU", 1)))
    return min(jobs, have) if jobs else have


def _last_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()[::-1]), type(error).__name__)[:200]
