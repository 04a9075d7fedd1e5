"""What the service counts of its requests and frames, for `metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
Metric = tuple[str, str, str, list[tuple[str, float]]]


class Requests:
    """To be used from the server's own thread."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._within: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self.frames = self.failed_frames = 0

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._answers[route, status] += 1
        self._seconds[route] += seconds
        self._within[route][bisect_left(BOUNDS, seconds)] += 1

    def metrics(self, in_hand: int, streams: int) -> Iterator[Metric]:
        """Name, kind, help and samples of each metric; `in_hand` requests and `streams` there are at this moment."""
        answers = [(f'{{route="{route}",status="{status}"}}', n) for (route, status), n in self._answers.items()]
        yield "requests_total", "counter", "Answers of the service.", [(label, float(n)) for label, n in answers]
        yield (
            "request_seconds",
            "histogram",
            "From the head of a request to its answer.",
            [sample for route in self._seconds for sample in self._histogram(route)],
        )
        yield "requests_in_hand", "gauge", "Requests not answered yet.", [("", in_hand)]
        yield "streams", "gauge", "Streams of frames that are open.", [("", streams)]
        yield "stream_frames_total", "counter", "Frames of streams answered with a picture.", [("", self.frames)]
        yield "stream_failed_frames_total", "counter", "Frames answered with an error.", [("", self.failed_frames)]

    def _histogram(self, route: str) -> Iterator[tuple[str, float]]:
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), self._within[route], strict=True):
            total += count
            yield f'_bucket{{route="{route}",le="{bound}"}}', total
        yield f'_sum{{route="{route}"}}', self._seconds[route]
        yield f'_count{{route="{route}"}}', total
